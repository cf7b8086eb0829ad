"""Worlds whose physics is off by a known amount, opened as ``perturbed:<what><amount>@<world>``.

What: ``mass``, ``friction``, ``gravity`` and ``damping`` are multiplied by the amount; ``delay`` is how many of the
agent's steps its actions come late. Everything else, sensors and camera included, stays the world's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from videosim.envs.control_physics import lag
from videosim.envs.faults import Fault, FaultySource
from videosim.envs.physics import load_world, varied_fields
from videosim.envs.sources import make_source
from videosim.envs.worlds import knowledge
from videosim.errors import VideoSimError

import mujoco  # isort: skip

NAME = re.compile(r"(?P<what>[a-z]+)(?P<amount>\d+(\.\d+)?)@(?P<world>.+)")


def _mass(model: mujoco.MjModel, factor: float) -> None:
    model.body_mass[:] *= factor
    model.body_inertia[:] *= factor


def _friction(model: mujoco.MjModel, factor: float) -> None:
    model.geom_friction[:] *= factor
    model.dof_frictionloss[:] *= factor


def _gravity(model: mujoco.MjModel, factor: float) -> None:
    model.opt.gravity[:] *= factor


def _damping(model: mujoco.MjModel, factor: float) -> None:
    model.dof_damping[:] *= factor


SCALED: dict[str, Callable[[mujoco.MjModel, float], None]] = {
    "mass": _mass,
    "friction": _friction,
    "gravity": _gravity,
    "damping": _damping,
}

WRITES: dict[str, set[str]] = {  # the model's arrays that each of them changes
    "mass": {"body_mass", "body_inertia"},
    "friction": {"geom_friction", "dof_frictionloss"},
    "damping": {"dof_damping"},
}


def make_perturbed(name: str) -> FaultySource:
    """The world ``<what><amount>@<world>``. Raises VideoSimError where there is none, or where every episode of the
    world draws for itself what is to be changed."""
    match = NAME.fullmatch(name)
    if match is None or match["what"] not in (*SCALED, "delay"):
        raise VideoSimError(
            f"there is no perturbed world {name!r}; write <what><amount>@<world> with what one of "
            f"{', '.join(SCALED)} or delay, such as mass2@cartpole-swingup"
        )
    what, amount, world = match["what"], float(match["amount"]), load_world(match["world"])
    source = make_source(world.id)
    if what == "delay":
        fault = lag(int(amount) * world.action_repeat)
    else:
        if WRITES.get(what, set()) & set(varied_fields(source)):
            raise VideoSimError(
                f"every episode of {world.name} draws its own {what}, so that it cannot be perturbed; choose another "
                f"of {', '.join(SCALED)} or delay"
            )
        fault = Fault(scene=lambda model: SCALED[what](model, amount))
    made = FaultySource(source, fault, world.name)
    made.knowledge = made.knowledge or knowledge(world.id, source)
    return made
