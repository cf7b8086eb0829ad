"""Policies and stable-baselines3's view of both worlds, on a model with random weights and a world of four lines."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from videosim.agents.learn import build_algorithm
from videosim.agents.policy import Policy
from videosim.agents.sb3 import ImaginationVecEnv, PhysicsVecEnv
from videosim.config import AgentConfig
from videosim.envs.observations import TrueState
from videosim.envs.pool import PoolStep
from videosim.envs.video_sim import VideoSimVectorEnv
from videosim.errors import VideoSimError
from videosim.types import ActionSpec
from videosim.world_model import WorldModel

ROWS, STEPS = 4, 8
FORCE = ActionSpec((-2.0,), (2.0,), ("force",))
SEES = SimpleNamespace(
    spec=SimpleNamespace(sensors=SimpleNamespace(size=1)), sensor_mean=torch.zeros(1), sensor_std=torch.ones(1)
)


class Target:
    """A pool of rows that show a target in [-1, 1]; the reward is high where the action, in units of 2, is the target.
    Episodes last ``STEPS`` steps; with ``ends`` set they then end by the task and not by the clock."""

    count = ROWS

    def __init__(self, ends: bool = False) -> None:
        self.ends, self.closed = ends, False
        self.actions: list[np.ndarray] = []

    def reset(self, seeds: Any) -> PoolStep:
        self.seeds = list(seeds)
        self.rng = np.random.default_rng(self.seeds)
        self.t = 0
        return self._show(np.zeros(ROWS), {})

    def step(self, actions: np.ndarray) -> PoolStep:
        self.actions.append(actions)
        self.t += 1
        reward = 1.0 - np.abs(actions[:, 0] / 2.0 - self.target[:, 0])
        last = {}
        if self.t % STEPS == 0:
            last = {row: (None, np.array([0.25 * row], np.float32)) for row in range(ROWS)}
        return self._show(reward, last)

    def _show(self, reward: np.ndarray, last: dict[int, Any]) -> PoolStep:
        self.target = self.rng.uniform(-1, 1, (ROWS, 1)).astype(np.float32)
        done = np.full(ROWS, bool(last))
        never = np.zeros(ROWS, bool)
        ended, cut = (done, never) if self.ends else (never, done)
        return PoolStep(None, self.target, reward.astype(np.float32), ended, cut, never, last)

    def close(self) -> None:
        self.closed = True


def physics(ends: bool = False, seed: int = 0) -> PhysicsVecEnv:
    return PhysicsVecEnv(Target(ends), TrueState(SEES), FORCE, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("ends", [False, True])
def test_the_last_observation_is_that_of_the_old_episode(ends: bool) -> None:
    env = physics(ends)
    env.reset()
    for _ in range(STEPS):
        observation, _, done, infos = env.step(np.zeros((ROWS, 1), np.float32))
    assert done.all()
    for row, info in enumerate(infos):
        assert info["terminal_observation"] == pytest.approx([0.25 * row])
        assert info["TimeLimit.truncated"] is not ends  # a value may be bootstrapped only behind the clock
        assert info["episode"]["l"] == STEPS
    assert observation == pytest.approx(env.pool.target)  # type: ignore[attr-defined]
    _, _, done, infos = env.step(np.zeros((ROWS, 1), np.float32))
    assert not done.any() and infos == [{}] * ROWS


def test_returns_add_up_over_one_episode_only() -> None:
    env = physics()
    env.reset()
    rewards = []
    for _ in range(2 * STEPS):
        _, reward, _, infos = env.step(np.full((ROWS, 1), 0.5, np.float32))
        rewards.append(reward)
    assert infos[1]["episode"]["r"] == pytest.approx(np.stack(rewards)[STEPS:, 1].sum(), rel=1e-5)


def test_actions_reach_physics_in_its_units_and_inside_its_bounds() -> None:
    env = physics()
    env.reset()
    env.step(np.array([[0.5], [-1.0], [7.0], [0.0]], np.float32))
    assert env.pool.actions[0][:, 0] == pytest.approx([1.0, -2.0, 2.0, 0.0])  # type: ignore[attr-defined]


def test_seeds_decide_the_episodes_and_never_overlap() -> None:
    first, again, other = physics(seed=1), physics(seed=1), physics(seed=2)
    assert np.array_equal(first.reset(), again.reset())
    assert not np.array_equal(first.reset(), other.reset())
    assert not set(first.pool.seeds) & set(other.pool.seeds)  # type: ignore[attr-defined]
    first.seed(2)  # as a resumed training does, which must not meet the same episodes again
    assert np.array_equal(first.reset(), other.reset())


def test_imagination_tells_the_clock_from_the_end_and_keeps_the_last_frame(tiny_model: WorldModel) -> None:
    def rollout(seed: int) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
        env = ImaginationVecEnv(VideoSimVectorEnv(3, tiny_model, "state", horizon=4))
        env.seed(seed)
        seen = [env.reset()]
        for _ in range(4):
            observation, _, done, infos = env.step(np.full((3, 2), 0.3, np.float32))
            seen.append(observation)
        assert done.all()
        return seen, infos

    seen, infos = rollout(5)
    for row, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True and info["episode"]["l"] == 4
        assert not np.array_equal(info["terminal_observation"], seen[-1][row])
    same, others = rollout(5)[0], rollout(6)[0]
    assert all(np.array_equal(a, b) for a, b in zip(seen, same, strict=True))
    assert not np.array_equal(seen[0], others[0])


def test_a_learned_end_is_no_time_limit(tiny_model: WorldModel) -> None:
    with torch.no_grad():
        tiny_model.heads.outcome[-1].bias[1] = 20.0  # type: ignore[union-attr,index]
    env = ImaginationVecEnv(VideoSimVectorEnv(2, tiny_model, "latent", horizon=4))
    env.reset()
    _, _, done, infos = env.step(np.zeros((2, 2), np.float32))
    assert done.all() and not any(info["TimeLimit.truncated"] for info in infos)


def small(**changes: Any) -> AgentConfig:
    return AgentConfig(**{"steps": 4096, "rollout": 32, "batch": 64, "hidden": [16], "learning_rate": 3e-3, **changes})


def test_ppo_learns_what_a_trivial_world_asks() -> None:
    env = physics()
    torch.manual_seed(0)
    algorithm = build_algorithm(small(), env, seed=0)
    policy = Policy.of(algorithm.learn(4096), small())
    seen = env.reset()
    scores = {"policy": [], "random": []}
    rng = np.random.default_rng(0)
    for _ in range(50):
        target = env.pool.target.copy()  # type: ignore[attr-defined]
        action = policy.act(seen)
        scores["policy"].append(np.abs(action - target).mean())
        scores["random"].append(np.abs(rng.uniform(-1, 1, action.shape) - target).mean())
        seen, *_ = env.step(action)
    assert np.mean(scores["policy"]) < 0.4 * np.mean(scores["random"])


def trained(algorithm: str) -> tuple[BaseAlgorithm, AgentConfig]:
    cfg = small(algorithm=algorithm)
    return build_algorithm(cfg, physics(), seed=3), cfg


@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
def test_a_policy_survives_its_folder(algorithm: str, tmp_path: Path) -> None:
    policy = Policy.of(*trained(algorithm))
    policy.save(tmp_path)
    loaded = Policy.load(tmp_path)
    seen = np.linspace(-2, 2, 9, dtype=np.float32)[:, None]
    assert np.array_equal(policy.act(seen), loaded.act(seen))
    assert loaded.cfg == policy.cfg and loaded.mode == "state"
    assert np.abs(loaded.act(seen)).max() <= 1.0


def test_no_algorithm_by_another_name() -> None:
    with pytest.raises(VideoSimError, match="ppo or sac"):
        build_algorithm(small(algorithm="dqn"), physics(), 0)


def _edit(key: str, value: Any) -> Any:
    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        place = config if key in config else config["agent"]
        place[key] = value
        (folder / "config.json").write_text(json.dumps(config))

    return edit


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "config.json").write_text("[]"),
        lambda folder: (folder / "config.json").write_text('{"agent": null}'),
        lambda folder: (folder / "policy.safetensors").unlink(),
        lambda folder: (folder / "policy.safetensors").write_bytes(b"\x80\x04cos\nsystem\n"),  # a pickle
        lambda folder: (folder / "policy.safetensors").write_bytes((folder / "policy.safetensors").read_bytes()[:-9]),
        _edit("algorithm", "os.system"),
        _edit("policy_class", "os.system"),
        _edit("hidden", [7]),
        _edit("hidden", "x"),
        _edit("inputs", -1),
        _edit("actions", "many"),
    ],
)
def test_a_hostile_folder_is_refused_in_a_sentence(damage: Any, tmp_path: Path) -> None:
    Policy.of(*trained("ppo")).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(VideoSimError, match="holds no policy that can be read"):
        Policy.load(tmp_path)


def test_policies_with_nan_are_refused(tmp_path: Path) -> None:
    algorithm, cfg = trained("ppo")
    assert isinstance(algorithm, PPO)
    with torch.no_grad():
        algorithm.policy.action_net.bias.fill_(float("nan"))
    Policy.of(algorithm, cfg).save(tmp_path)
    with pytest.raises(VideoSimError, match="holds no policy"):
        Policy.load(tmp_path)
