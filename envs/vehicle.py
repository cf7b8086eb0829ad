"""A car: a chassis on four sprung wheels, the front ones steered, the rear ones driven, all of them braked.

Only the contacts of the tyres hold it on the ground, with Coulomb friction, so it slides where a car would. Steering
follows its command at a limited rate. The motor is a direct-current one: its torque falls linearly with the wheels'
speed. A brake is dry friction at the wheel, which stops it and holds it without ever turning it back. x is forward, y
to the left, z up; a positive steering angle turns left. Knows no road.
"""

from __future__ import annotations

from math import atan, tan

import numpy as np

from videosim.envs import rendering  # noqa: F401  (chooses the OpenGL back end before mujoco is imported)

import mujoco  # isort: skip

TIMESTEP_S = 0.005
GRAVITY_MPS2 = 9.81
WHEELBASE_M, TRACK_M = 2.6, 1.56
WHEEL_RADIUS_M = 0.31
LENGTH_M, WIDTH_M = 4.0, 1.72  # of the body
BODY_KG, CARRIER_KG, WHEEL_KG = 1100.0, 15.0, 18.0
MASS_KG = BODY_KG + 4 * (CARRIER_KG + WHEEL_KG)
SPRING_NPM, DAMPER_NSPM = 32_000.0, 3_000.0  # at each wheel
GRIP = 0.9  # coefficient of friction between tyre and road
STEER_RAD = 0.4  # of the imagined wheel between the front ones, at full lock
STEER_RATE_RADPS = 1.2
DRIVE_NM, TOP_SPEED_MPS = 850.0, 18.0  # torque of each driven wheel at rest, and speed at which none is left
BRAKE_NM = (1300.0, 800.0)  # of each front and each rear wheel: on a dry road just enough to lock them
ROLLING_NM = 12.0  # friction of each wheel that is not braked: 1.3 % of the weight
CAMERA = (0.5, 0.0, 0.85)  # the dash camera, from the middle between the axles at the height of their centres
WHEELS = ("front_left", "front_right", "rear_left", "rear_right")
STEERED, DRIVEN = WHEELS[:2], WHEELS[2:]


def _wheel(name: str) -> str:
    x = WHEELBASE_M / 2 * (1 if name in STEERED else -1)
    y = TRACK_M / 2 * (1 if name.endswith("left") else -1)
    load = BODY_KG * GRAVITY_MPS2 / 4
    steering = f'<joint name="{name}_steer" type="hinge" axis="0 0 1" armature="1"/>' if name in STEERED else ""
    return f"""
      <body name="{name}_carrier" pos="{x} {y} 0">
        <inertial pos="0 0 0" mass="{CARRIER_KG}" diaginertia=".3 .3 .3"/>
        <joint name="{name}_spring" type="slide" axis="0 0 1" stiffness="{SPRING_NPM}" springref="{-load / SPRING_NPM}"
               damping="{DAMPER_NSPM}" limited="true" range="-.15 .15"/>
        {steering}
        <body name="{name}">
          <inertial pos="0 0 0" mass="{WHEEL_KG}" diaginertia=".6 1 .6"/>
          <joint name="{name}" type="hinge" axis="0 1 0"/>
          <geom name="{name}" class="tyre"/>
        </body>
      </body>"""


# The body is a box, with its mass low down where a car has it. ``group`` 3 is neither drawn nor seen by the lidar.
BODY = f"""
    <body name="car" pos="0 0 {WHEEL_RADIUS_M}">
      <freejoint name="car"/>
      <inertial pos="0 0 .2" mass="{BODY_KG}" diaginertia="380 1500 1700"/>
      <geom name="body" type="box" pos="0 0 .35" size="{LENGTH_M / 2} {WIDTH_M / 2} .3" group="3"
            contype="0" conaffinity="3" friction=".3"/>
      <site name="imu" pos="0 0 .2"/>
      <site name="lidar" pos="{LENGTH_M / 2} 0 .3"/>
      <camera name="dash" pos="{CAMERA[0]} {CAMERA[1]} {CAMERA[2]}" xyaxes="0 -1 0 .122 0 .993" fovy="62"/>
      {"".join(map(_wheel, WHEELS))}
    </body>"""
DEFAULTS = f"""
    <default class="tyre">
      <geom type="sphere" size="{WHEEL_RADIUS_M}" group="3" contype="0" conaffinity="2"/>
    </default>"""
# MuJoCo lifts a sliding contact off the ground the more, the faster it strives to end the sliding, and a locked wheel
# would hop. Striving several times more slowly (``solreffriction``) calms it and costs half a percent of slip.
CONTACTS = "".join(
    f'<pair name="{name}" geom1="ground" geom2="{name}" condim="3" friction="{GRIP} {GRIP}" solref=".03 1" '
    f'solreffriction=".2 1"/>'
    for name in WHEELS
)
ACTUATORS = "".join(
    f'<position name="{name}_steer" joint="{name}_steer" kp="40000" kv="1200" ctrlrange="-1 1"/>' for name in STEERED
) + "".join(f'<motor name="{name}" joint="{name}"/>' for name in DRIVEN)
SENSORS = '<accelerometer name="accelerometer" site="imu"/><gyro name="gyro" site="imu"/>'
OPTION = (
    f'timestep="{TIMESTEP_S}" gravity="0 0 -{GRAVITY_MPS2}" integrator="implicitfast" cone="elliptic" impratio="10"'
)
# Not drawn: MuJoCo paints an endless plane tile by tile, which takes longer than all the rest of a picture.
GROUND = '<geom name="ground" type="plane" size="0 0 1" contype="1" conaffinity="0" group="3"/>'


