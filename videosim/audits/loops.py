"""A8, space: is there one room behind the pictures, and is it the same one when the camera comes back?

The camera goes out for half of a tour, turning all the way, and undoes every step. Its poses follow from its actions,
so that geometry says at which pixel each ball must be seen; a world whose camera does not go as told fails too.

    reprojection_px     mean |read - projected| over balls that are in sight
    reprojection_error  the same over that of the codec's truth, which counts as the instrument's floor in noisy frames
                        at least
    loop_closure_px     mean distance of balls in sight at the start, seen again at the end, from where they were seen
    static_residual_px  distance of what is read from where the ball would be seen that explains the world's own
                        pictures best: no such ball explains a picture that was stretched
    landmark_drift_m    distance of the ball that explains the way out from the one that explains the way back

A ball that is not found is LOST_PX away, and one that too few pictures show to be placed is LOST_M off. Tours are the
resampling unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.gallery_geometry import project, triangulate
from videosim.audits.gallery_instrument import LOST_M
from videosim.audits.gallery_truth import HALVES, Tour
from videosim.audits.verdict import Result, Sample
from videosim.audits.world import film
from videosim.statistics import quotient

FIRST_NUMBER = 100_000  # of the starts
LOST_PX = 32.0  # half the picture


@dataclass(frozen=True)
class Seen:
    """Of one tour: mean errors of the world and of the codec's truth (2,), loop closure and static residual, in pixels,
    and drift in metres."""

    errors: np.ndarray
    closure: float
    residual: float
    drift: float


def draw_tours(bench: Bench) -> list[Tour]:
    """As many as the bars ask for."""
    return bench.truth.tours(FIRST_NUMBER, bench.bars.sizes["tours"])


def audit_loops(viewing: Viewing) -> Result:
    """Take the world on every tour."""
    seen = [found for _, found in viewing.each(draw_tours, _tour)]
    errors = np.array([found.errors for found in seen])

    samples = {
        "reprojection_px": Sample(errors[:, 0], unit="px"),
        "reprojection_error": Sample(errors, partial(quotient, floor=viewing.bench.instrument.floor_px)),
        "loop_closure_px": Sample(np.array([found.closure for found in seen]), unit="px"),
        "static_residual_px": Sample(np.array([found.residual for found in seen]), unit="px"),
        "landmark_drift_m": Sample(np.array([found.drift for found in seen]), unit="m"),
    }
    details = {"codec_reprojection_px": float(errors[:, 1].mean())}
    return viewing.judge("A8", samples, details)


def _tour(viewing: Viewing, tour: Tour) -> Seen:
    world, read = viewing.world, viewing.bench.reader.read
    shown, known = read(film(world, tour.start, tour.actions)), read(world.codec(tour.frames))
    both = [_lost(np.linalg.norm(seen - tour.place, axis=-1))[tour.seen].mean() for seen in (shown, known)]
    closure = _lost(np.linalg.norm(shown[-1] - shown[0], axis=-1))[tour.seen[0] & tour.seen[-1]]
    explained = np.array([_explained(tour, shown[:, i], i, world.spec.frame.height) for i in tour.placed])
    return Seen(np.array(both), float(closure.mean()), *explained.mean(0).tolist())


def _explained(tour: Tour, shown: np.ndarray, ball: int, side: int) -> tuple[float, float]:
    """The residual (pixels) and the drift (metres) of one ball."""
    radius, view = tour.balls[ball, 3], np.where(tour.seen[:, ball, None], shown, np.nan)
    whole, out, back = (triangulate(tour.pose[h], view[h], radius, side) for h in (slice(None), *HALVES))
    residual = LOST_PX if whole is None else _residual(tour, view, whole, radius, side)
    return residual, LOST_M if out is None or back is None else float(np.linalg.norm(out - back))


def _residual(tour: Tour, view: np.ndarray, place: np.ndarray, radius: float, side: int) -> float:
    there = np.isfinite(view[:, 0])
    expected, _ = project(tour.pose[there], np.array([[*place, radius]]), side)
    return float(_lost(np.linalg.norm(view[there] - expected[:, 0], axis=-1)).mean())


def _lost(error: np.ndarray) -> np.ndarray:
    return np.minimum(np.nan_to_num(error, nan=LOST_PX), LOST_PX)


AUDIT = Audit(
    "A8",
    "space: is there one room behind the pictures, also when the camera comes back?",
    audit_loops,
    level=1,
    figures=(
        *(("reprojection_px", "reprojection_px"), ("loop_closure_px", "loop_closure_px")),
        ("landmark_drift_m", "landmark_drift_m"),
    ),
)
