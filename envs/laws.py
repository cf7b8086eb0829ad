"""Laws: an own scene, seen from the side, in which one law of motion at a time is at work: things fly, fall, swing,
collide, slide or rest, in a room with a floor and walls.

The seed of an episode draws the law and how it is laid out (``law_trials.py``, ``law_layouts.py``). ``action`` pushes
the red thing; without it the law is alone. Nothing is to be reached here: rewards are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq

from videosim.envs.law_layouts import LAYOUTS, MIDDLE_M
from videosim.envs.law_trials import LAWS, Trial, draw_trial
from videosim.envs.scenes import OwnScene
from videosim.envs.sources import settle
from videosim.envs.worlds import Knowledge, Row, sensor_spec
from videosim.types import ActionSpec

import mujoco  # isort: skip

COLOURS = ("red", "green", "blue")
ROOM_M, TALL_M, VIEW_M = 1.9, 2 * MIDDLE_M, 4.0  # half its breadth; its height; the side of what the camera sees
GRAVITY_MPS2 = 9.81
SUBSTEPS, TIMESTEP_S = 40, 0.001
PUSH_MPS2 = 4.0  # what full action gives the red thing
LARGEST_M, THIN_M = 0.45, 0.03  # half of any side; half the depth of a box: the room is flat
DENSITY_KG_PER_M2 = 10.0  # mass is this times the square of the half side, which can be seen
CONTACT_RADPS, DEAD_PER_S = 300.0, 900.0  # frequency of a contact's spring; what damps that of boxes
PIVOT_M, AWAY_M = 2.8, 50.0  # height of the pendulum's; of what is not there
CAMERA_M = 40.0  # so far off that perspective is nothing
FOVY_DEG = 2.0 * float(np.degrees(np.arctan(VIEW_M / 2.0 / CAMERA_M)))
# The red, green and blue thing of each law.
THINGS: dict[str, tuple[str, ...]] = {
    **{law: ("red_ball",) for law in ("uniform", "fall", "projectile")},
    "pendulum": ("bob",),
    "elastic": ("red_ball", "green_ball"),
    "inelastic": ("red_box", "green_box"),
    "incline": ("red_box",),
    "stack": ("red_box", "green_box", "blue_box"),
}
PAINT = {"red": ".9 .15 .15 1", "green": ".15 .8 .25 1", "blue": ".2 .35 .95 1"}


def _thing(colour: str, shape: str) -> str:
    name = f"{colour}_{shape}"
    return f"""<body name="{name}" quat=".7 0 .7 0" gravcomp=".5">
      <joint name="{name}_x" type="slide" axis="1 0 0"/><joint name="{name}_z" type="slide" axis="0 0 1"/>
      <geom name="{name}" class="{shape}" rgba="{PAINT[colour]}"/></body>"""


# Everything that a trial lays out has another value here, so that PhysicsEnv, which compares a few episodes with the
# compiled model, finds that it belongs to the state. Sizes are the largest there are, for MuJoCo's bounding volumes.
XML = f"""
<mujoco model="laws">
  <option timestep="{TIMESTEP_S}" gravity="0 0 {-GRAVITY_MPS2}" integrator="implicitfast" cone="elliptic"/>
  <visual><headlight ambient=".6 .6 .6" diffuse=".4 .4 .4" specular="0 0 0"/><map znear="10" zfar="60"/></visual>
  <statistic extent="1" center="0 0 {MIDDLE_M}"/>
  <default>
    <geom solref="{-(CONTACT_RADPS**2)} 0" solimp=".99 .99 .001" friction="0" condim="3"/>
    <default class="wall"><geom type="box" rgba=".5 .5 .5 1"/></default>
    <default class="ball"><geom type="sphere" size="{LARGEST_M}" mass=".7"/></default>
    <default class="box">
      <geom type="box" size="{LARGEST_M} {THIN_M} {LARGEST_M}" mass=".7" friction=".6"
            solref="{-(CONTACT_RADPS**2)} {-DEAD_PER_S}"/>
    </default>
  </default>
  <worldbody>
    <camera name="side" pos="0 {-CAMERA_M} {MIDDLE_M}" xyaxes="1 0 0 0 0 1" fovy="{FOVY_DEG}"/>
    <geom type="box" pos="0 .2 {MIDDLE_M}" size="3 .05 3" contype="0" conaffinity="0" rgba=".17 .17 .17 1"/>
    <geom name="floor" class="wall" pos="0 0 -.1" size="{ROOM_M + 0.2} {THIN_M} .1"/>
    <geom name="ceiling" class="wall" pos="0 0 {TALL_M + 0.1}" size="{ROOM_M + 0.2} {THIN_M} .1"/>
    <geom name="east" class="wall" pos="{ROOM_M + 0.1} 0 {MIDDLE_M}" size=".1 {THIN_M} {MIDDLE_M}"/>
    <geom name="west" class="wall" pos="{-ROOM_M - 0.1} 0 {MIDDLE_M}" size=".1 {THIN_M} {MIDDLE_M}"/>
    <body name="ramp" mocap="true">
      <geom name="ramp" class="wall" size="2.2 {THIN_M} .04" priority="1" friction=".01"
            solref="{-(CONTACT_RADPS**2)} {-DEAD_PER_S}"/>
    </body>
    {"".join(_thing(colour, "ball") for colour in COLOURS[:2])}
    {"".join(_thing(colour, "box") for colour in COLOURS)}
    <body name="bob">
      <joint name="swing" type="hinge" axis="0 -1 0"/>
      <geom name="bob" class="ball" size=".18" pos="0 0 -2" rgba="{PAINT["red"]}"/>
      <geom name="rod" type="box" size=".015 .005 1" pos="0 .1 -1" mass="0" contype="0" conaffinity="0"
            rgba=".7 .7 .7 1"/>
    </body>
  </worldbody>
