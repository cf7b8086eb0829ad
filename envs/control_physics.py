"""Controls in which the wrong thing happens: actions, physics, objects, memory or rewards are edited.

What is done to actions, and ``freeze``, is done to any scene; the rest is done to push.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from videosim.envs.faults import Before, Fault, FaultySource
from videosim.envs.push import OBJECTS

import mujoco  # isort: skip

AWAY_M = 5.0  # so far off that no camera sees it and nothing touches it
HELD_STEPS = 6  # how long the action-blind world goes on with one of its own actions


def _at(world: FaultySource, name: str) -> tuple[slice, slice]:
    """Where the planar position of ``name`` stands in qpos, and its velocity in qvel."""
    joint = world.model.joint(f"{name}_x")
    q, v = int(joint.qposadr[0]), int(joint.dofadr[0])
    return slice(q, q + 2), slice(v, v + 2)


def _both(world: FaultySource) -> tuple[np.ndarray, np.ndarray]:
    return world.data.qpos, world.data.qvel


def _hidden(world: FaultySource, name: str) -> bool:
    """Whether all of ``name`` lies under the screen, seen along the camera's lines of sight."""
    eye, screen = world.model.camera("top").pos, world.model.geom("screen")
    place, radius = world.data.geom(name).xpos, float(world.model.geom(name).size[0])
    scale = (eye[2] - screen.pos[2]) / (eye[2] - place[2])
    seen = eye[:2] + scale * (place[:2] - eye[:2])  # where the line of sight meets the screen's plane
    return bool((np.abs(seen - screen.pos[:2]) + scale * radius < screen.size[:2]).all())


def _remove(world: FaultySource, name: str) -> None:
    q, v = _at(world, name)
    world.data.qpos[q], world.data.qvel[v] = AWAY_M, 0.0


# --- actions ---------------------------------------------------------------------------------------------------------


def oracle() -> Fault:
    """Nothing is broken: the physics itself; every audit must pass it."""
    return Fault()


