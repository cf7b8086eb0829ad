"""What physics would have paid for a step that a model dreamed: the judge of a dream's own rewards.

The sensors of these worlds hold the whole state that matters, so physics is put into the dreamed state, does the
dreamed action, and pays. In driving they do not (the road beyond them is unknown), but there the reward follows from
the sensors after the step. Other worlds have no true reward here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from dm_control.rl.control import PhysicsError

from videosim.config import WorldConfig
from videosim.envs.driving import CRUISE_MPS, ROWS, DrivingSource, ObstacleSource
from videosim.envs.physics import PhysicsEnv

import mujoco  # isort: skip

# (sensors before (T, S), actions (T, A) in world units, sensors after (T, S)) -> rewards float64 (T,)
Judge = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _cartpole(sensors: np.ndarray, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    x, cos, sin, velocity, spin = sensors
    data.qpos[:], data.qvel[:] = (x, np.arctan2(sin, cos)), (velocity, spin)


def _reacher(sensors: np.ndarray, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    cos_s, sin_s, cos_w, sin_w, _, _, *target, shoulder, wrist = sensors
    data.qpos[:] = np.arctan2(sin_s, cos_s), np.arctan2(sin_w, cos_w)
    data.qvel[:] = shoulder, wrist
    model.geom("target").pos[:2] = target


def _cheetah(sensors: np.ndarray, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    height, cos, sin, *joints = sensors[:9]
    data.qpos[:] = 0.0, height, np.arctan2(sin, cos), *joints  # how far it has run changes nothing
    data.qvel[:] = sensors[9:]


def _push(sensors: np.ndarray, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    model.body("goal").pos[:2] = sensors[-2:]
    data.qpos[:] = [*sensors[:8], np.arctan2(sensors[9], sensors[8])]
    data.qvel[:] = sensors[10:-2]


# world id -> writes the state that sensors (S,) show into model and data
STATES: dict[str, Callable[[np.ndarray, mujoco.MjModel, mujoco.MjData], None]] = {
    "dm_control:cartpole-swingup": _cartpole,
    "dm_control:reacher-easy": _reacher,
    "dm_control:cheetah-run": _cheetah,
    "videosim:push": _push,
}


def true_reward(world: WorldConfig) -> Judge | None:
    """The judge of ``world``; None where its sensors do not tell the reward. It ends no episode."""
    if world.id in STATES:
        return _by_physics(world)
    driving = {"videosim:driving": DrivingSource, "videosim:driving-obstacles": ObstacleSource}
    return _by_lane(driving[world.id]) if world.id in driving else None


def _by_physics(world: WorldConfig) -> Judge:
    put = STATES[world.id]
    env = PhysicsEnv(world)
    env.reset(seed=0)

    def judge(before: np.ndarray, actions: np.ndarray, after: np.ndarray) -> np.ndarray:
        rewards = np.zeros(len(actions))
        for t, (sensors, action) in enumerate(zip(before, actions, strict=True)):
            env.place(partial(put, sensors))
            with suppress(PhysicsError):  # from where physics cannot go on it pays nothing
                rewards[t] = env.step(action)[1]
        return rewards

    return judge


def _by_lane(source: type[DrivingSource]) -> Judge:
    names = [row[0] for row in ROWS]
    columns = [names.index(name) for name in ("speed", "heading_error", "lane_offset", "lane_width")]
    worth: Callable[[Any, float], float] = source.worth  # reads nothing of the scene

    def judge(before: np.ndarray, actions: np.ndarray, after: np.ndarray) -> np.ndarray:
        speed, error, offset, lane = after[:, columns].astype(np.float64).T
        on_road = (np.abs(offset - lane / 2) <= lane) & (np.abs(error) <= np.pi / 2)
        progress = np.clip(speed * np.cos(error) / CRUISE_MPS, 0.0, 1.0)
        centred = np.maximum(0.0, 1.0 - (offset / (lane / 2)) ** 2)
        return on_road * progress * np.array([worth(None, float(value)) for value in centred])

    return judge
