"""Scripts of the auditor's longer episodes: push a ball under the screen and out again, push one into the goal, go and
stay somewhere. They look at the true sensors; what they did in the physics is then asked of every world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from videosim.audits.push_scene import positions
from videosim.envs.push import BALL_M, PUSHER_M, scripted

Script = Iterator[np.ndarray]  # of actions (2,); it ends when it is done
Look = Callable[[], np.ndarray]  # () -> the true sensors (S,)

CONTACT_M = PUSHER_M + BALL_M
PUSH = 0.75  # of the full action
LANE_Y_M, TURN_X_M, OUT_Y_M = 0.29, -0.26, 0.05  # a ball is pushed west along y, is hidden from x on, is out below y
REACH_Y_M = 0.435  # the pusher's centre gets no further north
NEAR_M = 0.03


def quarters(action: np.ndarray) -> np.ndarray:
    """Clipped, and rounded to whole quarters: a script that asks for memory must not ask for exact doses."""
    return (np.round(4.0 * np.clip(action, -1.0, 1.0)) / 4.0).astype(np.float32)


def under_the_screen(look: Look, ball: int, rest: int) -> Script:
    """Push ``ball`` (its column in NAMES) westwards under the screen, let it lie for ``rest`` frames, go round it and
    push it out to the south."""
    yield from _to(look, ball, (0.16, 0.0))
    line = np.array([0.0, LANE_Y_M])
    yield from _push(look, ball, (-1.0, 0.0), line, lambda place: place[0] < TURN_X_M)
    for _ in range(rest):
        yield np.zeros(2, np.float32)
    yield from _to(look, ball, (CONTACT_M, CONTACT_M))
    yield from _to(look, ball, (0.0, CONTACT_M + 0.015))
    yield from _push(look, ball, (0.0, -1.0), positions(look())[ball], lambda place: place[1] < OUT_Y_M)


def _to(look: Look, ball: int, offset: tuple[float, float]) -> Script:
    """Bring the pusher to ``offset`` from the ball, in a straight line."""
    while True:
        place = positions(look())
        aim = place[ball] + offset
        aim[1] = min(aim[1], REACH_Y_M)
        if np.linalg.norm(aim - place[0]) < NEAR_M:
            return
        yield quarters(10.0 * (aim - place[0]))


def _push(
    look: Look, ball: int, way: tuple[float, float], line: np.ndarray, done: Callable[[np.ndarray], bool]
) -> Script:
    """Push the ball the ``way``, along the ``line`` through a point: where it strays, it is pushed back."""
    ahead = np.array(way)
    side = np.array([-ahead[1], ahead[0]])
    while not done((place := positions(look()))[ball]):
        astray = float((place[ball] - line) @ side)
        aim = place[ball] - CONTACT_M * ahead + np.clip(astray, -0.04, 0.04) * side
        yield quarters(PUSH * ahead + 8.0 * side * float((aim - place[0]) @ side))


def into_the_goal(look: Look, rng: np.random.Generator) -> Script:
    """Push the red ball to the middle of the goal, and back off."""
    act = scripted(rng, 1.0)
    while np.linalg.norm((sensors := look())[2:4] - sensors[-2:]) > 0.05:
        yield act(sensors)
    for _ in range(6):
        place = positions(look())
        away = place[0] - place[1]
        yield np.clip(away / np.linalg.norm(away), -1.0, 1.0).astype(np.float32)


def stay(look: Look, place: np.ndarray, rng: np.random.Generator) -> Script:
    """Go to ``place`` and stay about there, restlessly, for ever."""
    noise = np.zeros(2)
    while True:
        noise = 0.85 * noise + 0.53 * rng.normal(0.0, 0.4, 2)
        yield np.clip(5.0 * (place - positions(look())[0]) + noise, -1.0, 1.0).astype(np.float32)
