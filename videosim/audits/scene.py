"""What is examined together: a scene is a kind of world with its audits, its instrument, its bars and its controls.

A new scene is one ``Scene`` in ``catalogue.py`` and two files beside this one: ``<name>.yaml``, its bars, and
``<name>_matrix.yaml``, what each audit must say of each control.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
import yaml

from videosim.audits.audit import Audit
from videosim.audits.verdict import Bars, Result
from videosim.audits.world import World
from videosim.types import WorldSpec

Matrix = Mapping[str, Mapping[str, str]]  # control -> audit -> verdict


class Truth(Protocol):
    """The true side of a scene; beyond this its audits alone know what it is."""

    @property
    def spec(self) -> WorldSpec: ...

    def close(self) -> None: ...


class Instrument(Protocol):
    """What reads frames, with the result of its own audit A0."""

    @property
    def result(self) -> Result: ...


@dataclass(frozen=True)
class Scene:
    """One kind of world under examination.

    name      of the scene, of its bar file and of its matrix: "push"
    audits    by name, in the order in which they are asked
    prepare   ``(bars, rng) -> (truth, instrument)``: opens the truth and audits the instrument
    control   opens a broken world of the zoo by its name in the matrix
    sha256    of the scene as it is compiled: a measurement says on which scene it was made
    few       the controls that are asked where none are named
    figures   metric of the instrument -> its name in result.json
    """

    name: str
    audits: Mapping[str, Audit]
    prepare: Callable[[Bars, np.random.Generator], tuple[Any, Any]]
    control: Callable[[str], World]
    sha256: Callable[[], str]
    few: tuple[str, ...]
    figures: tuple[tuple[str, str], ...] = ()

    def expected(self) -> Matrix:
        """The verdicts that each control must get; the codec's row is missing, for it needs a checkpoint to be
        opened."""
        return yaml.safe_load((files("videosim.audits") / f"{self.name}_matrix.yaml").read_text())
