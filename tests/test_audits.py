"""The audits' formulas on known answers, what counts as a break, what a bar decides, and bad input by name."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.audits import coherence, identity, intervention, lasting, permanence, responses, rewards, successor
from videosim.audits.catalogue import SCENES
from videosim.audits.exam import Report
from videosim.audits.forks import Fork
from videosim.audits.journeys import APART, FIRST_NUMBER, TRIES, Journey, Travelled, kind
from videosim.audits.looks import looks
from videosim.audits.matrix import score
from videosim.audits.push_reader import PushReader, Reading
from videosim.audits.push_scene import ARENA_M, NAMES
from videosim.audits.survival import kaplan_meier, mean_share, wilson
from videosim.audits.truth import Moments
from videosim.audits.verdict import FAIL, INCONCLUSIVE, PASS, Bar, Finding, Result, judge, load_bars
from videosim.audits.world import PhysicsWorld, Start
from videosim.envs.controls import ZOOS
from videosim.errors import VideoSimError
from videosim.statistics import Estimate

# --- identities: formulas --------------------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.integers(0, 12), st.just(math.inf)), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_survival_without_censoring_is_the_share_that_is_left(first):
    ends = np.array(first, float)
    survival = kaplan_meier(ends, np.full(len(ends), 12), 12)
    np.testing.assert_allclose(survival.curve, [(ends > t).mean() for t in range(13)], atol=1e-12)
    assert (np.diff(survival.curve) <= 1e-12).all()
    assert (survival.low <= survival.curve + 1e-12).all() and (survival.curve <= survival.high + 1e-12).all()


def test_survival_with_censoring_by_hand():
    """Five episodes: breaks at 1 and 3, censored at 2, 4 and 4."""
    survival = kaplan_meier(np.array([1, 3, math.inf, math.inf, math.inf]), np.array([4, 4, 2, 4, 4]), 4)
    np.testing.assert_allclose(survival.curve, [1, 4 / 5, 4 / 5, 4 / 5 * 2 / 3, 4 / 5 * 2 / 3])
    assert survival.half_life == math.inf and survival.mean == pytest.approx(np.mean(survival.curve[1:]))


@pytest.mark.parametrize(
    "share, n, low, high", [(0.95, 100, 0.888, 0.978), (0.95, 200, 0.910, 0.973), (0.80, 200, 0.739, 0.850)]
)
def test_wilson_s_interval(share, n, low, high):
    assert wilson(share, n) == pytest.approx((low, high), abs=6e-4)


def test_a_share_that_all_episodes_agree_on_is_still_in_doubt():
    estimate = mean_share(np.ones(8), np.random.default_rng(0))
    assert estimate.value == estimate.high == 1.0 and estimate.low == pytest.approx(wilson(1.0, 8)[0])


def fork_of(places: np.ndarray) -> Fork:
    """A fork whose truth is ``places`` (K, T+1, 4, 2), all in sight."""
    frames = np.zeros((places.shape[1], 2, 2, 3), np.uint8)
    truths = [Moments(frames, place, np.ones(place.shape[:2])) for place in places]
    return Fork(Start(np.zeros(0), frames, np.zeros((0, 2)), 0), np.zeros((len(places), 1, 2)), truths)


def walks(seed: int, frames: int = 16) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0.0, 0.02, (4, frames, 4, 2))
    steps[:, 0] = 0.0
    return np.cumsum(steps, axis=1)


@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(-1.0, 2.0).filter(lambda f: abs(f) > 0.05))
@settings(max_examples=20, deadline=None)
def test_a_scaled_world_has_that_effect_ratio(seed, factor):
    places = walks(seed)
    effects = intervention._effects(fork_of(places), factor * places)
    np.testing.assert_allclose(effects[:, 0], factor)
    np.testing.assert_allclose(effects[:, 1], np.sign(factor))


@given(seed=st.integers(0, 2**32 - 1), late=st.integers(-3, 3))
@settings(max_examples=20, deadline=None)
def test_the_latency_of_a_shifted_world_is_the_shift(seed, late):
    long = walks(seed, 60)
    rows = intervention._moves(fork_of(long[:, 10:50]), long[:, 10 - late : 50 - late])
    assert intervention._latency(rows[None]) == pytest.approx(late, abs=0.25)


def test_a_latency_between_frames_is_found():
    """A smooth motion, late by 1.5 frames."""
    t, speed = np.arange(40), np.random.default_rng(0).uniform(0.2, 0.6, (4, 1, 4, 2))
    smooth, late = np.sin(speed * t[None, :, None, None]), np.sin(speed * (t - 1.5)[None, :, None, None])
    rows = intervention._moves(fork_of(smooth), late)
    assert intervention._latency(rows[None]) == pytest.approx(1.5, abs=0.1)


def test_choice_at_the_right_at_chance_and_with_what_is_missing():
    places = walks(0)
    fork = fork_of(places)
    assert intervention._identified(fork, places) == 1.0
    assert intervention._identified(fork, np.broadcast_to(places[:1], places.shape)) == 1 / 4  # one answer to all
    gone = np.full_like(places, np.nan)
    assert intervention._identified(fork, gone) == 1 / 4  # ties share
    assert not intervention._effects(fork, gone).any()
    assert intervention._latency(intervention._moves(fork, gone)[None]) == intervention.LAGS
    one = places.copy()
    one[1, -1, 2] = np.nan
    assert intervention._largest(places[1], one[1]) == ARENA_M


@given(st.integers(0, 400), st.integers(1, 400))
def test_no_two_journeys_of_a_kind_look_at_the_same_starts(index, further):
    """Many thousand starts may be needed for one, so they look far into each other's."""
    if kind(index) == kind(index + further):
        assert FIRST_NUMBER + index * APART + TRIES <= FIRST_NUMBER + (index + further) * APART


