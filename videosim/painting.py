"""The last stage of training: the painter learns to paint recorded frames from recorded states, beside another frame of
the same episode."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.crew import ALONE, Crew
from videosim.fit import Schedule, fit
from videosim.run import Run
from videosim.world_model import WorldModel

OFF = 0.01  # standard deviations that the states are off by, as those of a dream are


def train_painter(model: WorldModel, cfg: TrainConfig, train: Corpus, run: Run, crew: Crew = ALONE) -> float:
    """Fit the painter on cached latents; nothing where the model has none. Returns the seconds it took."""
    painter = model.painter
    if painter is None:
        return 0.0

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        rows = torch.randint(len(train.lengths), (cfg.painter_batch,), generator=rng).numpy()
        shown, other = (_any_frames(train, rows, rng) for _ in range(2))
        sensors = (train.sensors[shown] - model.sensor_mean) / model.sensor_std
        sensors = sensors + OFF * torch.randn(sensors.shape, generator=rng)
        latents, seen = ((train.latents[index] - model.latent_mean) / model.latent_std for index in (shown, other))
        total = (painter(sensors, seen) - latents).square().mean()
        return total, {"painted": float(total.detach())}

    with run.progress(cfg.painter_steps, "painter", "steps") as bar:
        schedule = Schedule(cfg.painter_steps, cfg.painter_rate)
        return fit("painter", painter, loss, schedule, run.folder, cfg.seed, bar, crew=crew)


def _any_frames(corpus: Corpus, rows: np.ndarray, rng: torch.Generator) -> Tensor:
    """One frame of each episode in ``rows`` ``(B,)``: its place among all frames, int64 ``(B,)``."""
    share = torch.rand(len(rows), generator=rng).numpy()
    return torch.as_tensor(corpus.first[rows] + (share * (corpus.lengths[rows] + 1)).astype(int))
