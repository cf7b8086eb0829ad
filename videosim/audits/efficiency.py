"""A12, predictive efficiency: what does a prediction cost, and is it one?

Costs are measured and never asserted: they are another machine's tomorrow. What is asserted is that what was so quick
was a prediction. Over the clips:

    skill  1 - e / e of the frozen first frame, e the mean distance of the things that truth shows whole from where they
           truly are at the end: a fast path that returns the last frame has none

Among the details: seconds to take in the frames that lead to a start, and for a step with its picture, the median over
clips each, on the machine that measurements.json names, with whatever else ran there.
"""

from __future__ import annotations

import numpy as np

from videosim.audits.audit import Audit, Viewing
from videosim.audits.clips import Clip, clips
from videosim.audits.push_scene import ARENA_M
from videosim.audits.truth import Case
from videosim.audits.verdict import Result, Sample

WHOLE = 0.9  # share in sight from which a place is compared


def audit_efficiency(viewing: Viewing) -> Result:
    """Look at the world's clips and at the clock."""
    pairs = clips(viewing)
    sums = np.array([_errors(case, clip) for case, clip in pairs])
    details = {
        "context_ms": 1e3 * float(np.median([clip.context_s for _, clip in pairs])),
        "frame_ms": 1e3 * float(np.median(np.concatenate([clip.frame_s for _, clip in pairs]))),
    }
    return viewing.judge("A12", {"skill": Sample(sums, skill)}, details)


def _errors(case: Case, clip: Clip) -> tuple[float, float]:
    """Summed distances at the end, of the world's things and of a frozen picture's, from the true places."""
    truth, shown = case.truth.position, case.truth.share[-1] >= WHOLE
    apart = np.linalg.norm(clip.read.position[-1] - truth[-1], axis=-1)
    frozen = np.linalg.norm(truth[0] - truth[-1], axis=-1)
    return float(np.where(np.isfinite(apart), apart, ARENA_M)[shown].sum()), float(frozen[shown].sum())


def skill(sums: np.ndarray) -> float:
    """Of rows (error, error of a frozen picture); 0 where nothing truly moved."""
    error, frozen = sums.sum(0)
    return float(1.0 - error / frozen) if frozen > 0 else 0.0


AUDIT = Audit(
    "A12",
    "efficiency: what does a frame cost, and is it a prediction?",
    audit_efficiency,
    level=1,
    figures=(("skill", "skill_16_frames"),),
    costs=("context_ms", "frame_ms"),
)
