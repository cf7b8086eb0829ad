"""Ground truth: every world keeps gymnasium's contract, restores bitwise, and refuses bad input with one sentence."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout import same, trace
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import videosim  # noqa: F401  (registers the ids)
from videosim.config import WorldConfig
from videosim.envs.physics import PhysicsEnv, load_world
from videosim.envs.rendering import DefaultRenderer, box_average
from videosim.errors import VideoSimError

BUNDLED = ("cartpole-swingup", "reacher-easy", "cheetah-run", "push", "door", "driving", "driving-obstacles")
ANY = ("dm_control:finger-spin", "gymnasium:InvertedDoublePendulum-v5")
UNTASKED = ("laws", "laws-ood", "gallery")  # where nothing need move
WORLDS = (*BUNDLED, *UNTASKED, *ANY)


@pytest.fixture(scope="module")
def envs():
    made = {world: PhysicsEnv(world) for world in WORLDS}
    yield made
    for env in made.values():
        env.close()


def draw(env: PhysicsEnv, seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(
        env.action_space.low, env.action_space.high, (n, env.action_space.shape[0])
    )


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("check", [lambda env: check_env(env, skip_render_check=True), check_env_sb3])
def test_environment_checkers_have_nothing_to_say(world, check):
    env = gymnasium.make("VideoSimPhysics-v0", world=world, obs="pixels" if world == "push" else "state").unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(env)
    env.close()


@pytest.mark.parametrize("world", WORLDS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), before=st.integers(0, 6), wide=st.booleans())
def test_restoring_replays_bitwise(envs, world, seed, before, wide):
    env = envs[world]
    env.reset(seed=seed, options={"wide": wide})
    trace(env, draw(env, seed, before))
    saved, actions = env.save(), draw(env, seed + 1, 5)
    first = trace(env, actions)
    env.reset(seed=seed + 1)  # another episode in between, with another target
    env.restore(saved)
    assert same(first, trace(env, actions))


@pytest.mark.parametrize("world", WORLDS)
def test_a_saved_state_carries_over_to_another_instance(envs, world):
    env, other = envs[world], PhysicsEnv(world)
    env.reset(seed=3)
    trace(env, draw(env, 0, 4))
    saved, actions = env.save(), draw(env, 1, 4)
    first = trace(env, actions)
    other.reset(seed=99)
    other.restore(saved)
    assert same(first, trace(other, actions))
    other.close()


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("wide", [False, True])
def test_seeds_decide_the_episode(envs, world, wide):
    env = envs[world]

    def episode(seed):
        env.reset(seed=seed, options={"wide": wide})
        return trace(env, draw(env, 0, 3))

    assert same(episode(5), episode(5))
    assert not same(episode(5), episode(6))


@pytest.mark.parametrize("world", BUNDLED)
def test_sensors_stay_in_their_ranges_and_show_in_the_picture(envs, world):
    env = envs[world]
    spec = env.world_spec.sensors
    frames, rows = [], []
    for seed in range(3):
        env.reset(seed=seed, options={"wide": True})
        for action in draw(env, seed, 15):
            rows.append(env.step(action)[0])
            frames.append(env.render())
    rows, frames = np.array(rows), np.array(frames)
    inside = (rows >= np.array(spec.low) - 1e-3) & (rows <= np.array(spec.high) + 1e-3)
    assert inside.mean() > 0.97
    assert np.abs(np.diff(frames.astype(int), axis=0)).max(axis=(1, 2, 3)).min() > 20  # something moves at every step


@pytest.mark.parametrize("world", ["cartpole-swingup", "reacher-easy"])
def test_wide_starts_are_wider_than_the_task_s_own(envs, world):
    env = envs[world]
    spread = [
        np.std([env.reset(seed=s, options={"wide": wide})[0] for s in range(40)], axis=0)[-2:] for wide in (False, True)
    ]
    assert (spread[1] > 3 * spread[0]).all()


def test_reward_is_the_sum_over_the_action_repeat():
    once = PhysicsEnv(WorldConfig(action_repeat=1, horizon=1000))
    four = PhysicsEnv(WorldConfig(action_repeat=4))
    once.reset(seed=0), four.reset(seed=0)
    for action in draw(four, 0, 10):
        parts = [once.step(action)[1] for _ in range(4)]
        state, reward, *_ = four.step(action)
        assert reward == pytest.approx(sum(parts))
        np.testing.assert_array_equal(state, once.sensors())


def test_dm_control_s_own_environment_gives_the_same_rewards():
    """The adapter replaces dm_control's episode loop, so it must agree with it."""
    from dm_control import suite

    env = PhysicsEnv("cheetah-run")
    env.reset(seed=4)
    reference = suite.load("cheetah", "run", task_kwargs={"random": int(np.random.default_rng(4).integers(2**31))})
    reference.reset()
    for action in draw(env, 2, 8):
        expected = sum(reference.step(np.float32(action)).reward for _ in range(4))
        assert env.step(action)[1] == pytest.approx(expected, abs=1e-9)


