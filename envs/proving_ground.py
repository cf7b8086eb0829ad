"""Trials of the car alone, on an endless plane: what it does beside what the textbook says it should."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from videosim.envs.vehicle import (
    ACTUATORS,
    BODY,
    CONTACTS,
    DEFAULTS,
    GRAVITY_MPS2,
    GROUND,
    OPTION,
    SENSORS,
    STEER_RAD,
    TIMESTEP_S,
    WHEELBASE_M,
    Vehicle,
)

import mujoco  # isort: skip

XML = f"""<mujoco model="proving ground">
  <option {OPTION}/><default>{DEFAULTS}</default><worldbody>{GROUND}{BODY}</worldbody>
  <contact>{CONTACTS}</contact><actuator>{ACTUATORS}</actuator><sensor>{SENSORS}</sensor></mujoco>"""


def plane(grip: float | None = None) -> Vehicle:
    """The car on a plane; ``grip`` in place of the tyres' own coefficient of friction."""
    model = mujoco.MjModel.from_xml_string(XML)
    vehicle = Vehicle(model, mujoco.MjData(model))
    if grip is not None:
        vehicle.grip(grip)
    return vehicle


def drive(vehicle: Vehicle, seconds: float, steer: float, pedal: float = 0.0, hold: float = 0.0) -> Iterator[None]:
    """One time step after the other of constant controls; ``hold`` above 0 is a speed (m/s) for the pedal to keep."""
    for _ in range(round(seconds / TIMESTEP_S)):
        if hold:
            pedal = float(np.clip(2.0 * (hold - vehicle.velocity[0]), -0.3, 1.0))
        vehicle.control(steer, pedal)
        mujoco.mj_step(vehicle.model, vehicle.data)
        yield


def turning_radius(steer: float, speed: float, grip: float | None = None) -> tuple[float, float, float]:
    """Steady circle of ``steer`` in [-1, 1] at ``speed`` (m/s): its radius at the middle of the rear axle (m, left
    positive), that of the kinematic bicycle, wheelbase / tan(steering angle), and the sideways acceleration
    (m/s^2)."""
    vehicle = plane(grip)
    vehicle.put(0.0, 0.0, 0.0, speed, steer * STEER_RAD)
    circle = [[vehicle.velocity[0], vehicle.yaw_rate] for _ in drive(vehicle, 8.0, steer, hold=speed)]
    forward, turn = np.mean(circle[len(circle) * 3 // 4 :], axis=0)
    return float(forward / turn), float(WHEELBASE_M / np.tan(steer * STEER_RAD)), float(forward * turn)


def braking_distance(speed: float, grip: float) -> tuple[float, float]:
    """From ``speed`` (m/s) to rest with the pedal down: metres, and v^2 / (2 mu g)."""
    vehicle = plane(grip)
    vehicle.put(0.0, 0.0, 0.0, speed)
    for _ in drive(vehicle, 2.0 + speed / grip / GRAVITY_MPS2, 0.0, -1.0):
        pass
    return vehicle.place[0], speed**2 / (2 * grip * GRAVITY_MPS2)


def skidding(speed: float, grip: float) -> tuple[float, float]:
    """Level acceleration (m/s^2), as a mean vector in the car's own frame over a second and a half, of a car that is
    steered beyond what its tyres can do; and mu g, the most they can do."""
    vehicle = plane(grip)
    vehicle.put(0.0, 0.0, 0.0, speed, 0.5 * STEER_RAD)
    felt = []
    for _ in drive(vehicle, 2.0, 0.5, hold=speed):
        level = vehicle.data.site("imu").xmat.reshape(3, 3) @ vehicle.data.sensor("accelerometer").data
        cos, sin = np.cos(vehicle.place[2]), np.sin(vehicle.place[2])
        felt.append([level[0] * cos + level[1] * sin, level[1] * cos - level[0] * sin])
    return float(np.linalg.norm(np.mean(felt[len(felt) // 4 :], axis=0))), grip * GRAVITY_MPS2


def coasting(speed: float, steer: float = 0.0, seconds: float = 10.0) -> np.ndarray:
    """Kinetic and potential energy (J) at every time step with no foot on the pedal, float64 (n,)."""
    vehicle = plane()
    vehicle.put(0.0, 0.0, 0.0, speed, steer * STEER_RAD)
    return np.array([vehicle.energy for _ in drive(vehicle, seconds, steer)])
