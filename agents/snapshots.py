"""Policies on the way: copies of one that is being trained, kept at evenly spaced steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from videosim.agents.policy import Policy
from videosim.config import AgentConfig


class Snapshots(BaseCallback):
    """Keeps ``count`` policies in ``folder/00``, ``folder/01``, …: after k / (count + 1) of the steps, for k from 1. A
    copy that is there already is left as it is, so that a training which goes on only adds."""

    def __init__(self, folder: Path, count: int, cfg: AgentConfig) -> None:
        super().__init__()
        self.folder, self.cfg = folder, cfg
        self.due = snapshot_steps(count, cfg)

    def _on_rollout_start(self) -> None:  # between two updates
        for i in np.flatnonzero(self.due <= self.num_timesteps):
            folder = self.folder / f"{i:02d}"
            if not (folder / "config.json").is_file():
                Policy.of(self.model, self.cfg).save(folder)

    def _on_step(self) -> bool:
        return True


def snapshot_steps(count: int, cfg: AgentConfig) -> np.ndarray:
    """Environment steps, int ``(count,)``, after which a training of ``cfg`` is copied; its end is not among them."""
    return (np.arange(1, count + 1) * cfg.steps) // (count + 1)
