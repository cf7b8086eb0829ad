"""Does an uncertainty know the error? Rank correlation, detection, coverage, risk. Pure numpy, no model.

Of n dreams of H steps, ``uncertainty`` and ``error`` are float64 ``(n, H)``, NaN after a dream's end. A dream is the
unit of every resampling: its steps follow from each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata, spearmanr

from videosim.errors import VideoSimError
from videosim.statistics import Estimate, bootstrap

NOMINAL = 0.9  # share of the errors that a conformal bound must hold
SPLITS = 200  # random halves that a coverage is the mean of
REPEATS = 500  # bootstrap samples: a sample ranks every step anew
LEAST = 4  # dreams
LEAST_HALF = 9  # of fewer, the bound that holds NOMINAL of the errors is infinite


@dataclass
class Doubts:
    """What was feared and what came of it. Raises VideoSimError on too few dreams or unlike shapes."""

    uncertainty: np.ndarray
    error: np.ndarray

    def __post_init__(self) -> None:
        if self.uncertainty.shape != self.error.shape or self.error.ndim != 2 or len(self.error) < LEAST:
            raise VideoSimError(f"a calibration needs {LEAST} dreams or more; got {len(self.error)}")
        gone = np.isnan(self.uncertainty) | np.isnan(self.error)
        self.uncertainty = np.where(gone, np.nan, self.uncertainty)
        self.error = np.where(gone, np.nan, self.error)

    def known(self, rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Uncertainties and errors of all steps that happened, ``(m,)`` each."""
        there = ~np.isnan(self.error[rows])
        return self.uncertainty[rows][there], self.error[rows][there]

    def by_clock(self) -> Doubts:
        """The same errors, feared by nothing but the number of steps since the start: what a clock would know."""
        return Doubts(np.broadcast_to(np.arange(1.0, self.error.shape[1] + 1), self.error.shape), self.error)

    def by_step(self) -> Doubts:
        """The same errors, feared by what each step alone added to the uncertainty, as a root of squares."""
        added = np.diff(self.uncertainty**2, axis=1, prepend=0.0)
        return Doubts(np.sqrt(np.maximum(added, 0.0)), self.error)

    def shuffled(self, rng: np.random.Generator) -> Doubts:
        """The same with uncertainties of other steps: what chance would know."""
        there, mixed = ~np.isnan(self.error), self.uncertainty.copy()
        mixed[there] = rng.permutation(mixed[there])
        return Doubts(mixed, self.error)


def spearman(uncertainty: np.ndarray, error: np.ndarray) -> float:
    """Rank correlation of ``(m,)`` with ``(m,)``; 0 where one of them does not vary."""
    if len(error) < 2 or np.ptp(uncertainty) == 0.0 or np.all(error == error[0]):
        return 0.0
    return float(spearmanr(uncertainty, error).statistic)


def auroc(uncertainty: np.ndarray, lost: np.ndarray) -> float:
    """Probability that a ``lost`` step (bool ``(m,)``) is feared more than one that is not, ties counting half; NaN
    where all are of one kind."""
    positive = int(lost.sum())
    negative = len(lost) - positive
    if not positive or not negative:
        return math.nan
    ranks = rankdata(uncertainty)
    return float((ranks[lost].sum() - positive * (positive + 1) / 2) / (positive * negative))


def figures(doubts: Doubts, limit: float, rng: np.random.Generator) -> dict[str, Estimate]:
    """``spearman``, and ``auroc`` of "error above ``limit``", with intervals over dreams."""

    def of(statistic: Callable[[np.ndarray, np.ndarray], float]) -> Estimate:
        def measure(rows: np.ndarray) -> float:
            value = statistic(*doubts.known(rows.astype(int)))
            return 0.5 if math.isnan(value) else value  # a sample of one kind detects nothing

        return bootstrap(np.arange(len(doubts.error)), measure, rng, repeats=REPEATS)

    found = {"spearman": of(spearman)}
    if not math.isnan(auroc(doubts.known()[0], doubts.known()[1] > limit)):
        found["auroc"] = of(lambda u, e: auroc(u, e > limit))
    return found


