"""Physics that is broken on purpose, in one of a few ways: its actions, model, motion, picture or reward are edited.

A ``Fault`` says what is edited and ``FaultySource`` does it to a healthy source. Knows no particular scene and no name:
the zoo of named faults is ``controls.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from videosim.envs.sources import Source, settle

import mujoco  # isort: skip

Draw = Callable[[], np.ndarray]  # () -> uint8 (H, W, 3), the scene as it is now


@dataclass(frozen=True)
class Before:
    """Generalised positions and velocities before the step, float64 ``(nq,)`` and ``(nv,)``."""

    qpos: np.ndarray
    qvel: np.ndarray


@dataclass(frozen=True)
class Fault:
    """What is wrong with a world; every part may be left out.

    actions  ``(world, action (A,)) -> (A,)``, what is done instead of what was asked
    scene    ``(model)``, edits the compiled model once
    during   ``(model)``, a context in which each step is taken; what it edits in the model it puts back. For what an
             episode's start, or a restored state, writes into the model
    motion   ``(world, before)``, edits ``world.data`` after each step
    picture  ``(world, draw) -> uint8 (H, W, 3)``, the frame that is shown; what it moves or paints it puts back
    reward   ``(world, reward, info) -> (reward, info)``
    past     how many of the latest actions the fault remembers
    numbers  length of what else it remembers; together they are ``world.own``, zero at the start of an episode
    """

    actions: Callable[[FaultySource, np.ndarray], np.ndarray] | None = None
    scene: Callable[[mujoco.MjModel], None] | None = None
    during: Callable[[mujoco.MjModel], AbstractContextManager[None]] | None = None
    motion: Callable[[FaultySource, Before], None] | None = None
    picture: Callable[[FaultySource, Draw], np.ndarray] | None = None
    reward: Callable[[FaultySource, float, dict[str, Any]], tuple[float, dict[str, Any]]] | None = None
    past: int = 0
    numbers: int = 0


class FaultySource:
    """``source`` with ``fault``. ``of`` names the healthy world; ``memory`` is [the source's own, seed, steps, the
    fault's own], of which the first ``shared`` are the healthy world's too."""

    def __init__(self, source: Source, fault: Fault, of: str) -> None:
        self._source, self._fault, self.of = source, fault, of
        self.model, self.data = source.model, source.data
        self.action, self.dt_s, self.derived = source.action, source.dt_s, source.derived
        known = getattr(source, "knowledge", None)
        if known is not None:  # what is read off the physics is read off the source that knows it
            read, wide = known.read, known.wide
            known = replace(known, read=lambda _: read(source), wide=lambda _, rng: wide(source, rng))
        self.knowledge = known
        inner = getattr(source, "memory", np.zeros(0))
        self.shared = len(inner)
        self.memory = np.concatenate([inner, np.zeros(2 + fault.past * source.action.size + fault.numbers)])
        if self.shared:
            source.memory = self.memory[: self.shared]  # type: ignore[attr-defined]  # one memory, saved as a whole
        if fault.scene is not None:
            fault.scene(self.model)
            stat = self.model.stat
            kept = stat.extent, stat.center.copy()
            mujoco.mj_setConst(self.model, self.data)  # what follows from masses and inertias
            stat.extent, stat.center[:] = kept  # it measures the scene too, by which the camera's planes are placed

    @property
    def source(self) -> Any:
        """The healthy physics, for faults that know what it is."""
        return self._source

    @property
    def steps(self) -> int:
        """Control steps since the episode began."""
        return int(self.memory[self.shared + 1])

    @property
    def own(self) -> np.ndarray:
        """The fault's own memory, a view."""
        return self.memory[self.shared + 2 :]

    def rng(self, step: int) -> np.random.Generator:
        """The random numbers of one step of this episode: a function of seed and step, so that a branch repeats
        them."""
        return np.random.default_rng([int(self.memory[self.shared]), step])

    def begin(self, seed: int) -> None:
        self._source.begin(seed)
        self.memory[self.shared :] = 0.0
        self.memory[self.shared] = seed

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        if self._fault.actions is not None:
            action = self._fault.actions(self, action).astype(np.float32)
        before = Before(self.data.qpos.copy(), self.data.qvel.copy())
        with nullcontext() if self._fault.during is None else self._fault.during(self.model):
            reward, over, info = self._source.advance(action)
        self.memory[self.shared + 1] += 1
        if self._fault.motion is not None:
            self._fault.motion(self, before)
            settle(self.model, self.data)
        if self._fault.reward is not None:
            reward, info = self._fault.reward(self, reward, info)
        return reward, over, info

    def observation(self) -> dict[str, np.ndarray]:
        return self._source.observation()

    def look(self, draw: Draw) -> np.ndarray:
        """The frame that this world shows, uint8 (H, W, 3)."""
        look = getattr(self._source, "look", None)
        show = draw if look is None else lambda: look(draw)
        return show() if self._fault.picture is None else self._fault.picture(self, show)
