"""The examination of worlds, in the order in which one audit's meaning hangs on another's.

A0, the instrument, comes first: where it does not pass nothing else is measured. A world that passes an audit but fails
one of that audit's gates keeps the verdict, with a note that it is not gated through: objects that keep their identity
while they do not do what they are told prove little. The truth's side is drawn once for all worlds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from videosim.audits.audit import Bench, Viewing
from videosim.audits.scene import Scene
from videosim.audits.verdict import FAIL, PASS, Result, load_bars
from videosim.audits.world import World
from videosim.errors import VideoSimError
from videosim.statistics import Estimate
from videosim.types import WorldSpec


@dataclass(frozen=True)
class Report:
    """What was found about one world: a Result by audit, and notes on what a verdict does not mean."""

    world: str
    bars_sha256: str
    results: Mapping[str, Result]
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdicts(self) -> dict[str, str]:
        """Audit -> verdict."""
        return {name: result.verdict for name, result in self.results.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: verdicts, estimates with intervals, details, notes and the bar file's hash."""
        return {
            "world": self.world,
            "bars_sha256": self.bars_sha256,
            "notes": dict(self.notes),
            "audits": {
                name: {
                    "verdict": result.verdict,
                    "metrics": {metric: finding.to_dict() for metric, finding in result.findings.items()},
                    "details": dict(result.details),
                }
                for name, result in self.results.items()
            },
        }


class Exam:
    """The truth and the instrument of ``scene``. ``size`` is one of the bar file's; ``bars`` another bar file.

    Raises VideoSimError where the instrument fails its own audit, because no verdict could mean anything.
    """

    def __init__(self, scene: Scene, size: str = "full", bars: Path | None = None, seed: int = 0) -> None:
        self.scene, self.bars = scene, load_bars(size, bars, scene.name)
        truth, self.instrument = scene.prepare(self.bars, np.random.default_rng(seed))
        self.spec, self.scene_sha256 = truth.spec, scene.sha256()
        if self.instrument.result.verdict != PASS:
            truth.close()
            raise VideoSimError(
                f"the instrument does not pass A0 ({self.instrument.result.verdict}: "
                f"{', '.join(self.instrument.result.failed) or 'too few episodes'}); "
                "use a larger size, or mend the reader"
            )
        self.bench = Bench(truth, self.instrument, self.bars, seed)

    def close(self) -> None:
        self.bench.truth.close()

    def examine(self, world: World, audits: Collection[str] | None = None) -> Report:
        """Run ``audits`` on ``world``, all by default. VideoSimError where it is not a world of this scene, or an audit
        is unknown."""
        there = self.scene.audits
        audits = tuple(there) if audits is None else audits
        unknown = sorted(set(audits) - set(there))
        if unknown:
            raise VideoSimError(
                f"there is no audit {unknown[0]!r} for the {self.scene.name} scene; choose {', '.join(there)}"
            )
        fits(world.spec, self.spec, world.name)
        viewing = Viewing(world, self.bench)
        results = {"A0": self.instrument.result}
        results |= {name: audit.run(viewing) for name, audit in there.items() if name in audits}
        gates = {name: audit.gate for name, audit in there.items()}
        notes = {n: note for n, result in results.items() if (note := _note(result, gates.get(n, ()), results))}
        return Report(world.name, self.bars.sha256, results, notes)

    def compare(self, first: Report, second: Report) -> dict[str, dict[str, Estimate]]:
        """The second world's figures less the first's, by audit and metric, each with a paired bootstrap over the same
        episodes. A metric whose episodes are not the same in both worlds is left out."""
        found: dict[str, dict[str, Estimate]] = {}
        for name, result in second.results.items():
            samples = first.results[name].samples if name in first.results else {}
            for metric, sample in result.samples.items():
                rng = np.random.default_rng(self.bench.seed)
                apart = sample.minus(samples[metric], rng, self.bars.sizes["resamples"]) if metric in samples else None
                if apart is not None:
                    found.setdefault(name, {})[metric] = apart
        return found


def fits(spec: WorldSpec, scene: WorldSpec, name: str) -> None:
    """VideoSimError where a world of ``spec`` is not one of the ``scene``."""
    for what in ("frame", "action", "dt_s"):
        ours, theirs = getattr(scene, what), getattr(spec, what)
        if ours != theirs:
            raise VideoSimError(
                f"{name} is not a world of the {scene.name} scene: its {what} is {theirs} and not {ours}; "
                f"audit a model that was trained on {scene.name}"
            )


def _note(result: Result, gates: Collection[str], results: Mapping[str, Result]) -> str:
    shut = [gate for gate in gates if gate in results and results[gate].verdict == FAIL]
    if result.verdict == PASS and shut:
        return f"not gated through: {', '.join(shut)} failed"
    return result.note
