"""Independently trained policies of every strength, from hardly trained to the best: the subjects of a ranking.

Each is a training run of its own seed. The reference of a family trains to the end; the others stop when their training
return has come a given share of the reference's way, so that the returns leave no hole. Kept in the cache of the arms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from videosim.agents.arms import Arm, arm_key
from videosim.agents.learn import learn
from videosim.agents.settings import digest
from videosim.config import AgentConfig, WorldConfig
from videosim.run import Run
from videosim.world_model import WorldModel


@dataclass(frozen=True)
class Family:
    """``size`` policies that read ``obs`` and are trained in ``place`` (see ``learn.PLACES``)."""

    name: str
    place: str
    obs: str
    size: int


@dataclass
class Member:
    """One policy; ``level`` in [0, 1]: the share of the reference's way after which its training stopped."""

    family: str
    level: float
    arm: Arm

    @property
    def name(self) -> str:
        return f"{self.family} {self.level:.2f}"

    @property
    def steps(self) -> int:
        """Environment steps until its training stopped."""
        return int(self.arm.curve()[0][-1])


def train_family(
    family: Family, model: WorldModel, world: WorldConfig, cfg: AgentConfig, seed: int, cache: Path, run: Run
) -> list[Member]:
    """Train, or take from ``cache``, the members of ``family``: strongest first, seeds ``seed``, ``seed`` + 1, …"""
    cfg = replace(cfg, obs=family.obs)
    members: list[Member] = []
    for i, level in enumerate(np.linspace(1.0, 0.0, family.size)):
        key, enough = arm_key(family.place, model, world, cfg, seed + i), np.inf
        if members:
            enough = _part_of_the_way(members[0].arm, float(level))
            key = digest([key, "until", round(enough, 6)])
        folder = cache / f"{world.name.replace(':', '-')}-{family.place}-{key}"
        with run.progress(cfg.steps, f"{family.name}, policy {i + 1} of {family.size}", "steps") as bar:
            policy = learn(family.place, model, world, cfg, seed + i, folder, bar, enough)
        members.append(Member(family.name, float(level), Arm(family.place, seed + i, folder, policy)))
    return members


def _part_of_the_way(reference: Arm, level: float) -> float:
    """The training return that lies ``level`` of the way from the reference's first to its best."""
    _, returns = reference.curve()
    return float(returns[0] + level * (returns.max() - returns[0]))


def families(state_policies: int, latent_policies: int) -> Sequence[Family]:
    """Both kinds of eye: the true state (in a dream the decoded one), and the model's own latents."""
    return (
        Family("true state", "physics-true-state", "state", state_policies),
        Family("latents", "imagination", "latent", latent_policies),
    )
