"""`videosim agent`: train one SB3 policy in imagination or in physics, then score it where it counts.

The policy, its learning curve and the returns of every scored episode stay in the run folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from videosim.agents.evaluate import Scores, in_imagination, in_physics
from videosim.agents.learn import PLACES, learn
from videosim.agents.policy import Policy
from videosim.agents.settings import check_world, fingerprint, keep_settings
from videosim.checkpoint import load_checkpoint
from videosim.config import AgentCommandConfig, WorldConfig
from videosim.envs.observations import Filter, Observer, TrueState
from videosim.envs.twin import world_of
from videosim.errors import VideoSimError
from videosim.run import Run, write_atomically
from videosim.statistics import Estimate, bootstrap
from videosim.world_model import WorldModel

SCORE_SEED = 50_000_000  # initial states that no training has seen


def main(cfg: AgentCommandConfig, run: Run) -> None:
    """Train a policy in ``cfg.train_in``, keep it in ``<run folder>/policy`` and score it. A finished training is not
    repeated; an interrupted PPO training goes on."""
    if cfg.train_in not in PLACES:
        raise VideoSimError(f"train_in must be one of {', '.join(PLACES)}; got {cfg.train_in!r}")
    if cfg.episodes < 1:
        raise VideoSimError(f"a score needs at least one episode; got episodes={cfg.episodes}")
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    model = load_checkpoint(cfg.checkpoint)
    world = world_of(model.spec)
    check_world(model, world)
    # The true state is what the sensors show, whatever the agent reads elsewhere.
    agent = replace(cfg.agent, obs="state") if cfg.train_in == "physics-true-state" else cfg.agent
    settings = {"model": fingerprint(model), "train_in": cfg.train_in, "agent": agent, "seed": cfg.seed}
    keep_settings(run.folder, settings)

    with run.progress(agent.steps, f"{agent.algorithm} in {cfg.train_in}", "steps") as bar:
        policy = learn(cfg.train_in, model, world, agent, cfg.seed, run.folder / "policy", bar)
    score(policy, model, world, cfg.train_in == "physics-true-state", cfg.episodes, run)
    run.figure("steps", agent.steps)


def score(
    policy: Policy, model: WorldModel, world: WorldConfig, true_state: bool, episodes: int, run: Run
) -> dict[str, float]:
    """Score ``policy`` on ``episodes`` unseen initial states in physics and, unless it reads the true state, dreamed from
    the same first frames. Puts figures and a table into ``run`` and every return into ``scores.json``; returns the mean
    returns ``{"physics", "imagination"}``."""
    observer: Observer = TrueState(model) if true_state else Filter(model, policy.mode)
    with run.progress(1 if true_state else 2, f"scoring over {episodes} episodes", "worlds") as bar:
        scores = {"physics": in_physics(policy.act, observer, world, model, episodes, SCORE_SEED)}
        bar.advance()
        if not true_state:
            scores["imagination"] = in_imagination(policy, model, world, episodes, SCORE_SEED)
            bar.advance()
    estimates = {place: _mean(result.returns) for place, result in scores.items()}
    for place, name in (("physics", "return_real"), ("imagination", "return_dreamed")):
        if place in estimates:
            e = estimates[place]
            run.figure(name, e.value, e.low, e.high, e.n, "reward")
    if scores["physics"].success.any():
        run.figure("success", float(scores["physics"].success.mean()), n=episodes, unit="fraction")
    rows = [_row(place, estimates[place], result) for place, result in scores.items()]
    run.table(
        f"{model.spec.name}: return of the policy", ["scored in", "mean", "95 % interval", "lowest", "steps"], rows
    )
    returns = {place: result.returns.tolist() for place, result in scores.items()}
    write_atomically(run.folder / "scores.json", json.dumps({"first_seed": SCORE_SEED, "returns": returns}) + "\n")
    return {place: estimate.value for place, estimate in estimates.items()}


def _mean(returns: np.ndarray) -> Estimate:
    return bootstrap(returns, lambda rows: float(np.mean(rows)), np.random.default_rng(0))


def _row(place: str, estimate: Estimate, result: Scores) -> Sequence[object]:
    interval = f"{estimate.low:.1f} … {estimate.high:.1f}"
    return place, estimate.value, interval, float(result.returns.min()), float(result.lengths.mean())
