"""The examination of worlds, in the order in which one audit's meaning hangs on another's.

A0, the instrument, comes first: where it does not pass nothing else is measured. Then A1 with its motion gate, then A3,
controllability. A world that fails A3 keeps its A1 verdict, with a note that it is not gated through: objects that keep
their identity while they do not do what they are told prove little. The truth's side is drawn once for all worlds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from videosim.audits.identity import audit_identity, true_paths
from videosim.audits.instrument import audit_instrument
from videosim.audits.intervention import audit_intervention, draw_interventions
from videosim.audits.truth import Truth
from videosim.audits.verdict import FAIL, PASS, Result, load_bars
from videosim.audits.world import World
from videosim.errors import VideoSimError

AUDITS = ("A1", "A3")
IDENTITY_FROM, INTERVENTION_FROM, INTERVENTION_TRIES = 10_000, 20_000, 4  # numbers of starts; tries a wanted state
UNGATED = "not gated through: controllability failed"
UNMOVED = "the motion gate failed: it does not move as truth does, so that identities prove nothing"


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
                    "metrics": {
                        metric: finding.estimate.to_dict() | {"verdict": finding.verdict}
                        for metric, finding in result.findings.items()
                    },
                    "details": dict(result.details),
                }
                for name, result in self.results.items()
            },
        }


class Exam:
    """The truth, drawn once. ``size`` is one of the bar file's; ``bars`` another bar file.

    Raises VideoSimError where the instrument fails its own audit, because no verdict could mean anything.
    """

    def __init__(self, size: str = "full", bars: Path | None = None, seed: int = 0) -> None:
        self.bars, self._seed = load_bars(size, bars), seed
        truth, sizes = Truth(), self.bars.sizes
        self.spec = truth.env.world_spec
        self.instrument = audit_instrument(truth, self.bars, np.random.default_rng(seed))
        if self.instrument.result.verdict != PASS:
            raise VideoSimError(
                f"the instrument does not pass A0 ({self.instrument.result.verdict}: "
                f"{', '.join(self.instrument.result.failed) or 'too few episodes'}); "
                "use a larger size, or mend the reader"
            )
        numbers = range(IDENTITY_FROM, IDENTITY_FROM + sizes["identity_episodes"])
        self.cases = [truth.case(number, sizes["identity_frames"]) for number in numbers]
        self._paths = true_paths(self.cases, self.instrument.reader)
        numbers = range(INTERVENTION_FROM, INTERVENTION_FROM + INTERVENTION_TRIES * sizes["intervention_states"])
        self.interventions = draw_interventions(truth, numbers, self.bars, self.instrument.e0_m)
        truth.close()

    def examine(self, world: World, audits: Collection[str] = AUDITS) -> Report:
        """Run ``audits`` on ``world``. VideoSimError where it is not a world of this scene, or an audit is unknown."""
        unknown = sorted(set(audits) - set(AUDITS))
        if unknown:
            raise VideoSimError(f"there is no audit {unknown[0]!r} for the push scene; choose {', '.join(AUDITS)}")
        for what in ("frame", "action", "dt_s"):
            ours, theirs = getattr(self.spec, what), getattr(world.spec, what)
            if ours != theirs:
                raise VideoSimError(
                    f"{world.name} is not a world of the push scene: its {what} is {theirs} and not {ours}; "
                    "audit a model that was trained on push"
                )
        reader, e0_m, bars = self.instrument.reader, self.instrument.e0_m, self.bars
        results, notes = {"A0": self.instrument.result}, {}
        if "A1" in audits:
            rng = np.random.default_rng(self._seed)
            results["A1"] = audit_identity(world, self.cases, self._paths, reader, bars, rng)
            if "motion_ratio" in results["A1"].failed:
                notes["A1"] = UNMOVED
        if "A3" in audits:
            rng = np.random.default_rng(self._seed)
            results["A3"] = audit_intervention(world, self.interventions, reader, e0_m, bars, rng)
            if results["A3"].verdict == FAIL and results.get("A1", results["A3"]).verdict == PASS:
                notes["A1"] = UNGATED
        return Report(world.name, bars.sha256, results, notes)
