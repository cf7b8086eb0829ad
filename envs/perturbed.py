"""Worlds whose physics is off by a known amount, opened as ``perturbed:<what><amount>@<world>``.

What: ``mass``, ``friction``, ``gravity`` and ``damping`` are multiplied by the amount; ``delay`` is how many of the
agent's steps its actions come late. Everything else, sensors and camera included, stays the world's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from videosim.envs.faults import Fault, FaultySource
from videosim.envs.physics import load_world
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


def make_perturbed(name: str) -> FaultySource:
    """The world ``<what><amount>@<world>``. Raises VideoSimError where there is none."""
    match = NAME.fullmatch(name)
    if match is None or match["what"] not in (*SCALED, "delay"):
        raise VideoSimError(
            f"there is no perturbed world {name!r}; write <what><amount>@<world> with what one of "
            f"{', '.join(SCALED)} or delay, such as mass2@cartpole-swingup"
        )
    what, amount, world = match["what"], float(match["amount"]), load_world(match["world"])
    source = make_source(world.id)
    if hasattr(source, "memory"):
        raise VideoSimError(f"{world.name} keeps a memory of its own, which a perturbed world cannot save yet")
    fault = (
        delayed(int(amount) * world.action_repeat, source.action.size)
        if what == "delay"
        else Fault(scene=lambda model: SCALED[what](model, amount))
    )
    made = FaultySource(source, fault, world.name)
    made.knowledge = knowledge(world.id, source)
    return made


def delayed(steps: int, size: int) -> Fault:
    """Actions of ``size`` numbers are done ``steps`` control steps late; before the first one nothing is done."""

    def actions(world: FaultySource, action: np.ndarray) -> np.ndarray:
        queue = np.append(world.own, action)
        world.own[:] = queue[size:]
        return queue[:size]

    return Fault(actions=actions, numbers=steps * size)
