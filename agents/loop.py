"""`videosim loop`: rounds of policy, collecting with it, and fine-tuning the model on what it met.

The remedy for exploitation and for states that undirected behaviour never reaches: a policy that fools the model leads
it there, and the physics says what really happens. Every stage is a run in a folder of its own; a stage with a
``result.json`` is finished and never repeated, an interrupted one resumes by itself.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from videosim import train
from videosim.agents.imagined import imagined_policy, share_with
from videosim.agents.settings import fingerprint, keep_settings
from videosim.agents.train_agent import train_and_score
from videosim.checkpoint import load_checkpoint
from videosim.config import AgentCommandConfig, CollectConfig, LoopConfig, TrainConfig
from videosim.envs.recording import record
from videosim.envs.twin import check_world
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.world_model import WorldModel

SEEDS_APART = 100_003  # of the collections of two rounds

Stage = dict[str, Any]  # the figures of a finished stage: name -> value


def main(cfg: LoopConfig, run: Run) -> None:
    """Round 0 has the base data and the first model. A round trains a policy in the newest model and scores it; the
    next records with it and fine-tunes. At the end ``<run folder>/checkpoint`` and ``…/policy`` hold the last ones.

    Raises VideoSimError on bad settings, a checkpoint of another world, or a folder made with other settings.
    """
    _check(cfg)
    if cfg.train.threads:
        torch.set_num_threads(cfg.train.threads)
    start = load_checkpoint(cfg.checkpoint) if cfg.checkpoint else None
    if start is not None:
        check_world(start, cfg.world)
    free = ("rounds", "workers", "train")  # more rounds may be asked for later; processes and threads change nothing
    kept = {k: v for k, v in vars(cfg).items() if k not in free} | {"train": replace(cfg.train, threads=0)}
    keep_settings(run.folder, kept | {"checkpoint": "" if start is None else fingerprint(start)})

    store = Path(cfg.data) if cfg.data else run.folder / "data"
    rows, frames = [], 0
    for number in range(cfg.rounds + 1):
        folder = run.folder / f"round-{number}"
        frames = _collect(cfg, number, frames, store, run)
        if number == 0 and start is not None:
            model, horizon = cfg.checkpoint, _horizon(start)
        else:
            horizon = _train(cfg, number, store, "" if number == 0 else model, run)["horizon_frames"]
            model = str(folder / "model" / "checkpoint")
        scores = _policy(cfg, number, model, run)
        rows.append((number, frames, horizon, scores["return_dreamed"], scores["return_real"]))
    _publish(load_checkpoint(model).folder, run.folder / "checkpoint")
    _publish(folder / "policy" / "policy", run.folder / "policy")

    for name, column in (("return_dreamed", 3), ("return_real", 4)):
        for row in rows:
            run.figure(f"{name}_round_{row[0]}", row[column], n=cfg.episodes, unit="return")
    run.figure("open_loop_horizon_frames", rows[-1][2], unit="frames")
    run.figure("physics_frames", frames, unit="frames")
    columns = ("round", "frames", "open-loop horizon", "imagined return", "real return")
    run.table(f"{cfg.world.name}: {cfg.rounds} round(s)", columns, rows)


def _check(cfg: LoopConfig) -> None:
    if cfg.rounds < 1 or cfg.episodes < 1:
        raise VideoSimError(f"rounds and episodes must be 1 or more; got {cfg.rounds} and {cfg.episodes}")
    if min(cfg.frames_per_round, cfg.base_frames) < 2:
        raise VideoSimError("frames_per_round and base_frames must be 2 or more: no episode is shorter")
    share_with({}, "any", cfg.policy_share)
    if cfg.train.data or cfg.train.init:
        raise VideoSimError("the loop sets train.data and train.init itself; give data= and checkpoint= instead")


def _stage(name: str, config: Any, folder: Path, run: Run, work: Callable[[Run], None]) -> Stage:
    """Do ``work`` as a run in ``folder`` unless it is finished there; returns its figures."""
    result = folder / "result.json"
    if result.is_file():
        run.say(f"finished earlier: {folder}")
    else:
        with Run(name, config, folder, run.console) as stage:
            work(stage)
    return {name: figure["value"] for name, figure in json.loads(result.read_text())["figures"].items()}


def _collect(cfg: LoopConfig, number: int, before: int, store: Path, run: Run) -> int:
    """Round 0: the base data; later: ``frames_per_round`` more, mostly with the policy of the round before. Returns the
    frames then in the store."""
    frames = before + cfg.frames_per_round if number else cfg.base_frames
    seed = cfg.seed + number * SEEDS_APART
    settings = CollectConfig(
        world=cfg.world, frames=frames, out=str(store), seed=seed, policy_noise=cfg.policy_noise, workers=cfg.workers
    )

    def work(stage: Run) -> None:
        policies = {}
        if number:
            last = run.folder / f"round-{number - 1}"
            model = cfg.checkpoint if number == 1 and cfg.checkpoint else str(last / "model" / "checkpoint")
            _, policy = imagined_policy(model, str(last / "policy" / "policy"), cfg.world)
            name = f"round-{number - 1}"
            policies[name] = policy
            settings.mixture = share_with(settings.mixture, name, cfg.policy_share)
            settings.checkpoint, settings.policy = policy.checkpoint, policy.policy
        recorded = record(settings, store, stage, policies)
        stage.figure("frames", recorded.frames_total, unit="frames")

    return int(_stage("collect", settings, run.folder / f"round-{number}" / "collect", run, work)["frames"])


def _train(cfg: LoopConfig, number: int, store: Path, init: str, run: Run) -> Stage:
    """The first model from scratch, later ones from ``init``, whose tokenizer and scales they keep."""
    settings: TrainConfig = replace(cfg.train, data=str(store), seed=cfg.seed + number, init=init)
    if number:
        slower = cfg.fine_tune_rate / settings.dynamics_rate
        settings = replace(
            settings,
            transition_rate=slower * settings.transition_rate,
            dynamics_steps=cfg.fine_tune_steps,
            dynamics_rate=cfg.fine_tune_rate,
            painter_rate=slower * settings.painter_rate,
            belief_rate=slower * settings.belief_rate,
        )
    folder = run.folder / f"round-{number}" / "model"
    return _stage("train", settings, folder, run, lambda stage: train.main(settings, stage))


def _policy(cfg: LoopConfig, number: int, checkpoint: str, run: Run) -> Stage:
    """A new policy in every round: fine-tuning the model moves the features under an old one."""
    settings = AgentCommandConfig(checkpoint=checkpoint, agent=cfg.agent, seed=cfg.seed + number, episodes=cfg.episodes)

    def work(stage: Run) -> None:
        train_and_score(settings, load_checkpoint(checkpoint), cfg.world, stage)

    return _stage("agent", settings, run.folder / f"round-{number}" / "policy", run, work)


def _horizon(model: WorldModel) -> float | None:
    """The open-loop horizon that the model's card records, in frames."""
    return model.recorded("Open loop on held-out episodes", "horizon_frames")


def _publish(source: Path | None, target: Path) -> None:
    """Put a copy of the folder ``source`` at ``target``, replacing what is there only when all of it is on disk."""
    assert source is not None
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
    try:
        shutil.copytree(source, staging / "new")
        if target.exists():
            target.rename(staging / "old")
        (staging / "new").rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
