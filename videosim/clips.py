"""Start clips that travel with a model: moments of its training data from which a dream may begin."""

from __future__ import annotations

import numpy as np
import torch

from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.world_model import Contexts


def start_clips(train: Corpus, cfg: TrainConfig) -> Contexts:
    """Random clips of the training episodes, each ``cfg.context_frames`` long: ``cfg.contexts`` from anywhere, then
    ``cfg.task_contexts`` beginnings."""
    k, rng = cfg.context_frames, np.random.default_rng([cfg.seed, 11])

    def draw(starts: np.ndarray, count: int) -> np.ndarray:
        return starts[rng.choice(len(starts), size=min(count, len(starts)), replace=False)]

    starts = train.starts(k)
    first = starts[(starts[:, 1] == 0) & ~train.wide[starts[:, 0]]]
    anywhere = draw(starts, cfg.contexts)
    where = np.concatenate([anywhere, draw(first, cfg.task_contexts)])
    clips = train.windows(where, k - 1)
    physics = torch.as_tensor(np.stack([train.physics(row)[t + k - 1] for row, t in where]))
    task = torch.arange(len(where)) >= len(anywhere)
    return Contexts(clips["latents"], clips["actions"], clips["sensors"][:, -1].contiguous(), physics, task)