def quantile(scores: np.ndarray, nominal: float = NOMINAL) -> float:
    """The split-conformal quantile of ``scores`` (n,): the ceil((n + 1) nominal)-th smallest; infinite where n is too
    small for it (Vovk et al. 2005; Lei et al. 2018, arXiv:1604.04173)."""
    k = math.ceil((len(scores) + 1) * nominal)
    return float(np.sort(scores)[k - 1]) if k <= len(scores) else math.inf


def coverage(doubts: Doubts, horizons: Sequence[int], rng: np.random.Generator) -> dict[str, Estimate]:
    """Share of dreams whose error stays below the uncertainty times a factor that other dreams have set.

    ``coverage_h<h>``: at step h; ``coverage_simultaneous``: at every step up to the last. The factor is the conformal
    quantile of error over uncertainty on a random half, the share that of the other half: mean over SPLITS halvings,
    with the middle 95 % of them. A dream that has ended by step h says nothing about it, and where
    fewer than 2 LEAST_HALF are left there is no figure.
    """
    ratio = doubts.error / np.maximum(doubts.uncertainty, 1e-12)
    columns = {f"coverage_h{h}": ratio[:, h - 1] for h in horizons if h <= ratio.shape[1]}
    columns["coverage_simultaneous"] = np.nanmax(np.where(np.isnan(ratio), -np.inf, ratio), 1)
    found = {}
    for name, column in columns.items():
        scores = column[np.isfinite(column)]
        if len(scores) >= 2 * LEAST_HALF:
            halves = [rng.permutation(scores) for _ in range(SPLITS)]
            middle = len(scores) // 2
            shares = [float((half[middle:] <= quantile(half[:middle])).mean()) for half in halves]
            low, high = np.quantile(shares, [0.025, 0.975])
            found[name] = Estimate(float(np.mean(shares)), float(low), float(high), len(scores), "rate")
    return found


def transferred(calibrated: Doubts, checked: Doubts, horizons: Sequence[int]) -> dict[str, Estimate]:
    """The coverage of ``checked`` under the factors that ``calibrated`` sets: what holds elsewhere need not hold
    here."""
    found = {}
    for h in horizons:
        if h <= min(calibrated.error.shape[1], checked.error.shape[1]):
            ratios = [(d.error / np.maximum(d.uncertainty, 1e-12))[:, h - 1] for d in (calibrated, checked)]
            scores, here = (ratio[np.isfinite(ratio)] for ratio in ratios)
            if len(scores) >= LEAST_HALF and len(here):
                share = float((here <= quantile(scores)).mean())
                found[f"coverage_transferred_h{h}"] = Estimate(share, math.nan, math.nan, len(here), "rate")
    return found


def risk_coverage(uncertainty: np.ndarray, error: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Mean error of the least feared part of ``(m,)`` steps, for each of ``shares`` in (0, 1]."""
    ordered = error[np.argsort(uncertainty, kind="stable")]
    means = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return means[np.clip(np.ceil(shares * len(ordered)).astype(int) - 1, 0, None)]


def reliability(uncertainty: np.ndarray, error: np.ndarray, bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square of what was feared and of what came, in ``bins`` of as many steps each, from the least feared:
    they agree where the uncertainty is the expected error."""
    parts = np.array_split(np.argsort(uncertainty, kind="stable"), min(bins, len(error)))
    feared, came = (np.array([np.sqrt((v[part] ** 2).mean()) for part in parts]) for v in (uncertainty, error))
    return feared, came


def threshold(uncertainty: np.ndarray, error: np.ndarray, limit: float) -> float:
    """The uncertainty that 95 % of the steps within ``limit`` stay below; of all steps where none is."""
    sound = uncertainty[error <= limit]
    return float(np.quantile(sound if len(sound) else uncertainty, 0.95))
