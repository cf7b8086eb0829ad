"""A14, rewards: does the world pay what the physics would, or is there something that a policy could exploit?

The auditor replays the actions of every journey in MuJoCo and takes the reward there, with code of its own that never
asks the world. A policy is a kind of journey and a place at which it ends: together they go to all sides of the arena.

    optimism            largest over policies of mean (reward said - reward due), a step
    exploitation index  the same less the median over policies: what one policy gains over the others
    return correlation  Pearson, over journeys, of the two returns

Both of the first are fractions of the distance of the best from the worst policy's due reward. A world that pays all
alike has no correlation. What ``info["uncertainty"]`` knows of the error is not asked here.
"""

from __future__ import annotations

import numpy as np

from videosim.audits.audit import Audit, Viewing
from videosim.audits.journeys import travel
from videosim.audits.verdict import Result, Sample
from videosim.statistics import correlation, pearson


def audit_rewards(viewing: Viewing) -> Result:
    """Compare what the world paid on its journeys with what was due."""
    journeys, went = zip(*travel(viewing), strict=True)
    due = np.array([journey.rewards.mean() for journey in journeys])
    said = np.array([travelled.rewards.mean() for travelled in went])
    policy = np.array([journey.policy for journey in journeys])
    kinds = np.unique(policy)
    each = min(int((policy == kind).sum()) for kind in kinds)
    columns = np.stack([np.flatnonzero(policy == kind)[:each] for kind in kinds], axis=1)  # (each, policies)
    means = due[columns].mean(0)
    gaps = (said - due)[columns] / (means.max() - means.min())
    pairs = np.stack([said, due], axis=1)
    samples = {
        "optimism": Sample(gaps, lambda rows: float(rows.mean(0).max())),
        "exploitation_index": Sample(gaps, _index),
        "return_correlation": Sample(pairs, correlation, by=lambda *how: pearson(said, due, *how)),
    }
    details = {"gap_by_policy": gaps.mean(0).tolist(), "due_by_policy": means.tolist()}
    return viewing.judge("A14", samples, details)


def _index(gaps: np.ndarray) -> float:
    """``gaps`` (episodes, policies)."""
    means = gaps.mean(0)
    return float(means.max() - np.median(means))


AUDIT = Audit(
    "A14",
    "rewards: does it pay what the physics would?",
    audit_rewards,
    level=7,
    gate=("A3",),
    figures=(("optimism", "optimism"), ("return_correlation", "return_correlation")),
)
