"""VideoSim-v0: gymnasium's and SB3's contracts; one row, n rows, copies and returns to a state dream the same."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from cores import KINDS
from gymnasium.utils.env_checker import check_env as gymnasium_check
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3.common.env_checker import check_env as sb3_check
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import videosim  # noqa: F401  (registers the ids)
from videosim.checkpoint import save_checkpoint
from videosim.data.store import EpisodeStore
from videosim.envs.video_sim import VideoSimEnv, VideoSimVectorEnv
from videosim.errors import VideoSimError
from videosim.types import Episode
from videosim.world_model import WorldModel

MODES = ("pixels", "latent", "state", "dict")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every test here holds for every kind of dynamics."""
    return request.param


def alike(a: Any, b: Any, tolerance: float = 0.0) -> None:
    """Equal in type, structure, dtype, shape and (to ``tolerance``) value."""
    assert type(a) is type(b), (a, b)
    if isinstance(a, dict):
        assert set(a) == set(b)
        for key in a:
            alike(a[key], b[key], tolerance)
    elif isinstance(a, (list, tuple)) or (isinstance(a, np.ndarray) and a.dtype == object):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            alike(x, y, tolerance)
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        grey = 1.0 if tolerance and a.dtype == np.uint8 else tolerance  # rounding to a grey level may go either way
        np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=0, atol=grey)
    else:
        assert a == b or (tolerance and a == pytest.approx(b, abs=tolerance))


def actions_of(env: Any, count: int, seed: int = 0) -> list[np.ndarray]:
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(count)]


def finishing(model: WorldModel, below: float) -> WorldModel:
    """The model, saying "over" whenever its last sensor is below a bound: rows end at different times."""

    def outcome(x: torch.Tensor) -> torch.Tensor:
        sensor = x[:, -1]
        return torch.stack([x.mean(-1), 1e3 * (below - sensor)], -1)

    model.heads.outcome.forward = outcome
    return model


def between_rows(model: WorldModel, rows: int) -> float:
    """A bound that the last sensor of some row, but not of every row, passes in a first episode."""
    env = gymnasium.make_vec("VideoSim-v0", num_envs=rows, checkpoint=model, obs="state")
    env.reset(seed=5)
    seen = [env.step(action)[0][:, -1] for action in actions_of(env, model.spec.horizon - 1)]
    lowest = np.sort(np.min(seen, axis=0))
    return float(lowest[0] + lowest[-1]) / 2


