"""collect: fill an episode store from an environment with several processes, so that it can be killed and continued.

Episode number e of a run follows from (seed, e) alone: its behaviour, initial state and every action. A restart skips
the numbers whose episodes are in the store, so it continues instead of repeating. The calling process only hands out
numbers and frame budgets, which is how the total comes out exactly as asked although episodes end early.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np

from videosim.beside import Beside
from videosim.config import CollectConfig
from videosim.data import layout
from videosim.data.behaviours import Behaviour, check_mixture, draw_behaviour
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.types import Episode, WorldSpec

PATIENCE_S = 10.0  # how long a killed run's processes may take to notice


def episode_seed(seed: int, number: int) -> int:
    """Seed in [0, 2**32) of episode ``number`` of the run ``seed``."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint32)[0])


def collect(
    make_env: Callable[[], Any],
    store_folder: str | Path,
    cfg: CollectConfig,
    progress: Callable[[int, int], None] | None = None,
    policies: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] | None = None,
    source: str = "physics",
) -> EpisodeStore:
    """Record episodes until the store in ``store_folder`` holds ``cfg.frames`` frames, and return it.

    ``make_env``  a picklable callable that makes a PhysicsEnv or its like (world_spec reset step render sensors save)
    ``progress``  called with (frames in the store, frames asked)
    ``policies``  name -> picklable ``policy(frame, sensors) -> action``; the mixture calls them "policy:<name>"

    An episode has two frames at least, so one missing frame becomes two. Raises VideoSimError on bad settings, another
    world's store, a store in use, a full disk, or a process that died; in every case calling again continues.
    """
    policies = dict(policies or {})
    _check(cfg, policies)
    env = make_env()
    world: WorldSpec = env.world_spec
    env.close()
    root = Path(store_folder)
    if (root / "meta" / "info.json").exists():
        store = EpisodeStore.open(root, world)
    else:
        store = EpisodeStore.create(root, world, source)
    with _alone(root):
        store.refresh()
        ledger = _Ledger(cfg, world, store)
        if progress:
            progress(ledger.recorded, cfg.frames)
        if ledger.missing > 0:
            _run_workers(make_env, root, cfg, policies, ledger, progress or (lambda done, total: None))
    store.refresh()
    return store


