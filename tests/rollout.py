"""Everything there is to see and to know along a rollout of physics, for comparing two of them bitwise."""

from __future__ import annotations

import numpy as np

from videosim.envs.physics import PhysicsEnv


def trace(env: PhysicsEnv, actions: np.ndarray) -> list[np.ndarray]:
    """Observation, reward, frame and saved state after each of ``actions``, one after the other."""
    rows = []
    for action in actions:
        state, reward, *_ = env.step(action)
        rows += [state, np.array(reward), env.render(), env.save()]
    return rows


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
