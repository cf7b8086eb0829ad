"""Controls of the law scene: worlds in which one law is another. A4 must see each of them, by its own figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from videosim.envs.faults import Before, Fault, FaultySource
from videosim.envs.law_trials import nearest_seen
from videosim.envs.laws import COLOURS, damping

import mujoco  # isort: skip

AWAY_M = 20.0  # so far off that no camera sees it


def _changed(change: Callable[[np.ndarray], np.ndarray], *names: str) -> Callable[..., AbstractContextManager[None]]:
    """While a step is taken, the model's arrays ``names`` are what ``change`` makes of them."""

    @contextmanager
    def during(model: mujoco.MjModel) -> Iterator[None]:
        kept = {name: getattr(model, name).copy() for name in names}
        for name, array in kept.items():
            getattr(model, name)[:] = change(array)
        yield
        for name, array in kept.items():
            getattr(model, name)[:] = array

    return during


def rough(factor: float = 2.0) -> Fault:
    """Friction is ``factor`` times as strong; A4 must see it, by the friction of the ramp."""
    return Fault(during=_changed(lambda friction: factor * friction, "geom_friction"))


def dull(restitution: float = 0.5) -> Fault:
    """Balls part with ``restitution`` of the speed with which they met; A4 must see it, by just that."""

    def scene(model: mujoco.MjModel) -> None:
        for colour in COLOURS[:2]:
            model.geom(f"{colour}_ball").solref[1] = -damping(restitution)

    return Fault(scene=scene)


def equal_masses() -> Fault:
    """All things collide as if they weighed the same; A4 must see it, by the momentum."""
    return Fault(during=_changed(np.ones_like, "body_mass", "dof_M0"))


def damped(rate_per_s: float = 0.3) -> Fault:
    """All motion is damped, that of a thing of 1 kg by ``rate_per_s`` of its speed; A4 must see it, by the energy."""

    def scene(model: mujoco.MjModel) -> None:
        model.dof_damping[:] = rate_per_s

    return Fault(scene=scene)


def ghost() -> Fault:
    """Things go through one another; A4 must see it, by how deep they are in one another."""

    def scene(model: mujoco.MjModel) -> None:
        model.geom_contype[:] = model.geom_conaffinity[:] = 0

    return Fault(scene=scene)


def constant_velocity() -> Fault:
    """Everything goes on as it goes, under whatever law; A4 must see it, by free fall."""

    def motion(world: FaultySource, before: Before) -> None:
        world.data.qpos[:], world.data.qvel[:] = before.qpos + world.dt_s * before.qvel, before.qvel

    return Fault(motion=motion)


def vanish(t0: float = 6) -> Fault:
    """At frame ``t0`` all that flies, slides or lies is gone; A4 must see it, because what is missing obeys no law."""

    def motion(world: FaultySource, before: Before) -> None:
        if world.steps >= t0:
            world.data.qpos[world.model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE] = AWAY_M

    return Fault(motion=motion)


def creep(speed_mps: float = 0.05) -> Fault:
    """Everything creeps east at ``speed_mps``, what rests too; A4 must see it, by what is at rest."""

    def motion(world: FaultySource, before: Before) -> None:
        for name in world.source.things:
            if name != "bob":
                world.data.joint(f"{name}_x").qpos += speed_mps * world.dt_s

    return Fault(motion=motion)


def retrieval() -> Fault:
    """The nearest of all trials that recordings show is shown again, whatever the trial: as phyworld (arXiv 2411.02385)
    found of video models. A4 must pass it where recordings are, and see it beyond, by the held-out pairs and ranges."""

    def motion(world: FaultySource, before: Before) -> None:
        source, near = world.source, nearest_seen(world.source.trial)
        if near == source.trial:
            return
        time = round(world.data.time / source.dt_s)
        source.lay_out(near)
        for _ in range(time):
            source.advance(np.zeros(source.action.size))

    return Fault(motion=motion)
