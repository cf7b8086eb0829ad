"""The scripted driver: pure pursuit of a point in the lane ahead, a speed that suits the bend, and a way round things.

Pure pursuit (Coulter 1992, CMU-RI-TR-92-01) steers along the circle that leads to a point ``d`` ahead and ``y`` to the
left, whose curvature is 2 y / d^2. It sees sensors only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from videosim.envs.roads import CAR_M
from videosim.envs.vehicle import STEER_RAD, WHEELBASE_M, WIDTH_M
from videosim.envs.worlds import Behaviour
from videosim.types import SensorSpec

SIDEWAYS_MPS2 = 3.0  # more than that is no comfort
BRAKING_MPS2 = 3.0
CLEAR_M = 0.5  # between the car and what it passes


def driver(spec: SensorSpec) -> Callable[[np.random.Generator, float], Behaviour]:
    """Makes drivers that read the sensors ``spec``: ``(rng, skill) -> Behaviour``; ``skill`` 0 is noise alone."""
    column = {name: i for i, name in enumerate(spec.names)}
    points = sorted((float(name[8:-1]), i) for name, i in column.items() if name.startswith("lane_at_"))
    distances, places = np.array([d for d, _ in points]), [i for _, i in points]
    objects = [i for name, i in column.items() if name.endswith("_ahead")]

    def scripted(rng: np.random.Generator, skill: float) -> Behaviour:
        cruise = rng.uniform(8.0, 11.0)
        habit = rng.normal(0.0, 0.15) + (1.0 - skill) * rng.normal(0.0, 0.5)  # m off the lane's middle
        noise = np.zeros(2)

        def act(sensors: np.ndarray) -> np.ndarray:
            nonlocal noise
            seen = np.asarray(sensors, np.float64)
            speed, width = seen[column["speed"]], seen[column["lane_width"]]
            lane, limit = _way(seen, objects, width, speed)
            aim = np.concatenate([[-seen[column["lane_offset"]]], seen[places]]) + lane + habit * (lane == 0.0)
            at = np.concatenate([[0.0], distances])
            ahead = float(np.clip(0.7 * speed, 4.0, 12.0))
            left = float(np.interp(ahead, at, aim))
            steer = np.arctan(WHEELBASE_M * 2.0 * left / (ahead**2 + left**2)) / STEER_RAD
            bend = np.abs(2.0 * (seen[places] - aim[0] + lane) / distances**2)[1:].max()
            limit = min(limit, cruise, float(np.sqrt(SIDEWAYS_MPS2 / max(bend, 1e-3))))
            pedal = 0.5 * (limit - speed) + 0.02 * limit
            noise = 0.9 * noise + 0.436 * rng.normal(0.0, (0.4, 0.8))
            return np.clip(skill * np.array([steer, pedal]) + (1.0 - skill) * noise, -1.0, 1.0).astype(np.float32)

        return act

    return scripted


def _way(seen: np.ndarray, objects: list[int], width: float, speed: float) -> tuple[float, float]:
    """How far to the left of the own lane's middle to drive (m), and how fast at most (m/s)."""
    room = WIDTH_M / 2 + CAR_M[1] + CLEAR_M
    lanes = (0.0, float(width))
    free = [60.0, 60.0]  # m to the nearest thing in each lane, and its speed
    there = [0.0, 0.0]
    for i in objects:
        ahead, offset, pace = seen[i : i + 3]
        for k, lane in enumerate(lanes):
            if abs(offset - lane) < room and ahead < free[k]:
                free[k], there[k] = ahead, pace
    horizon = 12.0 + 1.8 * speed
    lane = 0 if free[0] > horizon or free[0] >= free[1] else 1
    limit = float(np.sqrt(max(there[lane], 0.0) ** 2 + 2 * BRAKING_MPS2 * max(free[lane] - 8.0, 0.0)))
    return lanes[lane], limit
