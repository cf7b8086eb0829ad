"""`videosim train`: from an episode store to a checkpoint. Tokenizer, gate, latent cache, transition of the physical
state, dynamics and heads, painter, in that order.

Knows nothing of environments or policies. Resumes where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from videosim.buckets import Bucket, among, encode, opened
from videosim.checkpoint import load_checkpoint, save_checkpoint
from videosim.clips import start_clips
from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.crew import ALONE, Crew, assembled
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.fit import Schedule, fit
from videosim.gate import tokenizer_gate
from videosim.held_out import open_loop_scores
from videosim.painting import train_painter
from videosim.run import Run, write_atomically
from videosim.world_model import WorldModel

UNLABELLED = 0.03  # share of training windows shown without their actions
BLIND_WEIGHT = 1e-3  # of such a window in the transition's loss: its error would drown all the others
SUDDEN = 0.2  # share of all short runs that counts as abrupt


def main(cfg: TrainConfig, run: Run) -> None:
    """Train a model from ``cfg.data`` and write it to ``<run folder>/checkpoint``."""
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    if not cfg.data:
        raise VideoSimError("there is nothing to train on; give data=FOLDER of a store that `videosim collect` made")
    store = EpisodeStore.open(cfg.data)
    train_rows, test_rows = store.split(cfg.held_out)
    train, test = Corpus(store, train_rows), Corpus(store, test_rows)
    model = _build(cfg, store, train)
    crew, cfg = assembled(cfg, run)
    others = opened(model, cfg)

    seconds = 0.0 if cfg.init else train_tokenizer(model, cfg, train, run, crew, others)
    gate_file = run.folder / "gate.json"
    if not gate_file.is_file():
        write_atomically(gate_file, json.dumps(tokenizer_gate(model, train, test, cfg.seed), indent=1))
    gate = json.loads(gate_file.read_text())
    run.figure("psnr_full", gate["psnr_full"], unit="dB")
    run.figure("psnr_moving", gate["psnr_moving"], unit="dB")
    for name, value in gate["probe"].items():
        run.figure(f"probe_{name}", value, unit="fraction of range")
    run.table(
        "Tokenizer gate (held-out frames)",
        ["what", "value"],
        [
            ["PSNR, full frame [dB]", f"{gate['psnr_full']:.1f}"],
            ["PSNR, moving region [dB]", f"{gate['psnr_moving']:.1f}"],
            *([f"probe error, {k}", f"{100 * v:.2f} % of range"] for k, v in gate["probe"].items()),
        ],
    )

    with run.progress(int(train.first[-1] + test.first[-1]), "encoding frames", "frames") as bar:
        for corpus in (train, test):
            corpus.encode(model, bar.advance)
    if not cfg.init:
        _set_scales(model, train)
    encode(others, run, cfg.seed)
    seconds += train_transition(model, cfg, train, run, crew)
    seconds += train_dynamics(model, cfg, train, test, run, crew, others)
    seconds += train_painter(model, cfg, train, run, crew)
    crew.leave_to_the_first()

    scores = open_loop_scores(model, test, cfg.score_horizon, cfg.score_windows, cfg.seed)
    for name, value in scores.items():
        run.figure(name, value)
    run.table("Open loop on held-out episodes", ["what", "value"], [[k, f"{v:.4g}"] for k, v in scores.items()])
    model.contexts = start_clips(train, cfg)
    card = {
        "Data": {
            "store": Path(cfg.data).name,
            "frames": store.frames_total,
            "training episodes": len(train_rows),
            "held-out episodes": len(test_rows),
            **{f"episodes of behaviour {b}": store.behaviours.count(b) for b in sorted(set(store.behaviours))},
        },
        "Training": {
            "seed": cfg.seed,
            "tokenizer steps": cfg.tokenizer_steps,
            "transition steps": cfg.transition_steps,
            "dynamics steps": cfg.dynamics_steps,
            "painter steps": cfg.painter_steps,
            "window": cfg.window,
            "initialised from": cfg.init or "scratch",
            "minutes": round(seconds / 60.0, 1),
            "threads": torch.get_num_threads(),
        },
        "Tokenizer gate": {k: v for k, v in gate.items() if k != "probe"}
        | {f"probe error {k} (fraction of range)": v for k, v in gate["probe"].items()},
        "Open loop on held-out episodes": scores,
        "Uncertainty": {
            "threshold": scores["uncertainty_threshold"],
            "rank correlation": scores["uncertainty_spearman"],
        },
        "Limits": "The model knows what its data showed. Figures above hold for held-out episodes of the same "
        "behaviours; a policy may lead it elsewhere. Watch info['uncertainty'] and check every result in the physics.",
    }
    save_checkpoint(run.folder / "checkpoint", model, card)


def _build(cfg: TrainConfig, store: EpisodeStore, train: Corpus) -> WorldModel:
    torch.manual_seed(cfg.seed)
    if not cfg.init:
        return WorldModel(cfg.model, store.world)
    model = load_checkpoint(cfg.init)
    if model.spec != store.world:
        raise VideoSimError(
            f"the checkpoint {cfg.init} was trained on {model.spec.name} and the store holds {store.world.name}, "
            "or their specifications differ; use a store of the same world or leave init empty"
        )
    model.action_tokens.requires_grad_(False)
    return model


def train_tokenizer(
    model: WorldModel, cfg: TrainConfig, train: Corpus, run: Run, crew: Crew = ALONE, others: Sequence[Bucket] = ()
) -> float:
    """Fit the tokenizer on random pairs of consecutive frames."""
    starts = train.starts(1)
    mean, std = _mean_and_std(train.sensors, 1e-3)

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        where = starts[torch.randint(len(starts), (cfg.tokenizer_batch,), generator=rng).numpy()]
        frames, backgrounds, sensors = train.pairs(where)
        return model.tokenizer.loss(frames, backgrounds, (sensors - mean) / std)

    with run.progress(cfg.tokenizer_steps, "tokenizer", "steps") as bar:
        schedule = Schedule(cfg.tokenizer_steps, cfg.tokenizer_rate, average=0.995)
        lesson = among(loss, [other.tokenizer_lesson for other in others])
        return fit("tokenizer", model.tokenizer, lesson, schedule, run.folder, cfg.seed, bar, crew=crew)


def _mean_and_std(values: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Of every column of ``values`` ``(F, …)``, of which a log without sensors has none."""
    if not values.numel():
        return values.new_zeros(values.shape[1:]), values.new_ones(values.shape[1:])
    return values.mean(0), values.std(0).clamp(min=floor)


