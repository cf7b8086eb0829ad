"""A4, physical laws: do things fly, fall, swing, collide, slide and rest as the law says, also where no recording did?

Nothing is done to them. Trials come in sets of three of one law: as recordings show it, with a combination of factors
that none shows, and with factors beyond them. World and truth are read by the same reader; the truth's frames go
through the world's own codec first, so that the figures speak of the dynamics.

    velocity_error   mean |v - v*| of trials as recorded, over that of the codec's truth, which counts as the
                     instrument's floor at least: what noisy pixels cost
    pairs_error      the same error of new combinations over that of trials as recorded
    ood_error        and of factors beyond (literature: about 35, phyworld, arXiv 2411.02385)
    gravity, friction, restitution   measured in the world over measured in the codec's truth
    momentum_error   mean change of momentum in a collision that is not the truth's, over the mean of what there was
    energy_change    by which the pendulum's energy grows more than the truth's, as a share of its swing
    penetration      how much deeper than in truth things are in one another, in e0
    rest_drift       largest way of a box of a stack at rest, in e0

A thing that is not found has a velocity that is LOST_MPS off, weighs nothing, slides without friction, never bounces,
loses its momentum and its energy, and is as deep in others as the room is broad. Sets are the resampling unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from videosim.audits import law_figures as figures
from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.law_truth import Trial, still
from videosim.audits.verdict import Result, Sample
from videosim.audits.world import film
from videosim.envs.law_trials import LAWS, SPLITS
from videosim.envs.laws import VIEW_M
from videosim.statistics import quotient

FIRST_NUMBER = 100_000  # of the starts
LYING = 4  # frames at either end over which the place of what rests is a mean

Figure = Callable[[Trial, np.ndarray, float], float]


@dataclass(frozen=True)
class Told:
    """Of one set: errors of velocity (m/s) of the world and of the codec's truth, float64 (2, splits), and the places
    that were read in the trial as recorded, in the world and in the codec's truth, float64 (T+1, 3, 2)."""

    errors: np.ndarray
    shown: np.ndarray
    known: np.ndarray


def draw_sets(bench: Bench) -> list[tuple[Trial, ...]]:
    """As many of every law as the bars ask for, in turns; each with one trial of each of SPLITS."""
    each = bench.bars.sizes["law_sets"]
    split = [bench.truth.trials(name, FIRST_NUMBER, each) for name in SPLITS]
    return [trials for turns in zip(*split, strict=True) for trials in zip(*turns, strict=True)]


def read_truth(bench: Bench) -> dict[int, np.ndarray]:
    """Places that are read off the truth's own frames, by the identity of the trial."""
    return {id(trial): bench.reader.read(trial.frames) for trials in bench.once(draw_sets) for trial in trials}


def audit_laws(viewing: Viewing) -> Result:
    """Let the world go on from every start."""
    asked = viewing.each(draw_sets, _ask)
    laws = [trials[0].law for trials, _ in asked]
    dt_s, e0_m = viewing.world.spec.dt_s, viewing.bench.e0_m
    errors = np.array([told.errors for _, told in asked])  # (n, 2, splits)

    def of(*wanted: str) -> list[tuple[Trial, Told]]:
        return [(trials[0], told) for trials, told in asked if trials[0].law in wanted]

    def both(figure: Figure, missing: float, *wanted: str) -> np.ndarray:
        pairs = [[figure(trial, place, dt_s) for place in (told.shown, told.known)] for trial, told in of(*wanted)]
        return np.nan_to_num(np.array(pairs), nan=missing)

    measured = {
        "gravity": both(figures.gravity, 0.0, "fall", "projectile"),
        "friction": both(figures.friction, 0.0, "incline"),
        "restitution": both(figures.restitution, 0.0, "elastic"),
    }
    swing = both(figures.energy_change, -1.0, "pendulum")
    collisions = np.array([_momentum(*pair, dt_s) for pair in of("elastic", "inelastic")])
    deep = np.array([_deeper(*pair) for pair in of("elastic", "inelastic", "incline", "stack")])
    rest = np.array([_moved(*pair) for pair in of("stack")])
    samples = {
        "velocity_error": Sample(errors[:, :, 0], partial(quotient, floor=viewing.bench.instrument.floor_mps)),
        "pairs_error": Sample(errors[:, 0, [1, 0]], quotient),
        "ood_error": Sample(errors[:, 0, [2, 0]], quotient),
        **{name: Sample(pairs, quotient) for name, pairs in measured.items()},
        "momentum_error": Sample(collisions, quotient),
        "energy_change": Sample(swing[:, 0] - swing[:, 1]),
        "penetration_floors": Sample(deep / e0_m, unit="e0"),
        "rest_drift_floors": Sample(rest / e0_m, unit="e0"),
    }
    means = {law: errors[[other == law for other in laws]].mean(0) for law in LAWS if law in laws}
    details = {
        "velocity_error_mps": {law: dict(zip(SPLITS, mean[0].tolist(), strict=True)) for law, mean in means.items()},
        "codec_velocity_error_mps": {
            law: dict(zip(SPLITS, mean[1].tolist(), strict=True)) for law, mean in means.items()
        },
        "score": _scores(asked, dt_s),
        "gravity_mps2": float(measured["gravity"][:, 0].mean()),
        "friction": float(measured["friction"][:, 0].mean()),
        "restitution": float(measured["restitution"][:, 0].mean()),
    }
    return viewing.judge("A4", samples, details)


