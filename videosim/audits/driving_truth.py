"""The true side of driving: where the car starts, what it is told to do there, and what it then truly does.

From one start the car is told five things, for SECONDS each: to steer left, to go straight on, to steer right, to speed
up and to brake. The faster it is, the less it is told to steer, so that either way leads about as far aside. A start
counts where all five lead elsewhere and none leaves the road before the last half second, because recordings go on for
half a second beyond the road's edge and no model has seen more of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from videosim.audits.driving_reader import STRIDE
from videosim.audits.truth import FIRST_SEED
from videosim.audits.world import Start, World, see
from videosim.envs.driving import XML
from videosim.envs.physics import PhysicsEnv
from videosim.envs.vehicle import STEER_RAD, WHEELBASE_M
from videosim.envs.worlds import Behaviour
from videosim.errors import VideoSimError
from videosim.types import WorldSpec

MANOEUVRES = ("left", "straight", "right", "faster", "brake")
SECONDS = 2.0
AHEAD = 2 * STRIDE  # steps beyond, which a reader of motion looks at
CONTEXT = 9  # frames before, with the one at the start
ON_THE_WAY = 40  # steps at most that are driven before those
PAST = 10  # steps beyond the edge of the road
ASIDE_M = (1.4, 2.4)  # about so far steering leads
HOLD, FASTER, BRAKE = 0.05, 0.8, -0.55  # of the pedal; HOLD makes up for the rolling friction
SPEED_MPS = (4.0, 11.0)  # at the start
APART_M = 0.35  # least mean distance between two of the five paths
TRIES = 80  # starts that are looked at for one that counts


@dataclass(frozen=True)
class Drive:
    """What is seen and measured under ``actions`` (T, A), T steps of which the last AHEAD are not judged.

    frames   uint8 (n, H, W, 3), every STRIDE-th of those that lead to the start and of those that follow
    sensors  float64 (T+1-AHEAD, S), from the start on
    """

    actions: np.ndarray
    frames: np.ndarray
    sensors: np.ndarray


@dataclass(frozen=True)
class Crossroads:
    """A start, and what truly comes of each of MANOEUVRES there."""

    start: Start
    drives: tuple[Drive, ...]


class DrivingTruth:
    """MuJoCo's driving."""

    def __init__(self) -> None:
        self.env = PhysicsEnv("driving")
        self.steps = round(SECONDS / self.spec.dt_s)
        names = self.spec.sensors.names
        self._motion = [names.index("speed"), names.index("yaw_rate")]
        self._lidar = [i for i, name in enumerate(names) if name.startswith("lidar_")]

    @property
    def spec(self) -> WorldSpec:
        return self.env.world_spec

    def close(self) -> None:
        self.env.close()

    def motion(self, sensors: np.ndarray) -> np.ndarray:
        """Speed (m/s) and yaw rate (rad/s) out of sensors (…, S): float64 (…, 2)."""
        return np.asarray(sensors, np.float64)[..., self._motion]

    def lidar(self, sensors: np.ndarray) -> np.ndarray:
        """Distances (m) out of sensors (…, S): float64 (…, 16)."""
        return np.asarray(sensors, np.float64)[..., self._lidar]

    def start(self, number: int) -> Start:
        """Start ``number``: somewhere on the road of its seed, reached by a driver of random skill."""
        env, seed = self.env, FIRST_SEED + number
        act = self._begin(number)
        frames, actions = [env.render()], []
        for _ in range(CONTEXT - 1):
            actions.append(act(env.sensors()))
            env.step(actions[-1])
            frames.append(env.render())
        return Start(env.save(), np.stack(frames), np.array(actions, np.float32), seed)

    def crossroads(self, first: int, wanted: int) -> tuple[list[Crossroads], int]:
        """``wanted`` starts that count, from number ``first`` on, and how many were looked at. VideoSimError where
        there are too few of them."""
        found: list[Crossroads] = []
        for number in range(first, first + wanted * TRIES):
            plans = self._plans(number)
            if plans is None:
                continue
            start = self.start(number)
            found.append(Crossroads(start, tuple(self.follow(start, plan) for plan in plans)))
            if len(found) == wanted:
                return found, number + 1 - first
        raise VideoSimError(
            f"of {wanted * TRIES} starts only {len(found)} count and {wanted} are wanted; ask for fewer driving_starts"
        )

    def episode(self, number: int) -> Drive:
        """SECONDS from start ``number`` on under one action, drawn at random."""
        start, rng = self.start(number), np.random.default_rng([FIRST_SEED + number, 3])
        steer, pedal = rng.normal(0.0, 0.15), rng.uniform(-0.6, 0.8)
        plan = np.repeat(np.array([[steer, pedal]], np.float32), self.steps + AHEAD, axis=0)
        return self.follow(start, np.clip(plan, -1.0, 1.0))

    def follow(self, start: Start, actions: np.ndarray) -> Drive:
        """What truly happens from ``start`` under ``actions`` (T, A)."""
        self.env.reset(seed=start.seed, options={"state": start.physics})
        return drive(start, actions, self.env.render, self.env.sensors, self.env.step)

    def _begin(self, number: int) -> Behaviour:
        """Go to the place where the context of start ``number`` begins; the driver who goes on."""
        rng = np.random.default_rng([FIRST_SEED + number, 1])
        self.env.reset(seed=FIRST_SEED + number, options={"wide": number % 2 == 1})
        act = self.env.scripted(rng, rng.uniform(0.5, 1.0))
        assert act is not None  # driving has a driver
        for _ in range(rng.integers(ON_THE_WAY)):
            self.env.step(act(self.env.sensors()))
        return act

    def _plans(self, number: int) -> np.ndarray | None:
        """What is told at start ``number``, float32 (5, T, A), or None where it does not count. Draws nothing."""
        env, act = self.env, self._begin(number)
        for _ in range(CONTEXT - 1):  # bad luck on the way shows here too
            *_, over, _, _ = env.step(act(env.sensors()))
            if over:
                return None
        speed, state = float(self.motion(env.sensors())[0]), env.save()
        if not SPEED_MPS[0] <= speed <= SPEED_MPS[1]:
            return None
        aside = np.random.default_rng([FIRST_SEED + number, 2]).uniform(*ASIDE_M)
        plans = np.repeat(manoeuvres(speed, aside)[:, None], self.steps + AHEAD, axis=1)
        paths = []
        for plan in plans:
            env.reset(seed=FIRST_SEED + number, options={"state": state})
            moved = [env.sensors()]
            for t, action in enumerate(plan, 1):
                *_, over, _, _ = env.step(action)
                if over and t <= self.steps - PAST:
                    return None
                moved.append(env.sensors())
            paths.append(path(self.motion(np.stack(moved[: self.steps + 1])), self.spec.dt_s))
        apart = [distance(a, b) for i, a in enumerate(paths) for b in paths[:i]]
        return plans if min(apart) >= APART_M else None


