"""Does a model order policies as physics does? Figures over a set of policies that were scored on both sides.

All take ``scores`` (what the model says) and ``truth`` (what physics says), one number a policy, or a table (policies,
episodes) of the same initial states on both sides. Zero variance is not agreement: a model that gives every policy the
same score has correlation 0, and its ties are broken at random.

Pearson's r and MMRV as in SIMPLER (Li et al. 2024, arXiv 2405.05941), regret@1 as in DOPE (Fu et al. 2021, arXiv
2103.16596). MMRV grows with the number of policies and the spread of their returns, so it is also given as a share of
what a random order would have.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from videosim.errors import VideoSimError
from videosim.statistics import REPEATS, Estimate, correlation

FLAT = 1e-9  # a standard deviation below it is none
LEAST = 4  # policies: below it Fisher's interval does not exist
Z = float(stats.norm.ppf(0.975))


def mmrv(scores: np.ndarray, truth: np.ndarray) -> float:
    """Mean over policies of the largest true difference to a policy that the scores put on the wrong side; 0 is best.

    MMRV = (1/N) sum_i max_j |R_i - R_j| 1[(S_i > S_j) != (R_i > R_j)].
    """
    wrong = (scores[:, None] > scores[None]) != (truth[:, None] > truth[None])
    return float((np.abs(truth[:, None] - truth[None]) * wrong).max(1).mean())


def mmrv_of_chance(truth: np.ndarray, rng: np.random.Generator, draws: int = 400) -> float:
    """Mean MMRV of the policies in random order."""
    return float(np.mean([mmrv(rng.permutation(truth), truth) for _ in range(draws)]))


def fisher(scores: np.ndarray, truth: np.ndarray) -> Estimate:
    """Pearson's r over N policies with the interval of Fisher's z, tanh(atanh r +- 1.96 / sqrt(N - 3)).

    Raises VideoSimError on fewer than LEAST policies.
    """
    count = len(scores)
    if count < LEAST:
        raise VideoSimError(f"a ranking needs at least {LEAST} policies; got {count}")
    if min(scores.std(), truth.std()) < FLAT:
        return Estimate(0.0, -1.0, 1.0, count, flag="no variance: scored 0")
    r = correlation(np.stack([scores, truth], 1))
    z, half = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12)), Z / math.sqrt(count - 3)
    return Estimate(r, math.tanh(z - half), math.tanh(z + half), count)


def policies_needed(r: float, bound: float) -> float:
    """How many policies ``r`` takes until Fisher's interval lies above ``bound``; infinity for an r below it."""
    return math.inf if r <= bound else math.ceil(3 + (Z / (math.atanh(min(r, 1 - 1e-12)) - math.atanh(bound))) ** 2)


def regret(scores: np.ndarray, truth: np.ndarray) -> float:
    """What choosing the best by ``scores`` loses, as a share of the range of ``truth``; the mean over tied bests."""
    span = float(np.ptp(truth))
    return float((truth.max() - truth[scores == scores.max()].mean()) / span) if span > FLAT else 0.0


def drop_one_range(scores: np.ndarray, truth: np.ndarray) -> float:
    """How much r moves when one policy is left out: the largest minus the smallest of the N correlations."""
    kept = [np.arange(len(scores)) != i for i in range(len(scores))]
    pairs = np.stack([scores, truth], 1)
    every = [correlation(pairs[rows]) for rows in kept]
    return max(every) - min(every)


def largest_hole(truth: np.ndarray) -> float:
    """The widest stretch of true returns in which there is no policy."""
    return float(np.diff(np.sort(truth)).max())


def episode_equivalent(scores: np.ndarray, truth: np.ndarray, rng: np.random.Generator, draws: int = 400) -> int:
    """How many physics episodes of every policy choose as well as the model's whole table ``scores`` (policies,
    episodes) does: the fewest m whose mean regret is no larger; as many as ``truth`` has columns where none is."""
    means = truth.mean(1)
    goal = regret(scores.mean(1), means)
    for m in range(1, truth.shape[1]):
        picks = (rng.choice(truth.shape[1], m, replace=False) for _ in range(draws))
        if np.mean([regret(truth[:, columns].mean(1), means) for columns in picks]) <= goal:
            return m
    return truth.shape[1]


def ranking(
    scores: np.ndarray, truth: np.ndarray, rng: np.random.Generator, repeats: int = REPEATS
) -> dict[str, Estimate]:
    """Every figure of tables (policies, episodes), already normalised so that 0 is random and 1 the reference policy.

    Intervals resample policies and episodes together, but for Pearson's r, whose interval is Fisher's over policies.
    Raises VideoSimError where the two tables differ in shape.
    """
    if scores.shape != truth.shape or scores.ndim != 2:
        raise VideoSimError(f"both sides need the same policies and episodes; got {scores.shape} and {truth.shape}")
    count = len(scores)
    chance = mmrv_of_chance(truth.mean(1), rng)

    def rank(kind: Callable[..., object]) -> Callable[[np.ndarray, np.ndarray], float]:
        def measure(s: np.ndarray, r: np.ndarray) -> float:
            return float(kind(s, r)[0]) if min(s.std(), r.std()) > FLAT else 0.0  # type: ignore[index]

        return measure

    measures: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "spearman": rank(stats.spearmanr),
        "kendall": rank(stats.kendalltau),
        "mmrv": mmrv,
        "mmrv_of_chance": lambda s, r: mmrv(s, r) / chance,
        "spread": lambda s, r: float(s.std() / max(r.std(), FLAT)),
        "bias": lambda s, r: float((s - r).mean()),
        "optimism": lambda s, r: float((s - r).max()),
        "mean_absolute_error": lambda s, r: float(np.abs(s - r).mean()),
        "regret_at_1": regret,
        "drop_one_range": drop_one_range,
    }
    draws: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(repeats):
        rows, columns = rng.integers(count, size=count), rng.integers(scores.shape[1], size=scores.shape[1])
        s, r = (side[np.ix_(rows, columns)].mean(1) for side in (scores, truth))
        for name, measure in measures.items():
            draws[name].append(measure(s, r))
    s, r = scores.mean(1), truth.mean(1)
    figures = {"pearson_r": fisher(s, r)}
    for name, measure in measures.items():
        low, high = np.quantile(draws[name], [0.025, 0.975])
        figures[name] = Estimate(measure(s, r), float(low), float(high), count)
    figures["episode_equivalent"] = Estimate(float(episode_equivalent(scores, truth, rng)), math.nan, math.nan, count)
    return figures