def _set_scales(model: WorldModel, train: Corpus) -> None:
    def scale(name: str, values: Tensor, floor: float) -> None:
        mean, std = _mean_and_std(values, floor)
        getattr(model, f"{name}_mean").copy_(mean)
        getattr(model, f"{name}_std").copy_(std)

    # A number that hardly varies must not be blown up to unit noise.
    if not model.tokenizer.layout.levels:  # codes keep their own scale: a core must find them again
        scale("latent", train.latents, 0.05)
    scale("sensor", train.sensors, 1e-3)
    scale("reward", train.rewards, 1e-3)
    if not model.spec.sensors.size:
        return
    where = train.starts(1)
    before = train.first[where[:, 0]] + where[:, 1]
    sensors = (train.sensors - model.sensor_mean) / model.sensor_std
    model.dynamics.sensor_step.copy_((sensors[before + 1] - sensors[before]).std(0).clamp(min=0.01))
    # What no recording holds the model does not know, and a ball two centimetres inside a wall cannot be.
    low, high = train.sensors.aminmax(dim=0)
    model.dynamics.sensor_low.copy_((low - model.sensor_mean) / model.sensor_std)
    model.dynamics.sensor_high.copy_((high - model.sensor_mean) / model.sensor_std)


def train_transition(model: WorldModel, cfg: TrainConfig, train: Corpus, run: Run, crew: Crew = ALONE) -> float:
    """Fit action tokens, the transition of the physical state and what the state tells of reward and termination on
    short runs of recorded states, and freeze them; a core without a transition, or a log without sensors, learns all of
    it in ``train_dynamics``."""
    if model.dynamics.transition is None or not model.spec.sensors.size:
        return 0.0
    starts = train.training_starts(cfg.transition_run)
    sudden = train.sudden_starts(cfg.transition_run, SUDDEN)
    focus = round(cfg.transition_focus * cfg.transition_batch)
    parts = [model.action_tokens, model.dynamics.transition, model.heads.known]
    module = torch.nn.ModuleList([part for part in parts if part is not None])

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        where = starts[torch.randint(len(starts), (cfg.transition_batch,), generator=rng).numpy()]
        where[:focus] = sudden[torch.randint(len(sudden), (focus,), generator=rng).numpy()]
        batch = train.windows(where, cfg.transition_run)
        tokens, labelled = _tokens(model, batch, rng)
        weight = batch["valid"] * torch.where(labelled, 1.0, BLIND_WEIGHT)
        sensors = _scaled_sensors(model, batch)
        moved = model.dynamics.transition_loss(sensors, tokens, weight, rng)
        reward, ended = _outcome_loss(
            model, batch, *model.heads.from_sensors(sensors[:, :-1], tokens, sensors[:, 1:]).unbind(-1)
        )
        return moved + reward + ended, {"moved": float(moved.detach()), "reward": float(reward.detach())}

    with run.progress(cfg.transition_steps, "transition", "steps") as bar:
        schedule = Schedule(cfg.transition_steps, cfg.transition_rate)
        seconds = fit("transition", module, loss, schedule, run.folder, cfg.seed, bar, crew=crew)
    module.requires_grad_(False)
    return seconds


