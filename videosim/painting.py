"""What paints a picture from the physical state, a model's painter or its core's guess, learns it from recorded frames
and states, beside another frame of the same episode. It stays as it is from then on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from videosim import mixture
from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.crew import ALONE, Crew
from videosim.fit import Schedule, settle
from videosim.missing import as_input
from videosim.run import Run
from videosim.world_model import WorldModel

OFF = 0.01  # standard deviations that the states are off by, as those of a dream are


def train_painter(model: WorldModel, cfg: TrainConfig, train: Sequence[Corpus], run: Run, crew: Crew = ALONE) -> float:
    """Fit the painter on cached latents of what has sensors; nothing where the model has no painter. Returns the
    seconds it took."""
    painter = model.painter or model.dynamics.guess
    if painter is None:
        return 0.0
    counts = mixture.shares(cfg.painter_batch, len(train))

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        parts = [_moments(corpus, count, rng) for corpus, count in zip(train, counts, strict=True)]
        felt, shown, other = (torch.cat(same) for same in zip(*parts, strict=True))
        sensors = as_input((felt - model.sensor_mean) / model.sensor_std)
        sensors = sensors + OFF * torch.randn(sensors.shape, generator=rng)
        latents, seen = ((values - model.latent_mean) / model.latent_std for values in (shown, other))
        total = (painter(sensors, seen) - latents).square().mean()
        return total, {"painted": float(total.detach())}

    return settle("painter", painter, loss, Schedule(cfg.painter_steps, cfg.painter_rate), run, cfg.seed, crew)


def _moments(corpus: Corpus, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Sensors ``(count, S)`` and raw latents ``(count, N, D)`` of random frames, and those of others of their
    episodes."""
    rows = torch.randint(len(corpus.lengths), (count,), generator=rng).numpy()
    shown, other = (_any_frames(corpus, rows, rng) for _ in range(2))
    return corpus.sensors[shown], corpus.latents[shown], corpus.latents[other]


def _any_frames(corpus: Corpus, rows: np.ndarray, rng: torch.Generator) -> Tensor:
    """One frame of each episode in ``rows`` ``(B,)``: its place among all frames, int64 ``(B,)``."""
    share = torch.rand(len(rows), generator=rng).numpy()
    return torch.as_tensor(corpus.first[rows] + (share * (corpus.lengths[rows] + 1)).astype(int))
