"""Door: an own planar scene. A hand that is moved by forces turns a hinged door to the mark, from either side of it.

The door is braked, so that how far it turns is a matter of force, lever and time: a dose and its response. Hinge, lever
of the handle, door, mark and hand are anywhere, by the episode's seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from videosim.envs.scenes import OwnScene, plane_rows, walls
from videosim.envs.sources import settle
from videosim.envs.worlds import Behaviour, Knowledge, sensor_spec
from videosim.types import ActionSpec

import mujoco  # isort: skip

ARENA_M = 0.55  # half the side
FORCE_N = 4.0  # on the hand at full action
HAND_M, PANEL_M, THICK_M = 0.05, 0.28, 0.014  # radius; length of the door, and half its thickness
HINGE_M = 0.1  # the hinge is no further from the middle along an axis
LEVERS_M = (0.14, 0.26)  # from the hinge to the handle
TOLERANCE_RAD = 0.12  # between door and mark
TURNS_RAD = (0.5, 1.6)  # from the door to the mark when a task begins
SUBSTEPS, TIMESTEP_S = 8, 0.005
CONTACT_M = HAND_M + THICK_M
# Bands of strength, the length of an action, that recordings for a model to be audited leave out: the weakest pushes,
# the middle and the strongest.
HELD_OUT = ((0.0, 0.165), (0.435, 0.635), (0.9, 1.5))

XML = f"""
<mujoco model="door">
  <option timestep="{TIMESTEP_S}" gravity="0 0 0" integrator="implicitfast" cone="elliptic"/>
  <visual><headlight ambient=".55 .55 .55" diffuse=".45 .45 .45" specular="0 0 0"/></visual>
  <default>
    <geom friction=".3" condim="3" solref=".01 1"/>
    <default class="paint"><geom contype="0" conaffinity="0"/></default>
  </default>
  <worldbody>
    <camera name="top" pos="0 0 1.45" fovy="45"/>
    <geom class="paint" name="floor" type="plane" size="{ARENA_M} {ARENA_M} .1" rgba=".25 .27 .30 1"/>
    {walls(ARENA_M)}
    <body name="mark" pos="0 0 .002">
      <geom class="paint" name="mark" type="box" pos="{PANEL_M / 2} 0 0" size="{PANEL_M / 2} .02 .002"
            rgba=".15 .70 .25 1"/>
    </body>
    <body name="door" pos="0 0 .05">
      <joint name="door" type="hinge" axis="0 0 1" damping=".3" frictionloss=".01" armature=".002"/>
      <geom name="panel" type="box" pos="{PANEL_M / 2} 0 0" size="{PANEL_M / 2} {THICK_M} .05" mass=".2"
            rgba=".85 .30 .15 1"/>
      <geom class="paint" name="hinge" type="cylinder" size=".03 .055" mass="0" rgba=".10 .10 .12 1"/>
      <geom class="paint" name="handle" type="cylinder" pos=".2 0 0" size=".028 .06" mass="0" rgba=".95 .85 .2 1"/>
    </body>
    <body name="hand" pos="0 0 .05">
      <joint name="hand_x" type="slide" axis="1 0 0" damping="4"/>
      <joint name="hand_y" type="slide" axis="0 1 0" damping="4"/>
      <geom name="hand" type="sphere" size="{HAND_M}" mass=".3" rgba=".95 .95 .95 1"/>
    </body>
  </worldbody>
  <actuator>
    <motor name="hand_x" joint="hand_x" gear="{FORCE_N}" ctrlrange="-1 1"/>
    <motor name="hand_y" joint="hand_y" gear="{FORCE_N}" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


SENSORS = sensor_spec(
    [
        *plane_rows("hand", ARENA_M, "m"),
        *(("cos_door", "1", -1.0, 1.0), ("sin_door", "1", -1.0, 1.0)),
        *plane_rows("hand_velocity", 1.5, "m/s"),
        ("door_velocity", "rad/s", -10.0, 10.0),
        *plane_rows("hinge", HINGE_M, "m"),
        *(("cos_mark", "1", -1.0, 1.0), ("sin_mark", "1", -1.0, 1.0)),
        ("lever", "m", 0.0, PANEL_M),
    ]
)


class DoorSource(OwnScene):
    """The door task: ``action`` is the force on the hand as a fraction of FORCE_N, the reward lies in [0, 1] a step,
    ``info["success"]`` says whether the door stands at the mark. An episode counts as solved if it does at its last
    step."""

    dt_s = SUBSTEPS * TIMESTEP_S
    action = ActionSpec((-1.0, -1.0), (1.0, 1.0), ("hand_x", "hand_y"))

    def __init__(self) -> None:
        super().__init__(XML, Knowledge(SENSORS, read, wide, scripted))

    def begin(self, seed: int) -> None:
        """The mark lies within TURNS_RAD of the door, to either side."""
        rng = np.random.default_rng(seed)
        mujoco.mj_resetData(self.model, self.data)
        angle = rng.uniform(-np.pi, np.pi)
        put(self, rng, angle, angle + rng.choice([-1.0, 1.0]) * rng.uniform(*TURNS_RAD))
        settle(self.model, self.data)

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        self.data.ctrl[:] = action
        self.hold(SUBSTEPS)
        hand, hinge, lever = self.data.qpos[1:3], self.model.body("door").pos[:2], _lever(self)
        left = turn(float(self.data.qpos[0]), mark_angle(self))
        reach = 1.0 - np.tanh(4.0 * float(np.linalg.norm(hand - behind(hinge, float(self.data.qpos[0]), lever, left))))
        inside = abs(left) < TOLERANCE_RAD
        reward = 0.25 * reach + 0.35 * (1.0 - abs(left) / np.pi) + 0.4 * inside
        return float(reward), False, {"success": bool(inside)}