def _scaled_sensors(model: WorldModel, batch: dict[str, Tensor]) -> Tensor:
    return (batch["sensors"] - model.sensor_mean) / model.sensor_std


def _tokens(model: WorldModel, batch: dict[str, Tensor], rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Action tokens, and which are of actions that are shown: now and then a window comes without labels, so that "no
    action" means the average of what may have been done."""
    actions = batch["actions"]
    labelled = (torch.rand(len(actions), 1, generator=rng) >= UNLABELLED).expand(actions.shape[:2])
    return model.action_tokens(actions, labelled=labelled), labelled


class _Imagination(torch.nn.Module):
    """The trainable part of the last stage; the tokenizer stays fixed under the cached latents."""

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.action_tokens, self.dynamics, self.heads = model.action_tokens, model.dynamics, model.heads


def train_dynamics(
    model: WorldModel,
    cfg: TrainConfig,
    train: Corpus,
    test: Corpus,
    run: Run,
    crew: Crew = ALONE,
    others: Sequence[Bucket] = (),
) -> float:
    """Fit action tokens, dynamics and heads on windows of cached latents; keep the average best on held-out
    episodes."""
    starts = train.training_starts(cfg.window)
    ended = train.terminated.bool().any()
    # Windows that hold a termination are rare and decide the continue head: a quarter of every batch.
    span = np.minimum(train.lengths[starts[:, 0]] - starts[:, 1], cfg.window)
    begin = train.first[starts[:, 0]] + starts[:, 1]
    near_end = starts[[bool(train.terminated[f : f + n].any()) for f, n in zip(begin, span, strict=True)]]

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        where = starts[torch.randint(len(starts), (cfg.batch,), generator=rng).numpy()]
        if ended and len(near_end):
            pick = torch.randint(len(near_end), (cfg.batch // 4,), generator=rng).numpy()
            where[: cfg.batch // 4] = near_end[pick]
        return imagination_loss(model, train.windows(where, cfg.window), rng)

    def evaluate() -> dict[str, float]:
        scores = open_loop_scores(model, test, cfg.score_horizon, cfg.score_windows, cfg.seed)
        # Early errors: late ones favour a model that, past what can be predicted, fades to the mean.
        return {"score": scores["error_early"], **scores}

    with run.progress(cfg.dynamics_steps, "dynamics", "steps") as bar:
        schedule = Schedule(cfg.dynamics_steps, cfg.dynamics_rate, evaluate_every=cfg.evaluate_every)
        lesson = among(loss, [other.clip_lesson for other in others])
        return fit("dynamics", _Imagination(model), lesson, schedule, run.folder, cfg.seed, bar, evaluate, crew)


def imagination_loss(
    model: WorldModel, batch: dict[str, Tensor], rng: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Loss of dynamics and heads on one batch of windows (raw latents and sensors in units, see ``Corpus.windows``)."""
    latents = (batch["latents"] - model.latent_mean) / model.latent_std
    sensors, (tokens, _) = _scaled_sensors(model, batch), _tokens(model, batch, rng)
    valid = batch["valid"]
    core = model.dynamics.loss(latents, tokens, sensors, valid, rng)

    before, after = core.features[:, :-1], core.features[:, 1:]
    outcome = model.heads(before, tokens, after, sensors[:, :-1], sensors[:, 1:])
    reward_term, end_term = _outcome_loss(model, batch, *outcome)
    dreamt, rows = core.dreamt, len(core.dreamt.age)
    real = valid[:rows]
    if sensors.shape[-1]:
        error = (sensors[:rows] - dreamt.sensors)[:, 1:][real]
    else:
        missed = latents[:rows].flatten(2) - dreamt.latents
        error = missed.square().mean(-1, keepdim=True).sqrt()[:, 1:][real]
    error_term = model.heads.error_loss(
        tokens[:rows][real], dreamt.features[:, 1:][real], dreamt.age[:, 1:][real], error, rng
    )
    total = core.total + reward_term + end_term + 0.1 * error_term
    terms = {**core.terms, "reward": reward_term, "termination": end_term, "error_nll": error_term}
    return total, {name: float(value.detach()) for name, value in terms.items()}


def _outcome_loss(model: WorldModel, batch: dict[str, Tensor], reward: Tensor, logit: Tensor) -> tuple[Tensor, Tensor]:
    """Mean errors of standardised rewards and of the logits of termination, both ``(B, T)``."""
    valid = batch["valid"]
    rewards = (batch["rewards"] - model.reward_mean) / model.reward_std
    ended = F.binary_cross_entropy_with_logits(logit[valid], batch["terminated"][valid])
    return (reward - rewards)[valid].square().mean(), ended
