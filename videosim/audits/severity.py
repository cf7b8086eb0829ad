"""The graded check: does the figure that sees a fault grow with the fault?

Each ladder is one fault at five strengths and the figure by which its audit judges it. The rank correlation of strength
and figure must be at least RANKED: a figure that sees a fault but not how much of it there is, ranks no models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from videosim.audits.exam import Exam
from videosim.audits.verdict import Result

RANKED = 0.95


@dataclass(frozen=True)
class Ladder:
    """Five controls, ``control`` with each of ``numbers``, the mildest first; ``sign`` of the figure's change."""

    control: str
    numbers: Sequence[float]
    audit: str
    figure: str
    sign: int
    read: Callable[[Result], float]


def _metric(control: str, numbers: Sequence[float], audit: str, metric: str, sign: int = 1) -> Ladder:
    return Ladder(control, numbers, audit, metric, sign, lambda result: result.findings[metric].estimate.value)


PUSH = (
    _metric("attenuated", (0.9, 0.7, 0.5, 0.3, 0.1), "A3", "effect_ratio", -1),
    _metric("lag", (0, 1, 2, 3, 4), "A3", "latency_frames"),
    Ladder(
        *("vanish", (20, 16, 12, 8, 4), "A1", "median_first_break", -1),
        read=lambda result: float(result.details["median_first_break"]),
    ),
    _metric("retrieval", (33, 17, 9, 5, 3), "A6", "r2", -1),
    Ladder(
        *("drift", (0.005, 0.01, 0.02, 0.04, 0.08), "A9", "worst_error_floors", 1),
        read=lambda result: float(max(result.details["error_floors"])),
    ),
    Ladder(
        *("noise", (2, 4, 8, 16, 32), "A9", "first_error_floors", 1),
        read=lambda result: float(result.details["error_floors"][0]),
    ),
    _metric("reward_bug", (0.5, 1, 2, 4, 7), "A14", "optimism"),
)
LADDERS: dict[str, tuple[Ladder, ...]] = {  # by scene
    "push": PUSH,
    "driving": (
        _metric("attenuated", (0.9, 0.7, 0.5, 0.3, 0.1), "A17", "state_yaw_rate_gain", -1),
        _metric("lag", (0, 1, 2, 3, 4), "A17", "state_latency_frames"),
    ),
    "laws": (
        _metric("rough", (1.2, 1.4, 1.6, 1.8, 2.0), "A4", "friction"),
        _metric("dull", (0.9, 0.8, 0.7, 0.6, 0.5), "A4", "restitution", -1),
        _metric("damped", (0.05, 0.1, 0.2, 0.4, 0.8), "A4", "energy_change", -1),
    ),
    "gallery": (_metric("slow_drift", (0.01, 0.02, 0.04, 0.08, 0.16), "A8", "loop_closure_px"),),
    "door": (
        _metric("attenuated", (0.9, 0.7, 0.5, 0.3, 0.1), "A6", "slope", -1),
        _metric("heavy", (1.25, 1.5, 2, 3, 4), "A6", "inertia"),
        _metric("retrieval", (33, 17, 9, 5, 3), "A6", "r2", -1),
        _metric("unhinged", (0.02, 0.04, 0.08, 0.16, 0.32), "A6", "hinge_floors"),
    ),
}


@dataclass(frozen=True)
class Graded:
    """A ladder with its figures, mildest first, and the rank correlation of strength and figure."""

    ladder: Ladder
    figures: Sequence[float]

    @property
    def spearman(self) -> float:
        """0 where the figure never varies."""
        signed = self.ladder.sign * np.asarray(self.figures)
        rank = spearmanr(np.arange(len(signed)), signed).statistic if np.ptp(signed) > 0 else 0.0
        return round(float(rank), 12)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        named = {name: getattr(self.ladder, name) for name in ("control", "audit", "figure")}
        return named | {"numbers": list(self.ladder.numbers), "figures": self.figures, "spearman": self.spearman}


def climb(exam: Exam, ladder: Ladder) -> Graded:
    """Ask the ladder's audit about its five controls."""
    figures = []
    for number in ladder.numbers:
        world = exam.scene.control(f"{ladder.control}{number}")
        figures.append(ladder.read(exam.examine(world, [ladder.audit], early=False).results[ladder.audit]))
        world.close()
    return Graded(ladder, figures)