def _ask(viewing: Viewing, trials: tuple[Trial, ...]) -> Told:
    world, read, dt_s = viewing.world, viewing.bench.reader.read, viewing.world.spec.dt_s
    errors, places = [], []
    for trial in trials:
        shown, kept = read(film(world, trial.start, still(trial))), world.codec(trial.frames)
        known = viewing.bench.once(read_truth)[id(trial)] if kept is trial.frames else read(kept)
        places.append((shown, known))
        errors.append([figures.velocity_error(trial, place, dt_s) for place in (shown, known)])
    return Told(np.array(errors).T, *places[0])


def _momentum(trial: Trial, told: Told, dt_s: float) -> tuple[float, float]:
    """The change that is not the truth's, and what there truly was before: of two that meet hardly anything at times,
    so that no share can be taken of a single collision."""
    (said, after), (was, became) = (figures.momentum(trial, place, dt_s) for place in (told.shown, told.known))
    error, there = abs((after - said) - (became - was)), abs(figures.momentum(trial, trial.place, dt_s)[0])
    return error if np.isfinite(error) else there, there


def _deeper(trial: Trial, told: Told) -> float:
    """Metres."""
    deep, true = (figures.overlap(trial, place) for place in (told.shown, told.known))
    return max(0.0, deep - true) if np.isfinite(told.shown[:, trial.there]).all() else VIEW_M


def _moved(trial: Trial, told: Told) -> float:
    """The largest way of anything, in metres."""
    ways = [place[-LYING:].mean(0) - place[:LYING].mean(0) for place in (told.shown, told.known)]
    way = np.linalg.norm(ways[0] - ways[1], axis=-1)[trial.there]
    return float(way.max()) if np.isfinite(way).all() else VIEW_M


def _scores(asked: list[tuple[tuple[Trial, ...], Told]], dt_s: float) -> dict[str, float]:
    """Of each law under which things move: how much true velocities vary over the error of the world's, 1 at most
    (after Physics-IQ, arXiv 2501.09038: an error is large or small beside how much the truth itself varies)."""
    found = {}
    for law in dict.fromkeys(trials[0].law for trials, _ in asked if trials[0].law != "stack"):
        mine = [(trials[0], told.errors[0, 0]) for trials, told in asked if trials[0].law == law]
        true = np.concatenate([figures.velocities(t.place, dt_s)[:, t.there].reshape(-1, 2) for t, _ in mine])
        varies = float(np.linalg.norm(true - true.mean(0), axis=-1).mean())
        found[law] = min(1.0, varies / max(float(np.mean([error for _, error in mine])), 1e-9))
    return found


AUDIT = Audit(
    "A4",
    "laws: do things fly, fall, swing, collide, slide and rest as they should, also where no recording did?",
    audit_laws,
    level=2,
    figures=(
        *((name, f"law_{name}") for name in ("velocity_error", "pairs_error", "ood_error")),
        *((name, f"law_{name}") for name in ("gravity", "friction", "restitution")),
    ),
)
