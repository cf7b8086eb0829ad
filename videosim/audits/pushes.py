"""A6, precision, on the door scene: does a door turn by as much as force and lever say, dose by dose?

A hand at rest at a door pushes across it at each of LEVERS_M from the hinge, with each of DOSES of its full force for
HELD frames, and lets go. The answer is how far the door has turned, read from the picture, after EARLY frames and when
all has come to rest. Against truth, over all doses and levers:

    slope, r2, staircase  of the answers at rest (``responses.py``)
    error_deg             mean |said - true| at rest
    falls                 share of neighbouring doses between which the answer falls by more than FALL e0
    early_slope           slope after EARLY frames, on what the same reader reads off the truth's frames, which go
                          through the world's own codec first: what a door's inertia changes, and what being late does
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
from videosim.audits.door_truth import EARLY, HELD, LEVERS_M, STOPPED, Push
from videosim.audits.responses import DOSES
from videosim.audits.verdict import Result, Sample
from videosim.audits.world import film
from videosim.envs.door import HELD_OUT
from videosim.statistics import quotient

FIRST_NUMBER = 100_000  # of the starts
FALL = 2.0  # e0
WEAK, MIDDLE, STRONG = (np.flatnonzero((low < DOSES) & (high > DOSES)) for low, high in HELD_OUT)
SEEN = np.setdiff1d(np.arange(len(DOSES)), np.concatenate([WEAK, MIDDLE, STRONG]))


@dataclass(frozen=True)
class Seen:
    """Of one door, what is read off frames.

    early     float64 (levers, 2, DOSES), how far it turns in EARLY frames, in the world's and in the codec's truth, deg
    rest      float64 (levers, DOSES), how far it turns in all in the world's, deg
    wandered  mean distance of its hinge from where it was, m
    """

    early: np.ndarray
    rest: np.ndarray
    wandered: float


def draw_doors(bench: Bench) -> list[tuple[Push, ...]]:
    """As many as the bars ask for."""
    return bench.truth.pushes(FIRST_NUMBER, bench.bars.sizes["doors"])


def read_truth(bench: Bench) -> dict[int, np.ndarray]:
    """How far doors are seen to turn in EARLY frames off the truth's own frames, by the identity of the push."""
    read = bench.reader.read
    return {
        id(push): _turns(push, read(_known(push)).angle_rad) for pushes in bench.once(draw_doors) for push in pushes
    }


def _known(push: Push) -> np.ndarray:
    return np.concatenate([push.start.frames[-1:], push.early])


def _turns(push: Push, angle_rad: np.ndarray) -> np.ndarray:
    """Degrees from the first angle, in the way of the push."""
    return np.nan_to_num(push.side * np.degrees(wrapped(angle_rad[1:] - angle_rad[0])))


def audit_pushes(viewing: Viewing) -> Result:
    """Give the world every push at every door."""
    pairs, instrument = viewing.each(draw_doors, _answer), viewing.bench.instrument
    true = np.degrees([[push.turned[1] for push in pushes] for pushes, _ in pairs])
    early = np.array([seen.early for _, seen in pairs])
    rest = np.stack([[seen.rest for _, seen in pairs], true], axis=-2)  # (n, levers, said and true, DOSES)
    errors = np.array([[responses.error(door[..., part]) for part in (MIDDLE, SEEN)] for door in rest])
    samples = {
        **responses.samples(rest),
        "error_deg": Sample(rest, responses.error, unit="deg"),
        "falls": Sample(rest, partial(responses.falls, floor=FALL * instrument.e0_deg)),
        "early_slope": Sample(early, lambda part: responses.line(part)[0]),
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


def _answer(viewing: Viewing, pushes: tuple[Push, ...]) -> Seen:
    world, bench, early, rest, wandered = viewing.world, viewing.bench, [], [], []
    for push in pushes:
        shown = [film(world, push.start, push.actions(0.0)[:0])]
        shown += [film(world, push.start, push.actions(float(dose)), at=(EARLY, HELD + STOPPED)) for dose in DOSES]
        read, known = bench.reader.read(np.concatenate(shown)), _known(push)
        kept = world.codec(known)
        said = _turns(push, read.angle_rad)
        true = bench.once(read_truth)[id(push)] if kept is known else _turns(push, bench.reader.read(kept).angle_rad)
        early.append((said[::2], true))
        rest.append(said[1::2])
        apart = np.linalg.norm(read.hinge[2::2] - read.hinge[0], axis=-1)
        wandered.append(float(np.nan_to_num(apart, nan=ACROSS_M).mean()))
    return Seen(np.array(early), np.array(rest), float(np.mean(wandered)))


AUDIT = Audit(
    "A6",
    "precision: does a door turn by as much as force and lever say?",
    audit_pushes,
    level=3,
    figures=(
        *(("slope", "door_slope"), ("r2", "door_r2"), ("staircase", "door_staircase"), ("error_deg", "door_error_deg")),
        *(("early_slope", "door_early_slope"), ("middle_error", "door_middle_error")),
        *(("weak_slope", "door_weak_slope"), ("strong_slope", "door_strong_slope")),
    ),
)
