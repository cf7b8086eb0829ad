"""The gymnasium spaces of a world, the same for its physics and for a dream of it. Knows neither torch nor MuJoCo."""

from __future__ import annotations

import gymnasium
import numpy as np

from videosim.types import ActionSpec, WorldSpec

# Physical quantities and latents have no bound to state, and infinity makes the environment checkers warn.
FULL_RANGE = float(np.finfo(np.float32).max)


def action_box(action: ActionSpec) -> gymnasium.spaces.Box:
    """float32 ``(A,)`` in the world's units."""
    return gymnasium.spaces.Box(np.array(action.low, np.float32), np.array(action.high, np.float32), dtype=np.float32)


def vector_box(size: int) -> gymnasium.spaces.Box:
    """float32 ``(size,)``, any number."""
    return gymnasium.spaces.Box(-FULL_RANGE, FULL_RANGE, (size,), np.float32)


def observation_spaces(spec: WorldSpec) -> dict[str, gymnasium.Space]:
    """Name of an observation -> space: "pixels" uint8 ``(H, W, 3)``, "state" float32 ``(S,)``, "dict" both."""
    pixels, state = gymnasium.spaces.Box(0, 255, spec.frame.shape, np.uint8), vector_box(spec.sensors.size)
    return {"pixels": pixels, "state": state, "dict": gymnasium.spaces.Dict({"pixels": pixels, "state": state})}
