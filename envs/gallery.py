"""Gallery: an own scene in which nothing moves but the camera. It goes about in a chequered room with six coloured
balls, as it is told, and what it turns away from is there when it comes back.

``action`` is the camera's velocity: forward, to the left, and the rate at which it turns to the left. Its pose follows
from the actions exactly, and from the actions undone in reverse it is where it was. Nothing is to be reached here:
rewards are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from videosim.envs.scenes import OwnScene
from videosim.envs.sources import settle
from videosim.envs.worlds import Knowledge, Row, sensor_spec
from videosim.types import ActionSpec

import mujoco  # isort: skip

COLOURS = ("red", "green", "blue", "yellow", "magenta", "cyan")
PAINT = {
    **{"red": ".9 .15 .15 1", "green": ".15 .8 .2 1", "blue": ".2 .3 .95 1"},
    **{"yellow": ".9 .85 .15 1", "magenta": ".9 .2 .85 1", "cyan": ".15 .85 .9 1"},
}
ROOM_M, TALL_M, EYE_M = 3.2, 2.4, 1.1  # half its side; its height; that of the camera
REACH_M = 1.3  # the camera stays as near to the middle, along either axis
NEAR_M, FAR_M = 1.9, 2.8  # of the balls from the middle
LOW_M, HIGH_M = 0.5, 1.7
RADII_M = (0.13, 0.20)
FOVY_DEG = 80.0
SPEED_MPS, TURN_RADPS = 1.0, 1.5  # at full action
DT_S = 0.04
START_M = 0.6  # an episode begins as near to the middle


def _wall(name: str, axes: str, x: float, y: float) -> str:
    return (
        f'<geom name="{name}" class="wall" size="{ROOM_M} {TALL_M / 2} .1" pos="{x} {y} {TALL_M / 2}" xyaxes="{axes}"/>'
    )


def _ball(colour: str) -> str:
    geom = f'<geom name="{colour}" type="sphere" size=".25" rgba="{PAINT[colour]}"/>'
    return f'<body name="{colour}" mocap="true">{geom}</body>'


XML = f"""
<mujoco model="gallery">
  <option timestep="{DT_S}" gravity="0 0 0"/>
  <visual><headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/><map znear=".02" zfar="10"/></visual>
  <statistic extent="1" center="0 0 1"/>
  <asset>
    <texture name="wall" type="2d" builtin="checker" rgb1=".30 .30 .30" rgb2=".55 .55 .55" width="64" height="64"/>
    <texture name="floor" type="2d" builtin="checker" rgb1=".15 .15 .15" rgb2=".40 .40 .40" width="64" height="64"/>
    <material name="wall" texture="wall" texrepeat="6 2.5"/>
    <material name="floor" texture="floor" texrepeat="5 5"/>
  </asset>
  <default>
    <geom contype="0" conaffinity="0"/>
    <default class="wall"><geom type="plane" material="wall"/></default>
  </default>
  <worldbody>
    <geom name="floor" type="plane" size="{ROOM_M} {ROOM_M} .1" material="floor"/>
    <geom name="ceiling" type="plane" size="{ROOM_M} {ROOM_M} .1" pos="0 0 {TALL_M}" xyaxes="1 0 0 0 -1 0"
          rgba=".7 .7 .7 1"/>
    {_wall("east", "0 -1 0 0 0 1", ROOM_M, 0)}
    {_wall("west", "0 1 0 0 0 1", -ROOM_M, 0)}
    {_wall("north", "1 0 0 0 0 1", 0, ROOM_M)}
    {_wall("south", "-1 0 0 0 0 1", 0, -ROOM_M)}
    {"".join(_ball(colour) for colour in COLOURS)}
    <body name="camera" pos="0 0 {EYE_M}">
      <joint name="x" type="slide" axis="1 0 0"/><joint name="y" type="slide" axis="0 1 0"/>
      <joint name="heading" type="hinge" axis="0 0 1"/>
      <inertial pos="0 0 0" mass="1" diaginertia=".01 .01 .01"/>
      <camera name="eye" xyaxes="0 -1 0 0 0 1" fovy="{FOVY_DEG}"/>
    </body>
  </worldbody>
