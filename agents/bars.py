"""What was asked of each world before anything was measured, and what became of it. No bar moves to fit a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from videosim.report import verdict

OPEN_LOOP = {"open_loop_horizon_frames": 50.0}
BARS: dict[str, dict[str, float]] = {
    "cartpole-swingup": {"return_ratio": 0.90, "return_physics": 700.0, **OPEN_LOOP},
    "reacher-easy": {"return_ratio": 0.90, "return_physics": 850.0, **OPEN_LOOP},
    "cheetah-run": {"return_ratio": 0.70, "return_physics": 250.0},
    "push": {"return_ratio": 0.85, "success_physics": 0.8, **OPEN_LOOP},
    "driving": {"return_ratio": 0.90},
}
SEEDS, EPISODES = 3, 50  # fewer are a trial, not a result


def bars(world: str) -> dict[str, float]:
    """Figure name -> least value asked of ``world``; empty for a world of the user's own."""
    return BARS.get(world, {})


def judged(world: str, figures: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, float, Any, Any, str]]:
    """Rows (figure, bar, value, lower end of the interval, verdict) of every bar of ``world``."""
    rows = []
    for name, bar in bars(world).items():
        figure = figures.get(name, {})
        rows.append((name, bar, figure.get("value"), figure.get("low"), verdict(figure, bar)))
    return rows


def shortfalls(world: str, figures: Mapping[str, Mapping[str, Any]], seeds: int, episodes: int) -> list[str]:
    """Plain sentences about everything that failed, fell short, or weakens the comparison."""

    def value(name: str) -> float | None:
        return figures.get(name, {}).get("value")

    found = []
    for name, bar, figure, _, said in judged(world, figures):
        if figure is None:
            found.append(f"{name}, whose bar is {bar:g}, was not measured.")
        elif said != "PASS":
            found.append(f"{name} is {figure:.4g} and the bar is {bar:g}: {said}.")
    if seeds < SEEDS or episodes < EPISODES:
        found.append(f"{seeds} seed(s) and {episodes} episodes are a trial; a result takes {SEEDS} and {EPISODES}.")
    score, floor = value("return_imagination"), value("return_random")
    if score is not None and floor is not None and score <= floor:
        found.append(f"The policy trained in imagination ({score:.4g}) is no better than random actions ({floor:.4g}).")
    baseline = value("return_physics")
    if baseline is not None and floor is not None and baseline <= 1.5 * abs(floor):
        found.append(
            f"The policy trained in physics ({baseline:.4g}) is hardly better than random, so the ratio says little."
        )
    dreamed = value("return_dreamed")
    if score is not None and dreamed is not None and dreamed - score > 0.1 * abs(dreamed):
        found.append(
            f"The dream promised a return of {dreamed:.4g} and physics gave {score:.4g}: the policy exploits the "
            "model, or goes where the model was never shown."
        )
    for name, figure in figures.items():
        if name.startswith("time_upright_") and name != "time_upright_random" and _spins(figure, value, name):
            found.append(f"{name} is {figure['value']:.4g}: rewarded, but mostly not balancing.")
        if figure.get("flag") and "horizon" not in name:  # a horizon never passed is no fault
            found.append(f"{name}: {figure['flag']}.")
    if "pearson_r" in figures and (figures["pearson_r"].get("low") or 0.0) <= 0.0:
        found.append("In lockstep, dreamed and real returns of single episodes do not correlate beyond chance.")
    return found


def _spins(figure: Mapping[str, Any], value: Any, name: str) -> bool:
    score, floor = value(name.replace("time_upright", "return")), value("return_random")
    return (
        figure.get("value") is not None and figure["value"] < 0.5 and score is not None and score > 2 * (floor or 0.0)
    )
