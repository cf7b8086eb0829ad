"""A6, precision, on the door scene: does a door turn by as much as force and lever say, dose by dose?

A hand at rest at a door pushes across it at each of LEVERS_M from the hinge, with each of DOSES of its full force for
HELD frames, and lets go. The answer is how far the door has turned when all has come to rest, read from the picture; of
every third dose the way there is read too. Against truth, over all doses and levers:

    slope, r2, staircase  of the answers (``responses.py``)
    error_deg             mean |said - true|
    falls                 share of neighbouring doses between which the answer falls by more than FALL e0
    inertia               of a door that would set out as late as the world's, over the true one's: 1 + k of the least
                          squares said = s true - k late + c over the ways and where they end, late being how far the
                          door truly turns in the time by which its inertia delays it
    middle_error          mean |said - true| over the doses of the middle band of HELD_OUT, over that of the doses
                          outside all bands, which counts as e0 at least
    weak_slope, strong_slope  how answers grow over the weakest doses and over the strongest, each with the one dose
                          next to them that lies outside the bands
    hinge_floors          mean distance of the hinge from where it was, in its own e0

Recordings for a model to be audited leave out HELD_OUT, so that its answers there are its own. A door that is not found
has not turned, and its hinge is an arena away. Doors are the resampling unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import spearmanr

from videosim.audits import responses
from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.door_instrument import ACROSS_M
from videosim.audits.door_reader import wrapped
from videosim.audits.door_truth import HELD, LEVERS_M, STOPPED, Push
from videosim.audits.responses import DOSES
from videosim.audits.verdict import Result, Sample
from videosim.audits.world import film
from videosim.envs.door import HELD_OUT
from videosim.statistics import quotient

FIRST_NUMBER = 100_000  # of the starts
FALL = 2.0  # e0
TRACED, SHOWN = np.arange(2, len(DOSES), 3), (2, 4, 6, 8)  # doses whose way is read, and the frames at which it is
WEAK, MIDDLE, STRONG = (np.flatnonzero((low < DOSES) & (high > DOSES)) for low, high in HELD_OUT)
SEEN = np.setdiff1d(np.arange(len(DOSES)), np.concatenate([WEAK, MIDDLE, STRONG]))


@dataclass(frozen=True)
class Seen:
    """Of one door, what is read off frames.

    way       float64 (levers, TRACED, SHOWN), how far it has turned by then, deg
    rest      float64 (levers, DOSES), how far it turns in all, deg
    wandered  mean distance of its hinge from where it was, m
    """

    way: np.ndarray
    rest: np.ndarray
    wandered: float


def draw_doors(bench: Bench) -> list[tuple[Push, ...]]:
    """As many as the bars ask for."""
    return bench.truth.pushes(FIRST_NUMBER, bench.bars.sizes["doors"])


def audit_pushes(viewing: Viewing) -> Result:
    """Give the world every push at every door."""
    pairs, instrument = viewing.each(draw_doors, _answer), viewing.bench.instrument
    true = np.degrees([[push.path[:, -1] for push in pushes] for pushes, _ in pairs])
    rest = np.stack([[seen.rest for _, seen in pairs], true], axis=-2)  # (n, levers, said and true, DOSES)
    ways = np.array(
        [[way_rows(*way) for way in zip(pushes, seen.way, seen.rest, strict=True)] for pushes, seen in pairs]
    )
    errors = np.array([[responses.error(door[..., part]) for part in (MIDDLE, SEEN)] for door in rest])
    samples = {
        **responses.samples(rest),
        "error_deg": Sample(rest, responses.error, unit="deg"),
        "falls": Sample(rest, partial(responses.falls, floor=FALL * instrument.e0_deg)),
        "inertia": Sample(ways, inertia),
        "middle_error": Sample(errors, partial(quotient, floor=instrument.e0_deg)),
        "weak_slope": Sample(rest[..., np.append(WEAK, SEEN[0])], responses.slope_within),
        "strong_slope": Sample(rest[..., np.append(SEEN[-1], STRONG)], responses.slope_within),
        "hinge_floors": Sample(np.array([seen.wandered for _, seen in pairs]) / instrument.hinge_e0_m, unit="e0"),
    }
    said, right = np.moveaxis(rest, -2, 0)
    levers = [f"{lever:g}" for lever in LEVERS_M]
    details = {
        "answers_deg": said.reshape(-1, len(DOSES)).tolist(),
        "true_deg": right.reshape(-1, len(DOSES)).tolist(),
        "intercept_deg": responses.line(rest)[1],
        "spearman": float(spearmanr(said.ravel(), right.ravel()).statistic) if np.ptp(said) > 0.0 else 0.0,
        "slope_by_lever_m": {lever: responses.line(rest[:, i])[0] for i, lever in enumerate(levers)},
        "middle_error_deg": float(errors[:, 0].mean()),
        "seen_error_deg": float(errors[:, 1].mean()),
    }
    return viewing.judge("A6", samples, details)


def way_rows(push: Push, way: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Of the way (TRACED, SHOWN) that a world shows and of where it ends (DOSES,): float64 (rows, 3), said, true and
    late, in degrees."""
    path = np.degrees(push.path)
    pace = np.gradient(path[TRACED, : HELD + 1], axis=1)  # a frame
    going = np.stack([way, path[TRACED][:, SHOWN], push.late * pace[:, SHOWN]], axis=-1)
    return np.concatenate([going.reshape(-1, 3), np.stack([rest, path[:, -1], np.zeros(len(DOSES))], axis=-1)])


def inertia(rows: np.ndarray) -> float:
    """Of rows (…, 3) of ways."""
    said, true, late = rows.reshape(-1, 3).T
    fit = np.linalg.lstsq(np.stack([true, -late, np.ones_like(true)], axis=1), said, rcond=None)[0]
    return 1.0 + float(fit[1])


def _answer(viewing: Viewing, pushes: tuple[Push, ...]) -> Seen:
    ways, rests, wandered = zip(*(_push(viewing, push) for push in pushes), strict=True)
    return Seen(np.array(ways), np.array(rests), float(np.mean(wandered)))


def _push(viewing: Viewing, push: Push) -> tuple[np.ndarray, list[float], float]:
    world, read, end = viewing.world, viewing.bench.reader.read, HELD + STOPPED
    begin = read(film(world, push.start, push.actions(0.0)[:0]))
    way, rest, apart = [], [], []
    for column, dose in enumerate(DOSES.tolist()):
        at = (*SHOWN, end) if column in TRACED else (end,)
        shown = read(film(world, push.start, push.actions(dose), at))
        turned = np.nan_to_num(push.side * np.degrees(wrapped(shown.angle_rad - begin.angle_rad)))
        rest.append(float(turned[-1]))
        way += [turned[:-1]] if column in TRACED else []
        apart.append(float(np.linalg.norm(shown.hinge[-1] - begin.hinge[0])))
    return np.array(way), rest, float(np.nan_to_num(apart, nan=ACROSS_M).mean())


AUDIT = Audit(
    "A6",
    "precision: does a door turn by as much as force and lever say?",
    audit_pushes,
    level=3,
    figures=(
        *(("slope", "door_slope"), ("r2", "door_r2"), ("staircase", "door_staircase"), ("error_deg", "door_error_deg")),
        *(("inertia", "door_inertia"), ("middle_error", "door_middle_error")),
        *(("weak_slope", "door_weak_slope"), ("strong_slope", "door_strong_slope")),
    ),
)
