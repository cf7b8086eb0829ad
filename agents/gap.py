"""``videosim gap``: the sim-to-sim comparison of one world model with the physics it was trained on.

(a) the same agent trained in imagination and in physics, scored in both; (b) open-loop error on fresh episodes; (c) the
closed loop in lockstep. Bad and good results alike go into the report.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from videosim.agents.arms import Arm, train_arms
from videosim.agents.bars import bars, shortfalls
from videosim.agents.closed_loop import ClosedLoop, closed_loop
from videosim.agents.decomposition import Chain, chain_rows, decompose
from videosim.agents.films import imagination_films, physics_film
from videosim.agents.fresh import fresh_episodes
from videosim.agents.gap_figures import arm_figures, seed_rows
from videosim.agents.gap_report import (
    ARMS,
    LABELS,
    arm_rows,
    bar_rows,
    counted,
    gap_table,
    summary,
    tables,
    training_curves,
)
from videosim.agents.learn import PLACES
from videosim.agents.open_loop import OpenLoop, open_loop
from videosim.agents.places import model_frames
from videosim.agents.scoring import Scored, returns, score_arms, score_random
from videosim.config import GapConfig, WorldConfig
from videosim.envs.twin import load_with_physics
from videosim.envs.worlds import COLUMNS, SCORED_BY_SUCCESS
from videosim.errors import VideoSimError
from videosim.report import Report, write_report
from videosim.run import Run
from videosim.statistics import Estimate, pearson
from videosim.video import Film
from videosim.world_model import WorldModel


def main(cfg: GapConfig, run: Run) -> None:
    """Compare, and write ``report.html`` and ``videos/`` to the run folder; policies and scores go to ``cfg.cache``.

    Raises VideoSimError on a checkpoint that cannot be read, bad settings, or physics that is not the model's.
    """
    _check(cfg)
    model, world = load_with_physics(cfg.checkpoint)
    run.seeds = [cfg.seed + i for i in range(cfg.seeds)]
    rng = np.random.default_rng([cfg.seed, 23])

    opened = _open_loop(cfg, model, world, run)
    places = [place for place in PLACES if place in cfg.arms]
    arms = train_arms(model, world, cfg.agent, places, run.seeds, Path(cfg.cache), run, cfg.data)
    with run.progress(cfg.seeds * len(arms), "scoring", "policies") as bar:
        scored = score_arms(arms, model, world, cfg.episodes, cfg.evaluation_seed, bar)
    scored["random"] = score_random(model, world, cfg.episodes, cfg.evaluation_seed, run.seeds)
    looped = _closed_loop(cfg, model, arms["imagination"], run)
    with run.progress(cfg.seeds, "what makes the gap", "policies") as bar:
        chain = decompose(arms["imagination"], scored["imagination"], model, world, cfg.evaluation_seed, bar.advance)

    figures = arm_figures(scored, COLUMNS.get(world.id, {}), world.id in SCORED_BY_SUCCESS, rng)
    figures |= opened.horizons(rng) | looped.figures(rng) | _own_actions(scored["imagination"], rng)
    figures |= chain.figures(np.random.default_rng([cfg.seed, 37]))
    run.figures = {name: figure.to_dict() for name, figure in figures.items()}
    run.figure("physics_frames", model_frames(model), unit="frames")
    policies, shown = [arm.policy for arm in arms["imagination"]], run.folder / "videos"
    films = imagination_films(model, world, policies, scored["imagination"], cfg.evaluation_seed, shown)
    trained = {place: scored[place] for place in places}
    films.append(physics_film(model, world, trained, cfg.evaluation_seed, shown))
    _report(cfg, run, model, arms, scored, opened, looped, chain, films, rng)


def _check(cfg: GapConfig) -> None:
    unknown = [name for name in cfg.arms if name not in PLACES]
    if unknown or "imagination" not in cfg.arms:
        raise VideoSimError(f"arms holds imagination and any of {', '.join([*PLACES][1:])}; got {', '.join(cfg.arms)}")
    if "behaviour-cloning" in cfg.arms and not cfg.data:
        raise VideoSimError("behaviour-cloning needs the store that the model was made from: give data=<its folder>")
    counts = ("seeds", "episodes", "open_loop_starts", "open_loop_horizon", "context", "lockstep_episodes")
    for name in counts:
        if getattr(cfg, name) < 1:
            raise VideoSimError(f"{name} must be at least 1; got {getattr(cfg, name)}")


def _open_loop(cfg: GapConfig, model: WorldModel, world: WorldConfig, run: Run) -> OpenLoop:
    episodes = fresh_episodes(world, cfg.held_out_frames, run)
    longest = max(episode.length for episode in episodes)
    horizon = min(cfg.open_loop_horizon, longest - cfg.context + 1)
    run.say(f"open loop: {cfg.open_loop_starts} starts, {horizon} steps")
    return open_loop(model, episodes, horizon, cfg.context, cfg.open_loop_starts, np.random.default_rng([cfg.seed, 29]))


def _closed_loop(cfg: GapConfig, model: WorldModel, arms: list[Arm], run: Run) -> ClosedLoop:
    count, seed = cfg.lockstep_episodes, cfg.evaluation_seed
    with run.progress(count, "closed loop", "episodes") as bar:
        return closed_loop(model, [arm.policy for arm in arms], count, seed, bar.advance)


def _own_actions(scored: list[Scored], rng: np.random.Generator) -> dict[str, Estimate]:
    """Over episodes of the same initial state, mean over training seeds: does the dream know which will go well?"""
    return {"pearson_r_own_actions": pearson(returns(scored, dreamed=True).mean(0), returns(scored).mean(0), rng)}


def _report(
    cfg: GapConfig,
    run: Run,
    model: WorldModel,
    arms: dict[str, list[Arm]],
    scored: dict[str, list[Scored]],
    opened: OpenLoop,
    looped: ClosedLoop,
    chain: Chain,
    films: list[Film],
    rng: np.random.Generator,
) -> None:
    """Write ``report.html`` and add the tables that are printed."""
    world, figures = model.spec.name, run.figures
    short = shortfalls(world, figures, cfg.seeds, cfg.episodes)
    frames = model_frames(model)
    headline = ["success_imagination", "return_imagination", "return_physics", "return_ratio"]
    headline += ["time_upright_imagination", "open_loop_horizon_frames", "transfer_drop", "physics_frames"]
    dots = {
        "title": "Returns, every policy with its own interval",
        "x_label": "return",
        "rows": seed_rows(scored, ARMS, rng),
        "note": f"{cfg.episodes} paired episodes of each policy; a row without a number is the mean of its policies.",
    }
    parts = {
        "title": "What makes the gap: dreamed minus true return",
        "x_label": "return",
        "rows": chain_rows(figures),
        "note": " ".join(["One ingredient after another is exchanged for the model's.", *chain.left_out()]),
    }
    page = Report(
        f"Imagination against physics: {world}",
        run.result(),
        summary(world, figures, short),
        [name for name in headline if name in figures],
        LABELS,
        {name: bar for name, bar in bars(world).items() if name in figures},
        films,
        [*training_curves(arms, model.spec, cfg.agent), dots, parts, *looped.plots(), *opened.curves()],
        [gap_table(figures, chain.left_out())],
        tables(model.spec, figures, list(scored), cfg.agent, frames, cfg.seeds, cfg.episodes),
    )
    write_report(run.folder / "report.html", page)
    run.say(f"report: {run.folder / 'report.html'}")
    columns, rows = arm_rows(figures, list(scored), cfg.agent, frames)
    run.table(
        f"{world}: {counted(cfg.seeds, 'seed')}, {cfg.episodes} paired episodes, {cfg.agent.steps:,} steps",
        columns,
        rows,
    )
    parted = gap_table(figures, chain.left_out())
    run.table(parted.title, parted.columns, parted.rows)
    if bars(world):
        run.table("bars", ("figure", "bar", "value", "lower bound", "verdict"), bar_rows(world, figures))
    run.table("what failed or fell short", ("",), [[line] for line in short] or [["nothing that was asked"]])
