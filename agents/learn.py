"""Train one SB3 policy, in imagination or in physics: the same algorithm, network, input and number of steps.

Only the source of experience differs, so that a difference in the result is the model's doing.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from videosim.agents.policy import Policy, policy_kwargs
from videosim.agents.resume import SAVE_EVERY_S, Curve, drop_training, restore_training, save_training
from videosim.agents.sb3 import ImaginationVecEnv, PhysicsVecEnv
from videosim.config import AgentConfig, WorldConfig
from videosim.envs.observations import Filter, Observer, TrueState
from videosim.envs.pool import PhysicsPool
from videosim.envs.video_sim import VideoSimVectorEnv
from videosim.errors import VideoSimError
from videosim.model_config import to_dict
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
            starts=cfg.imagined_starts,
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
        updates: dict[str, Any] = {
            "train_freq": 1,
            "gradient_steps": cfg.gradient_steps,
            "learning_starts": cfg.learning_starts,
        }
        return SAC("MlpPolicy", env, **updates, **common)
    raise VideoSimError(f"unknown algorithm {cfg.algorithm!r}; choose ppo or sac")


class _Watch(BaseCallback):
    """Progress bar, the curve of finished training episodes ``(steps, mean return)``, the state on disk, and the end
    where ``enough`` is reached."""

    def __init__(self, bar: Bar, every: int, folder: Path, about: dict[str, Any], curve: Curve, enough: float) -> None:
        super().__init__()
        self.bar, self.every, self.folder, self.about, self.curve = bar, every, folder, about, curve
        self.enough = enough
        self.next = every + (curve[-1][0] if curve else 0)
        self.returns: list[float] = []
        self.saved = time.monotonic()

    def _on_rollout_start(self) -> None:  # between two updates: weights, optimiser and step count belong together
        if time.monotonic() - self.saved > SAVE_EVERY_S:
            save_training(self.model, self.folder, self.about, self.curve)
            self.saved = time.monotonic()

    def _on_step(self) -> bool:
        self.returns += [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        self.bar.update(min(self.num_timesteps, self.bar.total))
        if self.num_timesteps >= self.next and self.returns:
            self.next += self.every
            self.curve.append((self.num_timesteps, sum(self.returns) / len(self.returns)))
            self.bar.note(f"return {self.curve[-1][1]:.1f}")
            self.returns = []
            return self.curve[-1][1] < self.enough
        return True


def learn(
    place: str,
    model: WorldModel,
    world: WorldConfig,
    cfg: AgentConfig,
    seed: int,
    folder: Path,
    bar: Bar,
    enough: float = math.inf,
) -> Policy:
    """Train a policy in ``place`` and keep it in ``folder`` (with ``curve.json``), for ``cfg.steps`` or until a point
    of its curve reaches ``enough``. A finished one is loaded instead, an interrupted one is continued (PPO) or, said in
    one sentence, begun again (SAC)."""
    if (folder / "curve.json").is_file():
        bar.update(bar.total)
        return Policy.load(folder)
    torch.manual_seed(seed)
    about = {"place": place, "agent": to_dict(cfg), "seed": seed}
    env = training_env(place, model, world, cfg, seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # layers this small are done before a second thread has woken
    try:
        algorithm = build_algorithm(cfg, env, seed)
        curve, sentence = restore_training(algorithm, folder, about)
        if sentence:
            bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)
        done = algorithm.num_timesteps
        if done:  # other dreams and other noise than those the state has learnt from
            bar.first = done
            env.seed(seed + done)
            torch.manual_seed(seed + done)
        watch = _Watch(bar, max(1, cfg.steps // 50), folder, about, curve, enough)
        algorithm.learn(max(0, cfg.steps - done), callback=watch, reset_num_timesteps=not done)
    finally:
        env.close()
        torch.set_num_threads(threads)
    policy = Policy.of(algorithm, cfg)
    policy.save(folder)
    steps, returns = [step for step, _ in watch.curve], [value for _, value in watch.curve]
    write_atomically(folder / "curve.json", json.dumps({"steps": steps, "return": returns}))
    drop_training(folder)
    return policy
