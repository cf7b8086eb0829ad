"""The gallery: the camera goes where it is told and back again, and geometry knows what it sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout import same, trace

from videosim.envs.gallery import COLOURS, REACH_M, SPEED_MPS, TURN_RADPS, moved
from videosim.envs.physics import PhysicsEnv

SEED = 2**32 + 5


@pytest.fixture(scope="module")
def env():
    made = PhysicsEnv("gallery")
    yield made
    made.close()


@given(
    place=st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.floats(-3.0, 3.0)),
    velocity=st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.floats(-1.5, 1.5)),
)
@settings(max_examples=50, deadline=None)
def test_the_opposite_velocity_undoes_a_step(place, velocity):
    there = moved(np.array(place), np.array(velocity))
    np.testing.assert_allclose(moved(there, -np.array(velocity)), place, atol=1e-12)


def test_the_way_back_shows_the_same_pictures(env):
    env.reset(seed=SEED)
    out = np.random.default_rng(0).uniform(-0.8, 0.8, (6, 3)).astype(np.float32)
    frames = [env.render()]
    for action in np.concatenate([out, -out[::-1]]):
        env.step(action)
        frames.append(env.render())
    for there, back in zip(frames[:6], frames[:-7:-1], strict=True):
        assert np.abs(there.astype(int) - back.astype(int)).max() <= 1
    assert (np.abs(frames[6].astype(int) - frames[0].astype(int)) > 30).mean() > 0.05


def test_actions_are_along_the_camera_s_own_axes(env):
    names = env.world_spec.sensors.names
    x, y, cos, sin = (names.index(name) for name in ("x", "y", "cos_heading", "sin_heading"))
    env.reset(seed=SEED)
    before = env.sensors()
    env.step(np.array([1.0, 0.0, 0.0]))
    after = env.sensors()
    gone = after[[x, y]] - before[[x, y]]
    np.testing.assert_allclose(gone, SPEED_MPS * 0.04 * before[[cos, sin]], atol=1e-6)
    env.step(np.array([0.0, 0.0, 1.0]))
    turned = np.arctan2(env.sensors()[sin], env.sensors()[cos]) - np.arctan2(after[sin], after[cos])
    assert (turned + np.pi) % (2 * np.pi) - np.pi == pytest.approx(TURN_RADPS * 0.04, abs=1e-5)


def test_the_camera_stays_in_its_part_of_the_room_and_sees_what_seeds_place(env):
    rooms = set()
    for seed in range(4):
        state, _ = env.reset(seed=seed, options={"wide": True})
        rooms.add(tuple(state[-4 * len(COLOURS) :]))
        for _ in range(30):
            state, *_ = env.step(np.array([1.0, 0.3, 0.1]))
        assert np.abs(state[:2]).max() <= REACH_M + 1e-6
    assert len(rooms) == 4


@pytest.mark.parametrize("control", ["two_d_warp", "no_parallax", "zoom_only", "slow_drift", "forget"])
def test_a_branch_of_a_control_is_its_replay(control):
    env = PhysicsEnv(f"control:gallery.{control}")
    env.reset(seed=SEED)
    actions = np.random.default_rng(1).uniform(-1.0, 1.0, (6, 3)).astype(np.float32)
    trace(env, actions[:3])
    saved = env.save()
    first = trace(env, actions[3:])
    env.reset(seed=SEED + 1)
    env.restore(saved)
    assert same(first, trace(env, actions[3:]))
    env.close()


def test_flat_controls_begin_with_the_truth_and_what_they_draw_they_put_back(env):
    env.reset(seed=SEED)
    start, action = env.save(), np.array([0.5, 0.2, 0.4], np.float32)
    shown = {}
    for name in ("oracle", "two_d_warp", "no_parallax", "zoom_only"):
        world = PhysicsEnv(f"control:gallery.{name}")
        world.reset(seed=1, options={"state": start})
        first = world.render()
        states = [world.step(action)[0] for _ in range(4)]
        shown[name] = first, world.render(), states[-1]
        world.close()
    for name, (first, last, state) in shown.items():
        np.testing.assert_array_equal(first, shown["oracle"][0])
        np.testing.assert_array_equal(state, shown["oracle"][2])
        assert (name == "oracle") == np.array_equal(last, shown["oracle"][1])


@pytest.mark.parametrize(("control", "turn"), [("no_parallax", 0.6), ("two_d_warp", 0.2)])
def test_turning_alone_is_right_without_depth(env, control, turn):
    """A pure rotation needs none: the picture is the truth's, but for what was out of sight and for the resampling."""
    env.reset(seed=SEED)
    flat = PhysicsEnv(f"control:gallery.{control}")
    flat.reset(seed=1, options={"state": env.save()})
    for _ in range(3):
        env.step(np.array([0.0, 0.0, turn])), flat.step(np.array([0.0, 0.0, turn]))
    seen = np.s_[8:-8, 12:-12]
    apart = np.abs(env.render().astype(int) - flat.render().astype(int))[seen]
    assert apart.mean() < (0.1 if control == "no_parallax" else 8.0)
    flat.close()
