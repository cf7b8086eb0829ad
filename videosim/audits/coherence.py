"""A9, coherence over a long time: how does the error grow, and is there a stretch in which the world falls apart?

Each journey is cut into SEGMENTS. Of each segment, over journeys, frames and things that truth shows whole: the mean
distance e of the read from the true place, a thing that is not found being an arena away, and that of a frozen picture,
the places at the start.

    worst to first   the worst segment's e over the first one's, which counts as e0 at least
    worst skill      the least 1 - e / e of the frozen picture, over the segments
    skill horizon    frames up to which every segment's skill is over 0.5

It is the worst segment that counts and not the last: a world may collapse half way and recover (WorldRoamBench, arXiv
2606.31672).
"""

from __future__ import annotations

import numpy as np

from videosim.audits.audit import Audit, Viewing
from videosim.audits.journeys import WHOLE, Journey, Travelled, travel
from videosim.audits.push_scene import ARENA_M
from videosim.audits.verdict import Result, Sample

SEGMENTS = 8
SKILL = 0.5


def audit_coherence(viewing: Viewing) -> Result:
    """Look at the world's journeys, segment by segment."""
    bench = viewing.bench
    pairs = travel(viewing)
    sums = np.stack([_sums(journey, went) for journey, went in pairs])
    frames = len(pairs[0][0].actions)
    samples = {
        "worst_to_first": Sample(sums, lambda rows: _worst_to_first(rows, bench.e0_m)),
        "worst_skill": Sample(sums, lambda rows: float(_skills(rows).min())),
        "skill_horizon_frames": Sample(sums, lambda rows: _horizon(_skills(rows), frames), "frames"),
    }
    errors = _errors(sums)
    details = {"error_floors": (errors / bench.e0_m).tolist(), "skill": _skills(sums).tolist()}
    return viewing.judge("A9", samples, details)


def _sums(journey: Journey, went: Travelled) -> np.ndarray:
    """For each segment: the world's distances, the frozen picture's, and how many there are: float64 (SEGMENTS, 3)."""
    apart = np.linalg.norm(went.read.position - journey.position, axis=-1)
    frozen = np.linalg.norm(journey.position - journey.position[0], axis=-1)
    shown = journey.share >= WHOLE
    columns = [np.where(shown, part, 0.0).sum(1) for part in (np.where(np.isfinite(apart), apart, ARENA_M), frozen)]
    rows = np.stack([*columns, shown.sum(1)], axis=1)[1:]
    return np.stack([part.sum(0) for part in np.array_split(rows, SEGMENTS)])


def _errors(sums: np.ndarray) -> np.ndarray:
    total = sums.sum(0)
    return total[:, 0] / total[:, 2]


def _worst_to_first(sums: np.ndarray, e0_m: float) -> float:
    errors = _errors(sums)
    return float(errors.max() / max(errors[0], e0_m))


def _skills(sums: np.ndarray) -> np.ndarray:
    total = sums.sum(0)
    return 1.0 - total[:, 0] / total[:, 1]


def _horizon(skills: np.ndarray, frames: int) -> float:
    lost = np.flatnonzero(skills <= SKILL)
    return float(frames if not len(lost) else lost[0] * frames // SEGMENTS)


AUDIT = Audit(
    "A9",
    "coherence: does the error stay small over a long time, in every stretch of it?",
    audit_coherence,
    level=1,
    gate=("A3",),
    figures=(("worst_to_first", "drift_worst_to_first"), ("skill_horizon_frames", "skill_horizon_frames")),
)