def turn(angle: float, wanted: float) -> float:
    """From ``angle`` to ``wanted``, radians in [-pi, pi)."""
    return float((wanted - angle + np.pi) % (2.0 * np.pi) - np.pi)


def behind(hinge: np.ndarray, angle: float, lever: float, left: float) -> np.ndarray:
    """Where the hand touches the door at the handle so as to turn it by ``left``: (2,) metres."""
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    return hinge + lever * along - np.copysign(CONTACT_M, left) * across


def mark_angle(source: Any) -> float:
    """The angle of the mark, in radians."""
    real, _, _, up = source.model.body("mark").quat
    return float(2.0 * np.arctan2(up, real))


def _lever(source: Any) -> float:
    return float(source.model.geom("handle").pos[0])


def read(source: Any) -> np.ndarray:
    """The sensors of ``SENSORS``, float64."""
    (angle, *hand), (spin, *velocity), mark = source.data.qpos, source.data.qvel, mark_angle(source)
    hinge = source.model.body("door").pos[:2]
    door, wanted = (np.cos(angle), np.sin(angle)), (np.cos(mark), np.sin(mark))
    return np.array([*hand, *door, *velocity, spin, *hinge, *wanted, _lever(source)])


def put(source: Any, rng: np.random.Generator, angle: float, mark: float) -> None:
    """Hinge, lever and hand anywhere, the door at ``angle`` and the mark at ``mark``; the hand is clear of the door."""
    model, hinge = source.model, rng.uniform(-HINGE_M, HINGE_M, 2)
    model.body("door").pos[:2] = model.body("mark").pos[:2] = hinge
    model.body("mark").quat[:] = np.cos(mark / 2.0), 0.0, 0.0, np.sin(mark / 2.0)
    model.geom("handle").pos[0] = rng.uniform(*LEVERS_M)
    source.data.qpos[:] = angle, *_clear(rng, hinge, angle)


def _clear(rng: np.random.Generator, hinge: np.ndarray, angle: float) -> np.ndarray:
    """A place of the hand that is not in the door (the best of twenty tries)."""
    tries = rng.uniform(0.1 - ARENA_M, ARENA_M - 0.1, (20, 2))
    along = np.array([np.cos(angle), np.sin(angle)])
    nearest = np.clip((tries - hinge) @ along, 0.0, PANEL_M)[:, None] * along
    gaps = np.linalg.norm(tries - hinge - nearest, axis=1)
    clear = np.flatnonzero(gaps > CONTACT_M + 0.03)
    return tries[clear[0] if len(clear) else int(np.argmax(gaps))]


def wide(source: Any, rng: np.random.Generator) -> None:
    """Anything anywhere; more often than chance the mark near the door, and the hand at the handle."""
    angle = rng.uniform(-np.pi, np.pi)
    mark = angle + rng.normal(0.0, 0.15) if rng.random() < 0.35 else rng.uniform(-np.pi, np.pi)
    put(source, rng, angle, mark)
    if rng.random() < 0.5:
        side, hinge = rng.choice([-1.0, 1.0]), source.model.body("door").pos[:2]
        touching, other = (behind(hinge, angle, _lever(source), way) for way in (side, -side))
        source.data.qpos[1:] = touching + (touching - other) * rng.uniform(0.1, 0.3)
    source.data.qvel[:] = rng.normal(0.0, (1.5, 0.4, 0.4)) * (rng.random() < 0.7)


def scripted(rng: np.random.Generator, skill: float) -> Behaviour:
    """Go round the door's free end to the side from which it must be pushed, then push at the handle until it stands at
    the mark; ``skill`` 0 is noise alone."""
    noise = np.zeros(2)

    def act(sensors: np.ndarray) -> np.ndarray:
        nonlocal noise
        hand, velocity, hinge, mark = (np.asarray(sensors[at], np.float64) for at in (HAND, VELOCITY, HINGE, MARK))
        along = np.asarray(sensors[DOOR], np.float64)
        angle, lever = float(np.arctan2(along[1], along[0])), float(sensors[-1])
        wanted = float(np.arctan2(mark[1], mark[0]))
        left = turn(angle, wanted)
        across = np.sign(left) * np.array([-along[1], along[0]])  # the way in which the door must go
        out, beyond = float((hand - hinge) @ along), float((hand - hinge) @ across)
        tip = PANEL_M + 2.0 * CONTACT_M
        if abs(turn(angle + COASTS_S * float(sensors[SPIN]), wanted)) < 0.5 * TOLERANCE_RAD:
            aim = hand - 0.02 * across  # done: let go
        elif beyond < -0.5 * CONTACT_M:
            touching = behind(hinge, angle, lever, left)
            pushes = np.linalg.norm(hand - touching) < 0.03
            aim = hand + across * min(0.3, 0.05 + 0.3 * abs(left)) + (touching - hand) if pushes else touching
        elif out > PANEL_M + 0.5 * CONTACT_M:
            aim = hinge + tip * along - 2.0 * CONTACT_M * across
        else:
            aim = hinge + tip * along + max(beyond, 1.5 * CONTACT_M) * across
        noise = 0.85 * noise + 0.53 * rng.normal(0.0, 0.7, 2)
        spring = 10.0 * (aim - hand) - 1.0 * velocity
        return np.clip(skill * spring + (1.0 - skill) * noise, -1.0, 1.0).astype(np.float32)

    return act


HAND, DOOR, VELOCITY, SPIN = slice(0, 2), slice(2, 4), slice(4, 6), 6  # in SENSORS
HINGE, MARK = slice(7, 9), slice(9, 11)
COASTS_S = 0.08  # how long the door and the hand at it go on, about
