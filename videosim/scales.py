"""By what the numbers of a model are standardised, and where its dreams may go: both are read off the recordings that
it learns from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from videosim import mixture
from videosim.corpus import Corpus
from videosim.world_model import WorldModel

RARE = 1e-4  # share of the recorded moments, on either side, where a dream does not go


def set_scales(model: WorldModel, train: Sequence[Corpus]) -> None:
    """Means and deviations of latents, sensors and rewards, and the typical step of every sensor; ``train`` holds its
    latents."""

    def scale(name: str, mean: Tensor, std: Tensor) -> None:
        getattr(model, f"{name}_mean").copy_(mean)
        getattr(model, f"{name}_std").copy_(std)

    # A number that hardly varies must not be blown up to unit noise.
    if not model.tokenizer.layout.levels:  # codes keep their own scale: a core must find them again
        scale("latent", *_mean_and_std(mixture.alike([corpus.latents for corpus in train]), 0.05))
    scale("sensor", *sensor_scale(train))
    scale("reward", *_mean_and_std(mixture.alike([corpus.rewards for corpus in train if corpus.task]), 1e-3))
    for corpus in reversed([corpus for corpus in train if corpus.measured.any()]):
        where, known = corpus.starts(1), corpus.measured
        before = corpus.first[where[:, 0]] + where[:, 1]
        sensors = _known_sensors(model, corpus)
        model.dynamics.sensor_step[known] = (sensors[before + 1] - sensors[before]).std(0).clamp(min=0.01)


def set_limits(model: WorldModel, train: Sequence[Corpus], anew: bool) -> None:
    """Let dreams go where ``train`` has been; where they went before as well, unless the transition is learned
    ``anew``."""
    low, high = model.dynamics.sensor_low, model.dynamics.sensor_high
    if anew:
        low.fill_(torch.inf), high.fill_(-torch.inf)
    for corpus in train:
        known = corpus.measured
        if known.any():
            least, most = box(_known_sensors(model, corpus))
            low[known], high[known] = torch.minimum(low[known], least), torch.maximum(high[known], most)


def sensor_scale(train: Sequence[Corpus]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every sensor, in the first store that has it."""
    size = train[0].spec.sensors.size
    mean, std = torch.zeros(size), torch.ones(size)
    for corpus in reversed(train):
        mean[corpus.measured], std[corpus.measured] = _mean_and_std(corpus.sensors[:, corpus.measured], 1e-3)
    return mean, std


def box(sensors: Tensor) -> Tensor:
    """The least and the most, ``(2, S)``, of recorded ``sensors`` ``(F, S)``. What no recording holds the model does
    not know, and a ball two centimetres inside a wall cannot be; where it is for a moment, in the middle of a blow, it
    must not come to rest in a dream."""
    return torch.from_numpy(np.quantile(sensors.numpy(), [RARE, 1.0 - RARE], axis=0)).float()


def _mean_and_std(values: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Of every column of ``values`` ``(F, …)``, of which a log without sensors has none."""
    if not values.numel():
        return values.new_zeros(values.shape[1:]), values.new_ones(values.shape[1:])
    return values.mean(0), values.std(0).clamp(min=floor)


def _known_sensors(model: WorldModel, corpus: Corpus) -> Tensor:
    """Those that the log has, standardised, of every recorded moment: ``(F, S')``."""
    return ((corpus.sensors - model.sensor_mean) / model.sensor_std)[:, corpus.measured]