</mujoco>
"""


def _rows() -> list[Row]:
    rows: list[Row] = []
    for colour in COLOURS:
        rows += [(f"{colour}_x", "m", -ROOM_M, ROOM_M), (f"{colour}_z", "m", 0.0, TALL_M)]
        rows += [(f"{colour}_velocity_{axis}", "m/s", -7.0, 7.0) for axis in "xz"]
        rows.append((f"{colour}_half", "m", 0.0, LARGEST_M))
    rows += [("tilt", "rad", -0.8, 0.8), ("friction", "1", 0.0, 0.26), ("length", "m", 0.0, 1.8)]
    return rows + [(f"law_{law}", "1", 0.0, 1.0) for law in LAWS]


SENSORS = sensor_spec(_rows())


class LawsSource(OwnScene):
    """Trials as recordings show them. ``memory`` tells which: the law's number, its two factors and its seed."""

    split = "id"
    dt_s = SUBSTEPS * TIMESTEP_S
    action = ActionSpec((-1.0, -1.0), (1.0, 1.0), ("push_x", "push_z"))

    def __init__(self) -> None:
        super().__init__(XML, Knowledge(SENSORS, read, wide))
        self.memory = np.zeros(4)

    @property
    def trial(self) -> Trial:
        """What is going on."""
        number, first, second, seed = self.memory
        return Trial(LAWS[int(number)], (float(first), float(second)), int(seed))

    @property
    def things(self) -> tuple[str, ...]:
        """The red, green and blue thing, as far as there are any."""
        return THINGS[LAWS[int(self.memory[0])]]

    def begin(self, seed: int) -> None:
        self.lay_out(draw_trial(np.random.default_rng(seed), self.split))

    def lay_out(self, trial: Trial) -> None:
        """Begin ``trial``."""
        model = self.model
        mujoco.mj_resetData(model, self.data)
        self.memory[:] = LAWS.index(trial.law), *trial.factors, trial.seed
        model.body_quat[1:] = 1.0, 0.0, 0.0, 0.0
        model.body_pos[model.body("bob").id] = 0.0, 0.0, AWAY_M
        model.body_gravcomp[1:] = 1.0
        model.geom("ramp").friction[0] = 0.0
        self.data.mocap_pos[:], self.data.mocap_quat[:] = (0.0, 0.0, 2.0 * AWAY_M), (1.0, 0.0, 0.0, 0.0)
        self._hang(1.0)
        for i, (colour, shape) in enumerate([*((c, "ball") for c in COLOURS[:2]), *((c, "box") for c in COLOURS)]):
            self._put(colour, shape, 0.25, np.array([2.0 * i, AWAY_M]), np.zeros(2), True)
        LAYOUTS[trial.law](self, np.random.default_rng([trial.seed, 1]), *trial.factors)
        settle(model, self.data)

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        pushed = self.model.geom(self.things[0]).bodyid[0]
        self.data.xfrc_applied[:] = 0.0
        self.data.xfrc_applied[pushed, [0, 2]] = self.model.body_mass[pushed] * PUSH_MPS2 * action
        self.hold(SUBSTEPS)
        return 0.0, False, {}

    # --- the stage ---

    def ball(self, colour: str, radius: float, at: np.ndarray, velocity: np.ndarray, floats: bool) -> None:
        self._put(colour, "ball", radius, at, velocity, floats)

    def box(self, colour: str, half: float, at: np.ndarray, velocity: np.ndarray, floats: bool) -> None:
        self._put(colour, "box", half, at, velocity, floats)

    def pendulum(self, length: float, angle: float) -> None:
        bob = self.model.body("bob").id
        self._hang(length)
        self.model.body_pos[bob, 2], self.model.body_gravcomp[bob] = PIVOT_M, 0.0
        self.data.joint("swing").qpos[:] = angle

    def ramp(self, tilt: float, friction: float, half: float, along: float, speed: float) -> None:
        """``tilt`` above 0 falls to the right; ``along``: where on it a box lies, and slides to the right."""
        self.model.geom("ramp").friction[0] = friction
        self.data.mocap_pos[:] = 0.0, 0.0, MIDDLE_M
        turn = np.array([np.cos(tilt / 2.0), 0.0, np.sin(tilt / 2.0), 0.0])
        self.data.mocap_quat[:] = turn
        down, up = np.array([np.cos(tilt), -np.sin(tilt)]), np.array([np.sin(tilt), np.cos(tilt)])
        height = half + float(self.model.geom("ramp").size[2])
        self.model.body_quat[self.model.body("red_box").id] = turn
        centre = np.array([0.0, MIDDLE_M]) + along * down + height * up
        self._put("red", "box", half, np.array([centre @ down, centre @ up]), np.array([speed, 0.0]), False)

    def _put(self, colour: str, shape: str, half: float, at: np.ndarray, velocity: np.ndarray, floats: bool) -> None:
        """``at`` and ``velocity`` along the joints of the thing, which turn with it."""
        model, name = self.model, f"{colour}_{shape}"
        body = model.body(name).id
        model.geom(name).size[[0] if shape == "ball" else [0, 2]] = half
        model.body_mass[body] = DENSITY_KG_PER_M2 * half**2
        model.body_gravcomp[body] = float(floats)
        for axis, place, speed in zip("xz", at, velocity, strict=True):
            joint = self.data.joint(f"{name}_{axis}")
            joint.qpos[:], joint.qvel[:] = place, speed
            model.joint(f"{name}_{axis}").M0[:] = model.body_mass[body]  # the inertia of what only slides

    def _hang(self, length: float) -> None:
        model = self.model
        model.geom("bob").pos[2] = model.body("bob").ipos[2] = -length
        model.geom("rod").pos[2], model.geom("rod").size[2] = -length / 2.0, length / 2.0


