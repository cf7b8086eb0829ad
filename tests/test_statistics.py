"""Statistics against numbers known beforehand: identities, published Wilson intervals, coverage, flags."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from videosim.errors import VideoSimError
from videosim.statistics import Estimate, bootstrap, iqm, ratio_of_means, spearman, stratified_bootstrap, wilson


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_iqm_of_known_arrays() -> None:
    assert iqm(np.arange(8)) == pytest.approx(3.5)  # mean of 2, 3, 4, 5
    assert iqm(np.array([0, 0, 1, 2, 3, 4, 1000, -1000])) == pytest.approx(1.5)  # mean of 0, 1, 2, 3
    assert iqm(np.array([7.0])) == 7.0
    assert iqm(np.arange(8).reshape(2, 4)) == iqm(np.arange(8))


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    [(0.95, 100, 0.888, 0.978), (0.95, 200, 0.910, 0.973), (0.80, 200, 0.739, 0.850), (61 / 64, 64, 0.871, 0.984)],
)
def test_wilson_gives_the_cookbook_numbers(share: float, n: int, low: float, high: float) -> None:
    estimate = wilson(round(share * n), n)
    assert (round(estimate.low, 3), round(estimate.high, 3)) == (low, high)
    assert estimate.value == pytest.approx(share)


def test_wilson_at_the_ends() -> None:
    none = wilson(0, 60)
    assert none.value == 0 and none.low == pytest.approx(0, abs=1e-12) and 0.05 < none.high < 0.07
    assert wilson(60, 60).low == pytest.approx(1 - none.high)
    with pytest.raises(VideoSimError, match="successes"):
        wilson(3, 2)


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = generator(1)
    hits = 0
    for _ in range(200):
        estimate = bootstrap(rng.normal(3.0, 1.0, 40), np.mean, rng, repeats=300)
        hits += estimate.low <= 3.0 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.99


def test_bootstrap_of_equal_values_has_no_width_and_repeats_with_the_seed() -> None:
    same = bootstrap(np.full(10, 2.5), np.mean, generator())
    assert (same.value, same.low, same.high, same.n) == (2.5, 2.5, 2.5, 10)
    values = generator(3).normal(size=30)
    assert bootstrap(values, np.median, generator(5)) == bootstrap(values, np.median, generator(5))


def test_copies_of_a_row_do_not_narrow_a_cluster_bootstrap() -> None:
    values = generator(2).normal(size=20)
    copies, labels = np.repeat(values, 10), np.repeat(np.arange(20), 10)

    def width(estimate: Estimate) -> float:
        return estimate.high - estimate.low

    alone = bootstrap(values, np.mean, generator())
    together = bootstrap(copies, np.mean, generator(), clusters=labels)
    naive = bootstrap(copies, np.mean, generator())
    assert together.n == 20 and together.value == pytest.approx(alone.value)
    assert width(together) == pytest.approx(width(alone), rel=0.15)
    assert width(naive) < 0.5 * width(alone)
    with pytest.raises(VideoSimError, match="cluster label"):
        bootstrap(values, np.mean, generator(), clusters=labels)


def test_stratified_bootstrap_never_mixes_strata() -> None:
    # resampling inside constant strata changes nothing; resampling across them would
    constant = stratified_bootstrap([np.zeros(5), np.full(5, 10.0)], generator(), statistic=np.mean)
    assert (constant.value, constant.low, constant.high, constant.n) == (5.0, 5.0, 5.0, 10)
    scores = generator(4).normal(size=(4, 8))
    estimate = stratified_bootstrap(list(scores), generator())
    assert estimate.value == pytest.approx(iqm(scores)) and estimate.low < estimate.value < estimate.high


def test_ratio_of_means_uses_the_pairing() -> None:
    difficulty = generator(6).uniform(1, 100, size=50)
    exact = ratio_of_means(0.9 * difficulty, difficulty, generator())
    assert exact.value == pytest.approx(0.9) and exact.high - exact.low < 1e-9  # unpaired it would be wide
    assert exact.n == 50
    runs = np.stack([0.8 * difficulty, 1.0 * difficulty])  # two training runs: their spread must show
    estimate = ratio_of_means(runs, difficulty, generator())
    assert estimate.value == pytest.approx(0.9)
    assert estimate.low == pytest.approx(0.8) and estimate.high == pytest.approx(1.0)
    with pytest.raises(VideoSimError, match="same episodes"):
        ratio_of_means(difficulty, difficulty[:-1], generator())


def test_ratio_without_a_positive_denominator_is_flagged_and_still_json() -> None:
    undefined = ratio_of_means(np.ones(5), np.zeros(5), generator())
    assert math.isnan(undefined.value) and "not positive" in undefined.flag
    assert json.loads(json.dumps(undefined.to_dict(), allow_nan=False))["value"] is None
    shaky = ratio_of_means(np.ones(6), np.array([-3.0, -2, -1, 1, 2, 5]), generator())
    assert shaky.high == math.inf and shaky.to_dict()["high"] is None


def test_spearman_is_the_rank_correlation() -> None:
    x = generator(7).normal(size=40)
    assert spearman(x, np.exp(x), generator()).value == pytest.approx(1.0)
    assert spearman(x, -(x**3), generator()).value == pytest.approx(-1.0)
    noisy = spearman(x, x + generator(8).normal(size=40), generator())
    from scipy import stats

    assert noisy.value == pytest.approx(stats.spearmanr(x, x + generator(8).normal(size=40)).statistic)
    assert noisy.low < noisy.value < noisy.high < 1 and noisy.flag == ""


def test_correlation_without_variance_is_zero_and_flagged() -> None:
    flat = spearman(np.arange(10), np.ones(10), generator())
    assert (flat.value, flat.low, flat.high) == (0.0, 0.0, 0.0)
    assert "no variance" in flat.flag and flat.to_dict()["flag"] == flat.flag


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, np.nan]), np.array([np.inf])])
def test_missing_numbers_are_refused_not_skipped(bad: np.ndarray) -> None:
    with pytest.raises(VideoSimError):
        iqm(bad)
    with pytest.raises(VideoSimError):
        bootstrap(bad, np.mean, generator())
