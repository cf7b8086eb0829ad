"""Controls of driving: faults that only a car can have."""

from __future__ import annotations

import numpy as np

from videosim.envs.faults import Fault, FaultySource


def straight_slow(speed_mps: float = 3.0) -> Fault:
    """The car drives straight on at ``speed_mps``, whatever is asked, as world models of driving are known to do (ACT-
    Bench, arXiv 2412.05337, of Vista); A17 must see it, by the manoeuvre accuracy."""

    def actions(world: FaultySource, action: np.ndarray) -> np.ndarray:
        return np.array([0.0, np.clip(0.5 * (speed_mps - world.source.vehicle.velocity[0]), -1.0, 1.0)])

    return Fault(actions=actions)