# --- contracts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("obs", MODES)
def test_both_libraries_checkers_are_silent(tiny_model: WorldModel, obs: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("VideoSim-v0", checkpoint=tiny_model, obs=obs, render_mode="rgb_array")
        gymnasium_check(env.unwrapped)
        sb3_check(env.unwrapped)


def test_the_ids_make_environments(tmp_path: Any, tiny_model: WorldModel) -> None:
    save_checkpoint(tmp_path / "model", tiny_model, {})
    code = (
        "import gymnasium; "
        f"env = gymnasium.make('videosim:VideoSim-v0', checkpoint={str(tmp_path / 'model')!r}); "
        "env.reset(seed=0); env.step(env.action_space.sample())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in ("VideoSim-v0", "videosim:VideoSim-v0"):
        assert isinstance(gymnasium.make(name, checkpoint=tmp_path / "model").unwrapped, VideoSimEnv)
        vector = gymnasium.make_vec(name, num_envs=3, checkpoint=tmp_path / "model", obs="state", horizon=5)
        assert isinstance(vector, VideoSimVectorEnv)
        assert vector.num_envs == 3
        assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def test_horizon_and_max_episode_steps_do_not_conflict(tiny_model: WorldModel) -> None:
    def length(env: Any) -> int:
        env.reset(seed=0)
        for step in range(1, 100):
            if env.step(env.action_space.sample())[3]:
                return step
        raise AssertionError("never truncated")

    assert length(VideoSimEnv(tiny_model)) == tiny_model.spec.horizon
    assert length(gymnasium.make("VideoSim-v0", checkpoint=tiny_model, horizon=12)) == 12
    assert length(gymnasium.make("VideoSim-v0", checkpoint=tiny_model, horizon=12, max_episode_steps=4)) == 4


@pytest.mark.parametrize("obs", MODES)
def test_flags_rewards_and_spaces(tiny_model: WorldModel, obs: str) -> None:
    env = VideoSimEnv(tiny_model, obs)
    observation, info = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    assert info["uncertainty"] == 0.0
    assert 0 <= info["context_id"] < len(tiny_model.contexts)
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)
    assert type(reward) is float
    assert type(terminated) is bool
    assert type(truncated) is bool
    assert info["uncertainty"] > 0
    assert env.render().shape == (48, 48, 3)


def test_frames_are_decoded_only_when_somebody_looks(tiny_model: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    decode = tiny_model.decode
    monkeypatch.setattr(tiny_model, "decode", lambda z: (seen.append(1), decode(z))[1])
    env = VideoSimEnv(tiny_model, "latent")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert not seen
    env.render()
    env.render()
    assert len(seen) == 1


def test_actions_are_in_world_units(make_model: Callable[..., WorldModel]) -> None:
    strong, plain = make_model(force=4.0), make_model()
    first, second = VideoSimEnv(strong, "latent"), VideoSimEnv(plain, "latent")
    first.reset(seed=0), second.reset(seed=0)
    alike(first.step(np.array([2.0, 0.5]))[0], second.step(np.array([0.5, 0.5]))[0], 1e-6)
    assert first.action_space.high.tolist() == [4.0, 1.0]


# --- rewards and ends ------------------------------------------------------------------------------------------------


def test_uncertainty_is_paid_for_and_ends_an_episode(tiny_model: WorldModel) -> None:
    free, paid = VideoSimEnv(tiny_model), VideoSimEnv(tiny_model, uncertainty_penalty=3.0)
    free.reset(seed=0), paid.reset(seed=0)
    action = free.action_space.sample()
    _, reward, _, truncated, info = free.step(action)
    assert not truncated
    assert paid.step(action)[1] == pytest.approx(reward - 3.0 * info["uncertainty"])  # the first step: all of it
    for limit, ends in ((0.5 * info["uncertainty"], True), (2.0 * info["uncertainty"], False)):
        tiny_model.card = {"Uncertainty": {"threshold": limit}}
        for given in (limit, "calibrated"):
            env = VideoSimEnv(tiny_model, max_uncertainty=given)
            env.reset(seed=0)
            assert env.step(action)[3] is ends


def test_termination_is_learned(tiny_model: WorldModel) -> None:
    env = VideoSimEnv(finishing(tiny_model, below=100.0))
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[2:4] == (True, False)


# --- one row, n rows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("obs", MODES)
def test_rows_equal_single_environments_through_autoreset(tiny_model: WorldModel, obs: str) -> None:
    """Everything that gymnasium's own vector environment returns, key for key, over several episodes of odd lengths."""
    rows = 4
    model = finishing(tiny_model, below=between_rows(tiny_model, rows))
    ours = gymnasium.make_vec("VideoSim-v0", num_envs=rows, checkpoint=model, obs=obs)
    theirs = SyncVectorEnv([lambda: VideoSimEnv(model, obs)] * rows, autoreset_mode=AutoresetMode.SAME_STEP)
    alike(ours.reset(seed=5)[0], theirs.reset(seed=5)[0], 1e-5)
    ends = np.zeros(2, int)
    for action in actions_of(ours, 25):
        expected = theirs.step(action)
        alike(ours.step(action), expected, 1e-5)
        ends += expected[2].sum(), expected[3].sum()
    assert (ends > 0).all(), "the test must see both kinds of end"


def test_same_seed_same_dream_bitwise(tiny_model: WorldModel, make_model: Callable[..., WorldModel]) -> None:
    def rollout(env: VideoSimVectorEnv) -> list[Any]:
        first = env.reset(seed=11)
        return [first, *(env.step(action) for action in actions_of(env, 20))]

    env = VideoSimVectorEnv(5, tiny_model, "latent")
    expected = rollout(env)
    env.reset(seed=4)
    alike(rollout(env), expected)
    alike(rollout(VideoSimVectorEnv(5, make_model(), "latent")), expected)
    other = VideoSimVectorEnv(5, tiny_model, "latent").reset(seed=12)[1]["context_id"]
    assert other.tolist() != expected[0][1]["context_id"].tolist()


def test_reset_mask_leaves_other_rows_alone(tiny_model: WorldModel) -> None:
    env = VideoSimVectorEnv(3, tiny_model, "state", horizon=100)
    env.reset(seed=0)
    before = env.step(actions_of(env, 1)[0])[0]
    mask = np.array([False, True, False])
    after, infos = env.reset(options={"reset_mask": mask, "context": 2})
    np.testing.assert_array_equal(after[~mask], before[~mask])
    assert not np.array_equal(after[mask], before[mask])
    assert infos["context_id"][1] == 2
    assert infos["_context_id"].tolist() == mask.tolist()


def test_vector_wrappers(tiny_model: WorldModel) -> None:
    env = RecordEpisodeStatistics(VideoSimVectorEnv(3, tiny_model, "state"))
    env.reset(seed=0)
    total = np.zeros(3)
    for action in actions_of(env, tiny_model.spec.horizon):
        _, rewards, _, truncated, infos = env.step(action)
        total += rewards
    assert truncated.all()
    assert infos["episode"]["l"].tolist() == [tiny_model.spec.horizon] * 3
    np.testing.assert_allclose(infos["episode"]["r"], total, rtol=1e-5)


def test_sb3_wrappers_see_the_last_observation(tiny_model: WorldModel) -> None:
    env, twin = DummyVecEnv([lambda: Monitor(VideoSimEnv(tiny_model, "state"))]), VideoSimEnv(tiny_model, "state")
    env.seed(9)
    env.reset()
    twin.reset(seed=9)
    for action in actions_of(twin, tiny_model.spec.horizon):
        _, _, dones, infos = env.step(action[None])
        last = twin.step(action)[0]
    assert dones[0]
    np.testing.assert_array_equal(infos[0]["terminal_observation"], last)
    assert infos[0]["TimeLimit.truncated"]
    assert infos[0]["episode"]["l"] == tiny_model.spec.horizon


# --- starts ----------------------------------------------------------------------------------------------------------


def test_start_from_a_context(tiny_model: WorldModel) -> None:
    env = VideoSimEnv(tiny_model, "latent")
    chosen, info = env.reset(seed=0, options={"context": 3})
    assert info["context_id"] == 3
    clips = tiny_model.contexts
    state = tiny_model.start(clips.latents[3:4], clips.actions[3:4])
    alike(chosen, tiny_model.policy_input(state, "latent")[0].detach().numpy(), 1e-5)
    many, infos = VideoSimVectorEnv(3, tiny_model, "latent").reset(options={"context": np.array([3, 0, 3])})
    assert infos["context_id"].tolist() == [3, 0, 3]
    alike(many[2], chosen)


@pytest.mark.parametrize(("starts", "kept"), [("data", {0, 2, 4}), ("task", {1, 3, 5})])
def test_episodes_begin_where_they_are_told(tiny_model: WorldModel, starts: str, kept: set[int]) -> None:
    envs = VideoSimVectorEnv(64, tiny_model, "latent", starts=starts)
    assert set(envs.reset(seed=0)[1]["context_id"].tolist()) == kept
    tiny_model.contexts.task[:] = starts == "data"
    with pytest.raises(VideoSimError, match="task_contexts above 0"):
        envs.reset(seed=0)
    with pytest.raises(VideoSimError, match="data, task"):
        VideoSimEnv(tiny_model, starts="anywhere")


def test_start_from_frames_equals_start_from_the_log(tiny_model: WorldModel, tmp_path: Any) -> None:
    rng, spec = np.random.default_rng(0), tiny_model.spec
    length, t = 9, 6
    episode = Episode(
        frames=rng.integers(0, 256, (length + 1, *spec.frame.shape), np.uint8),
        actions=rng.uniform(-1, 1, (length, 2)).astype(np.float32),
        rewards=np.zeros(length, np.float32),
        sensors=np.zeros((length + 1, 3), np.float32),
        physics=np.zeros((length + 1, 0)),
        terminated=np.zeros(length, bool),
    )
    EpisodeStore.create(tmp_path / "log", spec).append(episode)
    env = VideoSimEnv(tiny_model, "latent", data=tmp_path / "log")
    logged, info = env.reset(options={"episode": 0, "t": t})
    assert info["context_id"] == -1
    clip = tiny_model.contexts.latents.shape[1]
    options = {"frames": episode.frames[t + 1 - clip : t + 1], "actions": episode.actions[t + 1 - clip : t]}
    alike(env.reset(options=options)[0], logged)
    alike(VideoSimVectorEnv(2, tiny_model, "latent").reset(options=options)[0][1], logged)
    shifted = {**options, "actions": episode.actions[t + 2 - clip : t + 1]}
    assert not np.array_equal(env.reset(options=shifted)[0], logged), "the clip's actions must matter"


# --- returning and branching -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [None, 3])
def test_a_snapshot_returns_bitwise_even_across_autoreset(tiny_model: WorldModel, rows: int | None) -> None:
    env = VideoSimEnv(tiny_model, "dict") if rows is None else VideoSimVectorEnv(rows, tiny_model, "dict")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    snapshot = env.snapshot()

    def future() -> list[Any]:
        found = [env.step(action) for action in actions_of(env, 9)]
        return [*found, env.reset()]

    expected = future()
    env.restore(snapshot)
    alike(future(), expected)


def test_branches_are_copies_that_part_under_different_actions(tiny_model: WorldModel) -> None:
    env = VideoSimEnv(tiny_model, "state")
    env.reset(seed=3)
    env.step(env.action_space.sample())
    branch = env.branch(3)
    for action in actions_of(env, tiny_model.spec.horizon - 2):
        single = env.step(action)
        many = branch.step(np.stack([action] * 3))
        for row in range(3):
            alike(many[0][row], single[0], 1e-5)
        assert many[1] == pytest.approx(single[1], abs=1e-5)
    same = branch.step(np.stack([action] * 3))
    assert same[3].all(), "the horizon is counted from the start, not from the branching"
    alike(same[0][0], same[0][2])
    apart = branch.step(np.array([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]], np.float32))[0]
    assert not np.array_equal(apart[0], apart[1])
