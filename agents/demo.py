"""``videosim demo``: a policy trained only inside a learned model, tried in MuJoCo, with films. Needs no network."""

from __future__ import annotations

import numpy as np

from videosim.agents.arms import train_arms
from videosim.agents.films import imagination_films
from videosim.agents.gap_figures import arm_figures
from videosim.agents.gap_report import ARMS, LABELS, TERMS, arm_rows, interval, training_curves
from videosim.agents.places import model_frames
from videosim.agents.scoring import score_arms, score_random
from videosim.config import DemoConfig
from videosim.envs.twin import load_with_physics
from videosim.envs.worlds import COLUMNS, SCORED_BY_SUCCESS
from videosim.errors import VideoSimError
from videosim.report import Report, Table, write_report
from videosim.run import Run

HEADLINE = ("success_imagination", "return_imagination", "return_random", "return_dreamed", "time_upright_imagination")


def main(cfg: DemoConfig, run: Run) -> None:
    """Train one policy in imagination, score it in MuJoCo, write ``report.html`` and ``videos/`` to the run folder.

    Raises VideoSimError on a checkpoint that cannot be read, bad settings, or physics that is not the model's.
    """
    if min(cfg.episodes, cfg.random_episodes) < 1:
        raise VideoSimError(
            f"episodes and random_episodes must be at least 1; got {cfg.episodes} and {cfg.random_episodes}"
        )
    model, world = load_with_physics(cfg.checkpoint)
    run.say(f"{model.spec.name}: training in imagination, {cfg.agent.steps:,} steps; MuJoCo is not touched")
    arms = train_arms(model, world, cfg.agent, ["imagination"], [cfg.seed], run.folder / "arms", run)
    with run.progress(1, f"trying it in MuJoCo, {cfg.episodes} episodes", "policies") as bar:
        scored = score_arms(arms, model, world, cfg.episodes, cfg.evaluation_seed, bar)
    scored["random"] = score_random(model, world, cfg.random_episodes, cfg.evaluation_seed, [cfg.seed])

    rng = np.random.default_rng([cfg.seed, 23])
    figures = arm_figures(scored, COLUMNS.get(world.id, {}), world.id in SCORED_BY_SUCCESS, rng)
    run.figures = {name: figure.to_dict() for name, figure in figures.items()}
    run.figure("physics_frames", model_frames(model), unit="frames")
    policies = [arm.policy for arm in arms["imagination"]]
    films = imagination_films(model, world, policies, scored["imagination"], cfg.evaluation_seed, run.folder / "videos")
    columns, rows = arm_rows(run.figures, list(scored), cfg.agent, model_frames(model))
    note = (
        f"One training seed; {cfg.episodes} and {cfg.random_episodes} episodes, mean and 95 % interval over episodes. "
        f"{TERMS} `videosim gap` makes the full comparison with training in physics."
    )
    page = Report(
        f"Trained in imagination, tried in MuJoCo: {model.spec.name}",
        run.result(),
        "The policy never saw MuJoCo while it learnt. "
        f"There its return is {interval(run.figures['return_imagination'])}; "
        f"random actions have {interval(run.figures['return_random'])}; "
        f"the dream promised {interval(run.figures['return_dreamed'])}. In brackets, 95 % intervals.",
        [name for name in HEADLINE if name in run.figures],
        LABELS,
        films=films,
        plots=training_curves(arms, model.spec, cfg.agent),
        leading=[Table("Policies", columns, rows, note)],
    )
    write_report(run.folder / "report.html", page)
    run.say(f"report: {run.folder / 'report.html'}")
    run.table(f"{model.spec.name}, in MuJoCo: {ARMS['imagination']} against random", columns, rows)
