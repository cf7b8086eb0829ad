"""Push: an own planar scene. Shove the red ball into the goal disc, among other objects and under an occluder.

Everything moves in the plane on slide joints whose friction soon stops it. A screen hangs over one corner, so that
things go out of the camera's sight and come back: the model must remember them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from videosim.envs.scenes import OwnScene, plane_rows, walls
from videosim.envs.sources import settle
from videosim.envs.worlds import Behaviour, Knowledge, sensor_spec
from videosim.types import ActionSpec

import mujoco  # isort: skip

ARENA_M = 0.5  # half the side
SPEED_MPS = 0.8  # of the pusher at full action
PUSHER_M, BALL_M, BOX_M = 0.055, 0.065, 0.06  # radii, and half the side of the box
GOAL_M = 0.13
SUBSTEPS, TIMESTEP_S = 8, 0.005
SCREEN_CENTRE, SCREEN_HALF = (-0.31, 0.31), (0.17, 0.17)
OBJECTS = ("red", "green", "blue")

SLIDES = '<joint name="{0}_x" axis="1 0 0"/><joint name="{0}_y" axis="0 1 0"/>'
XML = f"""
<mujoco model="push">
  <option timestep="{TIMESTEP_S}" gravity="0 0 0" integrator="implicitfast" cone="elliptic"/>
  <visual><headlight ambient=".55 .55 .55" diffuse=".45 .45 .45" specular="0 0 0"/></visual>
  <default>
    <joint type="slide" damping="1" frictionloss=".05"/>
    <geom friction="1" condim="3" solref=".01 1"/>
    <default class="paint"><geom contype="0" conaffinity="0"/></default>
  </default>
  <worldbody>
    <camera name="top" pos="0 -.28 1.25" xyaxes="1 0 0 0 .976 .218" fovy="47"/>
    <geom class="paint" name="floor" type="plane" size="{ARENA_M} {ARENA_M} .1" rgba=".25 .27 .30 1"/>
    {walls(ARENA_M)}
    <geom class="paint" name="screen" type="box" rgba=".45 .30 .20 1"
          pos="{SCREEN_CENTRE[0]} {SCREEN_CENTRE[1]} .2" size="{SCREEN_HALF[0]} {SCREEN_HALF[1]} .005"/>
    <body name="goal" pos=".28 0 .002">
      <geom class="paint" name="goal" type="cylinder" size="{GOAL_M} .002" rgba=".85 .75 .25 1"/>
    </body>
    <body name="pusher" pos="0 0 {BALL_M}">
      <joint name="pusher_x" axis="1 0 0" damping="0" frictionloss="0"/>
      <joint name="pusher_y" axis="0 1 0" damping="0" frictionloss="0"/>
      <geom name="pusher" type="sphere" size="{PUSHER_M}" mass=".5" rgba=".95 .95 .95 1"/>
    </body>
    <body name="red" pos="0 0 {BALL_M}">
      {SLIDES.format("red")}
      <geom name="red" type="sphere" size="{BALL_M}" mass=".1" rgba=".9 .15 .15 1"/>
    </body>
    <body name="green" pos="0 0 {BALL_M}">
      {SLIDES.format("green")}
      <geom name="green" type="sphere" size="{BALL_M}" mass=".1" rgba=".15 .75 .25 1"/>
    </body>
    <body name="blue" pos="0 0 {BALL_M}">
      {SLIDES.format("blue")}
      <joint name="blue_turn" type="hinge" axis="0 0 1" damping=".002" frictionloss=".0005"/>
      <geom name="blue" type="box" size="{BOX_M} {BOX_M} {BOX_M}" mass=".1" rgba=".15 .30 .95 1"/>
      <geom class="paint" name="nose" type="box" mass="0" pos="{BOX_M * 0.6} 0 {BOX_M}" rgba=".5 .9 1 1"
            size="{BOX_M * 0.4} {BOX_M} .003"/>
    </body>
  </worldbody>
  <actuator>
    <velocity name="pusher_x" joint="pusher_x" kv="20" ctrlrange="-1 1" gear="1"/>
    <velocity name="pusher_y" joint="pusher_y" kv="20" ctrlrange="-1 1" gear="1"/>
  </actuator>
