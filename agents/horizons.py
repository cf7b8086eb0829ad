"""``videosim horizons``: how long should the dreams be that a policy learns in?

The same training with fragments of different length, scored in physics: short ones never show what comes later, long
ones go where the model no longer knows. With ``arms=[imagination,imagination-by-physics]`` MuJoCo stands in for the
model beside it, and what remains is the length's own doing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from videosim.agents.arms import train_arms
from videosim.agents.gap_report import ARMS, counted, interval
from videosim.agents.learn import PLACES
from videosim.agents.places import STARTS
from videosim.agents.scoring import Scored, returns, score_arms
from videosim.config import HorizonsConfig
from videosim.envs.twin import load_with_physics
from videosim.errors import VideoSimError
from videosim.report import Report, Table, write_report
from videosim.run import Run
from videosim.statistics import Estimate, crossed_bootstrap

FRAGMENTS = [name for name, place in PLACES.items() if not set(STARTS) & set(place.unread)]  # places with a horizon


def main(cfg: HorizonsConfig, run: Run) -> None:
    """Train every arm at every horizon, or take it from ``cfg.cache``, score all, and write ``report.html``.

    Raises VideoSimError on a checkpoint that cannot be read or bad settings.
    """
    if min([cfg.seeds, cfg.episodes, *cfg.horizons], default=0) < 1 or not cfg.horizons:
        raise VideoSimError("horizons, seeds and episodes must be whole numbers from 1, and one horizon at least")
    unknown = [arm for arm in cfg.arms if arm not in FRAGMENTS]
    if unknown or not cfg.arms:
        raise VideoSimError(f"arms holds any of {', '.join(FRAGMENTS)}; got {', '.join(cfg.arms) or 'none'}")
    model, world = load_with_physics(cfg.checkpoint)
    run.seeds = [cfg.seed + i for i in range(cfg.seeds)]
    scored: dict[tuple[str, int], list[Scored]] = {}
    lengths = sorted(set(cfg.horizons))
    for horizon in lengths:
        run.say(f"fragments of {horizon} steps")
        agent = replace(cfg.agent, imagined_horizon=horizon)
        arms = train_arms(model, world, agent, cfg.arms, run.seeds, Path(cfg.cache), run)
        with run.progress(cfg.seeds * len(arms), "scoring", "policies") as bar:
            found = score_arms(arms, model, world, cfg.episodes, cfg.evaluation_seed, bar)
        scored |= {(arm, horizon): members for arm, members in found.items()}

    rng = np.random.default_rng([cfg.seed, 47])
    figures = length_figures(scored, rng)
    run.figures = {name: figure.to_dict() for name, figure in figures.items()}
    _report(cfg, run, world.name, lengths)


def length_figures(scored: dict[tuple[str, int], list[Scored]], rng: np.random.Generator) -> dict[str, Estimate]:
    """``return_<arm>_h<horizon>`` in physics, and ``return_dreamed_…`` where the policy was asked to dream: policies
    and episodes resampled."""
    found = {}
    for (arm, horizon), members in scored.items():
        name = f"{PLACES[arm].figure}_h{horizon}"
        found[f"return_{name}"] = crossed_bootstrap(returns(members), rng, unit="return")
        if members[0].dreamed is not None:
            found[f"return_dreamed_{name}"] = crossed_bootstrap(returns(members, dreamed=True), rng, unit="return")
    return found


def curves(figures: dict[str, dict[str, Any]], arms: list[str], lengths: list[int]) -> dict[str, Any]:
    """The plot: return in physics against the length of fragments, a line an arm."""
    series = []
    for arm in arms:
        points = [figures[f"return_{PLACES[arm].figure}_h{length}"] for length in lengths]
        band = {"y": "value", "low": "low", "high": "high"}
        series.append({"name": ARMS[arm], **{key: [point[of] for point in points] for key, of in band.items()}})
    return {
        "title": "Return in physics by the length of imagined fragments",
        "x_label": "steps of a fragment",
        "y_label": "return",
        "x": lengths,
        "series": series,
        "note": "Mean and 95 % interval over training seeds and episodes.",
    }


def labels(arms: Sequence[str], lengths: Sequence[int]) -> dict[str, str]:
    """Every figure that ``main`` may write, in words."""
    return {
        f"{kind}_{PLACES[arm].figure}_h{length}": f"{said}, {ARMS[arm]}, fragments of {length} steps"
        for arm in arms
        for length in sorted(lengths)
        for kind, said in (("return", "Return in physics"), ("return_dreamed", "Return it dreamed"))
    }


def table(figures: Mapping[str, Any], arms: Sequence[str], lengths: Sequence[int]) -> Table:
    """What policies from fragments of every length are worth."""
    rows = []
    for arm in arms:
        for length in sorted(lengths):
            names = [f"{kind}_{PLACES[arm].figure}_h{length}" for kind in ("return", "return_dreamed")]
            rows.append([ARMS[arm], length, *(interval(figures.get(name)) for name in names)])
    return Table("By length", ("policy", "steps of a fragment", "return in physics", "return it dreamed"), rows)


def _report(cfg: HorizonsConfig, run: Run, world: str, lengths: list[int]) -> None:
    figures, by_length = run.figures, table(run.figures, cfg.arms, lengths)
    first = [f"return_{PLACES[cfg.arms[0]].figure}_h{length}" for length in lengths]
    best = max(first, key=lambda name: figures[name]["value"])
    page = Report(
        f"How long should dreams be? {world}",
        run.result(),
        f"{counted(cfg.seeds, 'training')} of {cfg.agent.steps:,} steps at each length, {cfg.episodes} paired episodes "
        f"each. The best is {lengths[first.index(best)]} steps: {interval(figures[best])}.",
        first[:4],
        labels(cfg.arms, lengths),
        plots=[curves(figures, cfg.arms, lengths)],
        tables=[by_length],
    )
    write_report(run.folder / "report.html", page)
    run.say(f"report: {run.folder / 'report.html'}")
    run.table(f"{world}: return by the length of imagined fragments", by_length.columns, by_length.rows)
