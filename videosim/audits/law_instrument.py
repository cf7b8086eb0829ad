"""A0 of the law scene: is the probe accurate, can it say "absent", and does it measure the laws' constants?

On true frames that did not calibrate it:

    floor_fraction       e0 = mean |read - true|, as a fraction of the room's breadth
    miss_rate            share of things there are that are not found
    false_presence_rate  share of colours that are not there and are found, in clean frames and in noisy ones
    gravity, friction, restitution   measured over true: of free flight, of the ramp, of balls
    momentum_change      mean |change| in a collision, as a share of what there was

Trials are the resampling unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videosim.audits.law_figures import friction, gravity, momentum, restitution, velocity_error
from videosim.audits.law_reader import LawReader
from videosim.audits.law_truth import LawsTruth, Trial, pooled
from videosim.audits.survival import shares
from videosim.audits.verdict import Bars, Result, Sample, judge
from videosim.envs.law_trials import LAWS
from videosim.envs.laws import GRAVITY_MPS2, VIEW_M
from videosim.statistics import quotient

TESTED_FROM = 10_000  # number of the first start that is measured on; calibration has those from 0
CALIBRATING = 4  # trials of each law
NOISE = 8.0  # grey levels, of the noisy frames


@dataclass(frozen=True)
class LawInstrument:
    """A reader that passed through A0, with its floors: ``e0_m`` in metres in clean frames, ``floor_mps`` of velocities
    in noisy ones."""

    reader: LawReader
    e0_m: float
    floor_mps: float
    result: Result


def prepare_laws(bars: Bars, rng: np.random.Generator) -> tuple[LawsTruth, LawInstrument]:
    """MuJoCo's law scene and the reader of its frames, audited."""
    truth = LawsTruth()
    known = pooled(truth.trials("id", 0, CALIBRATING))
    reader = LawReader(np.concatenate([t.frames for t in known]), np.concatenate([t.place for t in known]))
    trials = pooled(truth.trials("id", TESTED_FROM, bars.sizes["instrument_trials"]))
    read = [reader.read(trial.frames) for trial in trials]
    noisy = [reader.read(_shaken(trial.frames, rng)) for trial in trials]
    found = [np.isfinite(places[..., 0]) for places in read]
    ghosts = [np.isfinite(places[..., 0]) for places in noisy]
    errors = [np.linalg.norm(places - trial.place, axis=-1) for places, trial in zip(read, trials, strict=True)]
    seen = [np.isfinite(error) for error in errors]
    floor = np.array([[error[ok].sum(), ok.sum()] for error, ok in zip(errors, seen, strict=True)])
    samples = {
        "floor_fraction": Sample(floor / (VIEW_M, 1.0), quotient),
        "miss_rate": shares(np.array([(~ok[:, t.there]).mean() for ok, t in zip(found, trials, strict=True)])),
        "false_presence_rate": shares(_lacking(trials, found, ghosts)),
        **_constants(truth, trials, read),
    }
    repeats = bars.sizes["resamples"]
    estimates = {name: sample.estimate(rng, repeats) for name, sample in samples.items()}
    dt_s = truth.spec.dt_s
    floor_mps = float(np.mean([velocity_error(t, place, dt_s) for t, place in zip(trials, noisy, strict=True)]))
    by_law = {law: floor[[t.law == law for t in trials]].sum(0) for law in LAWS}
    details = {
        "floor_m_by_law": {law: float(total / count) for law, (total, count) in by_law.items()},
        "noisy_velocity_error_mps": floor_mps,
        "frames": sum(len(trial.frames) for trial in trials),
    }
    e0_m = estimates["floor_fraction"].value * VIEW_M
    return truth, LawInstrument(reader, e0_m, floor_mps, judge("A0", "laws", estimates, bars, details))


def _shaken(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(frames + rng.normal(0.0, NOISE, frames.shape) + 0.5, 0, 255).astype(np.uint8)


def _lacking(trials: list[Trial], found: list[np.ndarray], ghosts: list[np.ndarray]) -> np.ndarray:
    """Of each trial that lacks a colour, the share of looks at which that colour is found."""
    rates = []
    for trial, clean, shaken in zip(trials, found, ghosts, strict=True):
        lacking = np.setdiff1d(np.arange(3), trial.there)
        if len(lacking):
            rates.append(float(np.concatenate([clean, shaken])[:, lacking].mean()))
    return np.array(rates)


def _constants(truth: LawsTruth, trials: list[Trial], read: list[np.ndarray]) -> dict[str, Sample]:
    """Measured over true; what cannot be measured, because a thing was not found, is 0."""
    dt_s = truth.spec.dt_s
    rows: dict[str, list[tuple[float, float]]] = {n: [] for n in ("gravity", "friction", "restitution", "momentum")}
    for trial, place in zip(trials, read, strict=True):
        if trial.law in ("fall", "projectile"):
            rows["gravity"].append((gravity(trial, place, dt_s), GRAVITY_MPS2))
        if trial.law == "incline":
            rows["friction"].append((friction(trial, place, dt_s), trial.friction))
        if trial.law == "elastic":
            rows["restitution"].append((restitution(trial, place, dt_s), 1.0))
        if trial.law in ("elastic", "inelastic"):
            before, after = momentum(trial, place, dt_s)
            rows["momentum"].append((abs(after - before), abs(before)))
    change = {"momentum_change": Sample(np.nan_to_num(rows.pop("momentum")), quotient)}
    return {name: Sample(np.nan_to_num(pairs), quotient) for name, pairs in rows.items()} | change