</mujoco>
"""


SENSORS = sensor_spec(
    [
        *(row for what in ("pusher", *OBJECTS) for row in plane_rows(what, ARENA_M, "m")),
        *(("cos_blue_turn", "1", -1.0, 1.0), ("sin_blue_turn", "1", -1.0, 1.0)),
        *(row for what in ("pusher", *OBJECTS) for row in plane_rows(f"{what}_velocity", 1.0, "m/s")),
        ("blue_turn_velocity", "rad/s", -10.0, 10.0),
        *plane_rows("goal", ARENA_M, "m"),
    ]
)


class PushSource(OwnScene):
    """The push task: ``action`` is the pusher's velocity, the reward lies in [0, 1] a step, ``info["success"]`` says
    whether the red ball's centre is inside the goal. An episode counts as solved if that holds at its last step."""

    dt_s = SUBSTEPS * TIMESTEP_S
    action = ActionSpec((-1.0, -1.0), (1.0, 1.0), ("pusher_x", "pusher_y"))

    def __init__(self) -> None:
        super().__init__(XML, Knowledge(SENSORS, read, wide, scripted))

    def begin(self, seed: int) -> None:
        """The pusher starts on the west side, the red ball in the middle, the goal in the east."""
        rng = np.random.default_rng(seed)
        mujoco.mj_resetData(self.model, self.data)
        goal = np.array([0.3, 0.0]) + rng.uniform(-0.05, 0.05, 2)
        red = rng.uniform((-0.15, -0.12), (0.05, 0.12))
        pusher = rng.uniform((-0.42, -0.2), (-0.3, 0.2))
        places = [pusher, red]
        for side in rng.permutation([-1.0, 1.0]):  # green and blue beside the way, one to the north, one to the south
            places.append(np.array([rng.uniform(-0.3, 0.4), side * rng.uniform(0.27, 0.42)]))
        place(self, goal, places, rng.uniform(-np.pi, np.pi))
        settle(self.model, self.data)

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        self.data.ctrl[:] = SPEED_MPS * action
        self.hold(SUBSTEPS)
        pusher, red, goal = self.data.qpos[:2], self.data.qpos[2:4], self.model.body("goal").pos[:2]
        distance = float(np.linalg.norm(red - goal))
        # The place to be is behind the ball as seen from the goal; without this term PPO learns to touch, not to push.
        behind = red + (red - goal) / max(distance, 1e-6) * (PUSHER_M + BALL_M)
        reach = 1.0 - np.tanh(4.0 * float(np.linalg.norm(pusher - behind)))
        inside = distance < GOAL_M
        reward = 0.25 * reach + 0.35 * (1.0 - np.tanh(3.0 * distance)) + 0.4 * inside
        return float(reward), False, {"success": bool(inside)}


def read(source: Any) -> np.ndarray:
    """The sensors of ``SENSORS``, float64."""
    position, velocity = source.data.qpos, source.data.qvel
    turn = position[8]
    goal = source.model.body("goal").pos[:2]
    return np.array([*position[:8], np.cos(turn), np.sin(turn), *velocity, *goal])


def place(source: Any, goal: np.ndarray, places: list[np.ndarray], turn: float) -> None:
    """Put the goal, then pusher, red, green and blue, where they are said to be."""
    source.model.body("goal").pos[:2] = goal
    source.data.qpos[:] = np.concatenate([*places, [turn]])


def _free(rng: np.random.Generator, taken: list[np.ndarray], span: tuple[float, float]) -> np.ndarray:
    """A place in the square ``span`` that is clear of ``taken`` (the best of forty tries)."""
    tries = rng.uniform(*span, (40, 2))
    gaps = np.min([np.linalg.norm(tries - other, axis=1) for other in taken], axis=0)
    clear = np.flatnonzero(gaps > 0.19)
    return tries[clear[0] if len(clear) else int(np.argmax(gaps))]


def wide(source: Any, rng: np.random.Generator) -> None:
    """Anything anywhere; more often than chance red near the goal, the pusher beside red, objects behind the screen."""
    goal = np.array([0.3, 0.0]) + rng.uniform(-0.05, 0.05, 2)
    span = (-0.42, 0.42)
    red = rng.uniform(*span, 2)
    kind = rng.random()
    if kind < 0.35:
        red = np.clip(goal + rng.normal(0.0, 0.12, 2), *span)
    elif kind < 0.55:
        red = np.array(SCREEN_CENTRE) + rng.uniform(-0.1, 0.1, 2)
    angle = rng.uniform(-np.pi, np.pi)
    beside = red + (PUSHER_M + BALL_M + 0.005 + abs(rng.normal(0, 0.02))) * np.array([np.cos(angle), np.sin(angle)])
    near = rng.random() < 0.4 and np.abs(beside).max() < 0.44
    places = [red, beside if near else _free(rng, [red], span)]
    for _ in ("green", "blue"):
        places.append(_free(rng, places, (-0.44, -0.16) if rng.random() < 0.15 else span))
    red, pusher, green, blue = places
    place(source, goal, [pusher, red, green, blue], rng.uniform(-np.pi, np.pi))
    source.data.qvel[:2] = rng.uniform(-SPEED_MPS, SPEED_MPS, 2)


def scripted(rng: np.random.Generator, skill: float) -> Behaviour:
    """Go round to the far side of the red ball, then push it towards the goal; ``skill`` 0 is noise alone."""
    noise = np.zeros(2)

    def act(sensors: np.ndarray) -> np.ndarray:
        nonlocal noise
        pusher, red, goal = (np.asarray(part, np.float64) for part in (sensors[:2], sensors[2:4], sensors[-2:]))
        to_goal = goal - red
        distance = float(np.linalg.norm(to_goal))
        ahead = to_goal / max(distance, 1e-6)
        offset = pusher - red
        contact = PUSHER_M + BALL_M
        behind = red - ahead * (contact + 0.01)
        away = float(np.linalg.norm(offset))
        if distance < 0.03:
            aim = pusher  # done: stay
        elif float(offset @ ahead) < -0.93 * away:
            aim = pusher + 0.1 * ahead + 0.8 * (behind - pusher - ahead * float((behind - pusher) @ ahead))
        elif away < contact + 0.08 and float(offset @ ahead) > -0.7 * away:
            side = np.array([-offset[1], offset[0]]) / max(away, 1e-6)  # circle round the ball, the shorter way
            side *= 1.0 if float(side @ ahead) < 0 else -1.0
            aim = pusher + 0.15 * side + 0.5 * (contact + 0.06 - away) * offset / max(away, 1e-6)
        else:
            aim = red - ahead * (contact + 0.03)
        noise = 0.85 * noise + 0.53 * rng.normal(0.0, 0.7, 2)
        return np.clip(skill * 10.0 * (aim - pusher) + (1.0 - skill) * noise, -1.0, 1.0).astype(np.float32)

    return act
