"""What moves the physical state on is trained first, on recorded states alone; the rest is taught beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from videosim import mixture
from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.crew import ALONE, Crew
from videosim.fit import Schedule, settle
from videosim.losses import outcome_loss, scaled_sensors, shown_tokens
from videosim.missing import as_input
from videosim.run import Run
from videosim.world_model import WorldModel

BLIND_WEIGHT = 1e-3  # of a window without labels in the transition's loss: its error would drown all the others
SUDDEN = 0.2  # share of all short runs that counts as abrupt


def train_transition(
    model: WorldModel, cfg: TrainConfig, train: Sequence[Corpus], run: Run, crew: Crew = ALONE
) -> float:
    """Fit action tokens, the transition of the physical state and what the state tells of reward and termination on
    short runs of recorded states, and freeze them; a core without a transition, or a log without sensors, learns all of
    it in ``train_dynamics``."""
    felt = [corpus for corpus in train if corpus.measured.any()]
    if model.dynamics.transition is None or not felt:
        return 0.0
    starts = [corpus.training_starts(cfg.transition_run) for corpus in felt]
    sudden = [corpus.sudden_starts(cfg.transition_run, SUDDEN) for corpus in felt]
    counts = mixture.shares(cfg.transition_batch, len(felt))
    parts = [model.action_tokens, model.dynamics.transition, model.heads.known]
    module = torch.nn.ModuleList([part for part in parts if part is not None])

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        where = [mixture.drawn(own, count, rng) for own, count in zip(starts, counts, strict=True)]
        for rows, own in zip(where, sudden, strict=True):
            focus = round(cfg.transition_focus * len(rows))
            rows[:focus] = mixture.drawn(own, focus, rng)
        batch = mixture.windows(felt, where, cfg.transition_run)
        tokens, labelled = shown_tokens(model, batch, rng)
        weight = batch["valid"] * torch.where(labelled, 1.0, BLIND_WEIGHT)
        sensors = scaled_sensors(model, batch)
        moved = model.dynamics.transition_loss(sensors, tokens, weight, rng)
        shown = as_input(sensors)
        reward, ended = outcome_loss(
            model, batch, *model.heads.from_sensors(shown[:, :-1], tokens, shown[:, 1:]).unbind(-1)
        )
        return moved + reward + ended, {"moved": float(moved.detach()), "reward": float(reward.detach())}

    return settle("transition", module, loss, Schedule(cfg.transition_steps, cfg.transition_rate), run, cfg.seed, crew)
