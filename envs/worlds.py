"""What is known about particular worlds: readable sensors, wide initial states, scripted behaviours, a good camera.

A world without an entry gets the generic one: the task's own observation, and jittered starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from videosim.envs.sources import Source
from videosim.types import SensorSpec

Behaviour = Callable[[np.ndarray], np.ndarray]
Row = tuple[str, str, float, float]  # name, unit, low, high


@dataclass(frozen=True)
class Knowledge:
    """``read`` gives the sensors of a source as float64 ``(S,)``; ``wide`` widens the start that ``begin`` made."""

    sensors: SensorSpec
    read: Callable[[Source], np.ndarray]
    wide: Callable[[Source, np.random.Generator], None]
    scripted: Callable[[np.random.Generator, float], Behaviour] | None = None


def sensor_spec(rows: list[Row]) -> SensorSpec:
    """Rows (name, unit, low, high), one a sensor, as a spec."""
    names, units, low, high = zip(*rows, strict=True)
    return SensorSpec(names, units, low, high)


def _turn(name: str) -> list[Row]:
    return [(f"cos_{name}", "1", -1.0, 1.0), (f"sin_{name}", "1", -1.0, 1.0)]


# --- cart-pole -------------------------------------------------------------------------------------------------------


def _cartpole_read(source: Source) -> np.ndarray:
    (x, angle), (velocity, spin) = source.data.qpos, source.data.qvel
    return np.array([x, np.cos(angle), np.sin(angle), velocity, spin])


def _cartpole_wide(source: Source, rng: np.random.Generator) -> None:
    data = source.data
    if rng.random() < 1 / 3:  # near upright: random behaviour alone hardly ever gets there
        data.qpos[:] = rng.uniform(-1.0, 1.0), rng.normal(0.0, 0.25)
        data.qvel[:] = rng.normal(0.0, 0.4), rng.normal(0.0, 0.8)
    else:
        data.qpos[:] = rng.uniform(-1.75, 1.75), rng.uniform(-np.pi, np.pi)
        data.qvel[:] = rng.normal(0.0, 1.5), rng.normal(0.0, 4.0)


# linear-quadratic gains on (x, angle, their rates) at 25 Hz, from mj_step's slope
BALANCE = np.array([0.75, 5.6, 0.87, 1.46])


def _cartpole_scripted(rng: np.random.Generator, skill: float) -> Behaviour:
    """Pump energy into the pole, balance it near the top, stay near a random place; ``skill`` 0 is noise.

    Undirected behaviour spends half its time at the ends of the rail and a twentieth near upright.
    """
    place = rng.uniform(-0.8, 0.8)
    gain = rng.uniform(0.7, 2.2) * (1.0 if rng.random() < 0.85 else -0.5)  # a negative gain calms the pole
    noise, scale = 0.0, rng.uniform(0.3, 1.0)

    def act(sensors: np.ndarray) -> np.ndarray:
        nonlocal noise
        x, cos, sin, velocity, spin = (float(v) for v in sensors)
        if cos > 0.85 and abs(spin) < 4.0 and gain > 0.0:
            push = float(BALANCE @ [x - place, np.arctan2(sin, cos), velocity, spin])
        else:
            energy = spin * spin / 59.0 + 0.5 * (cos - 1.0)  # of a 1 m rod, in units of m g l; 0 upright at rest
            push = gain * energy * spin * cos - 0.3 * (x - place) - 0.3 * velocity
        noise = 0.8 * noise + 0.6 * rng.normal(0.0, scale)
        wander = noise - 0.4 * (x - place) - 0.2 * velocity
        return np.clip([skill * push + (1.0 - skill) * wander], -1.0, 1.0).astype(np.float32)

    return act


CARTPOLE = Knowledge(
    sensor_spec(
        [
            ("cart_position", "m", -2.05, 2.05),
            *_turn("pole_angle"),
            ("cart_velocity", "m/s", -8.0, 8.0),
            ("pole_velocity", "rad/s", -30.0, 30.0),
        ]
    ),
    _cartpole_read,
    _cartpole_wide,
    _cartpole_scripted,
)

# --- reacher ---------------------------------------------------------------------------------------------------------

UPPER_ARM_M, FOREARM_M = 0.12, 0.12


def _reacher_read(source: Source) -> np.ndarray:
    model, data = source.model, source.data
    (shoulder, wrist), velocity = data.qpos, data.qvel
    finger, target = data.geom("finger").xpos[:2], model.geom("target").pos[:2]
    return np.array([np.cos(shoulder), np.sin(shoulder), np.cos(wrist), np.sin(wrist), *finger, *target, *velocity])


def _reacher_wide(source: Source, rng: np.random.Generator) -> None:
    model, data = source.model, source.data
    data.qvel[:] = rng.normal(0.0, 2.0, 2) * (rng.random() < 0.7)
    if rng.random() < 0.4:  # the target near the finger: the rewarded region is small
        shoulder, elbow = data.qpos[0], data.qpos[0] + data.qpos[1]
        finger = UPPER_ARM_M * np.array([np.cos(shoulder), np.sin(shoulder)])
        finger += FOREARM_M * np.array([np.cos(elbow), np.sin(elbow)])
        target = finger + rng.normal(0.0, 0.04, 2)
        model.geom("target").pos[:2] = target * min(1.0, 0.2 / max(1e-6, float(np.linalg.norm(target))))


def _reacher_scripted(rng: np.random.Generator, skill: float) -> Behaviour:
    """Inverse kinematics with a joint-space spring, diluted by noise: ``skill`` 1 reaches the target, 0 is noise."""
    elbow_up = 1.0 if rng.random() < 0.5 else -1.0
    noise = np.zeros(2)

    def act(sensors: np.ndarray) -> np.ndarray:
        nonlocal noise
        cos_s, sin_s, cos_w, sin_w, _, _, tx, ty, vs, vw = (float(v) for v in sensors)
        reach = (tx * tx + ty * ty - UPPER_ARM_M**2 - FOREARM_M**2) / (2 * UPPER_ARM_M * FOREARM_M)
        wrist = elbow_up * np.arccos(np.clip(reach, -0.94, 1.0))
        inner = np.arctan2(FOREARM_M * np.sin(wrist), UPPER_ARM_M + FOREARM_M * np.cos(wrist))
        shoulder = np.arctan2(ty, tx) - inner
        now_s, now_w = np.arctan2(sin_s, cos_s), np.arctan2(sin_w, cos_w)
        error_s = (shoulder - now_s + np.pi) % (2 * np.pi) - np.pi
        spring = np.array([0.8 * error_s - 0.25 * vs, 0.8 * (wrist - now_w) - 0.25 * vw])
        noise = 0.8 * noise + 0.6 * rng.normal(0.0, 0.7, 2)
        return np.clip(skill * spring + (1.0 - skill) * noise, -1.0, 1.0).astype(np.float32)

    return act


REACHER = Knowledge(
    sensor_spec(
        [
            *_turn("shoulder"),
            *_turn("wrist"),
            ("finger_x", "m", -0.24, 0.24),
            ("finger_y", "m", -0.24, 0.24),
            ("target_x", "m", -0.2, 0.2),
            ("target_y", "m", -0.2, 0.2),
            ("shoulder_velocity", "rad/s", -10.0, 10.0),
            ("wrist_velocity", "rad/s", -20.0, 20.0),
        ]
    ),
    _reacher_read,
    _reacher_wide,
    _reacher_scripted,
)

# --- cheetah ---------------------------------------------------------------------------------------------------------

CHEETAH_JOINTS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")


def _cheetah_read(source: Source) -> np.ndarray:
    position, velocity = source.data.qpos, source.data.qvel
    return np.array([position[1], np.cos(position[2]), np.sin(position[2]), *position[3:], *velocity])


def _cheetah_wide(source: Source, rng: np.random.Generator) -> None:
    data = source.data
    data.qpos[1] += rng.uniform(0.0, 0.3)
    data.qpos[2] += rng.normal(0.0, 0.5) if rng.random() < 0.8 else rng.uniform(-np.pi, np.pi)
    data.qpos[3:] += rng.normal(0.0, 0.2, 6)
    data.qvel[:] += rng.normal(0.0, 1.0, 9) * np.array([2.0, 0.5, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0])


# An open-loop gallop, a sinusoid a joint, found by a cross-entropy search on the return (seed 0, 40 rounds of 32): it
# scores about 320 of 1000. Columns in the order of CHEETAH_JOINTS.
GAIT_AMPLITUDE = np.array([1.70, 0.65, 0.94, 1.07, 0.96, 0.43])
GAIT_PHASE = np.array([-0.81, -1.71, -0.89, 0.12, 2.03, 0.17])
GAIT_OFFSET = np.array([0.18, 0.02, -0.83, -0.34, 0.25, -0.30])
GAIT_HZ, CONTROL_HZ = 2.46, 25.0


def _cheetah_scripted(rng: np.random.Generator, skill: float) -> Behaviour:
    """A gallop without eyes, bent at random: ``skill`` 1 runs, 0 is noise."""
    clumsy = 1.0 - skill
    amplitude = GAIT_AMPLITUDE * np.exp(0.4 * clumsy * rng.standard_normal(6))
    phase = GAIT_PHASE + clumsy * rng.standard_normal(6)
    offset = GAIT_OFFSET + 0.3 * clumsy * rng.standard_normal(6)
    turn = 2 * np.pi * GAIT_HZ / CONTROL_HZ * np.exp(0.3 * clumsy * rng.standard_normal())
    when, noise = rng.uniform(0.0, 60.0), np.zeros(6)

    def act(sensors: np.ndarray) -> np.ndarray:
        nonlocal when, noise
        when += 1.0
        noise = 0.7 * noise + 0.7 * rng.normal(0.0, 0.5, 6)
        return np.clip(amplitude * np.sin(turn * when + phase) + offset + clumsy * noise, -1.0, 1.0).astype(np.float32)

    return act


CHEETAH = Knowledge(
    sensor_spec(
        [
            ("root_height", "m", -1.0, 1.0),
            *_turn("root_pitch"),
            *((f"{joint}_angle", "rad", -1.5, 1.5) for joint in CHEETAH_JOINTS),
            ("root_x_velocity", "m/s", -5.0, 5.0),
            ("root_z_velocity", "m/s", -5.0, 5.0),
            ("root_pitch_velocity", "rad/s", -10.0, 10.0),
            *((f"{joint}_velocity", "rad/s", -30.0, 30.0) for joint in CHEETAH_JOINTS),
        ]
    ),
    _cheetah_read,
    _cheetah_wide,
    _cheetah_scripted,
)

# --- any other world -------------------------------------------------------------------------------------------------

GENERIC_RANGE = 10.0  # where the task states no range


def _generic_read(source: Source) -> np.ndarray:
    return np.concatenate([np.ravel(part) for part in source.observation().values()]).astype(np.float64)


def _generic_wide(source: Source, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        source.data.qvel[:] += rng.normal(0.0, 0.5, source.model.nv)


def _generic(source: Source) -> Knowledge:
    rows: list[Row] = []
    for name, part in source.observation().items():
        size = np.size(part)
        rows += [(f"{name}_{i}" if size > 1 else name, "", -GENERIC_RANGE, GENERIC_RANGE) for i in range(size)]
    return Knowledge(sensor_spec(rows), _generic_read, _generic_wide)


TABLE: dict[str, Knowledge] = {
    "dm_control:cartpole-swingup": CARTPOLE,
    "dm_control:cartpole-swingup_sparse": CARTPOLE,
    "dm_control:cartpole-balance": CARTPOLE,
    "dm_control:reacher-easy": REACHER,
    "dm_control:reacher-hard": REACHER,
    "dm_control:cheetah-run": CHEETAH,
}


def knowledge(world_id: str, source: Source) -> Knowledge:
    """What is known about ``world_id``. A source that brings its own ``knowledge`` (an own scene) is asked first."""
    own = getattr(source, "knowledge", None)
    return own or TABLE.get(world_id) or _generic(source)


# --- behaviour, looked at and not only scored ------------------------------------------------------------------------

Column = Callable[[np.ndarray], np.ndarray]  # sensors (n, T+1, S) of whole episodes, NaN after an early end -> (n,)


def time_upright(sensors: np.ndarray) -> np.ndarray:
    """Fraction of the second half of an episode with the pole near upright and nearly at rest: spinning does not
    count."""
    late = sensors[:, sensors.shape[1] // 2 :]
    cos, spin = (late[..., CARTPOLE.sensors.names.index(name)] for name in ("cos_pole_angle", "pole_velocity"))
    return ((cos > 0.95) & (np.abs(spin) < 2.0)).mean(1)


COLUMNS: dict[str, dict[str, Column]] = {
    world: {"time_upright": time_upright} for world, known in TABLE.items() if known is CARTPOLE
}
SCORED_BY_SUCCESS = {"videosim:push", "videosim:door"}  # their policies are compared by success rate, not by return
