"""The report of `experiments/backbones.py`: its cells as CSV, as a table in Markdown beside the bars, and as plots.

Intervals are 95 %: of means over seeds and windows, both resampled; of ratios with windows paired; of the exponent of a
power law by its regression. Knows no model.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from safetensors.numpy import load_file
from scipy import stats

from videosim.run import Run, write_atomically
from videosim.statistics import CONFIDENCE, Estimate, crossed_bootstrap, ratio_of_means

HORIZONS = (5, 16, 32)  # steps at which the table gives errors
AT = 16  # the step of the curve over compute and of the bars
TOKENS = "token by token"
AS_GOOD = 0.05  # share of the error of all passes that fewer may add
STANDS_FOR = {"recurrent": "recurrent", "flow": "flow K=4", "masked": "masked K=8"}


@dataclass(frozen=True)
class Cell:
    """A core of one seed and compute. figures: of its ``result.json``; dreams: ``<arm>/error`` ``(windows, horizon)``
    and ``<arm>/psnr``."""

    kind: str
    seed: int
    fraction: float
    figures: dict[str, float]
    dreams: dict[str, np.ndarray]

    @classmethod
    def read(cls, folder: Path) -> Cell:
        kind, seed, share = folder.name.split("-")
        figures = json.loads((folder / "result.json").read_text())["figures"]
        values = {name: figure["value"] for name, figure in figures.items()}
        return cls(
            kind, int(seed), 1 / int(share.removeprefix("1of")), values, load_file(folder / "dreams.safetensors")
        )

    @property
    def arms(self) -> list[str]:
        return [name.removesuffix("/error") for name in self.dreams if name.endswith("/error")]


def gathered(cells: Sequence[Cell], arm: str, what: str, fraction: float = 1.0) -> np.ndarray:
    """``(seeds, windows, horizon)`` of ``what`` an arm has been measured for."""
    name = f"{arm}/{what}"
    return np.stack([cell.dreams[name] for cell in cells if cell.fraction == fraction and name in cell.dreams])


def at(curves: np.ndarray, step: int) -> np.ndarray:
    """Of curves ``(…, horizon)`` the value at ``step`` counted from 1, or the last where they end before."""
    return curves[..., min(step, curves.shape[-1]) - 1]


@dataclass(frozen=True)
class Law:
    """error = ``scale`` * compute ** -``exponent``, fitted on logarithms by least squares."""

    scale: float
    exponent: Estimate

    @classmethod
    def fitted(cls, compute: np.ndarray, error: np.ndarray) -> Law:
        """Of paired ``(n,)`` positive numbers; the interval of the exponent is that of the regression."""
        line = stats.linregress(np.log(compute), np.log(error))
        wide = stats.t.ppf((1 + CONFIDENCE) / 2, max(len(compute) - 2, 1)) * line.stderr
        return cls(
            math.exp(line.intercept), Estimate(-line.slope, -line.slope - wide, -line.slope + wide, len(compute))
        )

    def crossing(self, other: Law) -> float:
        """Compute at which both have the same error; infinite where they never have."""
        steeper = self.exponent.value - other.exponent.value
        return math.exp(math.log(self.scale / other.scale) / steeper) if steeper else math.inf


def laws(cells: Sequence[Cell]) -> dict[str, tuple[Law, np.ndarray, np.ndarray]]:
    """Of every core that was trained for more than one compute: its law, and the compute and errors behind it."""
    found = {}
    for kind, arm in STANDS_FOR.items():
        own = [cell for cell in cells if cell.kind == kind]
        compute = np.array([cell.figures["training_minutes"] for cell in own])
        if len(set(compute)) > 1:
            error = np.array([at(cell.dreams[f"{arm}/error"], AT).mean() for cell in own])
            found[arm] = Law.fitted(compute, error), compute, error
    return found


def bars(cells: Sequence[Cell], speed: dict[str, tuple[float, float]], rng: np.random.Generator) -> list[list[str]]:
    """Rows (what, measured, bar, verdict) of those bars whose arms were all measured."""
    names = {arm for cell in cells if cell.fraction == 1.0 for arm in cell.arms}
    rows = []

    def over(arm: str, other: str) -> Estimate:
        return ratio_of_means(*(at(gathered(cells, name, "error"), AT) for name in (arm, other)), rng)

    def errors(what: str, arm: str, other: str, bar: float) -> None:
        if {arm, other} <= names:
            ratio = over(arm, other)
            verdict = "PASS" if ratio.high <= bar else "FAIL" if ratio.low > bar else "INCONCLUSIVE"
            rows.append([what, _interval(ratio), f"≤ {bar:g}", verdict])

    def times(what: str, arm: str, other: str, bar: float) -> None:
        if {arm, other} <= set(speed):
            ratio = speed[other][0] / speed[arm][0]
            rows.append([what, f"{ratio:.2f}", f"≥ {bar:g}", "PASS" if ratio >= bar else "FAIL"])

    denoiser = next((name for name in names if name.startswith("denoiser")), "")
    # Passes are worth their time while they mend anything: a model is as fast as the fewest that are as good as all.
    passes = sorted((name for name in names if name.startswith("masked K=")), key=lambda name: int(name.split("=")[1]))
    alike = (arm for arm in passes if TOKENS in names and over(arm, TOKENS).high <= 1 + AS_GOOD)
    quick = next(alike, "masked K=8")
    errors(f"{quick}, error over that of {TOKENS}", quick, TOKENS, 1 + AS_GOOD)
    errors("flow K=4, error over the denoiser's", "flow K=4", denoiser, 1.05)
    errors("flow K=1, error over the denoiser's", "flow K=1", denoiser, 1.2)
    errors("flow K=4, error over the recurrent core's", "flow K=4", "recurrent", 1.0)
    errors("masked K=8, error over the recurrent core's", "masked K=8", "recurrent", 1.0)
    times(f"{quick}, times faster than the denoiser", quick, denoiser, 3.0)
    times(f"{quick}, times faster than {TOKENS}", quick, TOKENS, 10.0)
    for arm in ("flow K=1", "masked K=1"):
        if arm in speed:
            fast = speed[arm][1]
            rows.append([f"{arm}, frames/s at batch 64, one thread", f"{fast:.0f}", "≥ 300", _passed(fast >= 300)])
    return rows


def report(cells: Sequence[Cell], run: Run) -> None:
    """Write ``cells.csv``, ``table.md`` and plots into the run's folder, and its figures and tables."""
    rng = np.random.default_rng(0)
    whole = [cell for cell in cells if cell.fraction == 1.0]
    names = list(dict.fromkeys(arm for cell in whole for arm in cell.arms))
    figures = {name: value for cell in whole for name, value in cell.figures.items()}
    speed = {
        arm: (figures[f"{arm}/ms_frame"], figures[f"{arm}/frames_per_s"])
        for arm in names
        if f"{arm}/ms_frame" in figures
    }
    head = [
        "arm",
        *(f"state error, step {h}" for h in HORIZONS),
        f"PSNR, step {AT} [dB]",
        "ms a frame",
        "frames/s at 64",
    ]
    rows = []
    for arm in names:
        curves = gathered(cells, arm, "error")
        errors = [crossed_bootstrap(at(curves, h), rng) for h in HORIZONS]
        likeness = crossed_bootstrap(at(gathered(cells, arm, "psnr"), AT), rng)
        for h, error in zip(HORIZONS, errors, strict=True):
            run.figure(f"{arm}/error_{h}", error.value, error.low, error.high, error.n, "fraction of range")
        run.figure(f"{arm}/psnr_{AT}", likeness.value, likeness.low, likeness.high, likeness.n, "dB")
        fast = [f"{value:.3g}" for value in speed[arm]] if arm in speed else ["", ""]
        rows.append([arm, *map(_interval, errors), f"{likeness.value:.1f}", *fast])
    sizes = []
    for kind in dict.fromkeys(cell.kind for cell in whole):
        own = next(cell for cell in whole if cell.kind == kind and cell.seed == 0)
        codec = own.dreams[f"frozen {kind}/codec"].mean()
        steps = f"{own.figures['dynamics_steps']:,.0f}"
        sizes.append(
            [kind, f"{own.figures['parameters']:,.0f}", f"{own.figures['training_minutes']:g}", steps, f"{codec:.1f}"]
        )
    fitted = laws(cells)
    curve = [[arm, _interval(law.exponent), f"{law.scale:.4g}"] for arm, (law, _, _) in fitted.items()]
    for arm in ("flow K=4", "masked K=8"):
        if arm in fitted and "recurrent" in fitted:
            meets = fitted[arm][0].crossing(fitted["recurrent"][0])
            curve.append([f"{arm} meets recurrent at", f"{meets:.3g} min" if math.isfinite(meets) else "never", ""])
    tables = {
        "Dreams": (head, rows),
        "Cores": (["core", "parameters", "training [min of one thread]", "steps", "PSNR of the codec [dB]"], sizes),
        "Bars": (["what", "measured", "bar", "verdict"], bars(cells, speed, rng)),
        f"Error at step {AT} over compute: scale * minutes ** -exponent": (["arm", "exponent", "scale"], curve),
    }
    for title, (columns, lines) in tables.items():
        run.table(title, columns, lines)
    write_atomically(
        run.folder / "table.md", "\n\n".join(_markdown(title, *table) for title, table in tables.items()) + "\n"
    )
    write_atomically(run.folder / "cells.csv", _csv(cells))
    _plot_horizon(cells, names, run.folder / "horizon.png")
    _plot_compute(fitted, run.folder / "compute.png")


