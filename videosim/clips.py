"""Start clips that travel with a model: moments of its training data from which a dream may begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import pad

from videosim import mixture
from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.missing import as_input
from videosim.world_model import Contexts


def start_clips(train: Sequence[Corpus], cfg: TrainConfig) -> Contexts:
    """Random clips of the training episodes, each ``cfg.context_frames`` long: ``cfg.contexts`` from anywhere, then
    ``cfg.task_contexts`` beginnings; of several stores an equal share from each, one store after the other."""
    anywhere, first = (mixture.shares(count, len(train)) for count in (cfg.contexts, cfg.task_contexts))
    parts = [_of(corpus, cfg, *counts) for corpus, *counts in zip(train, anywhere, first, strict=True)]
    widest = max(part.physics.shape[1] for part in parts)
    for part in parts:
        part.physics = pad(part.physics, (0, widest - part.physics.shape[1]))
    return Contexts(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def _of(corpus: Corpus, cfg: TrainConfig, count: int, beginnings: int) -> Contexts:
    k = cfg.context_frames
    rng = np.random.default_rng([cfg.seed, 11])

    def draw(starts: np.ndarray, count: int) -> np.ndarray:
        return starts[rng.choice(len(starts), size=min(count, len(starts)), replace=False)]

    starts = corpus.starts(k)
    first = starts[(starts[:, 1] == 0) & ~corpus.wide[starts[:, 0]]]
    anywhere = draw(starts, count)
    where = np.concatenate([anywhere, draw(first, beginnings)])
    clips = corpus.windows(where, k - 1)
    physics = torch.as_tensor(np.stack([corpus.physics(row)[t + k - 1] for row, t in where]))
    task = torch.arange(len(where)) >= len(anywhere)
    sensors = as_input(clips["sensors"][:, -1].contiguous())
    return Contexts(clips["latents"], clips["actions"], sensors, physics, task, clips["embodiment"][:, 0])
