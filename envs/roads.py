"""A road made from a seed: its course, its width, what stands beside it and on it, and the colours of everything.

The course is a curvature profile, straights joined to bends by clothoids (the curvature grows linearly), as roads are
built. The road's heading stays within ``TURN_RAD`` of east, so that it never meets itself. ``s`` is the distance along
the middle of the road, offsets are positive to the left of it, and traffic keeps to the right: the car's lane lies
between offset ``-lane_m`` and 0. Knows no MuJoCo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEP_M = 0.5  # between two points of the course
FIRST_M, LAST_M = -60.0, 540.0  # where the course begins and ends; the car starts at 0 or beyond
PIECE_M = 3.0  # the road is drawn in straight pieces of this length
PIECES = int((LAST_M - FIRST_M) / PIECE_M)
TURN_RAD = 1.2
RADIUS_M = (22.0, 90.0)  # of the bends
VERGE_M = (1.4, 5.0)  # from the edge of the road to a hedge
BLOCKS_M = ((0.5, 0.5, 0.6), (0.4, 0.9, 0.4), (0.8, 0.7, 0.8), (0.3, 0.3, 1.0))  # half sizes of the obstacles
CARS = 3
CAR_M = (2.0, 0.85, 0.7)  # half size of another car
EPISODE_S = 13.0  # no other car may run into an obstacle for this long

Pose = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y (m), heading (rad)


@dataclass(frozen=True)
class Objects:
    """What stands or drives on the road: the obstacles of BLOCKS_M, then the CARS, n in all.

    s        float64 (n,), m, at the start of the episode
    offset   float64 (n,), m, from the middle of the road
    speed    float64 (n,), m/s along it
    colour   float64 (n, 3) in [0, 1]
    """

    s: np.ndarray
    offset: np.ndarray
    speed: np.ndarray
    colour: np.ndarray

    half_length = np.array([*(size[0] for size in BLOCKS_M), *[CAR_M[0]] * CARS])
    half_width = np.array([*(size[1] for size in BLOCKS_M), *[CAR_M[1]] * CARS])

    def now(self, time_s: float) -> np.ndarray:
        """``s`` after ``time_s`` seconds, float64 (n,)."""
        return self.s + self.speed * time_s


@dataclass(frozen=True)
class Colours:
    """Each float64 (3,) in [0, 1]; ``hedges`` (2, PIECES, 3), left and right."""

    ground: np.ndarray
    road: np.ndarray
    marking: np.ndarray
    sky: np.ndarray
    hedges: np.ndarray


class Road:
    """The road of ``seed``.

    lane_m     width of each of the two lanes
    curvature  float64 (n,), 1/m every STEP_M from FIRST_M on, left positive
    hedges     offsets from the middle of the road, float64 (2, PIECES), left and right; NaN where there is none
    height     half the height of the hedges, float64 (2, PIECES), m
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self.seed = seed
        self.lane_m = float(rng.uniform(3.2, 4.0))
        self.curvature = _curvature(rng)
        self._s = FIRST_M + STEP_M * np.arange(len(self.curvature))
        heading = np.concatenate([[0.0], np.cumsum((self.curvature[1:] + self.curvature[:-1]) / 2 * STEP_M)])
        middle = (heading[1:] + heading[:-1]) / 2
        steps = STEP_M * np.stack([np.cos(middle), np.sin(middle)], 1)
        self._xy = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
        self._heading = heading
        self.hedges, self.height, shade = _hedges(rng, self.lane_m)
        self.colours = _colours(rng, shade)
        self.objects = _objects(rng, self.lane_m)

    def at(self, s: np.ndarray | float, offset: np.ndarray | float = 0.0) -> Pose:
        """x, y and heading of the places ``offset`` to the left of the middle at ``s``, each of the shape of ``s``."""
        x, y = np.interp(s, self._s, self._xy[:, 0]), np.interp(s, self._s, self._xy[:, 1])
        heading = np.interp(s, self._s, self._heading)
        return x - offset * np.sin(heading), y + offset * np.cos(heading), heading

    def locate(self, x: float, y: float) -> tuple[float, float, float]:
        """``s``, offset (m) and the road's heading (rad) at the point of the middle nearest to (x, y)."""
        place = np.array([x, y])
        nearest = int(np.argmin(((self._xy - place) ** 2).sum(1)))
        heading = self._heading[nearest]
        dx, dy = place - self._xy[nearest]
        ahead, left = dx * np.cos(heading) + dy * np.sin(heading), dy * np.cos(heading) - dx * np.sin(heading)
        bent = max(1.0 - self.curvature[nearest] * left, 0.2)
        s = float(np.clip(self._s[nearest] + ahead / bent, FIRST_M, LAST_M))
        foot_x, foot_y, turned = self.at(s)
        offset = (y - foot_y) * np.cos(turned) - (x - foot_x) * np.sin(turned)
        return s, float(offset), float(turned)