class Vehicle:
    """The car in ``data`` of ``model``; holds nothing of its own, so that its state is MuJoCo's."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self.model, self.data = model, data
        self._spin = [int(model.joint(name).dofadr[0]) for name in WHEELS]
        self._steered = [int(model.joint(f"{name}_steer").qposadr[0]) for name in STEERED]
        self._steer = [int(model.actuator(f"{name}_steer").id) for name in STEERED]
        self._drive = [int(model.actuator(name).id) for name in DRIVEN]
        self._car = int(model.body("car").id)
        self._rest = self._settled()

    def _settled(self) -> np.ndarray:
        """Positions float64 (nq,) of the car standing still at the origin."""
        mujoco.mj_resetData(self.model, self.data)
        for _ in range(round(2.0 / TIMESTEP_S)):
            mujoco.mj_step(self.model, self.data)
        rest = self.data.qpos.copy()
        rest[:2] = 0.0
        for name in WHEELS:
            rest[self.model.joint(name).qposadr[0]] = 0.0
        return rest

    def grip(self, friction: float) -> None:
        """Give all tyres another coefficient of friction."""
        for name in WHEELS:
            self.model.pair(name).friction[:2] = friction

    def put(self, x: float, y: float, heading: float, speed: float, steer: float = 0.0) -> None:
        """Reset everything; then the car rolls at ``speed`` (m/s) from (x, y) (m) in direction ``heading`` (rad)."""
        model, data = self.model, self.data
        mujoco.mj_resetData(model, data)
        data.qpos[:] = self._rest
        data.qpos[:2] = x, y
        turned = np.empty(4)
        mujoco.mju_mulQuat(turned, np.array([np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)]), self._rest[3:7])
        data.qpos[3:7] = turned
        data.qvel[:2] = speed * np.cos(heading), speed * np.sin(heading)
        data.qvel[5] = speed * np.tan(steer) / WHEELBASE_M
        data.qvel[self._spin] = speed / WHEEL_RADIUS_M
        data.ctrl[self._steer] = data.qpos[self._steered] = ackermann(steer)
        model.dof_frictionloss[self._spin] = ROLLING_NM  # compiled as 0: whoever saves a state sees that it varies

    def control(self, steer: float, pedal: float) -> None:
        """Set what acts during the next time step: ``steer`` in [-1, 1], positive to the left, and ``pedal`` in
        [-1, 1], the motor above 0 and the brakes below, which a light foot applies lightly: they grow with its
        square."""
        data, reach = self.data, STEER_RATE_RADPS * TIMESTEP_S
        now = from_ackermann(*data.ctrl[self._steer])
        data.ctrl[self._steer] = ackermann(now + max(-reach, min(reach, steer * STEER_RAD - now)))
        for motor, spin in zip(self._drive, self._spin[2:], strict=True):
            left = 1.0 - float(data.qvel[spin]) * WHEEL_RADIUS_M / TOP_SPEED_MPS
            data.ctrl[motor] = max(pedal, 0.0) * DRIVE_NM * max(0.0, min(1.0, left))
        braked = max(-pedal, 0.0) ** 2
        front, rear = (ROLLING_NM + braked * torque for torque in BRAKE_NM)
        self.model.dof_frictionloss[self._spin] = front, front, rear, rear

    @property
    def place(self) -> tuple[float, float, float]:
        """x, y (m) of the middle between the axles, and the heading (rad)."""
        forward = self.data.xmat[self._car]
        return float(self.data.qpos[0]), float(self.data.qpos[1]), float(np.arctan2(forward[3], forward[0]))

    @property
    def velocity(self) -> np.ndarray:
        """Forward and to the left (m/s), float64 (2,)."""
        return self.data.xmat[self._car].reshape(3, 3)[:2, :2].T @ self.data.qvel[:2]

    @property
    def yaw_rate(self) -> float:
        """rad/s, as the gyroscope says it; positive to the left."""
        return float(self.data.sensordata[5])

    @property
    def acceleration(self) -> np.ndarray:
        """Forward and to the left (m/s^2), as the accelerometer says it, float64 (2,): where the body leans, gravity
        has a part in it."""
        return self.data.sensordata[:2]

    @property
    def steer(self) -> float:
        """Steering angle (rad) of the imagined wheel between the front ones."""
        return from_ackermann(*self.data.qpos[self._steered])

    @property
    def wheel_speed(self) -> float:
        """Mean speed of the tyres' treads (m/s): that of the car where they do not slip."""
        return float(self.data.qvel[self._spin].mean() * WHEEL_RADIUS_M)

    @property
    def upright(self) -> float:
        """Cosine of the angle between the car's z axis and the vertical."""
        return float(self.data.xmat[self._car][8])

    @property
    def energy(self) -> float:
        """Kinetic and potential energy (J)."""
        model, data = self.model, self.data
        mujoco.mj_energyPos(model, data)
        mujoco.mj_energyVel(model, data)
        return float(data.energy.sum())


def ackermann(steer: float) -> tuple[float, float]:
    """Angles (rad) of the left and right wheel for the angle ``steer`` between them: all axles meet in one point."""
    slope, half = tan(steer), TRACK_M / 2 / WHEELBASE_M
    return atan(slope / (1.0 - half * slope)), atan(slope / (1.0 + half * slope))


def from_ackermann(left: float, right: float) -> float:
    """The inverse of ``ackermann``; of angles that fit no single one, their compromise."""
    inner, outer, half = tan(left), tan(right), TRACK_M / 2 / WHEELBASE_M
    return atan((inner / (1.0 + half * inner) + outer / (1.0 - half * outer)) / 2)
