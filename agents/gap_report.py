"""The page and the tables of the comparison: what was asked, what came out, what fell short. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from videosim.agents.arms import Arm
from videosim.agents.bars import bars, judged, shortfalls
from videosim.agents.decomposition import LABELS as CHAIN
from videosim.agents.gap_figures import NAMES
from videosim.agents.learn import PLACES
from videosim.config import AgentConfig
from videosim.report import VERDICTS, Badge, Table
from videosim.types import WorldSpec

ARMS = {name: place.label for name, place in PLACES.items()} | {"random": "random actions"}
MEASURES = {"return": "Return in physics", "success": "Success in physics", "time_upright": "Time upright"}
LABELS = {
    **{
        f"{measure}_{NAMES[place]}": f"{words}, {label}"
        for measure, words in MEASURES.items()
        for place, label in ARMS.items()
    },
    **{f"return_{NAMES[place]}_iqm": f"IQM of returns in physics, {label}" for place, label in ARMS.items()},
    "return_dreamed": "Return the dream promised",
    "return_dreamed_physics": "Return dreamed of the policy trained in physics",
    "return_ratio": "Return ratio, imagination to physics",
    "return_ratio_normalised": "The same above random",
    "transfer_drop": "Transfer drop, dreamed minus physics",
    "open_loop_horizon_frames": "Open-loop horizon, state error of 10 % of range",
    "open_loop_horizon_frames_strict": "Open-loop horizon of the worst sensor",
    "open_loop_horizon_frames_copy_last": "Open-loop horizon of a frozen state",
    "closed_loop_horizon_frames": "Closed-loop horizon in lockstep",
    "physics_frames": "Physics frames that made the model",
    "pearson_r": "Correlation of dreamed and real returns, in lockstep",
    "pearson_r_own_actions": "The same, each side acting for itself",
    **CHAIN,
}
TERMS = (
    "Return: the sum of an episode's rewards. IQM: the mean of the middle half of the returns. Dreamed return: what "
    "the model pays the policy for episodes in the dream."
)


def arm_rows(
    figures: Mapping[str, Mapping[str, Any]], places: Sequence[str], cfg: AgentConfig, model_frames: int | None
) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of the table of arms. Physics frames: the data of the model the policy sees through, and the
    steps it was itself trained on in physics."""
    measures = [m for m in MEASURES if any(f"{m}_{NAMES[place]}" in figures for place in places)]
    columns = ["policy", *(m.replace("_", " ") for m in measures), "IQM", "dreamed return", "physics frames"]
    rows = []
    for place in places:
        name = NAMES[place]
        cells = [interval(figures.get(f"{m}_{name}")) for m in measures]
        dreamed = figures.get({"imagination": "return_dreamed", "physics": "return_dreamed_physics"}.get(place, ""))
        frames = PLACES[place].physics_frames(cfg.steps, model_frames) if place in PLACES else 0
        rows.append([ARMS[place], *cells, interval(figures.get(f"return_{name}_iqm")), interval(dreamed), frames])
    return columns, rows


def bar_rows(world: str, figures: Mapping[str, Mapping[str, Any]]) -> list[list[Any]]:
    """Rows (figure in words, bar, value, lower end of the interval, verdict) of every bar set for ``world``."""
    return [[LABELS.get(name, name), bar, value, low, said] for name, bar, value, low, said in judged(world, figures)]


