"""The true side of the door scene: doors that a hand stands at, and how far they truly turn when it pushes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videosim.audits.door_reader import wrapped
from videosim.audits.responses import DOSES
from videosim.audits.truth import FIRST_SEED
from videosim.audits.world import Start
from videosim.envs.control_pictures import AWAY_M
from videosim.envs.door import ARENA_M, HAND_M, PANEL_M, XML, behind
from videosim.envs.physics import PhysicsEnv
from videosim.types import WorldSpec

LEVERS_M = (0.07, 0.12, 0.17, 0.22)  # from the hinge to where the hand pushes
HELD, STOPPED = 8, 6  # frames: a world that is a little late has answered too, by then
CONTEXT = 7  # steps at rest before
CLEAR_M = 0.02  # of the hand from the walls


@dataclass(frozen=True)
class Moments:
    """True frames uint8 (n, H, W, 3), and of the doors in them angle_rad float64 (n,) and hinge float64 (n, 2), m."""

    frames: np.ndarray
    angle_rad: np.ndarray
    hinge: np.ndarray


@dataclass(frozen=True)
class Push:
    """A hand at rest at a door.

    way     (2,), across the door
    side    1 where it turns the door to the left, -1 to the right
    late    frames by which the answer would come earlier if the door had no inertia: inertia over brake
    path    float64 (DOSES, HELD + STOPPED + 1), how far the door has truly turned at each frame, rad
    """

    start: Start
    way: np.ndarray
    side: float
    late: float
    path: np.ndarray

    def actions(self, dose: float) -> np.ndarray:
        """float32 (HELD + STOPPED, 2)."""
        actions = np.zeros((HELD + STOPPED, 2), np.float32)
        actions[:HELD] = dose * self.way
        return actions


class DoorTruth:
    """MuJoCo's door."""

    def __init__(self) -> None:
        self.env = PhysicsEnv("door")
        names = self.spec.sensors.names
        self._hand, self._door, self._hinge = (
            [names.index(name) for name in pair]
            for pair in (("hand_x", "hand_y"), ("cos_door", "sin_door"), ("hinge_x", "hinge_y"))
        )

    @property
    def spec(self) -> WorldSpec:
        return self.env.world_spec

    def close(self) -> None:
        self.env.close()

    def moments(self, numbers: Sequence[int]) -> Moments:
        """One of each of the starts ``numbers``, anything anywhere."""
        rows = []
        for number in numbers:
            self.env.reset(seed=FIRST_SEED + number, options={"wide": True})
            rows.append((self.env.render(), self._angle(), self._at(self._hinge)))
        return Moments(*(np.stack(part) for part in zip(*rows, strict=True)))

    def without(self, numbers: Sequence[int]) -> np.ndarray:
        """The same frames without a door, uint8 (n, H, W, 3)."""

        def put(model: Any, data: Any) -> None:
            model.body("door").pos[0] = AWAY_M

        frames = []
        for number in numbers:
            self.env.reset(seed=FIRST_SEED + number, options={"wide": True})
            self.env.place(put)
            frames.append(self.env.render())
        return np.stack(frames)

    def turning(self, number: int, by_rad: np.ndarray) -> np.ndarray:
        """Start ``number`` with its door turned further ``by_rad`` (n,): frames uint8 (n, H, W, 3)."""
        self.env.reset(seed=FIRST_SEED + number, options={"wide": True})
        angle, frames = self._angle(), []

        for more in by_rad:

            def put(model: Any, data: Any, to: float = angle + float(more)) -> None:
                data.qpos[0] = to

            self.env.place(put)
            frames.append(self.env.render())
        return np.stack(frames)

    def pushes(self, first: int, wanted: int) -> list[tuple[Push, ...]]:
        """``wanted`` doors, each pushed at every one of LEVERS_M, to the left and to the right by turns, from start
        number ``first`` on; those at which the hand would meet a wall, or slip off the door, are left out."""
        found: list[tuple[Push, ...]] = []
        number = first
        while len(found) < wanted:
            side = 1.0 - 2.0 * (len(found) % 2)
            tried = [self._push(FIRST_SEED + number, lever, side) for lever in LEVERS_M]
            pushes = tuple(push for push in tried if push is not None)
            found += [pushes] if len(pushes) == len(LEVERS_M) else []
            number += 1
        return found

    def _push(self, seed: int, lever: float, side: float) -> Push | None:
        env = self.env
        env.reset(seed=seed)
        angle, hinge = self._angle(), self._at(self._hinge)

        def put(model: Any, data: Any) -> None:
            data.qpos[1:], data.qvel[:] = behind(hinge, angle, lever, side), 0.0

        env.place(put)
        still = np.zeros((CONTEXT, env.world_spec.action.size), np.float32)
        frames = [env.render()]
        for action in still:
            env.step(action)
            frames.append(env.render())
        start = Start(env.save(), np.stack(frames), still, seed)
        way, path = side * np.array([-np.sin(angle), np.cos(angle)]), np.zeros((len(DOSES), HELD + STOPPED + 1))
        push = Push(start, way, side, self._late(lever), path)
        stays = all(self._turn(push, float(dose), row) for dose, row in zip(DOSES, path, strict=True))
        return push if stays and (np.diff(path[:, -1]) > 0.0).all() else None

    def _late(self, lever: float) -> float:
        found: list[float] = []

        def look(model: Any, data: Any) -> None:
            door, hand = (int(model.joint(name).dofadr[0]) for name in ("door", "hand_x"))
            brake = model.dof_damping[door] + lever**2 * model.dof_damping[hand]
            found.append(float(model.dof_M0[door] / brake))

        self.env.place(look)
        return found[0] / self.spec.dt_s

    def _turn(self, push: Push, dose: float, path: np.ndarray) -> bool:
        """Write the ``path`` of one dose; whether the hand stays at the door, clear of the walls."""
        env = self.env
        env.reset(seed=push.start.seed, options={"state": push.start.physics})
        begin = self._angle()
        for t, action in enumerate(push.actions(dose), 1):
            env.step(action)
            path[t] = push.side * wrapped(self._angle() - begin)
        hand = self._at(self._hand)
        out = float(np.linalg.norm(hand - self._at(self._hinge)))
        return out < PANEL_M and float(np.abs(hand).max()) < ARENA_M - HAND_M - CLEAR_M

    def _angle(self) -> float:
        cos, sin = self._at(self._door)
        return float(np.arctan2(sin, cos))

    def _at(self, columns: Sequence[int]) -> np.ndarray:
        return np.asarray(self.env.sensors(), np.float64)[list(columns)]


def door_sha256() -> str:
    """Of the scene as MuJoCo compiles it."""
    return hashlib.sha256(XML.encode()).hexdigest()
