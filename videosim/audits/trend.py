"""A13 and A15, trends over models: does an audit's figure grow better with compute, and does it decay by generations?

A model of a series is what `videosim audit` measured of it; ``at`` is the compute it was made with, in any unit, or the
generation in a line of models each of which learned from its predecessor's dreams. The error of a figure is its
distance from PERFECT, which is 1 for all of them; a figure that is not a number has the error 1.

    scaling      PASS where no model's error is larger than a smaller model's and the intervals of the first and the
                 last lie apart, FAIL where the last is certainly the worse. With it a fit of error = a at^-b + c, c
                 being 0 below four models
    generations  PASS where the last model has certainly lost no more than LOSS of what the first was worth, 1 - error,
                 FAIL where it certainly has. With it the slope of log error on the generation, its interval by normal
                 draws from each model's own, and the generations in which the error doubles

(Scaling: after phyworld, arXiv 2411.02385; generations: arXiv 2307.01850 and 2404.01413.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videosim.audits.verdict import FAIL, INCONCLUSIVE, PASS
from videosim.errors import VideoSimError
from videosim.statistics import CONFIDENCE

PRIMARY = (("A1", "survival"), ("A3", "cai4"), ("A4", "coast_ratio"), ("A9", "worst_skill"))
PERFECT, WORST = 1.0, 1.0  # of a figure; of an error that is not known
LOSS = 0.10
LEAST = 1e-3  # error below which nothing is told apart
DRAWS, Z = 2000, 1.96
SAME = ("size", "bars_sha256", "scene_sha256")


@dataclass(frozen=True)
class Trend:
    """Of one figure: ``errors`` (models, 3), value and ends of the interval, the ``verdict`` on their course, and the
    ``rate`` with its ends: the exponent b, or the slope of log error a generation."""

    audit: str
    metric: str
    errors: np.ndarray
    verdict: str
    rate: tuple[float, float, float]
    floor: float = 0.0

    @property
    def doubling(self) -> float:
        """Steps in which the error doubles at this rate; infinite where it does not grow."""
        return math.log(2.0) / self.rate[0] if self.rate[0] > 0 else math.inf


def errors_of(measured: Sequence[Mapping[str, Any]], audit: str, metric: str) -> np.ndarray:
    """The figure's error in every model, (models, 3). VideoSimError where a run does not hold one audited model, or was
    not measured like the first."""
    rows = []
    for run in measured:
        if len(run["weights"]) != 1:
            raise VideoSimError(f"a trend needs runs that audited one model each; got one with {len(run['weights'])}")
        odd = [name for name in SAME if run[name] != measured[0][name]]
        if odd:
            raise VideoSimError(f"the runs of a trend were not measured alike: {odd[0]} differs; audit them again")
        found = run["worlds"][next(iter(run["weights"]))]["audits"].get(audit, {}).get("metrics", {}).get(metric)
        if found is None:
            raise VideoSimError(f"a run holds no {audit} {metric}; audit the model again")
        rows.append(_error(*(found[key] for key in ("value", "low", "high"))))
    return np.array(rows)


def _error(value: float | None, low: float | None, high: float | None) -> tuple[float, float, float]:
    if value is None:
        return (WORST,) * 3
    ends = [abs(PERFECT - (value if end is None else end)) for end in (low, high)]
    inside = low is not None and high is not None and low <= PERFECT <= high
    return abs(PERFECT - value), 0.0 if inside else min(ends), max(ends)


def scaling(errors: np.ndarray, at: Sequence[float], audit: str = "", metric: str = "") -> Trend:
    """``errors`` (models, 3) of models made with compute ``at``, which rises."""
    _rising(at)
    falls = bool((np.diff(errors[:, 0]) <= 0.0).all())
    first, last = errors[0], errors[-1]
    verdict = PASS if falls and last[2] < first[1] else FAIL if last[1] > first[2] else INCONCLUSIVE
    floor, rate = _power_law(np.maximum(errors[:, 0], LEAST), np.asarray(at, np.float64))
    return Trend(audit, metric, errors, verdict, (rate, math.nan, math.nan), floor)


def _power_law(errors: np.ndarray, at: np.ndarray) -> tuple[float, float]:
    """c and b of error = a at^-b + c: least squares in the logarithms, at the best of a grid of floors."""
    floors = np.linspace(0.0, 0.99 * errors.min(), 100) if len(errors) > 3 else np.zeros(1)
    fits = [np.polyfit(np.log(at), np.log(errors - floor), 1, full=True) for floor in floors]
    left = [float(residual[0]) if len(residual) else 0.0 for _, residual, *_ in fits]
    best = int(np.argmin(left))
    return float(floors[best]), float(-fits[best][0][0])


def generations(errors: np.ndarray, at: Sequence[float], audit: str = "", metric: str = "") -> Trend:
    """``errors`` (models, 3) of the generations ``at``, which rise."""
    _rising(at)
    worth = 1.0 - errors  # of which the ends change places
    lost, least, most = (
        1.0 - last / max(first, LEAST)
        for last, first in ((worth[-1, 0], worth[0, 0]), (worth[-1, 1], worth[0, 2]), (worth[-1, 2], worth[0, 1]))
    )
    verdict = PASS if max(lost, most) <= LOSS else FAIL if min(lost, least) > LOSS else INCONCLUSIVE
    value, low, high = np.log(np.maximum(errors, LEAST)).T
    rng = np.random.default_rng(0)
    draws = value + (high - low) / (2.0 * Z) * rng.normal(size=(DRAWS, len(value)))
    slopes = [float(np.polyfit(at, draw, 1)[0]) for draw in (value, *draws)]
    ends = np.quantile(slopes[1:], [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0]).tolist()
    return Trend(audit, metric, errors, verdict, (slopes[0], *ends))


def _rising(at: Sequence[float]) -> None:
    if len(at) < 2 or list(at) != sorted(set(at)):
        raise VideoSimError(f"a trend needs two models or more, in rising order; got {list(at)}")


COURSES = {"compute": scaling, "generation": generations}


def trends(measured: Sequence[Mapping[str, Any]], at: Sequence[float], along: str) -> list[Trend]:
    """One of each PRIMARY figure. VideoSimError where the runs and ``at`` do not belong together, or ``along`` is
    neither compute nor generation."""
    if along not in COURSES:
        raise VideoSimError(f"models follow one another along {' or '.join(COURSES)}; got {along!r}")
    if len(measured) != len(at):
        raise VideoSimError(f"every run of a trend has its place in at=; got {len(measured)} runs and {len(at)} places")
    if along == "compute" and min(at, default=1.0) <= 0.0:
        raise VideoSimError(f"compute is more than 0; got {min(at)}")
    return [COURSES[along](errors_of(measured, *named), at, *named) for named in PRIMARY]