</mujoco>
"""


def _rows() -> list[Row]:
    rows: list[Row] = [("x", "m", -REACH_M, REACH_M), ("y", "m", -REACH_M, REACH_M)]
    rows += [("cos_heading", "1", -1.0, 1.0), ("sin_heading", "1", -1.0, 1.0)]
    rows += [("forward", "m/s", -SPEED_MPS, SPEED_MPS), ("left", "m/s", -SPEED_MPS, SPEED_MPS)]
    rows.append(("turn", "rad/s", -TURN_RADPS, TURN_RADPS))
    for colour in COLOURS:
        rows += [(f"{colour}_{axis}", "m", -FAR_M, FAR_M) for axis in "xy"]
        rows += [(f"{colour}_z", "m", 0.0, TALL_M), (f"{colour}_radius", "m", 0.0, 0.25)]
    return rows


SENSORS = sensor_spec(_rows())


class GallerySource(OwnScene):
    """A camera among balls that the seed places. ``qvel`` is the camera's velocity along its own axes."""

    dt_s = DT_S
    action = ActionSpec((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), ("forward", "left", "turn"))

    def __init__(self) -> None:
        super().__init__(XML, Knowledge(SENSORS, read, wide))

    def begin(self, seed: int) -> None:
        """Balls all round, one in each sixth of the circle; the camera near the middle, turned anywhere."""
        rng = np.random.default_rng(seed)
        mujoco.mj_resetData(self.model, self.data)
        angle = (
            rng.uniform(-np.pi, np.pi) + (np.arange(len(COLOURS)) + rng.uniform(-0.3, 0.3, len(COLOURS))) * np.pi / 3
        )
        away = rng.uniform(NEAR_M, FAR_M, len(COLOURS))
        places = np.stack([away * np.cos(angle), away * np.sin(angle), rng.uniform(LOW_M, HIGH_M, len(COLOURS))], 1)
        self.data.mocap_pos[:] = rng.permutation(places)
        for colour in COLOURS:
            self.model.geom(colour).size[0] = rng.uniform(*RADII_M)
        self.look_from(rng.uniform(-START_M, START_M, 2), rng.uniform(-np.pi, np.pi))

    def look_from(self, place: np.ndarray, heading: float) -> None:
        """Put the camera at ``place`` (2,), turned to ``heading``, at rest."""
        self.data.qpos[:], self.data.qvel[:] = (*place, heading), 0.0
        settle(self.model, self.data)

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        velocity = np.asarray(action, np.float64) * (SPEED_MPS, SPEED_MPS, TURN_RADPS)
        self.data.qpos[:] = moved(self.data.qpos, velocity)
        self.data.qvel[:] = velocity
        self.data.time += DT_S
        settle(self.model, self.data)
        return 0.0, False, {}


def moved(pose: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """The pose (x, y, heading) after DT_S with ``velocity`` (forward, left, turn), (3,): along the heading half-way, so
    that the opposite velocity undoes it."""
    half = pose[2] + velocity[2] * DT_S / 2.0
    cos, sin = np.cos(half), np.sin(half)
    place = pose[:2] + DT_S * np.array([cos * velocity[0] - sin * velocity[1], sin * velocity[0] + cos * velocity[1]])
    return np.array([*np.clip(place, -REACH_M, REACH_M), pose[2] + velocity[2] * DT_S])


def read(source: Any) -> np.ndarray:
    """The sensors of ``SENSORS``, float64."""
    model, data = source.model, source.data
    x, y, heading = data.qpos
    balls = [(*data.mocap_pos[i], model.geom(colour).size[0]) for i, colour in enumerate(COLOURS)]
    return np.array([x, y, np.cos(heading), np.sin(heading), *data.qvel, *np.ravel(balls)])


def wide(source: Any, rng: np.random.Generator) -> None:
    """The camera anywhere."""
    source.look_from(rng.uniform(-REACH_M, REACH_M, 2), rng.uniform(-np.pi, np.pi))