def tables(
    spec: WorldSpec,
    figures: Mapping[str, Mapping[str, Any]],
    places: Sequence[str],
    cfg: AgentConfig,
    model_frames: int | None,
    seeds: int,
    episodes: int,
) -> list[Table]:
    """Of the report, the answers first: bars, what fell short, the arms."""
    short = shortfalls(spec.name, figures, seeds, episodes)
    columns, rows = arm_rows(figures, places, cfg, model_frames)
    found = [
        Table(
            "Bars",
            ("figure", "bar", "value", "lower bound", "verdict"),
            [[*row, Badge(said, VERDICTS[said])] for *row, said in bar_rows(spec.name, figures)],
            "Set before anything was measured; met when the lower end of the 95 % interval clears the bar."
            if bars(spec.name)
            else f"No bar was set for {spec.name}.",
        ),
        Table("What failed or fell short", ("",), [[line] for line in short] or [["Nothing that was asked."]]),
        Table(
            "Policies",
            columns,
            rows,
            f"The same {cfg.algorithm.upper()} settings and {cfg.steps:,} environment steps each; mean and 95 % "
            f"interval over {counted(seeds, 'training seed')} and {episodes} paired episodes, both resampled. {TERMS} "
            "Physics frames: what made the model the policy sees through, plus its own training in physics.",
        ),
    ]
    return found


def gap_table(figures: Mapping[str, Mapping[str, Any]], left_out: Sequence[str]) -> Table:
    """The returns and gaps of ``decomposition``; ``left_out``: what could not be measured, in sentences."""
    rows = [[label, interval(figures[name])] for name, label in CHAIN.items() if name in figures]
    note = "The gaps add up to the last row. A positive one is return that the ingredient promises too much."
    return Table("What makes the gap", ("", "return"), rows, " ".join([note, *left_out]))


def training_curves(arms: Mapping[str, Sequence[Arm]], spec: WorldSpec, cfg: AgentConfig) -> list[dict[str, Any]]:
    """Mean over seeds, with their least and greatest; as reward per step, because imagined fragments are shorter. Empty
    where no training episode came to its end."""
    x = np.linspace(0, cfg.steps, 51)[1:]
    series = []
    for place, members in arms.items():
        fragments = "imagined_horizon" not in PLACES[place].unread
        length = min(cfg.imagined_horizon, spec.horizon) if fragments else spec.horizon
        curves = [arm.curve() for arm in members]
        known = [np.interp(x, *curve, left=np.nan) / length for curve in curves if len(curve[0])]
        if known:
            y = np.stack(known)
            low, middle, high = (f(y, axis=0).tolist() for f in (np.min, np.mean, np.max))
            series.append({"name": ARMS[place].removeprefix("trained "), "y": middle, "low": low, "high": high})
    begin = "as the task does" if cfg.imagined_starts == "task" else "anywhere in the data, episodes do not"
    note = f"While learning, with exploration noise. Imagined fragments start {begin}."
    if cfg.max_uncertainty is not None or cfg.uncertainty_penalty:
        note += " They pay for the model's doubt and may end by it, which lowers their curve."
    axes = {"x_label": "environment steps", "y_label": "reward/step", "x": x.tolist()}
    return [{"title": "Training", "series": series, "note": note, **axes}] if series else []


def summary(world: str, figures: Mapping[str, Mapping[str, Any]], short: Sequence[str]) -> str:
    """Two sentences: what came out, and how much of it fell short."""
    graded = "success" if "success_imagination" in figures else "return"
    parts = [
        f"A policy trained only inside the learned model of {world} has in MuJoCo a {graded} of "
        f"{interval(figures[f'{graded}_imagination'])}"
    ]
    if f"{graded}_physics" in figures:
        ratio = interval(figures.get("return_ratio"))
        parts.append(
            f", the same configuration trained in MuJoCo {interval(figures[f'{graded}_physics'])} (ratio {ratio})"
        )
    fell = f"{counted(len(short), 'thing')} failed or fell short; the tables below say which."
    tail = fell if short else "Nothing that was asked fell short."
    return f"{''.join(parts)}. In brackets, 95 % intervals. {tail}"


def counted(number: int, noun: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def interval(figure: Mapping[str, Any] | None) -> str:
    """``value [low, high]`` with three or four digits; a dash where there is nothing."""
    if figure is None or figure.get("value") is None:
        return "–"
    if figure.get("low") is None and figure.get("high") is None:
        return _short(figure["value"])
    return f"{_short(figure['value'])} [{_short(figure.get('low'))}, {_short(figure.get('high'))}]"


def _short(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
