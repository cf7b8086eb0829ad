"""Ranking figures against orders whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from videosim.errors import VideoSimError
from videosim.ranking import (
    drop_one_range,
    episode_equivalent,
    fisher,
    largest_hole,
    mmrv,
    mmrv_of_chance,
    policies_needed,
    ranking,
    regret,
)

LADDER = np.linspace(0.0, 1.0, 24)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_perfect_order_violates_nothing_and_a_reversed_one_everything() -> None:
    assert mmrv(LADDER, LADDER) == 0.0 and mmrv(LADDER**3, LADDER) == 0.0
    assert mmrv(-LADDER, LADDER) == pytest.approx(np.maximum(LADDER, 1 - LADDER).mean())
    assert mmrv(np.array([0.0, 2.0, 1.0]), np.array([0.0, 0.4, 1.0])) == pytest.approx((0.0 + 0.6 + 0.6) / 3)


def test_chance_has_the_published_mmrv() -> None:
    """0.63 for 24 uniform returns."""
    values = [mmrv_of_chance(generator(s).uniform(size=24), generator(s), 100) for s in range(10)]
    assert np.mean(values) == pytest.approx(0.63, abs=0.03)


def test_fisher_has_the_published_interval() -> None:
    """r = 0.93: (0.59, 0.99) from 7 policies, (0.84, 0.97) from 24."""
    for count, low, high in ((7, 0.59, 0.99), (24, 0.84, 0.97)):
        x = np.linspace(-1, 1, count)
        y = generator(3).normal(size=count)
        y -= y.mean() + x * (x @ y) / (x @ x)
        found = fisher(x / x.std(), 0.93 * x / x.std() + np.sqrt(1 - 0.93**2) * y / y.std())
        assert (found.value, found.low, found.high) == pytest.approx((0.93, low, high), abs=0.006)
    assert fisher(np.zeros(8), LADDER[:8]).flag and fisher(np.zeros(8), LADDER[:8]).value == 0.0
    with pytest.raises(VideoSimError, match="at least 4 policies"):
        fisher(LADDER[:3], LADDER[:3])


def test_the_number_of_policies_needed_is_enough_and_not_more() -> None:
    count = int(policies_needed(0.93, 0.85))
    half = 1.959964 / np.sqrt(np.array([count, count - 1]) - 3)
    enough, short = np.tanh(np.arctanh(0.93) - half)
    assert enough >= 0.85 > short
    assert policies_needed(0.8, 0.85) == np.inf


def test_ties_do_not_choose_by_the_order_of_a_list() -> None:
    assert regret(np.zeros(24), LADDER) == pytest.approx(0.5)
    assert regret(LADDER, LADDER) == 0.0 and regret(-LADDER, LADDER) == 1.0


def test_one_odd_policy_shows_when_it_is_left_out() -> None:
    odd = LADDER.copy()
    odd[0] = 5.0
    assert drop_one_range(LADDER, LADDER) < 1e-9 < 0.5 < drop_one_range(odd, LADDER)
    assert largest_hole(np.array([0.0, 0.1, 0.7, 1.0])) == pytest.approx(0.6)


def test_a_model_is_worth_the_episodes_that_choose_as_well() -> None:
    rng = generator()
    truth = LADDER[:, None] + rng.normal(0.0, 0.5, (24, 60))
    truth += LADDER[:, None] - truth.mean(1, keepdims=True)
    assert episode_equivalent(np.zeros_like(truth), truth, generator(), 50) == 1
    good = episode_equivalent(truth + rng.normal(0.0, 0.2, truth.shape), truth, generator(), 50)
    assert good > 5


def test_physics_against_itself_is_perfect_and_a_shift_is_bias_only() -> None:
    truth = LADDER[:, None] + generator().normal(0.0, 0.1, (24, 30))
    same = ranking(truth, truth, generator(), repeats=50)
    assert same["pearson_r"].value == pytest.approx(1.0) and same["mmrv"].high == 0.0 and same["bias"].value == 0.0
    shifted = ranking(0.5 * truth + 0.2, truth, generator(), repeats=50)
    assert shifted["spearman"].value == pytest.approx(1.0) and shifted["spread"].value == pytest.approx(0.5)
    assert shifted["bias"].value == pytest.approx(0.2 - 0.5 * truth.mean())
    assert all(
        f.low <= f.value + 1e-9 and f.value <= f.high + 1e-9
        for n, f in shifted.items()
        if np.isfinite(f.low) and n != "drop_one_range"
    )
    with pytest.raises(VideoSimError, match="same policies and episodes"):
        ranking(truth, truth[:, 1:], generator())
