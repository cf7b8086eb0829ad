"""What makes the physical states of whole clips learns it from recorded ones, before any picture is made of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from videosim import mixture
from videosim.bridge import tie
from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.course import Course
from videosim.crew import ALONE, Crew
from videosim.fit import Schedule, settle
from videosim.losses import scaled_sensors
from videosim.run import Run
from videosim.telling import telling
from videosim.world_model import WorldModel

TOLD = 0.4  # share of the clips whose actions are known


def train_course(model: WorldModel, cfg: TrainConfig, train: Sequence[Corpus], run: Run, crew: Crew = ALONE) -> float:
    """Fit the course on windows of any length of what has sensors; nothing where the core has none. Returns the seconds
    it took."""
    course = model.dynamics.course
    if not isinstance(course, Course) or not train:
        return 0.0
    course.tied.copy_(tie(model.dynamics.sensor_step))
    starts = [corpus.training_starts(cfg.window) for corpus in train]
    counts = mixture.shares(cfg.course_batch, len(train))

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        length = int(torch.randint(1, cfg.window + 1, (), generator=rng))
        where = [mixture.drawn(own, count, rng) for own, count in zip(starts, counts, strict=True)]
        batch = mixture.windows(train, where, length)
        labelled = (torch.rand(len(batch["actions"]), 1, generator=rng) < TOLD).expand(-1, length)
        tokens = model.action_tokens(batch["actions"], batch["embodiment"], labelled)
        total = course.loss(scaled_sensors(model, batch), tokens, batch["valid"], rng, telling(model, batch))
        return total, {"course": float(total.detach())}

    return settle("course", course, loss, Schedule(cfg.course_steps, cfg.course_rate), run, cfg.seed, crew)
