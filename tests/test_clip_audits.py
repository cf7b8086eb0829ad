"""The formulas of A5, A10, A11, A12 and A16 on known answers: what is alike, surprising, reached, skilful and told."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.audits import explanation, likeness, resampling, surprise
from videosim.audits.efficiency import skill
from videosim.audits.push_reader import Reading
from videosim.audits.push_scene import ARENA_M

E0_M = 0.003
EVENTS = st.lists(st.integers(1, 3), max_size=6)


def reading(position: np.ndarray) -> Reading:
    ones = np.ones(position.shape[:2])
    return Reading(position, ones, ones, ones.astype(int))


# --- A5 --------------------------------------------------------------------------------------------------------------


def spread(places: np.ndarray) -> tuple[float, float, float]:
    truth = SimpleNamespace(share=np.ones((5, 4)), position=np.zeros((5, 4, 2)))
    return resampling._spread(SimpleNamespace(truth=truth), places)  # type: ignore[arg-type]


def test_answers_that_agree_have_no_spread_though_they_be_wrong():
    assert spread(np.full((8, 2, 4, 2), 0.3)) == (0.0, 0.0, pytest.approx(0.3 * np.sqrt(2)))


def test_the_spread_is_that_of_the_answers_and_what_is_missing_is_an_arena_away():
    places = np.random.default_rng(0).normal(0.0, (0.01, 0.02), (4000, 4, 1, 2)).transpose(0, 3, 1, 2)
    near, far, _ = spread(np.concatenate([places, places], -1))  # in both coordinates alike
    assert (near, far) == (pytest.approx(0.01 * np.sqrt(2), rel=0.03), pytest.approx(0.02 * np.sqrt(2), rel=0.03))
    gone = np.zeros((8, 2, 4, 2))
    gone[3, 0, 1] = np.nan
    assert spread(gone)[0] == pytest.approx(ARENA_M * np.sqrt(1 / 4)) and spread(gone)[1] == 0.0
    gone[:, 0, 1] = np.nan  # to all answers alike
    assert spread(gone)[0] == 0.0 and spread(gone)[1] == 0.0


# --- A10 -------------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), wanted=st.integers(2, 20))
def test_whoever_goes_by_the_change_alone_is_right_in_half_of_the_pairs(seed, wanted):
    rng = np.random.default_rng(seed)
    impossible, possible = rng.gamma(2.0, 10.0, 60) + 5.0, rng.gamma(2.0, 10.0, 60)
    usable = rng.random(60) < 0.8
    pairs = surprise.matched(impossible, possible, usable, wanted)
    ours, others = (np.array([pair[side] for pair in pairs], int) for side in (0, 1))
    assert len(pairs) % 2 == 0 and len(pairs) <= wanted + 1 and usable[ours].all() and (ours != others).all()
    assert len(set(ours)) == len(ours) and len(set(others)) == len(others)
    right = surprise._right(np.stack([impossible[ours], possible[others]], 1))
    assert not len(pairs) or right.mean() == 0.5
    assert (np.abs(possible[others] / impossible[ours] - 1.0) <= surprise.MATCHED).all()


def test_a_thing_that_is_gone_surprises_more_than_noise_everywhere():
    rng = np.random.default_rng(0)
    frame = rng.integers(60, 80, (64, 64, 3)).astype(np.uint8)
    gone, noisy = frame.copy(), np.clip(frame + rng.normal(0, 8, frame.shape), 0, 255).astype(np.uint8)
    gone[20:28, 30:38, 0] = 230
    assert surprise.surprise(frame, frame) == 0.0
    assert surprise.surprise(frame, gone) > surprise.VISIBLE > surprise.surprise(frame, noisy) > 0.0


@settings(max_examples=50, deadline=None)
@given(a=st.lists(st.integers(0, 5), min_size=1, max_size=9), b=st.lists(st.integers(0, 5), min_size=1, max_size=9))
def test_the_area_under_the_curve_counts_pairs(a, b):
    pairs = [(x > y) + 0.5 * (x == y) for x, y in itertools.product(a, b)]
    assert surprise.auroc(a, b) == pytest.approx(np.mean(pairs))
    assert surprise.auroc(a, b) + surprise.auroc(b, a) == pytest.approx(1.0)


# --- A11 -------------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(a=EVENTS, b=EVENTS)
def test_sequences_of_events_are_alike_as_far_as_they_need_no_edit(a, b):
    assert explanation.similarity(a, a) == 1.0 and explanation.similarity(a, b) == explanation.similarity(b, a)
    assert explanation.similarity(a, b) < 1.0 or a == b
    assert explanation.similarity([1, 2, 3], [1, 3]) == pytest.approx(2 / 3) and explanation.similarity([], [1]) == 0.0


def test_an_event_is_a_thing_that_begins_to_move():
    position = np.tile([[-0.3, -0.3], [0.0, 0.0], [0.3, 0.3], [0.3, -0.3]], (60, 1, 1))
    position += np.random.default_rng(0).normal(0.0, 0.2 * E0_M, position.shape)
    still = position.copy()
    position[:, 0, 0] += 0.01 * np.arange(60)  # the pusher is no event
    position[:, 3, 1] += 0.02 * np.clip(np.arange(60) - 8, 0, 8)
    position[:, 1, 0] += 0.02 * np.clip(np.arange(60) - 20, 0, 8) + 0.02 * np.clip(np.arange(60) - 40, 0, 8)
    assert explanation.events(reading(position), E0_M) == [3, 1, 1] and not explanation.events(reading(still), E0_M)
    position[20:50, 1] = np.nan  # hidden from before the first move on, and seen again elsewhere
    position[:, 2] = np.nan
    assert explanation.events(reading(position), E0_M) == [3, 1]


def test_hits_against_false_alarms_and_misses():
    assert explanation.f1(np.array([[3, 1, 0], [3, 0, 1]])) == pytest.approx(12 / 14)
    assert explanation.f1(np.zeros((2, 3))) == 1.0 and explanation.f1(np.array([[0, 0, 4]])) == 0.0


# --- A12, A16 --------------------------------------------------------------------------------------------------------


def test_a_frozen_picture_has_no_skill_and_the_truth_has_all():
    assert skill(np.array([[0.0, 0.4], [0.0, 0.2]])) == 1.0 and skill(np.array([[0.4, 0.4], [0.2, 0.2]])) == 0.0
    assert skill(np.zeros((2, 2))) == 0.0


def auc(ours: np.ndarray, true: np.ndarray) -> float:
    return surprise.auroc(*likeness.scores([(row[:3], row[3:]) for row in ours], [(r[:3], r[3:]) for r in true]).T)


def test_a_classifier_tells_what_differs_in_mean_or_only_in_spread_and_nothing_else():
    rng = np.random.default_rng(0)
    true, other = rng.normal(size=(2, 120, 6))
    assert auc(true, true) == pytest.approx(0.5, abs=0.05), "ties are half"
    assert 0.35 < auc(other, true) < 0.65
    assert auc(other + 2.0 * np.eye(6)[0], true) > 0.85 and auc(4.0 * other, true) > 0.85
    assert auc(other[:3], true[:3]) == pytest.approx(0.5, abs=0.5)  # fewer clips than folds are no error


def test_what_the_frames_tell_counts_only_where_true_frames_tell_it():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(50, 4))
    shown = np.ones((50, 4))
    perfect = np.stack([true, true, shown], -1)
    noise = rng.normal(size=(50, 4)) * [0.0, 0.0, 0.1, 5.0]
    read = np.stack([true + noise, true, shown], -1)
    np.testing.assert_allclose(likeness.determined(perfect), 1.0)
    assert likeness.richness(np.concatenate([perfect, perfect], -1)) == 1.0
    assert likeness.richness(np.concatenate([read, perfect], -1)) == 0.75
    assert likeness.richness(np.concatenate([perfect, read], -1)) == 1.0, "three are known, and three are told"
    lost = read.copy()
    lost[0, 0] = (true[0, 0] + 50.0, true[0, 0], 0.0)  # not seen in truth: does not count
    assert likeness.richness(np.concatenate([lost, perfect], -1)) == 0.75
    still = np.zeros((50, 4, 3))
    assert likeness.determined(still).tolist() == [0.0] * 4
