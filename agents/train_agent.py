"""`videosim agent`: train one SB3 policy in imagination or in physics, then score it where it counts.

The policy, its learning curve and the returns of every scored episode stay in the run folder.
"""

from __future__ import annotations

import json

import numpy as np
import torch

from videosim.agents.evaluate import in_imagination, in_physics
from videosim.agents.learn import learn, place_of
from videosim.agents.policy import Policy
from videosim.agents.settings import fingerprint, keep_settings
from videosim.config import AgentCommandConfig, WorldConfig
from videosim.envs.observations import Filter, Observer, TrueState
from videosim.envs.twin import check_world, load_with_physics
from videosim.errors import VideoSimError
from videosim.run import Run, write_atomically
from videosim.statistics import bootstrap
from videosim.world_model import WorldModel

SCORE_SEED = 50_000_000  # initial states that no training has seen


def main(cfg: AgentCommandConfig, run: Run) -> None:
    """Train a policy in ``cfg.train_in`` and score it in the physics that the checkpoint was trained on."""
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    train_and_score(cfg, *load_with_physics(cfg.checkpoint), run)


def train_and_score(cfg: AgentCommandConfig, model: WorldModel, world: WorldConfig, run: Run) -> None:
    """Train a policy, keep it in ``<run folder>/policy`` and score it. A finished training is not repeated; an
    interrupted PPO training goes on.

    Raises VideoSimError on bad settings, another physics than the model's, or a folder made with other settings.
    """
    place = place_of(cfg.train_in)
    if cfg.episodes < 1:
        raise VideoSimError(f"a score needs at least one episode; got episodes={cfg.episodes}")
    check_world(model, world)
    agent = place.agent(model, cfg.agent)
    settings = {"model": fingerprint(model), "train_in": cfg.train_in, "agent": agent, "seed": cfg.seed}
    keep_settings(run.folder, settings | ({"data": cfg.data} if cfg.data else {}))

    with run.progress(agent.steps, f"{agent.algorithm} in {cfg.train_in}", "steps") as bar:
        policy = learn(cfg.train_in, model, world, agent, cfg.seed, run.folder / "policy", bar, data=cfg.data)
    score(policy, model, world, not place.through_model, cfg.episodes, run)
    run.figure("steps", agent.steps)


def score(policy: Policy, model: WorldModel, world: WorldConfig, true_state: bool, episodes: int, run: Run) -> None:
    """Score ``policy`` on ``episodes`` unseen initial states in physics and, unless it reads the true state, dreamed
    from the same first frames. Every return goes into ``scores.json``."""
    observer: Observer = TrueState(model) if true_state else Filter(model, policy.mode)
    with run.progress(1 if true_state else 2, f"scoring over {episodes} episodes", "worlds") as bar:
        scores = {"physics": in_physics(policy.act, observer, world, model, episodes, SCORE_SEED)}
        bar.advance()
        if not true_state:
            scores["imagination"] = in_imagination(policy.act, policy.mode, world, model, episodes, SCORE_SEED)
            bar.advance()
    rows = []
    for place, result in scores.items():
        e = bootstrap(result.returns, lambda rows: float(np.mean(rows)), np.random.default_rng(0))
        run.figure("return_real" if place == "physics" else "return_dreamed", e.value, e.low, e.high, e.n, "return")
        rows.append((place, e.value, f"{e.low:.1f} … {e.high:.1f}", result.returns.min(), result.lengths.mean()))
    if scores["physics"].success.any():
        run.figure("success", float(scores["physics"].success.mean()), n=episodes, unit="rate")
    columns = ("scored in", "mean", "95 % interval", "lowest", "steps")
    run.table(f"{model.spec.name}: return of the policy", columns, rows)
    returns = {place: result.returns.tolist() for place, result in scores.items()}
    write_atomically(run.folder / "scores.json", json.dumps({"first_seed": SCORE_SEED, "returns": returns}) + "\n")