def drive(
    start: Start,
    actions: np.ndarray,
    render: Callable[[], np.ndarray],
    sensors: Callable[[], Any],
    step: Callable[[np.ndarray], Any],
) -> Drive:
    """Do ``actions`` (T, A), looking at every STRIDE-th frame, and at those before ``start`` in its own context."""
    frames, measured = [*start.frames[-1 - AHEAD : -1 : STRIDE], render()], [sensors()]
    for t, action in enumerate(actions, 1):
        step(action)
        if t % STRIDE == 0:
            frames.append(render())
        if t <= len(actions) - AHEAD:
            measured.append(sensors())
    return Drive(actions, np.stack(frames), np.array(measured, np.float64))


def answer(world: World, start: Start, actions: np.ndarray) -> Drive:
    """What ``world`` shows and says under ``actions`` from ``start``."""
    world.reset(start)
    return drive(start, actions, lambda: see(world), lambda: world.state, world.step)


def manoeuvres(speed: float, aside: float) -> np.ndarray:
    """The actions of MANOEUVRES, float32 (5, 2), for a car with ``speed`` (m/s) that is to come ``aside`` (m)."""
    bend = 2.0 * aside / (speed * SECONDS) ** 2  # 1/m
    steer = np.arctan(WHEELBASE_M * bend) / STEER_RAD
    plans = [(steer, HOLD), (0.0, HOLD), (-steer, HOLD), (0.0, FASTER), (0.0, BRAKE)]
    return np.array(plans, np.float32)


def path(motion: np.ndarray, dt_s: float) -> np.ndarray:
    """Places (m) of a car that moves with ``motion`` (…, T+1, 2), speed (m/s) and yaw rate (rad/s): float64
    (…, T+1, 2), forward and to the left of where it was at first. By the trapezium rule."""
    mean = (motion[..., 1:, :] + motion[..., :-1, :]) / 2
    turned = np.cumsum(mean[..., 1] * dt_s, -1)
    along = turned - mean[..., 1] * dt_s / 2  # heading in the middle of each step
    steps = (mean[..., 0] * dt_s)[..., None] * np.stack([np.cos(along), np.sin(along)], -1)
    return np.concatenate([np.zeros_like(steps[..., :1, :]), np.cumsum(steps, -2)], -2)


def thinned(rows: np.ndarray) -> np.ndarray:
    """Of rows (T+1, …), one a step, those at which frames are looked at."""
    return rows[::STRIDE]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance (m) of two paths (T+1, 2) after the start, as ACT-Bench's ADE."""
    return float(np.linalg.norm(a - b, axis=-1)[1:].mean())


def driving_sha256() -> str:
    """Of the scene that MuJoCo compiles, scenery apart, which is made anew for every road."""
    return hashlib.sha256(XML.encode()).hexdigest()