def _curvature(rng: np.random.Generator) -> np.ndarray:
    """Straights and bends in turn, float64 (n,); the heading they add up to is drawn anew for each bend."""
    knots, values, heading = [FIRST_M, rng.uniform(10.0, 30.0)], [0.0, 0.0], 0.0  # begins straight
    while knots[-1] < LAST_M:
        target = rng.uniform(-TURN_RAD, TURN_RAD)
        turn = target - heading
        if abs(turn) < 0.25:
            continue
        heading = target
        ramp, bend = rng.uniform(8.0, 16.0), np.sign(turn) / rng.uniform(*RADIUS_M)
        if abs(turn) < abs(bend) * ramp:  # too slight to reach that radius
            bend = turn / ramp
        arc = turn / bend - ramp
        for length, value in ((ramp, bend), (arc, bend), (ramp, 0.0), (rng.uniform(4.0, 50.0), 0.0)):
            knots.append(knots[-1] + length)
            values.append(value)
    return np.interp(np.arange(FIRST_M, LAST_M + STEP_M / 2, STEP_M), knots, values)


def _hedges(rng: np.random.Generator, lane_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, half heights and shades in [0.7, 1], each (2, PIECES): runs of pieces with a hedge, or without."""
    offset, height, shade = np.full((2, PIECES), np.nan), np.ones((2, PIECES)), rng.uniform(0.7, 1.0, (2, PIECES))
    for row, side in enumerate((1.0, -1.0)):
        piece = 0
        while piece < PIECES:
            end = piece + int(rng.integers(3, 12))
            if rng.random() < 0.6:
                offset[row, piece:end] = side * (lane_m + rng.uniform(*VERGE_M))
                height[row, piece:end] = rng.uniform(0.4, 1.2)
            piece = end
    return offset, height, shade


GROUNDS = np.array([[0.30, 0.45, 0.20], [0.55, 0.50, 0.28], [0.45, 0.36, 0.26], [0.62, 0.56, 0.42], [0.22, 0.36, 0.24]])
SKIES = np.array([[0.45, 0.65, 0.95], [0.72, 0.76, 0.82], [0.90, 0.70, 0.55], [0.55, 0.60, 0.80]])
MARKINGS = np.array([[0.95, 0.95, 0.95], [0.95, 0.95, 0.95], [0.98, 0.85, 0.25]])
HEDGES = np.array([[0.16, 0.34, 0.12], [0.50, 0.44, 0.38], [0.40, 0.24, 0.14]])
CAR_COLOURS = np.array([[0.8, 0.1, 0.1], [0.1, 0.2, 0.75], [0.92, 0.92, 0.95], [0.95, 0.6, 0.1], [0.1, 0.5, 0.3]])


def _colours(rng: np.random.Generator, shade: np.ndarray) -> Colours:
    def near(palette: np.ndarray) -> np.ndarray:
        return np.clip(palette[rng.integers(len(palette))] + rng.normal(0.0, 0.03, 3), 0.0, 1.0)

    road = np.full(3, rng.uniform(0.16, 0.42)) + rng.normal(0.0, 0.01, 3)
    return Colours(near(GROUNDS), road, near(MARKINGS), near(SKIES), near(HEDGES) * shade[..., None])


def _objects(rng: np.random.Generator, lane_m: float) -> Objects:
    """One thing after the other along the road, each in one lane and with room to change to the other before it."""
    blocks = len(BLOCKS_M)
    total = blocks + CARS
    s, speed, offset = np.zeros(total), np.zeros(total), np.zeros(total)
    colour = CAR_COLOURS[rng.integers(len(CAR_COLOURS), size=total)]
    colour[:blocks] = [0.95, 0.45, 0.05]
    free = {False: list(rng.permutation(blocks)), True: list(blocks + rng.permutation(CARS))}
    cursor = rng.uniform(30.0, 45.0)
    while free[False] or free[True]:
        moving = bool(rng.random() < 0.4) if free[False] and free[True] else bool(free[True])
        which = free[moving].pop()
        s[which] = cursor
        offset[which] = lane_m * (-0.5 if rng.random() < 0.7 else 0.5) + (0.0 if moving else rng.uniform(-0.4, 0.4))
        speed[which] = rng.uniform(3.0, 5.0) if moving else 0.0
        cursor += speed[which] * EPISODE_S + rng.uniform(32.0, 50.0)
    return Objects(s, offset, speed, colour)