class PairsSource(LawsSource):
    """Trials of factors whose combination no recording shows."""

    split = "pairs"


class BeyondSource(LawsSource):
    """Trials of factors beyond what recordings show."""

    split = "ood"


def read(source: Any) -> np.ndarray:
    """The sensors of ``SENSORS``, float64; 0 for what is not there."""
    model, data, law = source.model, source.data, source.trial.law
    rows, moves = np.zeros((len(COLOURS), 5)), np.zeros(6)
    for row, name in zip(rows, source.things, strict=False):
        geom = model.geom(name).id
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_GEOM, geom, moves, 0)
        row[:] = *data.geom_xpos[geom, [0, 2]], *moves[[3, 5]], model.geom_size[geom, 0]
    turn = data.mocap_quat[0]
    there = law == "incline"
    tilt = 2.0 * np.arctan2(turn[2], turn[0]) if there else 0.0
    length = model.geom("rod").size[2] * 2.0 if law == "pendulum" else 0.0
    return np.array([*rows.ravel(), tilt, model.geom("ramp").friction[0], length, *(law == other for other in LAWS)])


def wide(source: Any, rng: np.random.Generator) -> None:
    """Somewhere in the first part of a trial."""
    for _ in range(rng.integers(10)):
        source.advance(np.zeros(2))


def damping(restitution: float) -> float:
    """Of a contact (1/s) after which things part with ``restitution`` in [0.4, 1) of the speed with which they met, to
    0.03; less than that ends too fast for the time step.

    A linear spring and damper that push and never pull: contact ends when their force does (Schwager and Pöschel,
    arXiv cond-mat/0701278), which gives e = exp(-z / w (pi - atan2(2 z w, 1 - 2 z^2))) at the damping ratio z, with
    w = sqrt(1 - z^2).
    """

    def excess(ratio: float) -> float:
        rest = np.sqrt(1.0 - ratio**2)
        return float(np.exp(-ratio / rest * (np.pi - np.arctan2(2 * ratio * rest, 1 - 2 * ratio**2)))) - restitution

    return 2.0 * CONTACT_RADPS * float(brentq(excess, 1e-6, 1.0 - 1e-6))
