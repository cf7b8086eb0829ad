"""Score a policy where it counts: full episodes in physics, and the same initial states in imagination.

Both sides begin from the task's own initial states, with one real frame and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from videosim.config import WorldConfig
from videosim.envs.dream import TERMINATED_ABOVE
from videosim.envs.observations import Observer, scaled
from videosim.envs.physics import PhysicsEnv
from videosim.envs.pool import PhysicsPool
from videosim.simulator import Simulator
from videosim.world_model import WorldModel

Act = Callable[[np.ndarray], np.ndarray]  # scaled policy inputs (n, size) -> actions (n, A) in [-1, 1]


@dataclass
class Scores:
    """Of n episodes: returns ``(n,)``; success ``(n,)`` bool, true in the last step; sensors ``(n, T+1, S)`` on the
    way, NaN after an early end; lengths ``(n,)`` in steps; uncertainty ``(n, T)`` of a dream, ``(0, 0)`` in physics."""

    returns: np.ndarray
    success: np.ndarray
    sensors: np.ndarray
    lengths: np.ndarray
    uncertainty: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))


def random_policy(actions: int, seed: int) -> Act:
    """Uniform actions, the floor every policy is measured from."""
    rng = np.random.default_rng([seed, 17])
    return lambda observations: rng.uniform(-1.0, 1.0, (len(observations), actions)).astype(np.float32)


def in_physics(act: Act, observer: Observer, world: WorldConfig, model: WorldModel, episodes: int, seed: int) -> Scores:
    """Run ``episodes`` full episodes in MuJoCo, the seeds following from ``seed``: paired between policies."""
    spec = model.spec
    pool = PhysicsPool(world, episodes, render=observer.needs_frames)
    try:
        step = pool.reset([seed + i for i in range(episodes)])
        observation = observer.begin(step)
        returns, alive = np.zeros(episodes), np.ones(episodes, bool)
        success, lengths = np.zeros(episodes, bool), np.zeros(episodes, int)
        sensors = np.full((episodes, spec.horizon + 1, spec.sensors.size), np.nan, np.float32)
        sensors[:, 0] = step.sensors
        for t in range(spec.horizon):
            actions = spec.action.denormalise(act(observation))
            step = pool.step(actions)
            observation, _ = observer.after(actions, step)
            shown = step.sensors.copy()
            for row, (_, last) in step.final.items():
                shown[row] = last
            returns += np.where(alive, step.rewards, 0.0)
            sensors[alive, t + 1] = shown[alive]
            lengths += alive
            success = np.where(alive, step.success, success)
            alive &= ~(step.terminated | step.truncated)
            if not alive.any():
                break
    finally:
        pool.close()
    return Scores(returns, success, sensors, lengths)


@torch.no_grad()
def in_imagination(act: Act, mode: str, world: WorldConfig, model: WorldModel, episodes: int, seed: int) -> Scores:
    """The same episodes dreamed: the first real frame of each, then nothing but the model. ``mode`` is the policy input
    that ``act`` reads. ``success`` is unknown to the model and stays False."""
    spec = model.spec
    env = PhysicsEnv(world)
    frames, truth = [], []
    for i in range(episodes):
        env.reset(seed=seed + i)
        frames.append(env.render())
        truth.append(env.sensors())
    env.close()
    latents = model.encode(torch.as_tensor(np.stack(frames)))[:, None]
    simulator = Simulator(model, episodes)
    rows = list(range(episodes))
    simulator.reset(rows, [seed + i for i in rows], latents, latents.new_zeros(episodes, 0, spec.action.size))
    returns, alive, lengths = np.zeros(episodes), np.ones(episodes, bool), np.zeros(episodes, int)
    sensors = np.full((episodes, spec.horizon + 1, spec.sensors.size), np.nan, np.float32)
    sensors[:, 0] = np.stack(truth)
    doubts = []
    for t in range(spec.horizon):
        observation = scaled(model, simulator.policy_input(mode), mode).numpy()
        out = simulator.step(torch.as_tensor(act(observation)))
        returns += np.where(alive, out.rewards.numpy(), 0.0)
        sensors[alive, t + 1] = out.sensors.numpy()[alive]
        doubts.append(out.uncertainty.numpy())
        lengths += alive
        alive &= ~(out.terminated_prob > TERMINATED_ABOVE).numpy()
    return Scores(returns, np.zeros(episodes, bool), sensors, lengths, np.stack(doubts, 1))
