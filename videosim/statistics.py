"""Estimates with intervals: interquartile mean, bootstraps, ratios, correlation. Knows no world and no model.

Every interval is two-sided, at ``CONFIDENCE`` unless another one is asked for. Every resampler takes its own ``numpy``
generator. Inputs that hold NaN or infinity are refused: a missing measurement is a failure the caller must score, never
a number to skip.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from videosim.errors import VideoSimError

CONFIDENCE = 0.95
REPEATS = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval. ``n`` counts the resampling units; ``flag`` is empty, or says what a reader must
    know (a censored median, a correlation without variance)."""

    value: float
    low: float
    high: float
    n: int
    unit: str = ""
    flag: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The entry of ``figures`` in a result.json: numbers that are not finite become None; no flag, no key."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        entry: dict[str, Any] = {k: float(v) if math.isfinite(v) else None for k, v in numbers.items()}
        entry |= {"n": int(self.n), "unit": self.unit}
        return entry | ({"flag": self.flag} if self.flag else {})


def iqm(scores: np.ndarray) -> float:
    """Interquartile mean: the mean of what is left when a quarter of all scores is cut off at each end."""
    return float(stats.trim_mean(_numbers(scores).reshape(-1), 0.25))


def bootstrap(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    rng: np.random.Generator,
    clusters: np.ndarray | None = None,
    repeats: int = REPEATS,
    unit: str = "",
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Percentile bootstrap of ``statistic`` over ``values`` (n, …), resampling rows.

    clusters    (n,) labels: rows of one label are drawn together (several starts out of one episode), and ``n`` of the
                estimate is the number of labels
    confidence  of the interval; so many ``repeats`` are needed that some of them lie beyond it
    """
    values = _numbers(values)
    if clusters is None:
        groups = [np.array([i]) for i in range(len(values))]
    else:
        if len(clusters) != len(values):
            raise VideoSimError(f"bootstrap needs one cluster label a row; got {len(clusters)} for {len(values)} rows")
        groups = [np.flatnonzero(clusters == label) for label in np.unique(clusters)]
    draws = np.empty(repeats)
    for r in range(repeats):
        chosen = rng.integers(len(groups), size=len(groups))
        draws[r] = statistic(values[chosen if clusters is None else np.concatenate([groups[g] for g in chosen])])
    low, high = _interval(draws, confidence)
    return Estimate(float(statistic(values)), low, high, len(groups), unit)


def crossed_bootstrap(
    scores: np.ndarray,
    rng: np.random.Generator,
    statistic: Callable[[np.ndarray], float] = np.mean,  # type: ignore[assignment]
    unit: str = "",
    repeats: int = REPEATS,
) -> Estimate:
    """``statistic`` of scores (policies, episodes) with an interval that resamples both: policies, and the episodes
    that all of them share. ``n`` is the number of scores. One policy: the episodes alone."""
    scores = _numbers(scores)
    policies, episodes = scores.shape
    draws = np.empty(repeats)
    for r in range(repeats):
        rows, columns = rng.integers(policies, size=policies), rng.integers(episodes, size=episodes)
        draws[r] = statistic(scores[np.ix_(rows, columns)])
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(statistic(scores)), float(low), float(high), scores.size, unit)


def ratio_of_means(
    numerator: np.ndarray,
    denominator: np.ndarray,
    rng: np.random.Generator,
    repeats: int = REPEATS,
) -> Estimate:
    """mean(numerator) / mean(denominator) with a paired bootstrap interval, for scores above zero.

    Both are (episodes,) or (runs, episodes) where column e starts from the same initial state on both sides: columns
    are resampled together, training runs of each side on their own. ``n`` is the number of columns. Where the mean of
    the denominator is not positive there is no ratio: value NaN and a flag; in some resamples only: infinite ``high``.
    """
    top, bottom = np.atleast_2d(_numbers(numerator)), np.atleast_2d(_numbers(denominator))
    if top.ndim != 2 or bottom.ndim != 2 or top.shape[1] != bottom.shape[1]:
        raise VideoSimError(
            f"a paired ratio needs the same episodes on both sides; got {numerator.shape} and {denominator.shape}"
        )
    episodes = top.shape[1]
    if bottom.mean() <= 0:
        return Estimate(math.nan, math.nan, math.nan, episodes, "", "undefined: the denominator's mean is not positive")
    draws = np.empty(repeats)
    for r in range(repeats):
        columns = rng.integers(episodes, size=episodes)
        above, below = (side[rng.integers(len(side), size=len(side))][:, columns].mean() for side in (top, bottom))
        draws[r] = above / below if below > 0 else math.inf
    low, high = _interval(draws)
    return Estimate(float(top.mean() / bottom.mean()), low, high, episodes)


def correlation(pairs: np.ndarray) -> float:
    """Of the two columns of ``pairs`` (n, 2); 0 where one of them does not vary."""
    a, b = (pairs - pairs.mean(0)).T
    scale = math.sqrt(float((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-12 else 0.0


def quotient(pairs: np.ndarray, floor: float = 1e-9) -> float:
    """Mean of the first column of ``pairs`` (n, 2) over that of the second, which counts as ``floor`` at least."""
    return float(pairs[:, 0].mean() / max(float(pairs[:, 1].mean()), floor))


def pearson(
    x: np.ndarray, y: np.ndarray, rng: np.random.Generator, repeats: int = REPEATS, confidence: float = CONFIDENCE
) -> Estimate:
    """Correlation of paired ``x`` and ``y`` (n,), pairs bootstrapped.

    Without variance on a side the correlation is 0 and flagged, here and inside each resample: a model that answers the
    same to everything must score 0, not 1 and not NaN.
    """
    estimate = bootstrap(np.stack([x, y], 1), correlation, rng, repeats=repeats, confidence=confidence)
    flat = min(float(np.std(x)), float(np.std(y))) < 1e-9
    return replace(estimate, flag="no variance: scored 0" if flat else "")


def _interval(draws: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    # "nearest" takes an order statistic as it is: interpolating next to an infinite draw would give NaN
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], method="nearest")
    return float(low), float(high)


def _numbers(values: np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.size == 0:
        raise VideoSimError("a statistic needs at least one number; got none")
    if not np.isfinite(array).all():
        raise VideoSimError("a statistic was given NaN or infinity; score a missing measurement as a failure first")
    return array