def journey_of(position: np.ndarray, **more) -> Journey:
    """A journey whose truth is ``position`` (T+1, 4, 2), in the open, all in sight."""
    steps = len(position) - 1
    return Journey(
        **{
            "start": None,
            "actions": np.zeros((steps, 2)),
            "position": position,
            "share": np.ones(position.shape[:2]),
            "read": reading(position),
            "rewards": np.zeros(steps),
            "success": np.zeros(steps, bool),
            "goal": np.zeros(2),
            "ball": 1,
            "left": 4,
            "policy": 0,
            "screen": False,
            "pulses": (),
            **more,
        }
    )


def reading(position: np.ndarray) -> Reading:
    ones = np.ones(position.shape[:2])
    return Reading(position, ones, ones, ones.astype(int))


def test_the_error_of_truth_is_none_of_a_frozen_picture_persistence_and_of_nothing_an_arena():
    position = walks(3, 17)[0]
    journey = journey_of(position)
    frozen, gone = np.broadcast_to(position[:1], position.shape), np.full_like(position, np.nan)
    sums = [
        coherence._sums(journey, Travelled(reading(shown), np.zeros(16), None)) for shown in (position, frozen, gone)
    ]
    assert coherence._skills(sums[0][None]).min() == 1.0 and not coherence._errors(sums[0][None]).any()
    np.testing.assert_allclose(coherence._skills(sums[1][None]), 0.0)
    np.testing.assert_allclose(coherence._errors(sums[2][None]), ARENA_M)
    assert coherence._horizon(np.array([0.9, 0.4, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]), 80) == 10.0  # a collapse that heals


@given(levels=st.integers(1, 8), factor=st.floats(0.2, 2.0))
@settings(max_examples=20, deadline=None)
def test_a_staircase_is_told_from_a_weak_line(levels, factor):
    true = responses.DOSES
    weak, steps = np.stack([factor * true, true])[None], np.stack([np.round(levels * true) / levels, true])[None]
    slope, offset, r2 = responses.line(weak)
    assert (slope, r2) == (pytest.approx(factor), pytest.approx(1.0)) and offset == pytest.approx(0.0, abs=1e-9)
    assert responses.slope_within(weak[..., 4:9]) == pytest.approx(factor)
    assert responses.staircase(steps) > 0.4 and responses.line(steps)[2] < 0.999
    assert responses.falls(weak, 0.0) == 0.0 and responses.falls(weak[..., ::-1], 0.0) == 1.0
    if factor > 0.51:
        assert responses.staircase(weak) == 0.0


