"""Train one SB3 policy, in imagination or in physics: the same algorithm, network, input and number of steps.

Only the source of experience differs, so that a difference in the result is the model's doing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from videosim.agents.policy import Policy, policy_kwargs
from videosim.agents.sb3 import ImaginationVecEnv, PhysicsVecEnv
from videosim.config import AgentConfig, WorldConfig
from videosim.envs.observations import Filter, Observer, TrueState
from videosim.envs.pool import PhysicsPool
from videosim.envs.video_sim import VideoSimVectorEnv
from videosim.errors import VideoSimError
from videosim.run import Bar, write_atomically
from videosim.world_model import WorldModel

PLACES = ("imagination", "physics", "physics-true-state")


def training_env(place: str, model: WorldModel, world: WorldConfig, cfg: AgentConfig, seed: int) -> VecEnv:
    """The experience of one place: ``"imagination"``, ``"physics"`` (the model filters rendered frames), or
    ``"physics-true-state"`` (the simulator's sensors, the reference no camera gives)."""
    if place == "imagination":
        env = VideoSimVectorEnv(
            num_envs=cfg.envs,
            checkpoint=model,
            obs=cfg.obs,
            horizon=cfg.imagined_horizon,
            max_uncertainty=cfg.max_uncertainty,
            uncertainty_penalty=cfg.uncertainty_penalty,
        )
        rows: VecEnv = ImaginationVecEnv(env, model, cfg.obs)
        rows.seed(seed)
        return rows
    if place not in PLACES:
        raise VideoSimError(f"train_in must be one of {', '.join(PLACES)}; got {place!r}")
    observer: Observer = Filter(model, cfg.obs) if place == "physics" else TrueState(model)
    pool = PhysicsPool(world, cfg.envs, render=observer.needs_frames)
    return PhysicsVecEnv(pool, observer, model.spec.action, seed)


def build_algorithm(cfg: AgentConfig, env: VecEnv, seed: int) -> BaseAlgorithm:
    """The SB3 algorithm that ``cfg.algorithm`` names.

    Raises VideoSimError on an unknown name.
    """
    common: dict[str, Any] = {
        "learning_rate": lambda left: cfg.learning_rate * max(left, 0.05),
        "gamma": cfg.gamma,
        "batch_size": cfg.batch,
        "policy_kwargs": policy_kwargs(cfg),
        "seed": seed,
        "device": "cpu",
    }
    if cfg.algorithm == "ppo":
        return PPO(
            "MlpPolicy", env, n_steps=cfg.rollout, n_epochs=cfg.epochs, gae_lambda=cfg.gae_lambda,
            ent_coef=cfg.entropy, max_grad_norm=0.5, **common,
        )  # fmt: skip
    if cfg.algorithm == "sac":
        return SAC(
            "MlpPolicy", env, train_freq=1, gradient_steps=cfg.gradient_steps, learning_starts=cfg.learning_starts, **common
        )
    raise VideoSimError(f"unknown algorithm {cfg.algorithm!r}; choose ppo or sac")


class _Curve(BaseCallback):
    """Progress bar and the curve of finished training episodes, ``(steps, mean return)``."""

    def __init__(self, bar: Bar, every: int) -> None:
        super().__init__()
        self.bar, self.every, self.next = bar, every, every
        self.returns: list[float] = []
        self.curve: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        self.returns += [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        self.bar.update(min(self.num_timesteps, self.bar.total))
        if self.num_timesteps >= self.next and self.returns:
            self.next += self.every
            self.curve.append((self.num_timesteps, sum(self.returns) / len(self.returns)))
            self.bar.note(f"return {self.curve[-1][1]:.1f}")
            self.returns = []
        return True


def learn(
    place: str, model: WorldModel, world: WorldConfig, cfg: AgentConfig, seed: int, folder: Path, bar: Bar
) -> Policy:
    """Train a policy in ``place`` and keep it in ``folder`` (with ``curve.json``). A finished one is loaded instead."""
    if (folder / "curve.json").is_file():
        bar.update(bar.total)
        return Policy.load(folder)
    torch.manual_seed(seed)
    env = training_env(place, model, world, cfg, seed)
    try:
        algorithm = build_algorithm(cfg, env, seed)
        callback = _Curve(bar, max(1, cfg.steps // 50))
        algorithm.learn(cfg.steps, callback=callback)
    finally:
        env.close()
    policy = Policy.of(algorithm, cfg)
    policy.save(folder)
    write_atomically(folder / "curve.json", json.dumps({"steps": [s for s, _ in callback.curve], "return": [r for _, r in callback.curve]}))
    return policy