def _csv(cells: Sequence[Cell]) -> str:
    """One line for each core, seed, compute, arm and step."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["kind", "seed", "minutes", "arm", "step", "state_error", "psnr_db"])
    for cell in cells:
        for arm in cell.arms:
            error, likeness = (cell.dreams[f"{arm}/{what}"].mean(0) for what in ("error", "psnr"))
            for step, (e, p) in enumerate(zip(error, likeness, strict=True), 1):
                minutes = cell.figures["training_minutes"]
                lines.writerow([cell.kind, cell.seed, f"{minutes:g}", arm, step, f"{e:.6g}", f"{p:.4g}"])
    return text.getvalue()


def _plot_horizon(cells: Sequence[Cell], names: Sequence[str], path: Path) -> None:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for arm in names:
        mean = gathered(cells, arm, "error").mean((0, 1))
        axes.plot(np.arange(1, len(mean) + 1), mean, label=arm, linestyle=":" if arm.startswith("frozen") else "-")
    axes.set(xlabel="steps dreamed", ylabel="state error, fraction of range")
    axes.legend(fontsize="small")
    _save(figure, path)


def _plot_compute(fitted: dict[str, tuple[Law, np.ndarray, np.ndarray]], path: Path) -> None:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for arm, (law, compute, error) in fitted.items():
        (dots,) = axes.loglog(compute, error, "o", label=f"{arm}, exponent {law.exponent.value:.2f}")
        along = np.geomspace(compute.min(), compute.max(), 20)
        axes.loglog(along, law.scale * along**-law.exponent.value, color=dots.get_color())
    axes.set(xlabel="training, minutes of one thread", ylabel=f"state error at step {AT}")
    if fitted:
        minutes = np.unique(np.concatenate([compute for _, compute, _ in fitted.values()]))
        axes.set_xticks(minutes, [f"{each:.3g}" for each in minutes])
        axes.set_xticks([], minor=True)
        axes.legend(fontsize="small")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    write_atomically(path, buffer.getvalue())


def _interval(e: Estimate) -> str:
    return f"{e.value:.3g} [{e.low:.3g}, {e.high:.3g}]"


def _passed(good: bool) -> str:
    return "PASS" if good else "FAIL"


def _markdown(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
