"""Survival until the first break, and shares: the two kinds of figure whose bootstrap is empty when nothing fails.

Kaplan and Meier 1958, with the log-log interval (Kalbfleisch and Prentice 1980); Wilson 1927 where it is undefined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from videosim.audits.verdict import Sample
from videosim.errors import VideoSimError
from videosim.statistics import CONFIDENCE, REPEATS, Estimate, bootstrap


def _z(confidence: float) -> float:
    return float(norm.ppf((1 + confidence) / 2))


@dataclass(frozen=True)
class Survival:
    """S(h) = P(first break after frame h) for h = 0 .. H.

    curve   float64 (H+1,)
    low, high  float64 (H+1,), the pointwise interval
    n       episodes
    """

    curve: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: int

    def at(self, frame: int) -> Estimate:
        """S(frame)."""
        return Estimate(float(self.curve[frame]), float(self.low[frame]), float(self.high[frame]), self.n)

    @property
    def half_life(self) -> float:
        """min{h : S(h) <= 0.5} in frames; infinite where half of the episodes outlive the horizon."""
        below = np.flatnonzero(self.curve <= 0.5)
        return float(below[0]) if len(below) else math.inf

    @property
    def mean(self) -> float:
        """Restricted mean survival as a share of the horizon: (1/H) sum of S(h), h = 1 .. H."""
        return float(self.curve[1:].mean())


def kaplan_meier(first: np.ndarray, followed: np.ndarray, horizon: int, confidence: float = CONFIDENCE) -> Survival:
    """first    float64 (n,), frame of the first break, infinite where there was none
    followed  int (n,), the last frame that was looked at; where the break comes later the episode is censored there
    horizon   H

    Raises VideoSimError without episodes. S falls at each frame t by the factor 1 - d_t / r_t, with d_t breaks among
    the r_t episodes still followed; its interval is that of log(-log S) by Greenwood's variance.
    """
    first, followed = np.asarray(first, np.float64), np.asarray(followed)
    if not len(first) or len(first) != len(followed):
        raise VideoSimError(
            f"survival needs one end for each episode, and an episode; got {len(first)} and {len(followed)}"
        )
    curve, low, high = np.ones(horizon + 1), np.ones(horizon + 1), np.ones(horizon + 1)
    survival, variance = 1.0, 0.0
    for t in range(horizon + 1):
        at_risk = int(((first >= t) & (followed >= t)).sum())
        broken = int(((first == t) & (followed >= t)).sum())
        if broken:
            survival *= 1.0 - broken / at_risk
            variance += broken / (at_risk * (at_risk - broken)) if at_risk > broken else 0.0
        curve[t] = survival
        if 0.0 < survival < 1.0:
            width = _z(confidence) * math.sqrt(variance) / abs(math.log(survival))
            low[t], high[t] = survival ** math.exp(width), survival ** math.exp(-width)
        else:
            low[t], high[t] = wilson(survival, len(first), confidence)
    return Survival(curve, low, high, len(first))


def wilson(share: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a share that was seen in n trials."""
    z = _z(confidence)
    centre, scale = share + z * z / (2 * n), 1.0 + z * z / n
    half = z * math.sqrt(share * (1.0 - share) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def mean_share(
    shares: np.ndarray, rng: np.random.Generator, repeats: int = REPEATS, confidence: float = CONFIDENCE
) -> Estimate:
    """Mean of one share an episode, (n,) in [0, 1], with a bootstrap over episodes, or Wilson's interval where that is
    wider: when all episodes agree a bootstrap knows no doubt."""
    estimate = bootstrap(shares, lambda rows: float(rows.mean()), rng, repeats=repeats, confidence=confidence)
    low, high = wilson(estimate.value, estimate.n, confidence)
    if np.ptp(shares) == 0.0:
        return Estimate(estimate.value, low, high, estimate.n)
    return estimate


def share_of(hits: np.ndarray) -> Sample:
    """The share of true among ``hits`` bool (n,), with Wilson's interval; of nothing there is no share."""

    def estimate(rng: np.random.Generator, repeats: int, confidence: float) -> Estimate:
        if not len(hits):
            return Estimate(math.nan, 0.0, 1.0, 0)
        value = float(np.mean(hits))
        return Estimate(value, *wilson(value, len(hits), confidence), len(hits))

    return Sample(np.asarray(hits, np.float64), by=estimate)


def shares(values: np.ndarray) -> Sample:
    """One share an episode, (n,) in [0, 1]: their mean, by ``mean_share``; of none there is none."""

    def estimate(rng: np.random.Generator, repeats: int, confidence: float) -> Estimate:
        return mean_share(values, rng, repeats, confidence) if len(values) else Estimate(math.nan, 0.0, 1.0, 0)

    return Sample(values, by=estimate)
