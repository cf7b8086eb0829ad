"""`videosim train`: from an episode store to a checkpoint. Tokenizer, gate, latent cache, transition of the physical
state, filter, painter, courses of whole clips, dynamics and heads, and the filter once more, in that order.

Knows nothing of environments or policies. Resumes where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videosim import mixture
from videosim.buckets import Bucket, beside, encode, opened
from videosim.charting import train_course
from videosim.checkpoint import load_checkpoint, save_checkpoint
from videosim.clips import start_clips
from videosim.config import TrainConfig
from videosim.corpus import Corpus, divided
from videosim.crew import ALONE, Crew
from videosim.data.store import EpisodeStore
from videosim.embodiments import Embodiment, joined
from videosim.errors import VideoSimError
from videosim.filtering import sharpen_beliefs, train_filter
from videosim.fit import Schedule, fit
from videosim.gate import tokenizer_gate
from videosim.held_out import open_loop_scores
from videosim.latent_cache import LatentCache
from videosim.lessons import dynamics_lessons, one_of
from videosim.moving import train_transition
from videosim.painting import train_painter
from videosim.processes import assembled
from videosim.renewal import begun_anew
from videosim.rounding import rounded
from videosim.run import Run, write_atomically
from videosim.scales import sensor_scale, set_limits, set_scales
from videosim.telling import check_told
from videosim.training_card import training_card
from videosim.types import WorldSpec
from videosim.world_model import WorldModel


def main(cfg: TrainConfig, run: Run) -> None:
    """Train a model from the store ``cfg.data``, or from several, and write it to ``<run folder>/checkpoint``."""
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    rounded({}, cfg.bits)  # a wrong number is said before the training, not after it
    folders = [cfg.data] if isinstance(cfg.data, str) else list(cfg.data)
    if not all(folders) or not folders:
        raise VideoSimError("there is nothing to train on; give data=FOLDER of a store that `videosim collect` made")
    stores = [EpisodeStore.open(folder) for folder in folders]
    world, bodies = joined([store.world for store in stores], [Path(folder).resolve().name for folder in folders])
    train, test = _corpora(stores, world, cfg)
    model = _build(cfg, world, bodies)
    check_told(model)
    crew, cfg = assembled(cfg, run)
    others = opened(model, cfg)

    seconds = {"tokenizer": 0.0 if cfg.init else train_tokenizer(model, cfg, train, run, crew, others)}
    sides = list(zip(train[: len(test)], test, strict=True))  # without what a mirror shows
    gates = [_gate(model.embodied(number), own, cfg.seed, run) for number, own in enumerate(sides)]

    cache = LatentCache(run.folder, writes=crew.first)
    cache.fill([*train, *test], model, run)
    if not cfg.init:
        set_scales(model, train)
    set_limits(model, train, anew=not cfg.init or "transition" in cfg.anew)
    encode(others, cache, run, cfg.seed)
    seconds["transition"] = train_transition(model, cfg, train, run, crew)
    felt = [corpus for corpus in train if corpus.measured.any()]
    seconds["filter"] = train_filter(model, cfg, felt, run, crew)
    seconds["painter"] = train_painter(model, cfg, felt, run, crew)
    seconds["course"] = train_course(model, cfg, felt, run, crew)
    seconds["dynamics"] = train_dynamics(model, cfg, train, test, run, crew, others)
    seconds["belief"] = sharpen_beliefs(model, cfg, felt, run, crew)
    crew.leave_to_the_first()

    _say_how_long(seconds, run)
    scores = _scores(model, test, cfg)
    for number, score in enumerate(scores):
        body = model.embodied(number)
        for name, value in score.items():
            run.figure(body.figure(name), value)
        rows = [[k, f"{v:.4g}"] for k, v in score.items()]
        run.table(body.titled("Open loop on held-out episodes"), ["what", "value"], rows)
    model.contexts = start_clips([own for own, _ in sides], cfg)
    card = training_card(model, cfg, stores, sides, gates, scores, sum(seconds.values()))
    save_checkpoint(run.folder / "checkpoint", model, card, cfg.bits)
    cache.clear()


def _corpora(stores: Sequence[EpisodeStore], world: WorldSpec, cfg: TrainConfig) -> tuple[list[Corpus], list[Corpus]]:
    """What every store has to train on and to test on; behind the former, if asked for, all of it in a mirror."""
    held_out = cfg.held_out
    shares = list(held_out) if isinstance(held_out, (list, tuple)) else [held_out] * len(stores)
    for name in cfg.mirror:
        if name not in (*world.action.names, *world.sensors.names):
            raise VideoSimError(f"mirror names {name!r}, and the data have no such action or sensor; correct it")
    if len(shares) != len(stores) or not all(isinstance(share, (int, float)) for share in shares):
        raise VideoSimError(f"held_out is a number, or a list of one for each of {len(stores)} stores; got {held_out}")
    paid = [any(s.column(n, i).any() for n in ("rewards", "terminated") for i in range(len(s))) for s in stores]
    train: list[Corpus] = []
    test: list[Corpus] = []
    mirrored: list[Corpus] = []
    for number, store in enumerate(stores):
        # A store that never pays, beside one that does, has no task of which it could be told that it paid nothing.
        task = paid[number] or not any(paid)
        known, kept = divided(store, number, held_out)
        train.append(Corpus(store, known, world, number, task))
        test.append(Corpus(store, kept, world, number, task))
        if cfg.mirror:
            mirrored.append(Corpus(store, known, world, number, task, cfg.mirror))
    return train + mirrored, test


def _build(cfg: TrainConfig, world: WorldSpec, bodies: list[Embodiment]) -> WorldModel:
    torch.manual_seed(cfg.seed)
    if not cfg.init:
        if cfg.anew:
            raise VideoSimError(f"anew={list(cfg.anew)} needs init=CHECKPOINT, of which all else stays as it is")
        return WorldModel(replace(cfg.model, embodiments=max(cfg.model.embodiments, len(bodies))), world, bodies)
    model = load_checkpoint(cfg.init)
    alike = len(bodies) == len(model.embodiments) == 1 or bodies == model.embodiments
    if model.spec != world or not alike:
        raise VideoSimError(
            f"the checkpoint {cfg.init} was trained on {model.spec.name} and the store holds {world.name}, "
            "or their specifications differ; use a store of the same world or leave init empty"
        )
    if cfg.anew:
        model = begun_anew(model, cfg.anew, cfg.model.dynamics)
    model.action_tokens.requires_grad_(False)
    return model


def _say_how_long(seconds: dict[str, float], run: Run) -> None:
    """The minutes of every stage that there was, and of all, those before an interruption included."""
    minutes = {stage: spent / 60.0 for stage, spent in seconds.items() if spent}
    minutes["all"] = sum(minutes.values())
    for stage, spent in minutes.items():
        run.figure("training_minutes" + (f"_{stage}" if stage != "all" else ""), spent, unit="min")
    run.table("Training", ["stage", "minutes"], [[stage, f"{spent:.1f}"] for stage, spent in minutes.items()])


def _gate(model: WorldModel, sides: tuple[Corpus, Corpus], seed: int, run: Run) -> dict[str, Any]:
    """The tokenizer's gate of the present body, once, and what it says."""
    file = run.folder / f"{model.figure('gate')}.json"
    if not file.is_file():
        write_atomically(file, json.dumps(tokenizer_gate(model, *sides, seed), indent=1))
    gate: dict[str, Any] = json.loads(file.read_text())
    run.figure(model.figure("psnr_full"), gate["psnr_full"], unit="dB")
    run.figure(model.figure("psnr_moving"), gate["psnr_moving"], unit="dB")
    for name, value in gate["probe"].items():
        run.figure(model.figure(f"probe_{name}"), value, unit="fraction of range")
    run.table(
        model.titled("Tokenizer gate (held-out frames)"),
        ["what", "value"],
        [
            ["PSNR, full frame [dB]", f"{gate['psnr_full']:.1f}"],
            ["PSNR, moving region [dB]", f"{gate['psnr_moving']:.1f}"],
            *([f"probe error, {k}", f"{100 * v:.2f} % of range"] for k, v in gate["probe"].items()),
        ],
    )
    return gate


