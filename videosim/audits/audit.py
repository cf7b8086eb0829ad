"""What an audit is, and what the audits of one examination share: truth is drawn once, and a world is asked once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from videosim.audits.verdict import Bars, Result, Sample, judge
from videosim.audits.world import World

T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """The true side, as a scene prepares it: the truth, the instrument that passed A0, the bars, and the seed of all
    resampling."""

    truth: Any
    instrument: Any
    bars: Bars
    seed: int
    _drawn: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def reader(self) -> Any:
        return self.instrument.reader

    @property
    def e0_m(self) -> float:
        """The probe's floor in metres."""
        return self.instrument.e0_m

    def once(self, draw: Callable[[Bench], T]) -> T:
        """What ``draw`` draws from the truth, the same for every world and every audit that asks for it."""
        if draw not in self._drawn:
            self._drawn[draw] = draw(self)
        return self._drawn[draw]


@dataclass(frozen=True)
class Viewing:
    """One world under examination."""

    world: World
    bench: Bench
    _asked: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, ask: Callable[[Viewing], T]) -> T:
        """What the world answers to ``ask``: audits that need the same films share them."""
        if ask not in self._asked:
            self._asked[ask] = ask(self)
        return self._asked[ask]

    def judge(
        self, audit: str, samples: Mapping[str, Sample], details: Mapping[str, Any] | None = None, note: str = ""
    ) -> Result:
        """The estimate of every sample against its bar."""
        rng, bars = self.rng(), self.bench.bars
        estimates = {name: sample.estimate(rng, bars.sizes["resamples"]) for name, sample in samples.items()}
        return replace(judge(audit, self.world.name, estimates, bars, details, note), samples=samples)

    def rng(self) -> np.random.Generator:
        """Of resampling: the same for every audit and world, so that no interval hangs on what else was audited."""
        return np.random.default_rng(self.bench.seed)


@dataclass(frozen=True)
class Audit:
    """One audit of a scene.

    name     in bar file and matrix: "A3"
    title    what it asks, in a few words
    run      the audit itself
    level    of its evidence, 0 to 7 (a ladder after arXiv 2606.15032): 1 consistency, 2 physics, 3 measurement,
             4 interventions, 5 outcomes, 6 ranking of policies, 7 their optimisation
    gate     the audits without which a PASS of this one proves little; they come before it
    figures  metric -> its name in result.json, where the bar file's numbers may stand in braces
    """

    name: str
    title: str
    run: Callable[[Viewing], Result]
    level: int
    gate: tuple[str, ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
