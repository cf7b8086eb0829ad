"""``videosim calibrate``: does a model's uncertainty know its error?

Asked twice: on behaviour like that of its data, and on the states where a policy trained in its dreams leads it, which
is where the uncertainty is used (Lu et al. 2021, arXiv:2110.04135). Beside it stand what else might be feared: each
step's own doubt, a clock, which only counts the steps, and the same uncertainties shuffled, which must know nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videosim import calibration
from videosim.agents.arms import train_arms
from videosim.agents.evaluate import in_imagination, in_physics
from videosim.agents.fresh import fresh_episodes
from videosim.agents.gap_report import interval
from videosim.agents.open_loop import draw_starts
from videosim.agents.policy import Policy
from videosim.calibration import LEAST, Doubts, reliability, risk_coverage
from videosim.checkpoint import ASSETS, amend_card
from videosim.config import CalibrateConfig, WorldConfig
from videosim.envs.observations import TrueState
from videosim.envs.twin import load_with_physics
from videosim.errors import VideoSimError
from videosim.metrics import STATE_ERROR_LIMIT, normalised_error, state_error
from videosim.report import Report, Table, verdict, write_report
from videosim.run import Run
from videosim.types import Episode
from videosim.world_model import WorldModel

BARS = {"spearman_policy": 0.6, "auroc_policy": 0.85}  # the lower end of the interval must clear them
HORIZONS = (1, 8, 32, 64)  # steps at which coverage is asked
SOURCES = {"behaviour": "behaviour like the data's", "policy": "states its own policy leads to"}
OTHERS = {  # what else might be feared, on the same errors
    "alone": "each step's own doubt",
    "clock": "a clock instead",
    "shuffled": "shuffled",
}
LABELS = {
    "spearman_policy": "Rank correlation with the true error, where its policy leads",
    "auroc_policy": "Detection of lost states (AUROC), where its policy leads",
    "spearman_behaviour": "Rank correlation with the true error, on behaviour",
    "auroc_behaviour": "Detection of lost states (AUROC), on behaviour",
    "error_over_uncertainty": "Error over uncertainty, root mean squares",
    "threshold": "Uncertainty that 95 % of the sound steps stay below",
    "lost_above_threshold": "Share of the lost steps that lie above it, where its policy leads",
}
SHOWN = ("spearman_policy", "auroc_policy", "error_over_uncertainty", "threshold", "lost_above_threshold")


def main(cfg: CalibrateConfig, run: Run) -> None:
    """Measure, write ``report.html``, and with ``cfg.write`` the threshold into the checkpoint's card.

    Raises VideoSimError on a checkpoint or policy that cannot be read, on too few dreams, and where a bundled model
    should be written to.
    """
    if min(cfg.episodes, cfg.starts) < LEAST or min(cfg.horizon, cfg.context) < 1:
        raise VideoSimError(
            f"a calibration needs {LEAST} episodes and starts and a horizon and context of 1 or more; "
            f"got {cfg.episodes}, {cfg.starts}, {cfg.horizon} and {cfg.context}"
        )
    model, world = load_with_physics(cfg.checkpoint)
    folder = model.folder
    assert folder is not None
    if cfg.write and ASSETS.resolve() in folder.resolve().parents:
        raise VideoSimError(f"the bundled model {folder.name!r} is not changed; copy its folder and name the copy")
    policy = _policy(cfg, model, world, run)
    rng = np.random.default_rng([cfg.seed, 41])
    episodes = fresh_episodes(world, cfg.held_out_frames, run)
    longest = max(episode.length for episode in episodes) - cfg.context + 1
    horizon = min(cfg.horizon, longest, model.spec.horizon)
    doubts = {"behaviour": on_behaviour(model, episodes, horizon, cfg.context, cfg.starts, rng)}
    with run.progress(1, "dreams of the policy, replayed in physics", "sources") as bar:
        doubts["policy"] = on_policy(policy, model, world, horizon, cfg.episodes, cfg.evaluation_seed)
        bar.advance()

    found = measured(doubts, rng)
    run.figures = {name: figure.to_dict() for name, figure in found.items()}
    limit, ratio = _threshold(doubts)
    feared, came = doubts["policy"].known()
    lost = came > STATE_ERROR_LIMIT
    run.figure("error_over_uncertainty", ratio)
    run.figure("threshold", limit, unit="of range")
    run.figure("threshold_before", model.recorded("Uncertainty", "threshold"), unit="of range")
    run.figure("lost_above_threshold", float((feared[lost] > limit).mean()) if lost.any() else None, n=int(lost.sum()))
    _report(cfg, run, model.spec.name, doubts)
    if cfg.write:
        kept: dict[str, Any] = {LABELS[name]: run.figures[name]["value"] for name in BARS if name in run.figures}
        rank = found["spearman_behaviour"].value
        scale = {"scale": ratio * model.caution(), "threshold": ratio * limit, "rank correlation": rank}
        amend_card(folder, model.titled("Uncertainty"), {**model.section("Uncertainty"), **scale, **kept})
        run.say(f"threshold {ratio * limit:.4g} written to {folder}")


def _policy(cfg: CalibrateConfig, model: WorldModel, world: WorldConfig, run: Run) -> Policy:
    if not cfg.policy:
        arms = train_arms(model, world, cfg.agent, ["imagination"], [cfg.seed], Path(cfg.cache), run)
        return arms["imagination"][0].policy
    path = Path(cfg.policy)
    policy = Policy.load(path if (path / "policy.safetensors").is_file() else path / "policy")
    size = model.latent_size if policy.mode == "latent" else model.spec.sensors.size
    if policy.network.observation_space.shape != (size,):
        raise VideoSimError(f"the policy in {cfg.policy} was trained on another kind of model than {cfg.checkpoint}")
    return policy


@torch.no_grad()
def on_behaviour(
    model: WorldModel, episodes: Sequence[Episode], horizon: int, context: int, n: int, rng: np.random.Generator
) -> Doubts:
    """``n`` dreams of ``horizon`` steps under recorded actions, after ``context`` recorded frames each."""
    numbers, times = draw_starts([episode.length for episode in episodes], horizon, context, n, rng)
    where = [(episodes[i], t - context + 1, t) for i, t in zip(numbers, times, strict=True)]
    frames = np.stack([episode.frames[first : t + 1] for episode, first, t in where])
    actions = torch.as_tensor(
        model.spec.action.normalise(np.stack([episode.actions[first : t + horizon] for episode, first, t in where]))
    )
    true = np.stack([episode.sensors[t + 1 : t + horizon + 1] for episode, _, t in where])
    state = model.start(model.encode(torch.as_tensor(frames)), actions[:, : context - 1])
    feared, dreamed = [], []
    for h in range(horizon):
        state, out = model.step(state, actions[:, context - 1 + h])
        feared.append(out.uncertainty.numpy())
        dreamed.append(out.sensors.numpy())
    return Doubts(np.stack(feared, 1).astype(float), _error(model, np.stack(dreamed, 1), true))


def on_policy(policy: Policy, model: WorldModel, world: WorldConfig, horizon: int, episodes: int, seed: int) -> Doubts:
    """``horizon`` steps that ``policy`` dreams from the task's first frame, against physics under the same actions."""
    log: list[np.ndarray] = []

    def act(observations: np.ndarray) -> np.ndarray:
        log.append(policy.act(observations))
        return log[-1]

    dreamed = in_imagination(act, policy.mode, world, model, episodes, seed)
    replay = iter(log)
    true = in_physics(lambda observations: next(replay), TrueState(model), world, model, episodes, seed)
    steps = slice(1, horizon + 1)
    error = _error(model, dreamed.sensors[:, steps], true.sensors[:, steps])
    return Doubts(dreamed.uncertainty[:, :horizon].astype(float), error)


