"""Controls of the door scene: doors of another weight or brake, and worlds that answer a push by what they remember. A6
must see each of them."""

from __future__ import annotations

import numpy as np

from videosim.envs.control_pictures import AWAY_M
from videosim.envs.door import HELD_OUT
from videosim.envs.faults import Before, Fault, FaultySource
from videosim.errors import VideoSimError

import mujoco  # isort: skip


def heavy(factor: float = 1.5) -> Fault:
    """The door's inertia is ``factor`` times as large; A6 must see it, by just that."""

    def scene(model: mujoco.MjModel) -> None:
        model.body("door").mass *= factor
        model.body("door").inertia *= factor
        model.joint("door").armature[:] *= factor

    return Fault(scene=scene)


def loose(factor: float = 0.5) -> Fault:
    """The door's brake has ``factor`` of its strength; A6 must see it, by the slope."""

    def scene(model: mujoco.MjModel) -> None:
        model.joint("door").damping[:] *= factor

    return Fault(scene=scene)


def one_lever(lever_m: float = 0.14) -> Fault:
    """A push turns the door as if it were given ``lever_m`` from the hinge, wherever it is given; A6 must see it, by
    r2."""

    def actions(world: FaultySource, action: np.ndarray) -> np.ndarray:
        here = np.linalg.norm(world.data.qpos[1:3] - world.model.body("door").pos[:2])
        return np.clip(action * lever_m / max(float(here), 0.5 * lever_m), -1.0, 1.0)

    return Fault(actions=actions)


def retrieval(levels: float = 5) -> Fault:
    """Nearest-neighbour retrieval: every push has the nearest of ``levels`` remembered strengths, 0 and 1 among them;
    A6 must see the staircase."""
    if levels < 2:
        raise VideoSimError(
            f"a world that remembers strengths knows two at least; got control:door.retrieval{levels:g}"
        )

    def actions(world: FaultySource, action: np.ndarray) -> np.ndarray:
        strength = float(np.linalg.norm(action))
        return action * np.round(strength * (levels - 1)) / (levels - 1) / max(strength, 1e-9)

    return Fault(actions=actions)


def nearest_seen() -> Fault:
    """A push whose strength recordings leave out has the nearest one that they show; A6 must see it, in the middle and
    at the ends of the range alone."""
    return Fault(actions=lambda world, action: world.action.leave_out(action, HELD_OUT))


def ghost() -> Fault:
    """The hand goes through the door; A6 must see it."""

    def scene(model: mujoco.MjModel) -> None:
        model.geom("panel").contype[:] = model.geom("panel").conaffinity[:] = 0

    return Fault(scene=scene)


def unhinged(speed_mps: float = 0.05) -> Fault:
    """The hinge creeps east at ``speed_mps``; A6 must see it, by the hinge."""

    def motion(world: FaultySource, before: Before) -> None:
        world.model.body("door").pos[0] += speed_mps * world.dt_s

    return Fault(motion=motion)


def vanish(t0: float = 6) -> Fault:
    """At frame ``t0`` the door is gone; A6 must see it, because what is missing has not turned."""

    def motion(world: FaultySource, before: Before) -> None:
        if world.steps == t0:
            world.model.body("door").pos[0] = AWAY_M

    return Fault(motion=motion)