def blind() -> Fault:
    """Actions are ignored and others, as lively, done instead; A3 must see it."""

    def actions(world: FaultySource, action: np.ndarray) -> np.ndarray:
        rng = world.rng(world.steps // HELD_STEPS)
        return rng.choice([-1.0, 1.0], len(action)) * rng.uniform(0.3, 1.0, len(action))

    return Fault(actions=actions)


def inverted() -> Fault:
    """Every action is done the wrong way round; A3 must see it."""
    return Fault(actions=lambda world, action: -action)


def attenuated(factor: float = 0.75) -> Fault:
    """Actions have ``factor`` of their strength; A3 must see it, by the effect ratio."""
    return Fault(actions=lambda world, action: factor * action)


def lag(steps: float = 2) -> Fault:
    """Actions take effect ``steps`` frames late; A3 must see it, by the latency."""

    def actions(world: FaultySource, action: np.ndarray) -> np.ndarray:
        queue = np.append(world.own, action)
        world.own[:] = queue[len(action) :]
        return queue[: len(action)]

    return Fault(actions=actions, past=int(steps))


def retrieval(levels: float = 9) -> Fault:
    """Nearest-neighbour retrieval: what is done is the nearest remembered action, of ``levels`` an axis; A6 must see
    the staircase, A4 the failure outside the cases."""
    steps = (int(levels) - 1) / 2
    return Fault(actions=lambda world, action: np.round(action * steps) / steps)


# --- physics ---------------------------------------------------------------------------------------------------------


def wrong_physics() -> Fault:
    """Objects weigh three times as much, slide half as far, and the pusher is braked; A3 and A4 must see it."""

    def scene(model: mujoco.MjModel) -> None:
        for name in OBJECTS:
            model.body(name).mass *= 3.0
            model.body(name).inertia *= 3.0
        model.dof_damping[:] *= 2.0
        for axis in "xy":
            model.joint(f"pusher_{axis}").damping[:] = 6.0  # against a velocity gain of 20: 77 % of the speed

    return Fault(scene=scene)


def half_gravity() -> Fault:
    """Everything weighs half, so that Coulomb friction halves too; A4 must see it, and A3 where weight matters."""

    def scene(model: mujoco.MjModel) -> None:
        model.opt.gravity[:] *= 0.5
        model.dof_frictionloss[:] *= 0.5

    return Fault(scene=scene)


# --- objects ---------------------------------------------------------------------------------------------------------


def swap(t0: float = 20) -> Fault:
    """At frame ``t0`` the red and the green ball change places; A1 must see it, at that frame."""

    def motion(world: FaultySource, before: Before) -> None:
        if world.steps == t0:
            for red, green, values in zip(_at(world, "red"), _at(world, "green"), _both(world), strict=True):
                values[red], values[green] = values[green].copy(), values[red].copy()

    return Fault(motion=motion)


def vanish(t0: float = 20) -> Fault:
    """At frame ``t0`` the red ball is gone; A1 must see it, at that frame."""

    def motion(world: FaultySource, before: Before) -> None:
        if world.steps == t0:
            _remove(world, "red")

    return Fault(motion=motion)


# --- memory ----------------------------------------------------------------------------------------------------------


def freeze() -> Fault:
    """Nothing ever moves; the motion gate of A1 must see it, and A3."""

    def motion(world: FaultySource, before: Before) -> None:
        world.data.qpos[:], world.data.qvel[:] = before.qpos, 0.0

    return Fault(motion=motion)


def occlusion_reset() -> Fault:
    """Objects stand still while the screen hides them, whatever is done to them; A2 must see it."""

    def motion(world: FaultySource, before: Before) -> None:
        for name in OBJECTS:
            if _hidden(world, name):
                q, v = _at(world, name)
                world.data.qpos[q], world.data.qvel[v] = before.qpos[q], 0.0

    return Fault(motion=motion)


def context_limited(frames: float = 8) -> Fault:
    """An object hidden for more than ``frames`` frames is forgotten and never comes back; A2 must see it."""

    def motion(world: FaultySource, before: Before) -> None:
        for i, name in enumerate(OBJECTS):
            world.own[i] = world.own[i] + 1 if _hidden(world, name) else 0
            if world.own[i] > frames:
                _remove(world, name)

    return Fault(motion=motion, numbers=len(OBJECTS))


def state_reset(frames: float = 20) -> Fault:
    """What was displaced and then left alone for ``frames`` frames creeps back to where it began; A7 must see it."""
    step_m = 0.004  # a frame

    def motion(world: FaultySource, before: Before) -> None:
        home, alone = world.own[:6].reshape(3, 2), world.own[6:]
        pusher = world.data.qpos[_at(world, "pusher")[0]]
        for i, name in enumerate(OBJECTS):
            q, v = _at(world, name)
            if world.steps == 1:
                home[i] = before.qpos[q]
            way = home[i] - world.data.qpos[q]
            touched = np.linalg.norm(world.data.qvel[v]) > 0.01 or np.linalg.norm(world.data.qpos[q] - pusher) < 0.15
            alone[i] = 0 if touched else alone[i] + 1
            if alone[i] > frames:
                world.data.qpos[q] += way * min(1.0, step_m / max(float(np.linalg.norm(way)), 1e-9))

    return Fault(motion=motion, numbers=9)


def drift(speed_mps: float = 0.02) -> Fault:
    """Objects creep east at ``speed_mps``; A9 must see the error grow."""

    def motion(world: FaultySource, before: Before) -> None:
        for name in OBJECTS:
            world.data.qpos[_at(world, name)[0].start] += speed_mps * world.dt_s

    return Fault(motion=motion)


# --- rewards ---------------------------------------------------------------------------------------------------------


def reward_bug(bonus: float = 7.0) -> Fault:
    """The south-east corner pays ``bonus`` a step to the pusher; A14 must see it."""

    def reward(world: FaultySource, paid: float, info: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        x, y = world.data.qpos[_at(world, "pusher")[0]]
        return paid + bonus * (x > 0.3 and y < -0.3), info

    return Fault(reward=reward)


def optimist() -> Fault:
    """Every step is reported as a success and paid in full; A14 and A18 must see it."""
    return Fault(reward=lambda world, paid, info: (1.0, {**info, "success": True}))