def _error(model: WorldModel, dreamed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """State error ``(n, H)`` as a fraction of the range; NaN where either episode has ended."""
    ended = np.isnan(true).any(-1) | np.isnan(dreamed).any(-1)
    error = state_error(normalised_error(dreamed, np.nan_to_num(true), model.spec.sensors.span))
    return np.where(ended, np.nan, error)


def measured(doubts: dict[str, Doubts], rng: np.random.Generator) -> dict[str, Any]:
    """Every figure of both sources, named ``<figure>_<source>``, with those of OTHERS."""
    found: dict[str, Any] = {}
    for source, known in doubts.items():
        own = calibration.figures(known, STATE_ERROR_LIMIT, rng) | calibration.coverage(known, HORIZONS, rng)
        found |= {f"{name}_{source}": figure for name, figure in own.items()}
        others = (known.by_step(), known.by_clock(), known.shuffled(rng))
        for control, other in zip(OTHERS, others, strict=True):
            shown = calibration.figures(other, STATE_ERROR_LIMIT, rng)
            found |= {f"{name}_{source}_{control}": figure for name, figure in shown.items()}
    return found | calibration.transferred(doubts["behaviour"], doubts["policy"], HORIZONS)


def _threshold(doubts: dict[str, Doubts]) -> tuple[float, float]:
    """Of all steps of both sources the threshold, and how much larger their errors are than their uncertainties, root
    mean squares."""
    feared, came = (np.concatenate(part) for part in zip(*(d.known() for d in doubts.values()), strict=True))
    ratio = float(np.sqrt((came**2).mean() / max((feared**2).mean(), 1e-24)))
    return calibration.threshold(feared, came, STATE_ERROR_LIMIT), ratio


def plots(doubts: dict[str, Doubts]) -> list[dict[str, Any]]:
    """Reliability and risk against coverage, as ``plots.svg`` takes them; everything in % of the sensors' range."""
    points, series, over_time = [], [], []
    shares = np.linspace(0.05, 1.0, 20)
    for source, known in doubts.items():
        feared, came = known.known()
        x, y = reliability(feared, came)
        points.append({"name": source, "x": (100 * x).tolist(), "y": (100 * y).tolist()})
        for name, order in (("uncertainty", feared), ("error itself", came)):
            risk = 100 * risk_coverage(order, came, shares)
            series.append({"name": f"{source}, by {name}", "y": risk.tolist()})
        for name, values in ((f"{source}, feared", known.uncertainty), (f"{source}, came", known.error)):
            sums, counts = np.nansum(values, 0), (~np.isnan(values)).sum(0)
            over_time.append({"name": name, "y": (100 * sums / np.maximum(counts, 1)).tolist()})
    return [
        {
            "title": "Over time: what was feared and what came",
            "x_label": "steps since the start",
            "y_label": "% of range",
            "x": list(range(1, 1 + max(len(line["y"]) for line in over_time))),
            "series": over_time,
            "note": "Mean over dreams. Errors that grow while fears shrink are those nobody is warned of.",
        },
        {
            "title": "Reliability: what was feared and what came",
            "x_label": "uncertainty, % of range",
            "y_label": "state error, % of range",
            "points": points,
            "note": "Tenths of all steps, from the least feared. On the line the uncertainty is the expected error.",
        },
        {
            "title": "Risk against coverage",
            "x_label": "share of steps kept, the least feared first, %",
            "y_label": "mean state error, % of range",
            "x": (100 * shares).tolist(),
            "series": series,
            "note": "No order can lie below that of the error itself.",
        },
    ]


def _report(cfg: CalibrateConfig, run: Run, world: str, doubts: dict[str, Doubts]) -> None:
    figures = run.figures
    known = ("spearman", "auroc", *(f"coverage_h{h}" for h in HORIZONS), "coverage_simultaneous")
    columns = ("on", "rank correlation", "AUROC", *(f"coverage at {h}" for h in HORIZONS), "at every step")
    rows = [
        [words, *(interval(figures.get(f"{name}_{source}")) for name in known)] for source, words in SOURCES.items()
    ]
    moved = [interval(figures.get(f"coverage_transferred_h{h}")) for h in HORIZONS]
    rows.append(["its policy's states, bounds set on behaviour", "–", "–", *moved, "–"])
    for control, words in OTHERS.items():
        cells = [interval(figures.get(f"{name}_policy_{control}")) for name in ("spearman", "auroc")]
        rows.append([f"its policy's states: {words}", *cells, *["–"] * (len(columns) - 3)])
    judged = [
        (LABELS[name], f"≥ {bar:g}", interval(figures.get(name)), verdict(figures.get(name, {}), bar))
        for name, bar in BARS.items()
    ]
    note = (
        f"Lost: a state error above {STATE_ERROR_LIMIT:.0%} of range. Coverage: share of errors below a conformal "
        f"bound meant to hold {calibration.NOMINAL:.0%}, over random halves of the dreams."
    )
    page = Report(
        f"Does the uncertainty know the error? {world}",
        run.result(),
        f"{cfg.starts} dreams under held-out behaviour, {cfg.episodes} dreamed by a policy trained in imagination and "
        "replayed in physics.",
        [name for name in SHOWN if name in figures],
        LABELS,
        {name: bar for name, bar in BARS.items() if name in figures},
        [],
        plots(doubts),
        [
            Table(
                "Bars", ("figure", "bar", "value", "verdict"), judged, "The interval's lower end must clear the bar."
            ),
            Table("On behaviour, on its own policy's states, and beside controls", columns, rows, note),
        ],
    )
    write_report(run.folder / "report.html", page)
    run.say(f"report: {run.folder / 'report.html'}")
    run.table(f"{world}: does the uncertainty know the error?", columns, rows)
    run.table("bars", ("figure", "bar", "value", "verdict"), judged)
