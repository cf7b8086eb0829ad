"""What reads the physical state off frames learns it from recorded ones, beside the transition: before the rest of its
core where it is a part of its own, or once more when all else is as it stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from videosim import mixture
from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.crew import ALONE, Crew, Loss
from videosim.fit import Schedule, settle
from videosim.losses import scaled_sensors, shown_tokens
from videosim.run import Run
from videosim.world_model import WorldModel

RUN = 20  # transitions of a window


def train_filter(model: WorldModel, cfg: TrainConfig, train: Sequence[Corpus], run: Run, crew: Crew = ALONE) -> float:
    """Fit the filter on windows of cached latents of what has sensors; nothing where the core has none of its own.
    Returns the seconds it took."""
    core, own = model.dynamics, model.dynamics.filter
    if own is None or not train:
        return 0.0
    loss = _lesson(model, cfg, train, partial(own.loss, move=core.moved))
    return settle("filter", own, loss, Schedule(cfg.filter_steps, cfg.filter_rate), run, cfg.seed, crew)


def sharpen_beliefs(
    model: WorldModel, cfg: TrainConfig, train: Sequence[Corpus], run: Run, crew: Crew = ALONE
) -> float:
    """Fit once more, and finely, what makes beliefs of frames in a core that trained it beside its picture, and nothing
    else; nothing where the core has no such parts. Returns the seconds it took."""
    parts = torch.nn.ModuleList(model.dynamics.believers())
    if not len(parts) or not train:
        return 0.0
    loss = _lesson(model, cfg, train, model.dynamics.belief_loss)
    return settle("beliefs", parts, loss, Schedule(cfg.belief_steps, cfg.belief_rate), run, cfg.seed, crew)


def _lesson(model: WorldModel, cfg: TrainConfig, train: Sequence[Corpus], lost: Callable[..., Tensor]) -> Loss:
    """The error ``lost(latents, tokens, sensors, valid)`` of random windows."""
    length = min(cfg.window, RUN)
    starts = [corpus.training_starts(length) for corpus in train]
    counts = mixture.shares(cfg.filter_batch, len(train))

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        where = [mixture.drawn(own, count, rng) for own, count in zip(starts, counts, strict=True)]
        batch = mixture.windows(train, where, length)
        latents = (batch["latents"] - model.latent_mean) / model.latent_std
        tokens, _ = shown_tokens(model, batch, rng)
        total = lost(latents, tokens, scaled_sensors(model, batch), batch["valid"])
        return total, {"filter": float(total.detach())}

    return loss
