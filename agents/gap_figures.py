"""The figures of the comparison, from scores alone: returns per arm, their ratio, what the dream promised, behaviour.

Every interval resamples policies (training seeds) and episodes (initial states); paired quantities stay paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from videosim.agents.learn import PLACES
from videosim.agents.scoring import Scored, returns
from videosim.envs.worlds import Column
from videosim.statistics import Estimate, crossed_bootstrap, iqm, ratio_of_means

NAMES = {name: place.figure for name, place in PLACES.items()} | {"random": "random"}


def arm_figures(
    scored: Mapping[str, Sequence[Scored]],
    columns: Mapping[str, Column],
    by_success: bool,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    """Figures named as in result.json. ``columns``: the world's behaviour columns. ``by_success``: the ratio is one of
    success rates."""
    figures: dict[str, Estimate] = {}
    for arm, members in scored.items():
        name, score = NAMES[arm], returns(members)
        figures[f"return_{name}"] = crossed_bootstrap(score, rng, unit="return")
        figures[f"return_{name}_iqm"] = crossed_bootstrap(score, rng, iqm, unit="return")
        if by_success:
            rate = np.stack([s.physics.success for s in members]).astype(float)
            figures[f"success_{name}"] = crossed_bootstrap(rate, rng, unit="rate")
        for column, measure in columns.items():
            shown = np.stack([measure(s.physics.sensors) for s in members])
            figures[f"{column}_{name}"] = crossed_bootstrap(shown, rng, unit="fraction")
    for arm, suffix in (("imagination", ""), ("physics", "_physics")):
        if arm in scored:
            promised, given = returns(scored[arm], dreamed=True), returns(scored[arm])
            figures[f"return_dreamed{suffix}"] = crossed_bootstrap(promised, rng, unit="return")
            figures[f"transfer_drop{suffix}"] = crossed_bootstrap(promised - given, rng, unit="return")
    return figures | _ratios(scored, by_success, rng)


def _ratios(scored: Mapping[str, Sequence[Scored]], by_success: bool, rng: np.random.Generator) -> dict[str, Estimate]:
    if not {"imagination", "physics"} <= set(scored):
        return {}

    def score(arm: str) -> np.ndarray:
        if by_success:
            return np.stack([s.physics.success for s in scored[arm]]).astype(float)
        return returns(scored[arm])

    top, bottom = score("imagination"), score("physics")
    figures = {"return_ratio": ratio_of_means(top, bottom, rng)}
    if "random" in scored:
        floor = score("random").mean(0)  # of the same initial state
        figures["return_ratio_normalised"] = ratio_of_means(top - floor, bottom - floor, rng)
    return figures


def seed_rows(
    scored: Mapping[str, Sequence[Scored]], labels: Mapping[str, str], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Rows for a plot of dots: each arm's mean with its interval, then every seed alone; an arm is a group."""
    rows = []
    for arm, members in scored.items():
        for dreamed in (False, True):
            if dreamed and members[0].dreamed is None:
                continue
            score = returns(members, dreamed)
            label = labels[arm] + (", dreamed" if dreamed else "")
            rows.append(_row(label, arm, crossed_bootstrap(score, rng)))
            if len(score) > 1:
                own = [crossed_bootstrap(episodes[None], rng) for episodes in score]
                rows += [_row(f"· policy {i}", arm, estimate) for i, estimate in enumerate(own)]
    return rows


def _row(name: str, group: str, estimate: Estimate) -> dict[str, Any]:
    return {"name": name, "group": group, "value": estimate.value, "low": estimate.low, "high": estimate.high}