def test_kappa_by_hand_and_of_a_world_that_always_says_yes():
    labels = np.array([[1, 1], [1, 0], [0, 0], [0, 0]], float)
    assert successor._kappa(labels) == pytest.approx((0.75 - 0.5) / (1 - 0.5))
    assert successor._kappa(np.array([[1, 1], [1, 0]], float)) == successor._kappa(np.ones((3, 2))) == 0.0


def test_only_what_one_policy_gains_over_the_others_is_exploitation():
    gaps = np.tile([0.5, 0.5, 0.5, 0.9], (3, 1))
    assert rewards._index(gaps) == pytest.approx(0.4)


def test_a_hidden_ball_that_comes_back_late_elsewhere_or_never():
    """Hidden from frame 4 to 9 while it goes 6 cm west; seen again from frame 10."""
    position = np.tile(HOME, (20, 1, 1))
    position[:, 1, 0] -= np.clip(np.arange(20) - 3, 0, 6) * 0.01
    share = np.ones((20, 4))
    share[4:10, 1] = 0.0
    seen, late, left, never = (position.copy() for _ in range(4))
    for shown, back in ((seen, 10), (late, 13), (left, 10), (never, 20)):
        shown[4:back, 1] = np.nan
    left[10:, 1] = position[4, 1]
    journey = journey_of(position, share=share, read=reading(seen), screen=True)
    found = [permanence._return(journey, Travelled(reading(x), None, None), 0.003) for x in (seen, late, left, never)]
    assert found == [(True, 0, True, False), (True, 3, False, True), (True, 0, False, True), (False, 9, False, True)]


def test_what_is_missing_has_moved_when_it_should_lie_and_not_when_it_should_move():
    position = np.tile(HOME, (20, 1, 1))
    gone = np.full_like(position, np.nan)
    journey, nothing = journey_of(position), Travelled(reading(gone), None, None)
    assert not lasting._apart(journey, nothing, 0, 8) > lasting.BIT_M
    assert lasting._untouched(journey, nothing) == [True] * 3
    assert lasting._untouched(journey, Travelled(reading(position), None, None)) == [False] * 3


@pytest.mark.parametrize(("pusher", "strays"), [((0.0, 0.0), False), ((0.4, 0.4), True)])
def test_what_is_run_into_has_not_changed_by_itself(pusher, strays):
    """The thing moves off at frame 8, or is put elsewhere at once; beside it stands the pusher, or nothing does."""
    shown = np.tile(np.array([pusher, (0.13, 0.0), (-0.4, 0.4), (-0.4, -0.4)]), (20, 1, 1))
    jumped = shown.copy()
    jumped[8:, 1] = (-0.3, 0.4)  # beside another thing, which had not come to it
    shown[8:, 1, 0] += 0.02 * np.arange(1, 13)
    assert lasting._strays(shown, 1) == lasting._strays(jumped, 1) == strays
    shown[-1, 1] = np.nan
    assert lasting._strays(shown, 1)


# --- breaks ----------------------------------------------------------------------------------------------------------

HOME = np.array([[-0.3, -0.3], [0.0, 0.0], [0.3, 0.3], [0.3, -0.3]])


def still(frames: int = 12) -> Reading:
    ones = np.ones((frames, 4))
    return Reading(np.tile(HOME, (frames, 1, 1)), ones.copy(), ones.copy(), ones.astype(int))


def first(read: Reading, share: np.ndarray | None = None) -> tuple[int, str, str] | None:
    found = identity.first_break(read, np.ones(read.area.shape) if share is None else share, HOME)
    return None if found is None else (found.frame, found.kind, found.name)


