"""Films of a policy: the scores decide which episodes are shown, and physics is replayed exactly as it was scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from videosim.agents.policy import Policy
from videosim.agents.scoring import Scored, returns
from videosim.config import WorldConfig
from videosim.envs.dream import TERMINATED_ABOVE
from videosim.envs.observations import scaled
from videosim.envs.physics import PhysicsEnv
from videosim.simulator import Simulator
from videosim.video import Film, comparison, side_by_side
from videosim.world_model import WorldModel

OPEN_LOOP_NOTE = (
    "Left: the policy in MuJoCo; what it acts on is the state that the model infers from the rendered frames. Middle: "
    "the model saw the first frame only and dreams on under the same actions. Right: absolute difference."
)
CLOSED_NOTE = (
    "On the right nothing is physics after the first frame: the policy acts on the dream, and the dream follows. The "
    "two need not agree step by step."
)
PHYSICS_NOTE = "The median episode of each by return, replayed from the recorded actions."


def by_score(scored: Sequence[Scored]) -> dict[str, tuple[int, int]]:
    """ "best", "median" and "worst" -> (policy, episode), over all policies of an arm, by return in physics."""
    score = returns(scored)
    order = np.argsort(-score, axis=None, kind="stable")
    picks = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    return {name: (int(i) // score.shape[1], int(i) % score.shape[1]) for name, i in picks.items()}


def replay(world: WorldConfig, seed: int, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 ``(T+1, H, W, 3)`` and rewards ``(T,)`` of physics under ``actions`` ``(T, A)`` in [-1, 1], to the
    end of the task."""
    env = PhysicsEnv(world)
    try:
        env.reset(seed=seed)
        frames, rewards = [env.render()], []
        for action in env.world_spec.action.denormalise(actions):
            _, reward, terminated, truncated, _ = env.step(action)
            frames.append(env.render())
            rewards.append(reward)
            if terminated or truncated:
                break
    finally:
        env.close()
    return np.stack(frames), np.asarray(rewards)


@torch.no_grad()
def dream_under(model: WorldModel, first: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Frames uint8 ``(T+1, H, W, 3)`` dreamed after one real frame ``(H, W, 3)``; ``actions`` ``(T, A)`` in [-1, 1]."""
    simulator = _begin(model, first)
    frames = [simulator.decode()[0].numpy()]
    for action in torch.as_tensor(actions):
        simulator.step(action[None])
        frames.append(simulator.decode()[0].numpy())
    return np.stack(frames)


@torch.no_grad()
def dream_with(model: WorldModel, policy: Policy, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with the policy choosing from what it sees in the dream: frames, and the model's rewards ``(T,)``."""
    simulator = _begin(model, first)
    frames, rewards = [simulator.decode()[0].numpy()], []
    for _ in range(model.spec.horizon):
        seen = scaled(model, simulator.policy_input(policy.mode), policy.mode).numpy()
        out = simulator.step(torch.as_tensor(policy.act(seen)))
        frames.append(simulator.decode()[0].numpy())
        rewards.append(float(out.rewards[0]))
        if float(out.terminated_prob[0]) > TERMINATED_ABOVE:
            break
    return np.stack(frames), np.asarray(rewards)


def imagination_films(
    model: WorldModel,
    world: WorldConfig,
    policies: Sequence[Policy],
    scored: Sequence[Scored],
    seed: int,
    folder: Path,
) -> list[Film]:
    """Side by side for the best, median and worst episode, and the median one played in each world by itself. Each is
    kept as ``folder/<name>.mp4`` too."""
    films, dt_s = [], model.spec.dt_s
    picked = by_score(scored)
    for name, (policy, episode) in picked.items():
        frames, rewards = replay(world, seed + episode, scored[policy].actions[episode])
        actions = scored[policy].actions[episode][: len(rewards)]
        total = np.concatenate([[0.0], np.cumsum(rewards)])
        captions = [f"{t * dt_s:.1f} s   return {value:.0f}" for t, value in enumerate(total)]
        film = comparison(frames, dream_under(model, frames[0], actions), captions)
        title = f"Trained in imagination, in physics: {name} episode, return {rewards.sum():.4g}"
        films.append(Film.kept(folder / f"{name}.mp4", title, film, 1.0 / dt_s, OPEN_LOOP_NOTE))
    policy, episode = picked["median"]
    real, rewards = replay(world, seed + episode, scored[policy].actions[episode])
    dreamed, promised = dream_with(model, policies[policy], real[0])
    film = _beside({"policy in MuJoCo": real, "policy in its dream": dreamed}, dt_s)
    title = f"The median start, each world by itself: return {rewards.sum():.4g}, dreamed {promised.sum():.4g}"
    return [*films, Film.kept(folder / "closed-loop.mp4", title, film, 1.0 / dt_s, CLOSED_NOTE)]


def physics_film(
    model: WorldModel, world: WorldConfig, scored: Mapping[str, Sequence[Scored]], seed: int, folder: Path
) -> Film:
    """The median episode of each arm, in MuJoCo alone, next to each other."""
    panels, said = {}, []
    for arm, members in scored.items():
        policy, episode = by_score(members)["median"]
        panels[f"from {arm}"], rewards = replay(world, seed + episode, members[policy].actions[episode])
        said.append(f"{arm} {rewards.sum():.4g}")
    title = f"In MuJoCo, by where the policy was trained: returns {', '.join(said)}"
    film = _beside(panels, model.spec.dt_s)
    return Film.kept(folder / "physics.mp4", title, film, 1.0 / model.spec.dt_s, PHYSICS_NOTE)


def _beside(panels: Mapping[str, np.ndarray], dt_s: float) -> np.ndarray:
    """Films of perhaps different length; a shorter one stands still at its end."""
    steps = max(map(len, panels.values()))
    same = {name: frames[np.minimum(np.arange(steps), len(frames) - 1)] for name, frames in panels.items()}
    return side_by_side(same, [f"{t * dt_s:.1f} s" for t in range(steps)])


def _begin(model: WorldModel, first: np.ndarray) -> Simulator:
    simulator = Simulator(model, 1)
    latents = model.encode(torch.as_tensor(first)[None])[:, None]
    simulator.reset([0], [0], latents, latents.new_zeros(1, 0, model.spec.action.size))
    return simulator