def train_tokenizer(
    model: WorldModel,
    cfg: TrainConfig,
    train: Sequence[Corpus],
    run: Run,
    crew: Crew = ALONE,
    others: Sequence[Bucket] = (),
) -> float:
    """Fit the tokenizer on random pairs of consecutive frames."""
    starts, counts = [corpus.starts(1) for corpus in train], mixture.shares(cfg.tokenizer_batch, len(train))
    mean, std = sensor_scale(train)

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        where = [mixture.drawn(own, count, rng) for own, count in zip(starts, counts, strict=True)]
        frames, backgrounds, sensors = mixture.pairs(train, where)
        return model.tokenizer.loss(frames, backgrounds, (sensors - mean) / std, rng)

    with run.progress(cfg.tokenizer_steps, "tokenizer", "steps") as bar:
        schedule = Schedule(cfg.tokenizer_steps, cfg.tokenizer_rate, average=0.995)
        lesson = one_of(beside([(1.0, loss)], [other.tokenizer_lesson for other in others]))
        return fit("tokenizer", model.tokenizer, lesson, schedule, run.folder, cfg.seed, bar, crew=crew)


class _Imagination(torch.nn.Module):
    """The trainable part of the last stage; the tokenizer stays fixed under the cached latents."""

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.action_tokens, self.dynamics, self.heads = model.action_tokens, model.dynamics, model.heads


def train_dynamics(
    model: WorldModel,
    cfg: TrainConfig,
    train: Sequence[Corpus],
    test: Sequence[Corpus],
    run: Run,
    crew: Crew = ALONE,
    others: Sequence[Bucket] = (),
) -> float:
    """Fit action tokens, dynamics and heads on windows of cached latents; keep the average best on held-out
    episodes."""

    def evaluate() -> dict[str, float]:
        scores = _scores(model, test, cfg)
        # Early errors: late ones favour a model that, past what can be predicted, fades to the mean. Of several stores
        # their geometric mean, as the errors of two worlds have no scale in common.
        early = float(np.prod([score["error_early"] for score in scores]) ** (1 / len(scores)))
        named = {model.embodied(i).figure(k): v for i, score in enumerate(scores) for k, v in score.items()}
        return {"score": early, **named}

    with run.progress(cfg.dynamics_steps, "dynamics", "steps") as bar:
        schedule = Schedule(cfg.dynamics_steps, cfg.dynamics_rate, evaluate_every=cfg.evaluate_every)
        lesson = one_of(beside(dynamics_lessons(model, cfg, train), [other.clip_lesson for other in others]))
        return fit("dynamics", _Imagination(model), lesson, schedule, run.folder, cfg.seed, bar, evaluate, crew)


def _scores(model: WorldModel, test: Sequence[Corpus], cfg: TrainConfig) -> list[dict[str, float]]:
    """The open loop in every store."""
    return [
        open_loop_scores(model.embodied(number), corpus, cfg.score_horizon, cfg.score_windows, cfg.seed)
        for number, corpus in enumerate(test)
    ]
