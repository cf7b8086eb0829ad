"""Physics seen through a model's filter, as an environment: the same beliefs as everywhere else, and clear refusals."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env as sb3_check

import videosim  # noqa: F401  (registers the ids)
from videosim.config import WorldConfig
from videosim.envs.observations import Filter, scaled
from videosim.envs.physics import PhysicsEnv
from videosim.envs.pool import PhysicsPool
from videosim.envs.through_model import ThroughModel
from videosim.envs.video_sim import VideoSimEnv
from videosim.errors import VideoSimError
from videosim.world_model import WorldModel

WORLD = WorldConfig(height=48, width=48, horizon=7)


@pytest.fixture
def model(make_model: Callable[..., WorldModel]) -> WorldModel:
    return make_model(spec=PhysicsEnv(WORLD).world_spec)


@pytest.mark.parametrize("obs", ["state", "latent"])
def test_both_libraries_checkers_are_silent(model: WorldModel, obs: str) -> None:
    env = ThroughModel(PhysicsEnv(WORLD), model, obs)
    assert env.observation_space == VideoSimEnv(model, obs).observation_space
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
            gymnasium_check(env, skip_render_check=True)
        sb3_check(env)


@pytest.mark.parametrize("obs", ["state", "latent"])
def test_it_believes_what_the_arms_of_the_comparison_believe(model: WorldModel, obs: str) -> None:
    env, pool = ThroughModel(PhysicsEnv(WORLD), model, obs), PhysicsPool(WORLD, 2, render=True)
    observer = Filter(model, obs)
    try:
        seen = observer.begin(pool.reset([4, 5]))
        mine, _ = env.reset(seed=4)
        rng = np.random.default_rng(0)
        for _ in range(WORLD.horizon - 1):
            np.testing.assert_allclose(scaled(model, model.sensor_mean.new_tensor(mine), obs), seen[0], atol=2e-5)
            actions = rng.uniform(-1.0, 1.0, (2, 1)).astype(np.float32)
            step = pool.step(actions)
            seen, _ = observer.after(actions, step)
            mine, reward, _, truncated, _ = env.step(actions[0])
            assert reward == pytest.approx(step.rewards[0]) and not truncated
        assert env.step(actions[0])[3]
    finally:
        pool.close()


def test_it_begins_as_a_dream_of_the_same_frame_does(model: WorldModel) -> None:
    env, dream = ThroughModel(PhysicsEnv(WORLD), model), VideoSimEnv(model, "state")
    mine, _ = env.reset(seed=1)
    again, _ = dream.reset(seed=0, options={"frames": env.render()[None]})
    np.testing.assert_allclose(mine, again, atol=1e-6)
    before = mine.copy()
    env.step(env.action_space.sample())
    np.testing.assert_array_equal(mine, before)  # an observation is nobody else's memory


class Unseen(gymnasium.Wrapper):
    def render(self) -> None:
        return None


class Turned(gymnasium.ActionWrapper):
    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)

    def action(self, action: np.ndarray) -> np.ndarray:
        return action / 2.0


def test_an_environment_of_another_shape_is_refused(model: WorldModel) -> None:
    with pytest.raises(VideoSimError, match="state or latent"):
        ThroughModel(PhysicsEnv(WORLD), model, "pixels")
    with pytest.raises(VideoSimError, match="takes actions in"):
        ThroughModel(Turned(PhysicsEnv(WORLD)), model)
    for env, found in ((PhysicsEnv("cartpole-swingup"), r"\(64, 64, 3\)"), (Unseen(PhysicsEnv(WORLD)), "NoneType")):
        with pytest.raises(VideoSimError, match=f"{found}.*render_mode"):
            ThroughModel(env, model).reset(seed=0)
