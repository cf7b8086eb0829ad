"""A world that an audit can examine, and the two kinds there are: physics (every control among them) and a dream.

All of them begin at a ``Start``, answer one action with one frame, and can be restarted and branched exactly.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from videosim.config import WorldConfig
from videosim.envs.physics import PhysicsEnv
from videosim.envs.video_sim import VideoSimEnv
from videosim.errors import VideoSimError
from videosim.types import WorldSpec


@dataclass(frozen=True)
class Start:
    """A moment of the true physics, told in both ways a world may understand.

    physics  float64 (P,), the exact state, for worlds that are physics
    frames   uint8 (K, H, W, 3), the K frames that lead to it, the present one last, for learned worlds
    actions  float32 (K-1, A), the actions between them, in world units
    seed     of whatever the world draws from here on
    """

    physics: np.ndarray
    frames: np.ndarray
    actions: np.ndarray
    seed: int


class World(Protocol):
    """What an audit sees. The same start and the same actions give the same frames, bitwise.

    name    for tables
    spec    frames, actions and sensors of the world
    reward  of the newest step, 0 after a reset
    success whether it says that the task is done, False after a reset, or None where it says nothing of the kind
    state   float32 (S,), what the world believes its sensors show, or None; no verdict rests on it
    latent  float32 (F,), its inner representation, or None
    """

    name: str
    spec: WorldSpec
    reward: float
    success: bool | None

    @property
    def state(self) -> np.ndarray | None: ...

    @property
    def latent(self) -> np.ndarray | None: ...

    def reset(self, start: Start) -> None:
        """Go to ``start``. VideoSimError where the start is of another world."""
        ...

    def step(self, action: np.ndarray) -> None:
        """Do ``action`` (A,) in world units."""
        ...

    def render(self) -> np.ndarray:
        """The present frame, uint8 (H, W, 3)."""
        ...

    def codec(self, frames: np.ndarray) -> np.ndarray:
        """Frames uint8 (T, H, W, 3) as the world's own codec keeps them; a world without one keeps them as they are."""
        ...

    def snapshot(self) -> Any:
        """Everything that decides the future."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Return to a ``snapshot`` of this world."""
        ...

    def close(self) -> None: ...


class PhysicsWorld:
    """MuJoCo as it is, or a control: ``PhysicsWorld("push")``, ``PhysicsWorld("control:lag2")``."""

    latent: np.ndarray | None = None
    success: bool | None

    def __init__(self, world: WorldConfig | str) -> None:
        self._env = PhysicsEnv(world)
        self.spec, self.name = self._env.world_spec, self._env.world_spec.name
        self.reward, self.success = 0.0, False

    @property
    def state(self) -> np.ndarray:
        return self._env.sensors()

    def reset(self, start: Start) -> None:
        self.reward, self.success = 0.0, False
        self._env.reset(seed=start.seed, options={"state": start.physics})

    def step(self, action: np.ndarray) -> None:
        _, self.reward, _, _, info = self._env.step(action)
        self.success = bool(info["success"]) if "success" in info else None

    def render(self) -> np.ndarray:
        return self._env.render()

    def codec(self, frames: np.ndarray) -> np.ndarray:
        return frames

    def snapshot(self) -> tuple[np.ndarray, float, bool | None]:
        return self._env.save(), self.reward, self.success

    def restore(self, snapshot: tuple[np.ndarray, float, bool | None]) -> None:
        state, self.reward, self.success = snapshot
        self._env.restore(state)

    def close(self) -> None:
        self._env.close()


class DreamWorld:
    """A world model, given as VideoSim-v0 takes it: a bundled name, a checkpoint folder or a loaded model."""

    success: bool | None = None

    def __init__(self, checkpoint: Any, device: str = "cpu") -> None:
        self._env = VideoSimEnv(checkpoint, obs="latent", device=device)
        self.spec, self.name, self.reward = self._env.world_spec, f"dream of {self._env.world_spec.name}", 0.0
        self._latent: np.ndarray | None = None

    @property
    def state(self) -> np.ndarray | None:
        return self._env.sensors()

    @property
    def latent(self) -> np.ndarray | None:
        return self._latent

    def reset(self, start: Start) -> None:
        self.reward = 0.0
        self._latent, _ = self._env.reset(seed=start.seed, options={"frames": start.frames, "actions": start.actions})

    def step(self, action: np.ndarray) -> None:
        self._latent, self.reward, *_ = self._env.step(action)

    def render(self) -> np.ndarray:
        return self._env.render()

    def codec(self, frames: np.ndarray) -> np.ndarray:
        return self._env.model.recoded(frames)

    def snapshot(self) -> tuple[dict[str, Any], float, np.ndarray | None]:
        return self._env.snapshot(), self.reward, self._latent

    def restore(self, snapshot: tuple[dict[str, Any], float, np.ndarray | None]) -> None:
        state, self.reward, self._latent = snapshot
        self._env.restore(state)

    def close(self) -> None:
        self._env.close()


def film(world: World, start: Start, actions: np.ndarray, at: Collection[int] | None = None) -> np.ndarray:
    """What ``world`` shows from ``start`` under ``actions`` (T, A): uint8 (T+1, H, W, 3), the start's frame first; or
    the frames ``at`` some of 0 .. T only, in order of time, the others being stepped through unseen."""
    world.reset(start)
    shown = [see(world)] if at is None or 0 in at else []
    for t, action in enumerate(actions, 1):
        world.step(action)
        if at is None or t in at:
            shown.append(see(world))
    return np.stack(shown)


def see(world: World) -> np.ndarray:
    """The present frame, uint8 (H, W, 3). Raises VideoSimError when it is not of the size that the world states."""
    frame = world.render()
    if frame.dtype != np.uint8 or frame.shape != world.spec.frame.shape:
        raise VideoSimError(
            f"{world.name} shows {frame.dtype} {frame.shape} where its spec says uint8 {world.spec.frame.shape}; "
            "mend its render()"
        )
    return frame
