"""A world that an audit can examine, and the two kinds there are: physics (every control among them) and a dream.

All of them begin at a ``Start``, answer one action with one frame, and can be restarted and branched exactly.
"""

from __future__ import annotations

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
    state   float32 (S,), what the world believes its sensors show, or None; no verdict rests on it
    latent  float32 (F,), its inner representation, or None
    """

    name: str
    spec: WorldSpec
    reward: float

    @property
    def state(self) -> np.ndarray | None: ...

    @property
    def latent(self) -> np.ndarray | None: ...

    def reset(self, start: Start) -> np.ndarray:
        """Go to ``start``; the present frame, uint8 (H, W, 3). VideoSimError where the start is of another world."""
        ...

    def step(self, action: np.ndarray) -> np.ndarray:
        """The frame after ``action`` (A,) in world units, uint8 (H, W, 3)."""
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

    def __init__(self, world: WorldConfig | str) -> None:
        self._env = PhysicsEnv(world)
        self.spec, self.name, self.reward = self._env.world_spec, self._env.world_spec.name, 0.0

    @property
    def state(self) -> np.ndarray:
        return self._env.sensors()

    def reset(self, start: Start) -> np.ndarray:
        self.reward = 0.0
        self._env.reset(seed=start.seed, options={"state": start.physics})
        return self._env.render()

    def step(self, action: np.ndarray) -> np.ndarray:
        self.reward = float(self._env.step(action)[1])
        return self._env.render()

    def snapshot(self) -> tuple[np.ndarray, float]:
        return self._env.save(), self.reward

    def restore(self, snapshot: tuple[np.ndarray, float]) -> None:
        state, self.reward = snapshot
        self._env.restore(state)

    def close(self) -> None:
        self._env.close()


class DreamWorld:
    """A world model, given as VideoSim-v0 takes it: a bundled name, a checkpoint folder or a loaded model."""

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

    def reset(self, start: Start) -> np.ndarray:
        self.reward = 0.0
        self._latent, _ = self._env.reset(seed=start.seed, options={"frames": start.frames, "actions": start.actions})
        return self._env.render()

    def step(self, action: np.ndarray) -> np.ndarray:
        self._latent, self.reward, *_ = self._env.step(action)
        return self._env.render()

    def snapshot(self) -> tuple[dict[str, Any], float, np.ndarray | None]:
        return self._env.snapshot(), self.reward, self._latent

    def restore(self, snapshot: tuple[dict[str, Any], float, np.ndarray | None]) -> None:
        state, self.reward, self._latent = snapshot
        self._env.restore(state)

    def close(self) -> None:
        self._env.close()


def film(world: World, start: Start, actions: np.ndarray) -> np.ndarray:
    """What ``world`` shows from ``start`` under ``actions`` (T, A): uint8 (T+1, H, W, 3), the start's frame first.

    Raises VideoSimError when a frame is not of the size that the world states.
    """
    frames = np.stack([world.reset(start), *(world.step(action) for action in actions)])
    if frames.dtype != np.uint8 or frames.shape[1:] != world.spec.frame.shape:
        raise VideoSimError(
            f"{world.name} shows {frames.dtype} {frames.shape[1:]} where its spec says uint8 {world.spec.frame.shape}; "
            "mend its step()"
        )
    return frames
