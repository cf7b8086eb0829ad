"""VideoSimTwin-v0: physics really runs beside the dream, from the same state, and the gap is what it says."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env as sb3_check

import videosim  # noqa: F401  (registers the ids)
from videosim.config import WorldConfig
from videosim.envs.physics import PhysicsEnv
from videosim.envs.twin import VideoSimTwinEnv
from videosim.errors import VideoSimError
from videosim.metrics import psnr
from videosim.world_model import WorldModel

WORLD = WorldConfig(height=48, width=48, horizon=9)


@pytest.fixture
def physics() -> PhysicsEnv:
    return PhysicsEnv(WORLD)


@pytest.fixture
def model(make_model: Callable[..., WorldModel], physics: PhysicsEnv) -> WorldModel:
    """A model of the cart-pole whose four clips end at known physics states."""
    states, sensors = [], []
    for seed in range(4):
        physics.reset(seed=seed, options={"wide": True})
        states.append(physics.save())
        sensors.append(physics.sensors())
    model = make_model(spec=physics.world_spec, physics=torch.from_numpy(np.stack(states)))
    model.contexts.sensors = torch.from_numpy(np.stack(sensors))
    return model


@pytest.mark.parametrize("obs", ["pixels", "latent", "state", "dict"])
def test_both_libraries_checkers_are_silent(model: WorldModel, obs: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("VideoSimTwin-v0", checkpoint=model, obs=obs, world=WORLD, render_mode="rgb_array")
        gymnasium_check(env.unwrapped)
        sb3_check(env.unwrapped)


def test_physics_starts_at_the_clip_and_obeys_the_same_actions(model: WorldModel, physics: PhysicsEnv) -> None:
    env = VideoSimTwinEnv(model, world=WORLD)
    _, info = env.reset(seed=0, options={"context": 2})
    np.testing.assert_array_equal(info["physics"]["state"], model.contexts.sensors[2].numpy())
    physics.reset(options={"state": model.contexts.physics[2].numpy()})
    env.action_space.seed(0)
    for _ in range(WORLD.horizon):
        action = env.action_space.sample()
        _, reward, terminated, truncated, info = env.step(action)
        _, true_reward, *_ = physics.step(action)
        np.testing.assert_array_equal(info["physics"]["state"], physics.sensors())
        assert info["physics"]["reward"] == true_reward
        assert info["gap"]["reward"] == pytest.approx(reward - true_reward)
    assert truncated
    assert not terminated


def test_the_gap(model: WorldModel) -> None:
    env = VideoSimTwinEnv(model, obs="dict", world=WORLD, pixels=True)
    env.reset(seed=1)
    observation, _, _, _, info = env.step(env.action_space.sample())
    apart = np.abs(observation["state"].astype(np.float64) - info["physics"]["state"])
    np.testing.assert_allclose(info["gap"]["state"], apart, rtol=1e-6)
    span = np.asarray(model.spec.sensors.high) - np.asarray(model.spec.sensors.low)
    assert info["gap"]["state_error"] == pytest.approx(np.sqrt(np.mean((apart / span) ** 2)))
    shown = env.render()
    assert shown.shape == (48, 144, 3)
    left, middle, right = np.split(shown.astype(int), 3, axis=1)
    np.testing.assert_array_equal(right, np.abs(left - middle))
    np.testing.assert_array_equal(middle, observation["pixels"])
    assert info["gap"]["pixels"] == pytest.approx(psnr(observation["pixels"], left.astype(np.uint8)))
    assert "pixels" not in VideoSimTwinEnv(model, world=WORLD).reset(seed=0)[1]["gap"]


def test_start_of_the_task(model: WorldModel, physics: PhysicsEnv) -> None:
    env = VideoSimTwinEnv(model, obs="latent", world=WORLD)
    observation, info = env.reset(seed=4, options={"physics": True})
    assert info["context_id"] == -1
    frame = torch.from_numpy(env.physics.render()[None, None])
    state = model.start(model.encode(frame), torch.zeros(1, 0, 1))
    np.testing.assert_allclose(observation, model.policy_input(state, "latent")[0].detach().numpy(), atol=1e-5)
    again, _ = env.reset(seed=9, options={"physics": env.physics.save()})
    np.testing.assert_array_equal(again, observation)


def test_clips_without_physics_start_as_the_task_does(
    make_model: Callable[..., WorldModel], physics: PhysicsEnv
) -> None:
    env = VideoSimTwinEnv(make_model(spec=physics.world_spec), world=WORLD)
    assert env.reset(seed=0)[1]["context_id"] == -1
    with pytest.raises(VideoSimError, match="no physics state"):
        env.reset(options={"context": 0})


def test_mismatched_worlds(make_model: Callable[..., WorldModel], model: WorldModel) -> None:
    for world in ("reacher-easy", replace(WORLD, action_repeat=2), replace(WORLD, height=64)):
        with pytest.raises(VideoSimError, match="not of one world"):
            VideoSimTwinEnv(model, world=world)
    with pytest.raises(VideoSimError, match="no world 'tiny'"):
        VideoSimTwinEnv(make_model())
    with pytest.raises(VideoSimError, match="'context' or 'physics'"):
        VideoSimTwinEnv(model, world=WORLD).reset(options={"frames": 1})
    with pytest.raises(VideoSimError, match="finite numbers"):
        VideoSimTwinEnv(model, world=WORLD).reset(options={"physics": np.zeros(2)})