@given(t0=st.integers(2, 10), i=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_each_kind_of_break_at_its_frame(t0, i):
    assert first(still()) is None
    gone, second, small, far = still(), still(), still(), still()
    gone.position[t0:, i] = np.nan
    second.blobs[t0:, i] = 2
    small.area[t0:, i] = 0.3
    far.position[t0:, i] += (0.15, -0.05)
    found = [first(read) for read in (gone, second, small, far)]
    assert found == [(t0, kind, NAMES[i]) for kind in ("vanish", "duplicate", "morph", "teleport")]


def test_a_swap_is_two_teleports():
    read = still()
    read.position[5:, [1, 2]] = HOME[[2, 1]]
    assert first(read) == (5, "swap", "red")


def test_what_is_no_break():
    flicker, hidden, slow, aside = still(), still(), still(), still()
    flicker.position[4, 1] = np.nan  # one frame only
    flicker.blobs[6, 2] = 2
    hidden.position[3:, 1] = np.nan  # truth hides it too
    share = np.ones((12, 4))
    share[3:, 1] = 0.1
    slow.position[:, 1, 0] += 0.04 * np.arange(12)
    aside.position[:4, 1] = (-0.2, 0.2)  # under the screen's edge, and not seen again
    aside.position[4:, 1] = np.nan
    assert first(flicker) is None and first(hidden, share) is None and first(slow) is None
    assert identity.first_break(aside, np.ones((12, 4)), aside.position[0]) is None


# --- verdicts --------------------------------------------------------------------------------------------------------


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 10)


@pytest.mark.parametrize(
    "bar, given, verdict",
    [
        (Bar("at_least", (0.95,), (0.9,)), estimate(0.97, 0.91, 1.0), PASS),
        (Bar("at_least", (0.95,), (0.9,)), estimate(0.97, 0.85, 1.0), INCONCLUSIVE),
        (Bar("at_least", (0.95,), (0.9,)), estimate(0.94, 0.91, 0.96), INCONCLUSIVE),
        (Bar("at_least", (0.95,), (0.9,)), estimate(0.5, 0.3, 0.7), FAIL),
        (Bar("at_most", (2.0,), (2.0,)), estimate(1.0, 0.5, 1.9), PASS),
        (Bar("at_most", (2.0,), (2.0,)), estimate(1.0, 0.5, 2.1), INCONCLUSIVE),
        (Bar("at_most", (2.0,), (2.0,)), estimate(9.0, 3.0, 12.0), FAIL),
        (Bar("within", (0.7, 1.4), (0.7, 1.4)), estimate(1.0, 0.8, 1.2), PASS),
        (Bar("within", (0.7, 1.4), (0.7, 1.4)), estimate(1.0, 0.6, 1.2), INCONCLUSIVE),
        (Bar("within", (0.7, 1.4), (0.5, 2.0)), estimate(1.0, 0.6, 1.8), PASS),
        (Bar("within", (0.7, 1.4), (0.5, 2.0)), estimate(2.0, 1.5, 2.5), FAIL),
        (Bar("at_most", (2.0,), (2.0,)), estimate(math.nan, 0.0, 1.0), FAIL),
    ],
)
def test_a_bar_applies_to_the_bound(bar, given, verdict):
    assert bar.judge(given) == verdict


@given(
    value=st.floats(0.0, 1.0),
    down=st.floats(0.01, 0.5),
    up=st.floats(0.01, 0.5),
    n=st.integers(2, 500),
    bar=st.sampled_from(
        [Bar("at_least", (0.6,), (0.5,)), Bar("at_most", (0.4,), (0.4,)), Bar("within", (0.3, 0.7), (0.2, 0.8))]
    ),
)
@settings(max_examples=200, deadline=None)
def test_the_n_that_is_wanted_settles_it(value, down, up, n, bar):
    """Were the interval narrower as 1/sqrt(n), the verdict would be PASS or FAIL at that n; too few episodes say so."""
    found = bar.finding(Estimate(value, value - down, value + up, n))
    if found.verdict != INCONCLUSIVE:
        assert found.wanted is None
    elif found.wanted is not None:
        assert found.wanted > n and found.to_dict()["n_wanted"] == found.wanted
        shrunk = math.sqrt(n / (found.wanted + 1))
        assert bar.judge(Estimate(value, value - down * shrunk, value + up * shrunk, n)) != INCONCLUSIVE


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("size", ["smoke", "quick", "standard"])
def test_no_size_moves_a_limit(size, scene):
    full, other = load_bars("full", scene=scene), load_bars(size, scene=scene)
    assert full.sha256 == other.sha256 and full.sizes.keys() == other.sizes.keys()
    for audit, rows in full.audits.items():
        for name, bar in rows.items():
            assert other.audits[audit][name].limits == bar.limits