def _check(cfg: CollectConfig, policies: Mapping[str, Any]) -> None:
    check_mixture(cfg.mixture, policies)
    if cfg.frames < 2:
        raise VideoSimError(f"frames={cfg.frames} is less than the two frames of the shortest episode; ask for more")
    if cfg.seed < 0 or cfg.workers < 0 or cfg.past_termination < 0 or cfg.policy_noise < 0.0:
        raise VideoSimError("seed, workers, past_termination and policy_noise must not be negative")
    if not 0.0 <= cfg.wide_fraction <= 1.0:
        raise VideoSimError(f"wide_fraction is a share between 0 and 1, not {cfg.wide_fraction}")
    for band in cfg.leave_out:
        if len(band) != 2 or not 0.0 <= band[0] < band[1]:
            raise VideoSimError(f"leave_out takes bands of strength [low, high] with 0 <= low < high; got {list(band)}")
    if cfg.leave_out and policies:
        raise VideoSimError("leave_out= cannot change what a policy does; record without one")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep other collections out of the store, and wait until the processes of a killed one have noticed."""
    deadline = time.monotonic() + PATIENCE_S
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(layout.locked(root / "meta" / "collecting", wait=False))
                with layout.locked(root / "meta" / "recording", wait=False):
                    break
            except BlockingIOError:
                held.close()
                if time.monotonic() > deadline:
                    raise VideoSimError(
                        f"another process is collecting into {root}; wait for it or name another folder"
                    ) from None
                time.sleep(0.1)
        yield


class _Ledger:
    """Which episode comes next, and how many frames it may have, so that the total comes out exactly."""

    def __init__(self, cfg: CollectConfig, world: WorldSpec, store: EpisodeStore) -> None:
        self._seed, self._rows = cfg.seed, world.horizon + 1
        self._present = set(store.seeds)
        self._next = 0
        self.recorded = store.frames_total
        self.missing = cfg.frames - self.recorded  # frames that nobody has been asked for
        self.flying: dict[Connection, int] = {}  # worker -> frames of its episode, not yet settled

    def assign(self, worker: Connection) -> tuple[int, int] | None:
        """(episode number, most frames), or None when there is nothing to do (now)."""
        if self.missing <= 0 or (self.missing == 1 and self.flying):
            return None
        budget = max(2, min(self._rows, self.missing))
        if self.missing - budget == 1:  # never leave a single frame: no episode is that short
            budget += -1 if budget > 2 else 1
        while episode_seed(self._seed, self._next) in self._present:
            self._next += 1
        number, self._next = self._next, self._next + 1
        self.missing -= budget
        self.flying[worker] = budget
        return number, budget

    def settle(self, worker: Connection, rows: int) -> int:
        """An episode ended after ``rows`` frames: take back the rest; returns how many more it must record (0 or 1)."""
        self.missing += self.flying.pop(worker) - rows
        extra = int(self.missing == 1 and not self.flying)
        self.missing -= extra
        return extra


def _run_workers(
    make_env: Callable[[], Any],
    root: Path,
    cfg: CollectConfig,
    policies: Mapping[str, Any],
    ledger: _Ledger,
    progress: Callable[[int, int], None],
) -> None:
    episodes = -(-ledger.missing // ledger._rows)
    count = min(cfg.workers or os.cpu_count() or 1, episodes)
    idle: set[Connection] = set()
    with Beside("collecting") as beside:  # the store survives the end of a process at any moment
        workers = {beside.start(_work, make_env, root, cfg, policies) for _ in range(count)}
        while len(idle) < count:
            for worker in wait(list(workers - idle)):
                kind, value = beside.received(worker)  # type: ignore[arg-type]
                if kind == "settle":
                    worker.send(ledger.settle(worker, value))  # type: ignore[union-attr,arg-type]
                    continue
                if kind == "recorded":
                    ledger.recorded += value
                    progress(ledger.recorded, cfg.frames)
                idle.add(worker)  # type: ignore[arg-type]
            for worker in list(idle):
                task = ledger.assign(worker)
                if task is not None:
                    worker.send(task)
                    idle.discard(worker)


# --- in a worker -----------------------------------------------------------------------------------------------------


@dataclass
class _Recorder:
    """Runs episodes in its own environment."""

    env: Any
    cfg: CollectConfig
    policies: Mapping[str, Any]

    def record(self, number: int, budget: int, settle: Callable[[int], int]) -> Episode:
        """Episode ``number``, at most ``budget`` frames; ``settle(frames)`` may ask for one more at the end."""
        env, cfg, world = self.env, self.cfg, self.env.world_spec
        seed = episode_seed(cfg.seed, number)
        rng = np.random.default_rng([cfg.seed, number, 1])
        wide = rng.random() < cfg.wide_fraction
        name, behaviour = draw_behaviour(env, world.action, rng, cfg.mixture, self.policies, cfg.policy_noise)
        env.reset(seed=seed, options={"wide": True} if wide else None)
        rows: dict[str, list[Any]] = {"frames": [env.render()], "sensors": [env.sensors()], "physics": [env.save()]}
        rows |= {"actions": [], "rewards": [], "terminated": []}
        limit = budget
        while len(rows["frames"]) < limit:
            terminated, truncated = self._step(behaviour, rows)
            if terminated and sum(rows["terminated"]) == 1:
                limit = min(limit, len(rows["frames"]) + cfg.past_termination)
            if truncated:
                break
        for _ in range(settle(len(rows["frames"]))):
            self._step(behaviour, rows)
        dtypes = {"frames": np.uint8, "terminated": bool, "physics": np.float64}
        return Episode(
            **{key: np.asarray(values, dtypes.get(key, np.float32)) for key, values in rows.items()},
            behaviour=name,
            seed=seed,
            wide=wide,
        )

    def _step(self, behaviour: Behaviour, rows: dict[str, list[Any]]) -> tuple[bool, bool]:
        if os.getppid() != self.parent:
            raise SystemExit  # whoever asked for the data is gone
        wanted = behaviour(rows["frames"][-1], rows["sensors"][-1])
        action = self.env.world_spec.action.leave_out(wanted, self.cfg.leave_out)
        _, reward, terminated, truncated, _ = self.env.step(action)
        for key, value in (("actions", action), ("rewards", reward), ("terminated", terminated)):
            rows[key].append(value)
        for key, value in (
            ("frames", self.env.render()),
            ("sensors", self.env.sensors()),
            ("physics", self.env.save()),
        ):
            rows[key].append(value)
        return bool(terminated), bool(truncated)

    def __post_init__(self) -> None:
        self.parent = os.getppid()


def _work(
    calls: Connection, make_env: Callable[[], Any], root: Path, cfg: CollectConfig, policies: Mapping[str, Any]
) -> None:
    """A worker: take an episode number, record it, commit it, ask for the next."""

    def settle(rows: int) -> int:
        calls.send(("settle", rows))
        return int(calls.recv())

    with layout.locked(root / "meta" / "recording", shared=True):
        recorder = _Recorder(make_env(), cfg, policies)
        store = EpisodeStore.open(root)
        calls.send(("ready", None))
        while True:
            number, budget = calls.recv()
            episode = recorder.record(number, budget, settle)
            store.append(episode)
            calls.send(("recorded", episode.length + 1))
