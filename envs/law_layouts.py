"""Where everything is when a trial of a law begins: one function a law, on a ``Stage`` that knows how to put things.

All is chosen so that what the law is about happens in the first second, in sight and clear of the walls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

MIDDLE_M = 1.9  # half the height of the room
PASSES_S = 0.5  # when a thing in uniform motion is in the middle, about
MEET_S = (0.34, 0.44)  # when two things collide
BLOCK_M = 0.16  # half the side of what slides down the ramp
UPHILL_M = 1.35  # from the ramp's middle to where it begins


class Stage(Protocol):
    """What a layout needs; places and sizes in metres, speeds in m/s, angles in radians."""

    def ball(self, colour: str, radius: float, at: np.ndarray, velocity: np.ndarray, floats: bool) -> None: ...

    def box(self, colour: str, half: float, at: np.ndarray, velocity: np.ndarray, floats: bool) -> None: ...

    def pendulum(self, length: float, angle: float) -> None: ...

    def ramp(self, tilt: float, friction: float, half: float, along: float, speed: float) -> None: ...


Put = Callable[[str, float, np.ndarray, np.ndarray, bool], None]


def uniform(stage: Stage, rng: np.random.Generator, speed: float, radius: float) -> None:
    """No force: straight on, any way, through the middle."""
    way = _turned(rng.uniform(-np.pi, np.pi))
    middle = np.array([0.0, MIDDLE_M]) + rng.uniform(-0.1, 0.1, 2)
    stage.ball("red", radius, middle - PASSES_S * speed * way, speed * way, True)


def fall(stage: Stage, rng: np.random.Generator, upward: float, radius: float) -> None:
    """Thrown straight up, or dropped."""
    stage.ball("red", radius, rng.uniform((-1.2, 2.4), (1.2, 2.9)), np.array([0.0, upward]), False)


def projectile(stage: Stage, rng: np.random.Generator, speed: float, radius: float) -> None:
    """Thrown across the room at 52 to 74 degrees."""
    side, way = rng.choice([-1.0, 1.0]), _turned(rng.uniform(0.9, 1.3))
    at = rng.uniform((0.6, 1.3), (1.2, 1.6))
    stage.ball("red", radius, at * (-side, 1.0), speed * way * (side, 1.0), False)


def pendulum(stage: Stage, rng: np.random.Generator, length: float, amplitude: float) -> None:
    """Let go at rest, on either side."""
    stage.pendulum(length, rng.choice([-1.0, 1.0]) * amplitude)


def elastic(stage: Stage, rng: np.random.Generator, speed: float, other: float) -> None:
    """Two balls that meet head-on."""
    _meet(stage.ball, rng, speed, rng.uniform(0.20, 0.28), other)


def inelastic(stage: Stage, rng: np.random.Generator, speed: float, other: float) -> None:
    """Two boxes that meet head-on."""
    _meet(stage.box, rng, speed, rng.uniform(0.16, 0.24), other)


def incline(stage: Stage, rng: np.random.Generator, tilt: float, friction: float) -> None:
    """A block that slides down a ramp, steep enough for it never to stop."""
    side = rng.choice([-1.0, 1.0])
    stage.ramp(side * tilt, friction, BLOCK_M, -side * UPHILL_M, side * rng.uniform(0.0, 0.4))


def stack(stage: Stage, rng: np.random.Generator, bottom: float, top: float) -> None:
    """Three boxes at rest on one another."""
    x, height = rng.uniform(-1.0, 1.0), 0.0
    for colour, half in zip(
        rng.permutation(["red", "green", "blue"]), (bottom, rng.uniform(0.2, 0.28), top), strict=True
    ):
        stage.box(str(colour), half, np.array([x + rng.uniform(-0.04, 0.04), height + half]), np.zeros(2), False)
        height += 2.0 * half


def _meet(put: Put, rng: np.random.Generator, speed: float, ours: float, theirs: float) -> None:
    """Red comes from one side at ``speed``, green from the other or not at all; they touch after MEET_S."""
    side, back = rng.choice([-1.0, 1.0]), rng.choice([0.0, 1.0]) * rng.uniform(0.2, 0.5)
    after, height = rng.uniform(*MEET_S), rng.uniform(1.2, 2.6)
    where = rng.uniform(-0.1, 0.1)
    put("red", ours, np.array([where - side * (ours + speed * after), height]), np.array([side * speed, 0.0]), True)
    put(
        "green", theirs, np.array([where + side * (theirs + back * after), height]), np.array([-side * back, 0.0]), True
    )


def _turned(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])


LAYOUTS: dict[str, Callable[[Stage, np.random.Generator, float, float], None]] = {
    make.__name__: make for make in (uniform, fall, projectile, pendulum, elastic, inelastic, incline, stack)
}