def test_truncates_at_the_horizon_and_a_reset_to_a_state_starts_a_full_one(envs):
    env = PhysicsEnv(WorldConfig(horizon=3))
    env.reset(seed=0)
    assert [env.step(np.zeros(1))[3] for _ in range(3)] == [False, False, True]
    saved = env.save()
    env.reset(options={"state": saved})
    assert [env.step(np.zeros(1))[3] for _ in range(3)] == [False, False, True]
    env.restore(saved)
    assert env.step(np.zeros(1))[3]


def test_frames_of_any_size_and_by_the_default_path():
    env = PhysicsEnv(WorldConfig(height=48, width=80, supersample=3), obs="dict")
    seen, _ = env.reset(seed=0)
    assert seen["pixels"].shape == (48, 80, 3) and env.observation_space.contains(seen)
    usual = PhysicsEnv(WorldConfig(height=48, width=80), renderer=DefaultRenderer)
    usual.reset(seed=0)
    assert usual.render().shape == (48, 80, 3)
    env.close(), usual.close()


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_box_average_is_the_rounded_mean(factor, seed):
    large = np.random.default_rng(seed).integers(0, 256, (6 * factor, 4 * factor, 3), dtype=np.uint8)
    mean = large.reshape(6, factor, 4, factor, 3).mean(axis=(1, 3))
    assert np.abs(box_average(large, factor) - mean).max() <= 0.5


def test_the_reacher_s_script_reaches(envs):
    env = envs["reacher-easy"]
    returns = {}
    for skill in (0.0, 1.0):
        total = 0.0
        for seed in range(3):
            state, _ = env.reset(seed=seed)
            act = env.scripted(np.random.default_rng(seed), skill)
            for _ in range(80):
                state, reward, *_ = env.step(act(state))
                total += reward
        returns[skill] = total
    assert returns[1.0] > 2 * returns[0.0] + 100


@pytest.mark.parametrize(
    "fault, sentence",
    [
        (lambda env: PhysicsEnv("nowhere"), "there is no world 'nowhere'; choose"),
        (lambda env: PhysicsEnv("dm_control:cartpole"), "no task 'cartpole'"),
        (lambda env: PhysicsEnv("gymnasium:CartPole-v1"), "not a MuJoCo environment"),
        (lambda env: PhysicsEnv("gymnasium:Nothing-v5"), "cannot make 'Nothing-v5'"),
        (lambda env: PhysicsEnv("isaac:ant"), "names no source of physics"),
        (lambda env: PhysicsEnv("videosim:pull"), "no scene 'pull'; it has"),
        (lambda env: PhysicsEnv(obs="sound"), "obs must be one of"),
        (lambda env: PhysicsEnv(render_mode="human"), "render_mode must be"),
        (lambda env: PhysicsEnv(WorldConfig(camera="moon")), "no camera 'moon'"),
        (lambda env: PhysicsEnv(WorldConfig(height=0)), "must be 1 or more"),
        (lambda env: env.reset(options={"far": 1}), "no option 'far'"),
        (lambda env: env.restore(np.zeros(3)), "finite numbers; got shape"),
        (lambda env: env.step(np.array([np.nan])), "NaN"),
        (lambda env: env.step(np.array([1.5])), "leaves its bounds"),
        (lambda env: env.step(np.zeros((2, 1))), "one action of shape"),
    ],
)
def test_bad_input_is_named(envs, fault, sentence):
    envs["cartpole-swingup"].reset(seed=0)
    with pytest.raises(VideoSimError, match=sentence):
        fault(envs["cartpole-swingup"])


def test_defaults_of_any_world():
    assert load_world("dm_control:finger-spin") == WorldConfig(
        "dm_control:finger-spin", "dm_control:finger-spin", 2, 250
    )
    assert load_world(load_world("dm_control:finger-spin").name) == load_world("dm_control:finger-spin")
    assert load_world("gymnasium:InvertedDoublePendulum-v5").action_repeat == 1
    assert load_world("gymnasium:Hopper-v5").action_repeat == 4


def test_closing_one_renderer_leaves_the_others_as_they_were():
    """It used to free the buffers of whichever renderer had drawn last, whose pictures then came upside down."""
    kept, closed = PhysicsEnv("push"), PhysicsEnv("push")
    for env in (closed, kept):
        env.reset(seed=0)
        before = env.render()
    closed.close()
    another = PhysicsEnv("push")
    another.reset(seed=0)
    np.testing.assert_array_equal(another.render(), before)
    kept.step(np.zeros(2)), another.step(np.zeros(2))
    np.testing.assert_array_equal(kept.render(), another.render())
    kept.close(), another.close()


def test_without_opengl_the_sentence_names_the_packages():
    code = (
        "from videosim.envs.physics import PhysicsEnv; e = PhysicsEnv(); e.reset(seed=0); e.step([0.0])\n"
        "try:\n    e.render()\nexcept ValueError as error:\n    print(error)"
    )
    environment = {"MUJOCO_GL": "off", "PATH": "/usr/bin:/bin"}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "apt-get install libegl1" in out.stdout, out.stderr


def test_importing_physics_imports_no_torch():
    code = "import sys, videosim.envs.physics; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
