"""What a step of training teaches: one of several lessons, each in its share of the steps.

A step of its own for each does more than a step that adds their losses: for the same time there are more steps. Which
one it is depends on the number of the step alone, so that all processes of a training teach the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from videosim import mixture
from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.crew import Loss
from videosim.losses import clip_loss, imagination_loss
from videosim.world_model import WorldModel

Lesson = tuple[float, Loss]  # with its weight


def one_of(lessons: Sequence[Lesson]) -> Loss:
    """The loss of a lesson drawn by its weight; those that weigh nothing are never drawn."""
    weights = torch.tensor([weight for weight, _ in lessons])

    def drawn(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        number = torch.multinomial(weights, 1, generator=torch.Generator().manual_seed(step))
        return lessons[int(number)][1](step, rng)

    return drawn


def dynamics_lessons(model: WorldModel, cfg: TrainConfig, train: Sequence[Corpus]) -> list[Lesson]:
    """Step-by-step dreams and, for a core that makes any, whole clips, both on windows of cached latents."""
    starts, counts = [c.training_starts(cfg.window) for c in train], mixture.shares(cfg.batch, len(train))
    ends = [corpus.near_end(own, cfg.window) for corpus, own in zip(train, starts, strict=True)]

    def windows(rng: torch.Generator) -> dict[str, Tensor]:
        where = [mixture.drawn(own, count, rng) for own, count in zip(starts, counts, strict=True)]
        for rows, near in zip(where, ends, strict=True):
            if len(near):
                rows[: len(rows) // 4] = mixture.drawn(near, len(rows) // 4, rng)
        return mixture.windows(train, where, cfg.window)

    def dreams(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return imagination_loss(model, windows(rng), rng)

    def clips(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return clip_loss(model, model, windows(rng), rng)

    return [(1.0, dreams), (model.dynamics.clips, clips)]