@pytest.mark.parametrize("scene", SCENES.values(), ids=list(SCENES))
def test_every_audit_has_bars_a_row_in_the_matrix_and_gates_before_it(scene):
    assert set(load_bars("full", scene=scene.name).audits) == {"A0", *scene.audits}
    for name, audit in scene.audits.items():
        verdicts = {cells[name] for cells in scene.expected().values() if name in cells}
        assert verdicts == {PASS, FAIL}, f"{name} is never seen to tell a broken world from a sound one"
        assert all(gate in scene.audits for gate in audit.gate)
    assert set(scene.few) <= set(scene.expected())


def test_the_matrix_speaks_of_every_control():
    assert set(SCENES["push"].expected()) == set(ZOOS["push"]) - {"codec"}
    assert set(SCENES["driving"].expected()) == set(ZOOS["driving"]) - {"codec", "noise", "blur"}
    assert set(SCENES["door"].expected()) == set(ZOOS["door"]) - {"codec"}


def test_the_score_of_the_audits():
    def report(**verdicts: float) -> Report:
        bar = Bar("at_least", (0.5,), (0.5,))
        values = {audit: estimate(value, value - 0.1, value + 0.1) for audit, value in verdicts.items()}
        results = {a: Result(a, "w", {"m": Finding(e, bar.judge(e))}) for a, e in values.items()}
        return Report("w", "", results)

    wanted = {"a": {"A1": PASS, "A3": FAIL}, "b": {"A1": PASS}}
    result = score({"a": report(A1=0.9, A3=0.5).verdicts, "b": report(A1=0.9).verdicts}, wanted)
    assert (result.sensitivity, result.specificity, result.must_fail, result.must_pass) == (0.0, 1.0, 1, 2)
    assert result.wrong == [("a", "A3", FAIL, INCONCLUSIVE)]


# --- bad input -------------------------------------------------------------------------------------------------------


def bar_file(folder: Path, bar: str, bounds: str = "") -> Path:
    path = folder / "bars.yaml"
    path.write_text(f"bars: {{A1: {{survival: {bar}}}}}\nsizes: {{full: {{numbers: {{}}, bounds: {{{bounds}}}}}}}\n")
    return path


@pytest.mark.parametrize(
    "fault, sentence",
    [
        (lambda t: load_bars("huge"), "no size 'huge'; it has full, standard, quick, smoke"),
        (lambda t: load_bars("full", t / "nothing.yaml"), "cannot be read"),
        (lambda t: load_bars("full", bar_file(t, "{}")), "bar A1.survival must state one of"),
        (lambda t: load_bars("full", bar_file(t, "{within: 1}")), "needs one limit and bound, or two"),
        (lambda t: load_bars("full", bar_file(t, "{at_least: nan}")), "needs one limit and bound"),
        (lambda t: load_bars("full", bar_file(t, "{at_least: 0.5}")), "needs a whole number from 1 as 'instrument"),
        (lambda t: load_bars("full", bar_file(t, "{at_least: 0.5}", "A1.s: 0.1")), "'A1.s', which is no bar"),
        (lambda t: looks([0.5, 0.9], 2.0), "are shares that rise to 1"),
        (lambda t: looks([0.5, 1.0], 0.0), "is positive; got 0"),
        (lambda t: judge("A1", "w", {}, load_bars("full")), "disagree about 'motion_ratio'"),
        (lambda t: kaplan_meier(np.zeros(0), np.zeros(0), 3), "and an episode; got 0"),
        (
            lambda t: PushReader(np.zeros((3, 64, 64, 3), np.uint8), np.zeros((3, 4, 2)), np.ones((3, 4))),
            "60 frames with all of pusher in sight and got 0",
        ),
        (lambda t: PhysicsWorld("control:nothing"), "there is no control 'nothing'"),
    ],
)
def test_bad_input_is_named(tmp_path, fault, sentence):
    with pytest.raises(VideoSimError, match=sentence):
        fault(tmp_path)
