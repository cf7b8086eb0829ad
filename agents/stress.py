"""``videosim stress``: is a policy from imagination more brittle than one from physics where the world changes?

Both act in the same perturbed physics, from the same initial states. The harm of a perturbation is the return it costs.
A model that is told nothing of the perturbation cannot foresee its harm, so nothing is asked of the dream here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from videosim.agents.arms import Arm, train_arms
from videosim.agents.evaluate import in_physics
from videosim.agents.gap_report import ARMS, counted, interval
from videosim.agents.kept import Kept
from videosim.agents.learn import PLACES
from videosim.agents.settings import digest
from videosim.calibration import spearman
from videosim.config import StressConfig, WorldConfig
from videosim.envs.physics import load_world
from videosim.envs.twin import check_world, load_with_physics
from videosim.errors import VideoSimError
from videosim.report import Report, Table, write_report
from videosim.run import Run
from videosim.statistics import Estimate, bootstrap, crossed_bootstrap
from videosim.world_model import WorldModel

FORMAT = 1  # raise it when the measurement changes
ARMS_COMPARED = ("imagination", "physics")


def main(cfg: StressConfig, run: Run) -> None:
    """Train both arms, or take them from ``cfg.cache``, let them act in every perturbed world, write ``report.html``.

    Raises VideoSimError on a checkpoint that cannot be read, bad settings, or a perturbation that does not exist.
    """
    if min(cfg.seeds, cfg.episodes) < 1 or not cfg.perturbations:
        raise VideoSimError("seeds and episodes are whole numbers from 1, and perturbations holds one at least")
    model, world = load_with_physics(cfg.checkpoint)
    worlds = {"none": world} | {name: perturbed(world, name) for name in cfg.perturbations}
    for changed in worlds.values():
        check_world(model, changed)
    run.seeds = [cfg.seed + i for i in range(cfg.seeds)]
    arms = train_arms(model, world, cfg.agent, ARMS_COMPARED, run.seeds, Path(cfg.cache), run)
    scored: dict[str, dict[str, np.ndarray]] = {}
    with run.progress(len(worlds) * cfg.seeds * len(arms), "in changed physics", "policies") as bar:
        for place, members in arms.items():
            scored[place] = {}
            for name, changed in worlds.items():
                rows = []
                for arm in members:
                    rows.append(_returns(arm, model, changed, cfg))
                    bar.advance()
                scored[place][name] = np.stack(rows)
    rng = np.random.default_rng([cfg.seed, 53])
    run.figures = {name: figure.to_dict() for name, figure in stress_figures(scored, rng).items()}
    _report(cfg, run, world.name)


def perturbed(world: WorldConfig, name: str) -> WorldConfig:
    """``world`` with the perturbation ``name`` (see ``envs.perturbed``), seen as the model sees it."""
    return replace(world, id=load_world(f"perturbed:{name}@{world.name}").id)


def _returns(arm: Arm, model: WorldModel, world: WorldConfig, cfg: StressConfig) -> np.ndarray:
    kept = Kept(arm.folder / f"stress-{digest([FORMAT, world, cfg.episodes, cfg.evaluation_seed])}.npz")

    def measure() -> np.ndarray:
        observer = arm.observer(model)
        return in_physics(arm.policy.act, observer, world, model, cfg.episodes, cfg.evaluation_seed).returns

    return kept.get("returns", measure)


def stress_figures(scored: dict[str, dict[str, np.ndarray]], rng: np.random.Generator) -> dict[str, Estimate]:
    """From returns ``(policies, episodes)`` by place and perturbation ("none" is the world itself):
    ``return_<place>_<perturbation>``, ``harm_…`` (paired), ``brittleness_<perturbation>``, how much more it harms the
    policy from imagination, and ``harm_rank_correlation`` over perturbations, episodes resampled."""
    found = {}
    for place, by_name in scored.items():
        for name, values in by_name.items():
            found[f"return_{PLACES[place].figure}_{name}"] = crossed_bootstrap(values, rng, unit="return")
            if name != "none":
                found[f"harm_{PLACES[place].figure}_{name}"] = crossed_bootstrap(
                    by_name["none"] - values, rng, unit="return"
                )
    harms = [
        {name: by_name["none"] - values for name, values in by_name.items() if name != "none"}
        for by_name in (scored[place] for place in ARMS_COMPARED)
    ]
    for name in harms[0]:
        found[f"brittleness_{name}"] = crossed_bootstrap(harms[0][name] - harms[1][name], rng, unit="return")
    if len(harms[0]) > 2:
        table = np.stack([[harm.mean(0) for harm in side.values()] for side in harms])  # (2, perturbations, episodes)
        found["harm_rank_correlation"] = bootstrap(
            np.moveaxis(table, -1, 0), lambda rows: spearman(*rows.mean(0)), rng, repeats=500
        )
    return found


def labels(perturbations: Sequence[str]) -> dict[str, str]:
    """Every figure that ``main`` may write, in words."""
    words = {"harm_rank_correlation": "Do both suffer from the same changes? Rank correlation of harms"}
    for place in ARMS_COMPARED:
        words[f"return_{PLACES[place].figure}_none"] = f"Return without a change, {ARMS[place]}"
        for name in perturbations:
            words[f"return_{PLACES[place].figure}_{name}"] = f"Return under {name}, {ARMS[place]}"
            words[f"harm_{PLACES[place].figure}_{name}"] = f"Harm of {name}, {ARMS[place]}"
    return words | {f"brittleness_{name}": f"Harm of {name}, the former less the latter" for name in perturbations}


def table(figures: Mapping[str, Any], perturbations: Sequence[str], episodes: int) -> Table:
    """What every change costs either policy, the most harmful first."""
    places = [PLACES[place].figure for place in ARMS_COMPARED]
    kinds = [*(f"harm_{place}" for place in places), "brittleness"]
    order = sorted(perturbations, key=lambda name: -figures[f"harm_{places[0]}_{name}"]["value"])
    rows = [[name, *(interval(figures[f"{kind}_{name}"]) for kind in kinds)] for name in order]
    columns = ("perturbation", *(f"harm to the one {ARMS[place]}" for place in ARMS_COMPARED), "the former's more")
    whole = [interval(figures[f"return_{place}_none"]) for place in places]
    note = (
        f"Returns without a change: {whole[0]} and {whole[1]}. Harm: the return that a change costs, over the same "
        f"{episodes} episodes. Factors multiply; a delay is counted in the agent's steps."
    )
    if alike := figures.get("harm_rank_correlation"):
        note += f" Rank correlation of the two columns: {interval(alike)}."
    return Table("Changes, the most harmful first", columns, rows, note)


def _report(cfg: StressConfig, run: Run, world: str) -> None:
    figures, places = run.figures, [PLACES[place].figure for place in ARMS_COMPARED]
    changes = table(figures, cfg.perturbations, cfg.episodes)
    order = [str(row[0]) for row in changes.rows]
    keys = ("value", "low", "high")
    dots = {
        "title": "How much more a change harms the policy from imagination",
        "x_label": "return",
        "rows": [{"name": name, **{key: figures[f"brittleness_{name}"][key] for key in keys}} for name in order],
        "note": "Below zero it stands the change better than the policy from physics.",
    }
    headline = [name for name in ("harm_rank_correlation", *(f"return_{place}_none" for place in places))]
    page = Report(
        f"Policies in changed physics: {world}",
        run.result(),
        f"{counted(cfg.seeds, 'training')} each, {counted(len(order), 'change')}; the worst for the policy from "
        f"imagination is {order[0]}.",
        [name for name in headline if name in figures],
        labels(cfg.perturbations),
        plots=[dots],
        tables=[changes],
    )
    write_report(run.folder / "report.html", page)
    run.say(f"report: {run.folder / 'report.html'}")
    run.table(f"{world}: harm of changed physics", changes.columns, changes.rows)
