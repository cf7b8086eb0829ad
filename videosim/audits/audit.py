"""What an audit is, and what the audits of one examination share: truth is drawn once, and a world is asked once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from videosim.audits.looks import END, Look
from videosim.audits.verdict import Bars, Result, Sample, judge
from videosim.audits.world import World

T = TypeVar("T")
A = TypeVar("A")


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
    """One world under examination, as far as the ``look`` goes."""

    world: World
    bench: Bench
    look: Look = END
    _asked: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, ask: Callable[[Viewing], T]) -> T:
        """What the world answers to ``ask``, whatever the look: for audits whose bar file states no looks."""
        if ask not in self._asked:
            self._asked[ask] = ask(self)
        return self._asked[ask]

    def each(self, draw: Callable[[Bench], Sequence[T]], ask: Callable[[Viewing, T], A]) -> list[tuple[T, A]]:
        """Of what ``draw`` draws from the truth, the look's share from the first on, each with what the world answers
        when it is asked ``ask``. It is asked once: audits that need the same films share them, and so do looks."""
        drawn, answers = self.bench.once(draw), self._asked.setdefault((draw, ask), [])
        count = math.ceil(self.look.share * len(drawn))
        answers.extend(ask(self, item) for item in drawn[len(answers) : count])
        return list(zip(drawn[:count], answers[:count], strict=True))

    def judge(
        self, audit: str, samples: Mapping[str, Sample], details: Mapping[str, Any] | None = None, note: str = ""
    ) -> Result:
        """The estimate of every sample against its bar."""
        rng, bars = self.rng(), self.bench.bars
        repeats, sure = bars.sizes["resamples"], self.look.confidence
        estimates = {name: sample.estimate(rng, repeats, sure) for name, sample in samples.items()}
        found = judge(audit, self.world.name, estimates, bars, details, note)
        return replace(found, samples=samples, look=self.look)

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
    costs    numbers among the details that stand in result.json too, named with their unit; no bar is set to them
    """

    name: str
    title: str
    run: Callable[[Viewing], Result]
    level: int
    gate: tuple[str, ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    costs: tuple[str, ...] = ()
