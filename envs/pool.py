"""Many physics environments in a few processes: MuJoCo and rendering run beside each other, arrays come back stacked.

Knows no model and no policy. Episodes restart by themselves; what the last step of an episode showed is kept in
``final``.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from videosim.config import WorldConfig
from videosim.errors import VideoSimError


@dataclass
class PoolStep:
    """One step of n environments.

    frames uint8 ``(n, H, W, 3)`` or None where nothing is rendered, sensors float32 ``(n, S)``: after an end, those
    of the new episode; rewards float32, terminated, truncated, success bool ``(n,)``; final: row -> (frame or None,
    sensors) of the frame that ended an episode.
    """

    frames: np.ndarray | None
    sensors: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    success: np.ndarray
    final: dict[int, tuple[np.ndarray | None, np.ndarray]]


class PhysicsPool:
    """``count`` environments of ``world`` in ``workers`` processes (0: one a core, never more than environments).

    ``starts``: physics states ``(n, P)`` of which every episode begins from one at random; None: as the task begins.
    """

    def __init__(
        self, world: WorldConfig, count: int, render: bool, workers: int = 0, starts: np.ndarray | None = None
    ) -> None:
        self.count = count
        workers = min(workers or os.cpu_count() or 1, count)
        context = multiprocessing.get_context("spawn")  # a renderer's context does not survive a fork
        self._rows = np.array_split(np.arange(count), workers)
        self._pipes: list[Connection] = []
        self._processes = []
        for rows in self._rows:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, world, len(rows), render, starts), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def reset(self, seeds: Sequence[int]) -> PoolStep:
        """Start every row; row i's later episodes follow from ``seeds[i]`` too."""
        for pipe, rows in zip(self._pipes, self._rows, strict=True):
            pipe.send(("reset", [int(seeds[i]) for i in rows]))
        return self._gather()

    def step(self, actions: np.ndarray) -> PoolStep:
        """``actions`` float32 ``(count, A)`` in world units."""
        for pipe, rows in zip(self._pipes, self._rows, strict=True):
            pipe.send(("step", actions[rows]))
        return self._gather()

    def _gather(self) -> PoolStep:
        parts = []
        for pipe in self._pipes:
            try:
                kind, value = pipe.recv()
            except (EOFError, OSError):
                raise VideoSimError(
                    "a physics process died; give it more memory, or your script an `if __name__ == '__main__'` guard"
                ) from None
            if kind == "error":
                raise VideoSimError(value)
            parts.append(value)
        final = {
            int(rows[i]): value for rows, part in zip(self._rows, parts, strict=True) for i, value in part.final.items()
        }
        stacked = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("sensors", "rewards", "terminated", "truncated", "success")
        }
        frames = None if parts[0].frames is None else np.concatenate([part.frames for part in parts])
        return PoolStep(frames=frames, final=final, **stacked)

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.join()


def _serve(pipe: Connection, world: WorldConfig, count: int, render: bool, starts: np.ndarray | None) -> None:
    """A worker: ``count`` environments driven by messages from ``pipe``."""
    # One drawing thread a process: the processes are the parallelism.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    try:
        from videosim.envs.physics import PhysicsEnv

        envs = [PhysicsEnv(world) for _ in range(count)]

        def begin(env: PhysicsEnv, seed: int | None = None) -> None:
            env.reset(seed=seed)
            if starts is not None:
                env.reset(options={"state": starts[env.np_random.integers(len(starts))]})

        look: Callable[[Any], np.ndarray | None] = (lambda env: env.render()) if render else (lambda env: None)
        while True:
            kind, value = pipe.recv()
            results: list[tuple[float, bool, bool, bool]] = []
            final: dict[int, tuple[np.ndarray | None, np.ndarray]] = {}
            if kind == "reset":
                for env, seed in zip(envs, value, strict=True):
                    begin(env, seed)
                results = [(0.0, False, False, False)] * count
            else:
                for row, (env, action) in enumerate(zip(envs, value, strict=True)):
                    _, reward, terminated, truncated, info = env.step(action)
                    results.append((reward, terminated, truncated, bool(info.get("success", False))))
                    if terminated or truncated:
                        final[row] = (look(env), env.sensors())
                        begin(env)
            rewards, over, timed_out, success = (np.array(column) for column in zip(*results, strict=True))
            pictures = [look(env) for env in envs]
            step = PoolStep(
                frames=np.stack(pictures) if render else None,  # type: ignore[arg-type]
                sensors=np.stack([env.sensors() for env in envs]),
                rewards=rewards.astype(np.float32),
                terminated=over.astype(bool),
                truncated=timed_out.astype(bool),
                success=success.astype(bool),
                final=final,
            )
            pipe.send(("ok", step))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except Exception as error:
        pipe.send(("error", str(error) if isinstance(error, VideoSimError) else f"a physics process failed: {error!r}"))
