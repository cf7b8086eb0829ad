"""What audits look at: worlds that begin, branch and repeat exactly, and the reader of their frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.audits.push_reader import PushReader
from videosim.audits.push_scene import ARENA_M, may_be_hidden
from videosim.audits.truth import FIRST_SEED, Moments, Truth
from videosim.audits.world import DreamWorld, PhysicsWorld, film
from videosim.data.collect import episode_seed


@pytest.fixture(scope="module")
def truth():
    made = Truth()
    yield made
    made.close()


@pytest.fixture(scope="module")
def moments(truth) -> Moments:
    return truth.scattered


@pytest.fixture(scope="module")
def reader(moments) -> PushReader:
    return PushReader(moments.frames, moments.position, moments.share)


def draw(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (n, 2)).astype(np.float32)


# --- identities: worlds ----------------------------------------------------------------------------------------------


def test_physics_oracle_and_truth_show_the_same_bitwise(truth):
    case = truth.case(3, 8)
    for name in ("push", "control:oracle"):
        world = PhysicsWorld(name)
        np.testing.assert_array_equal(film(world, case.start, case.actions), case.truth.frames)
        np.testing.assert_array_equal(film(world, case.start, case.actions), case.truth.frames)  # restartable
        world.close()
    np.testing.assert_array_equal(truth.follow(case.start, case.actions).position, case.truth.position)


@pytest.mark.parametrize("which", ["physics", "dream"])
def test_a_branch_of_a_world_is_its_replay(truth, make_model, which):
    world = PhysicsWorld("control:lag2") if which == "physics" else DreamWorld(make_model(spec=truth.env.world_spec))
    start, _ = truth.start(1)
    world.reset(start)
    for action in draw(0, 3):
        world.step(action)
    held, actions = world.snapshot(), draw(1, 4)

    def go_on():
        return [(world.step(a), world.render(), world.reward, world.state, world.latent)[1:] for a in actions]

    first = go_on()
    world.restore(held)
    for mine, again in zip(first, go_on(), strict=True):
        for a, b in zip(mine, again, strict=True):
            np.testing.assert_array_equal(a, b)
    assert world.state.shape == (world.spec.sensors.size,) and (world.latent is None) == (which == "physics")
    world.close()


def test_a_dream_begins_at_the_frames_that_lead_to_the_start(truth, make_model):
    world = DreamWorld(make_model(spec=truth.env.world_spec))
    start, _ = truth.start(2)
    shown = film(world, start, draw(0, 3))
    assert shown.shape == (4, 64, 64, 3)
    np.testing.assert_array_equal(shown, film(world, start, draw(0, 3)))
    other = replace(start, frames=start.frames[::-1].copy())
    assert not np.array_equal(shown, film(world, other, draw(0, 3)))


def test_audit_seeds_are_not_those_of_recordings():
    assert max(episode_seed(seed, number) for seed in range(20) for number in range(50)) < FIRST_SEED


# --- the reader ------------------------------------------------------------------------------------------------------


def test_the_reader_reads_what_it_was_not_fitted_on(truth, reader):
    held_out = truth.moments(range(1000, 1010))
    read = reader.read(held_out.frames)
    whole = held_out.share > 0.97
    error = np.linalg.norm(read.position - held_out.position, axis=-1)
    assert error[whole].mean() < 0.005 * ARENA_M
    assert not np.isfinite(error[held_out.share == 0.0]).any()
    assert (read.blobs[whole] == 1).all() and (np.abs(read.area[whole] - 1.0) < 0.3).all()


def test_the_screen_s_shadow_is_where_mujoco_hides_things(moments):
    hidden = moments.share == 0.0
    assert hidden.any() and may_be_hidden(moments.position[hidden], 0.0).all()
    in_the_open = ~may_be_hidden(moments.position, 0.0)
    assert (moments.share[in_the_open] > 0.5).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_a_frame_is_read_alone(moments, reader, seed):
    order = np.random.default_rng(seed).permutation(20)
    np.testing.assert_array_equal(
        reader.read(moments.frames[order]).position, reader.read(moments.frames[:20]).position[order]
    )


def test_nothing_is_seen_in_an_empty_frame(reader):
    empty = reader.read(np.zeros((2, 64, 64, 3), np.uint8))
    assert np.isnan(empty.position).all() and not empty.blobs.any()
