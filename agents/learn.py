"""Train one SB3 policy in one of the PLACES: the same algorithm, network, input and number of steps.

Only the source of experience differs, so that a difference in the result is the model's doing.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from videosim.agents.cloning import BehaviourCloning
from videosim.agents.places import (
    BlindImagination,
    Experience,
    Imagination,
    ImaginationByPhysics,
    Physics,
    PhysicsAtDataBudget,
    PhysicsTrueState,
)
from videosim.agents.policy import Policy, policy_kwargs
from videosim.agents.resume import SAVE_EVERY_S, Curve, drop_training, restore_training, save_training
from videosim.config import AgentConfig, WorldConfig
from videosim.errors import VideoSimError
from videosim.model_config import to_dict
from videosim.run import Bar, write_atomically
from videosim.world_model import WorldModel

_ALL: tuple[Experience | BehaviourCloning, ...] = (
    Imagination(),
    Physics(),
    PhysicsTrueState(),
    PhysicsAtDataBudget(),
    BehaviourCloning(),
    ImaginationByPhysics(),
    BlindImagination(),
)
PLACES = {place.name: place for place in _ALL}


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
    data: str = "",
    callbacks: Sequence[BaseCallback] = (),
) -> Policy:
    """Train a policy in ``place`` and keep it in ``folder`` (with ``curve.json``), for ``cfg.steps`` or until a point
    of its curve reaches ``enough``. A finished one is loaded instead, an interrupted one is continued (PPO) or, said in
    one sentence, begun again (SAC). ``data``: the folder of the model's store, for a place that learns from it;
    ``callbacks`` of stable-baselines3 watch the others.

    Raises VideoSimError on an unknown place, or where the model, the settings or ``data`` do not allow it.
    """
    if (folder / "curve.json").is_file():
        bar.update(bar.total)
        return Policy.load(folder)
    found = place_of(place)
    cfg = found.agent(model, cfg)
    bar.total = cfg.steps
    if isinstance(found, Experience):
        torch.manual_seed(seed)
        about = {"place": found.name, "agent": to_dict(cfg), "seed": seed}
        policy, curve = _reinforced(found.env(model, world, cfg, seed), cfg, about, folder, bar, enough, callbacks)
    else:
        policy, curve = found.clone(model, cfg, seed, data, bar), []
    policy.save(folder)
    steps, returns = [step for step, _ in curve], [value for _, value in curve]
    write_atomically(folder / "curve.json", json.dumps({"steps": steps, "return": returns}))
    drop_training(folder)
    return policy


def place_of(name: str) -> Experience | BehaviourCloning:
    """The place of that name. Raises VideoSimError naming all of them where there is none."""
    if name not in PLACES:
        raise VideoSimError(f"train_in must be one of {', '.join(PLACES)}; got {name!r}")
    return PLACES[name]


def _reinforced(
    env: VecEnv, cfg: AgentConfig, about: dict[str, Any], folder: Path, bar: Bar, enough: float,
    callbacks: Sequence[BaseCallback],
) -> tuple[Policy, Curve]:  # fmt: skip
    seed, threads = about["seed"], torch.get_num_threads()
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
        algorithm.learn(max(0, cfg.steps - done), callback=[watch, *callbacks], reset_num_timesteps=not done)
    finally:
        env.close()
        torch.set_num_threads(threads)
    return Policy.of(algorithm, cfg), watch.curve
