"""Estimates with intervals: interquartile mean, bootstraps, Wilson, rank correlation. Knows no world and no model.

Every interval is two-sided at ``CONFIDENCE``. Every resampler takes its own ``numpy`` generator. Inputs that hold NaN
or infinity are refused: a missing measurement is a failure the caller must score, never a number to skip.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
) -> Estimate:
    """Percentile bootstrap of ``statistic`` over ``values`` (n, …), resampling rows.

    clusters  (n,) labels: rows of one label are drawn together (several starts out of one episode), and ``n`` of the
              estimate is the number of labels
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
    low, high = _interval(draws)
    return Estimate(float(statistic(values)), low, high, len(groups), unit)


def stratified_bootstrap(
    strata: Sequence[np.ndarray],
    rng: np.random.Generator,
    statistic: Callable[[np.ndarray], float] = iqm,
    repeats: int = REPEATS,
    unit: str = "",
) -> Estimate:
    """Bootstrap of ``statistic`` over all scores pooled, resampling runs inside each stratum (a task, a seed) only.

    strata  one array (runs_i,) of scores per stratum; ``n`` of the estimate is the total number of runs
    """
    arrays = [_numbers(s).reshape(-1) for s in strata]
    if not arrays:
        raise VideoSimError("a stratified bootstrap needs at least one stratum of scores")
    draws = np.empty(repeats)
    for r in range(repeats):
        draws[r] = statistic(np.concatenate([a[rng.integers(len(a), size=len(a))] for a in arrays]))
    low, high = _interval(draws)
    pooled = np.concatenate(arrays)
    return Estimate(float(statistic(pooled)), low, high, len(pooled), unit)


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


def wilson(successes: int, trials: int) -> Estimate:
    """A proportion with its Wilson score interval, which stays inside [0, 1] and is not empty at 0 or at ``trials``."""
    if trials < 1 or not 0 <= successes <= trials:
        raise VideoSimError(f"a proportion needs 0 <= successes <= trials and a trial; got {successes} of {trials}")
    interval = stats.binomtest(int(successes), int(trials)).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(successes / trials, float(interval.low), float(interval.high), int(trials))


def spearman(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, repeats: int = REPEATS) -> Estimate:
    """Rank correlation of paired ``x`` and ``y`` (n,), pairs bootstrapped.

    Without variance on a side the correlation is 0 and flagged, here and inside each resample: a model that answers the
    same to everything must score 0, not 1 and not NaN.
    """
    x, y = _numbers(x).reshape(-1), _numbers(y).reshape(-1)
    if len(x) != len(y):
        raise VideoSimError(f"a correlation needs pairs; got {len(x)} and {len(y)} numbers")
    picks = rng.integers(len(x), size=(repeats, len(x)))
    draws = _rank_correlation(x[picks], y[picks])
    low, high = _interval(draws)
    flat = np.ptp(x) == 0 or np.ptp(y) == 0
    return Estimate(
        float(_rank_correlation(x[None], y[None])[0]), low, high, len(x), "", "no variance: scored 0" if flat else ""
    )


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(m, n) pairs -> (m,): Pearson correlation of average ranks, 0 where a side has no variance."""
    a, b = (stats.rankdata(side, axis=1) for side in (x, y))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide((a * b).sum(1), scale, out=np.zeros(len(a)), where=scale > 0)


def _interval(draws: np.ndarray) -> tuple[float, float]:
    # "nearest" takes an order statistic as it is: interpolating next to an infinite draw would give NaN
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="nearest")
    return float(low), float(high)


def _numbers(values: np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.size == 0:
        raise VideoSimError("a statistic needs at least one number; got none")
    if not np.isfinite(array).all():
        raise VideoSimError("a statistic was given NaN or infinity; score a missing measurement as a failure first")
    return array
