"""Statistics against numbers known beforehand: identities, coverage, flags."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from videosim.errors import VideoSimError
from videosim.statistics import Estimate, bootstrap, crossed_bootstrap, iqm, pearson, ratio_of_means


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_iqm_of_known_arrays() -> None:
    assert iqm(np.arange(8)) == pytest.approx(3.5)  # mean of 2, 3, 4, 5
    assert iqm(np.array([0, 0, 1, 2, 3, 4, 1000, -1000])) == pytest.approx(1.5)  # mean of 0, 1, 2, 3
    assert iqm(np.array([7.0])) == 7.0
    assert iqm(np.arange(8).reshape(2, 4)) == iqm(np.arange(8))


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


def test_the_interval_knows_of_seeds_as_well_as_of_episodes() -> None:
    apart = np.array([[0.0] * 50, [100.0] * 50, [50.0] * 50])  # policies differ, episodes do not
    assert crossed_bootstrap(apart, generator()).high - crossed_bootstrap(apart, generator()).low > 50
    assert crossed_bootstrap(apart.T[:3, :], generator()).n == 9
    same = crossed_bootstrap(np.full((3, 50), 7.0), generator())
    assert (same.value, same.low, same.high) == (7.0, 7.0, 7.0)


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


def test_pearson_is_the_correlation() -> None:
    x, y = generator(7).normal(size=40), generator(8).normal(size=40)
    noisy = pearson(x, x + y, generator())
    assert noisy.value == pytest.approx(np.corrcoef(x, x + y)[0, 1])
    assert noisy.low < noisy.value < noisy.high < 1 and noisy.flag == ""


def test_correlation_without_variance_is_zero_and_flagged() -> None:
    blind = pearson(np.full(8, 3.0), np.arange(8.0), generator())
    assert blind.value == 0.0 and blind.flag
    line = pearson(np.arange(8.0), 2 * np.arange(8.0) + 1, generator())
    assert line.value == pytest.approx(1.0) and not line.flag


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, np.nan]), np.array([np.inf])])
def test_missing_numbers_are_refused_not_skipped(bad: np.ndarray) -> None:
    with pytest.raises(VideoSimError):
        iqm(bad)
    with pytest.raises(VideoSimError):
        bootstrap(bad, np.mean, generator())
