"""Plots as SVG text that takes its colours from the page around it, so that one file serves light and dark.

Draws with matplotlib's ``Figure`` objects only: no pyplot, no backend choice, no window.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from videosim.errors import VideoSimError

# matplotlib writes these colours; the page's style sheet owns what they look like
INK, FAINT = "#010101", "#020202"
SERIES = ("#030301", "#030302", "#030303", "#030304", "#030305", "#030306")
VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)"} | {c: f"var(--series-{i})" for i, c in enumerate(SERIES)}
WIDTH_IN, HEIGHT_IN = 4.8, 3.1  # small on purpose: the letters stay readable on a telephone
LEGEND = 42  # letters of names in one line of a legend


def svg(plot: Mapping[str, Any], key: str) -> str:
    """An ``<svg>`` element for ``plot``; ``key`` is unique on the page and prefixes every id inside.

    Lines: ``{"x_label", "y_label", "x": [...], "series": [{"name", "y", "low"?, "high"?}],
    "lines"?: [{"y" or "x", "label"?}], "y_scale"?: "log", "y_range"?: [low, high], "steps"?: True}``, the steps
    being those of a survival curve.
    Dots with intervals: ``{"x_label", "rows": [{"name", "value", "low"?, "high"?, "group"?}]}``, each group in its own
    colour. None and NaN leave a gap.
    Clouds of points and the line on which both axes agree: ``{"x_label", "y_label", "points": [{"name", "x", "y"}]}``.
    Routes on a map, as long one way as the other: ``{"x_label", "y_label", "routes": [{"name"?, "x", "y"}]}``; those
    without a name come last, dotted, in the colours of the named ones.
    Raises VideoSimError on a plot that is none of these.
    """
    kinds = {"series": _lines, "rows": _dots, "points": _clouds, "routes": _routes}
    kind = next((name for name in kinds if name in plot), None)
    if kind is None:
        raise VideoSimError(f"a plot needs one of {', '.join(kinds)}; got {sorted(plot)}")
    height = 0.9 + 0.34 * len(plot["rows"]) if kind == "rows" else HEIGHT_IN
    figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    kinds[kind](axes, plot)
    _plain(axes)
    buffer = io.StringIO()
    # a context, left at once: text stays text, and ids depend on the plot instead of on chance
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{key}-", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px; font-family: inherit", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    return re.sub(r'<svg ([^>]*?)height="[^"]*"([^>]*?)width="[^"]*"', r'<svg role="img" \1\2', text, count=1)


def _lines(axes: Axes, plot: Mapping[str, Any]) -> None:
    fill: dict[str, Any] = {"step": "post"} if plot.get("steps") else {}
    style: dict[str, Any] = {"drawstyle": "steps-post"} if plot.get("steps") else {}
    for series, colour, dash in zip(plot["series"], _cycle(plot["series"]), _dashes(plot["series"]), strict=True):
        if "low" in series:
            axes.fill_between(
                plot["x"], _floats(series["low"]), _floats(series["high"]), color=colour, alpha=0.16, lw=0, **fill
            )
        axes.plot(plot["x"], _floats(series["y"]), color=colour, lw=1.8, ls=dash, label=series["name"], **style)
    for line in plot.get("lines", ()):
        if "x" in line:
            axes.axvline(line["x"], color=FAINT, lw=1, ls=(0, (2, 3)))
            axes.annotate(
                line.get("label", ""), (line["x"], 1), (3, -10), color=FAINT, fontsize=8.5,
                xycoords=("data", "axes fraction"), textcoords="offset points",
            )  # fmt: skip
            continue
        axes.axhline(line["y"], color=FAINT, lw=1, ls=(0, (2, 3)))
        if line.get("label"):
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right"}
            axes.annotate(line["label"], (1, line["y"]), (-2, 3), color=FAINT, fontsize=8.5, **place)  # type: ignore
    axes.set_ylabel(plot.get("y_label", ""))
    axes.set_xlabel(plot.get("x_label", ""))
    axes.set_yscale(plot.get("y_scale", "linear"))
    axes.set_ylim(*plot.get("y_range", (None, None)))
    axes.margins(x=0)
    axes.locator_params(axis="x", nbins=5)  # numbers of environment steps are long
    if max(plot["x"], default=0.0) >= 1e4:
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="y", color=FAINT, alpha=0.25, lw=0.6)
    _legend(axes)


def _legend(axes: Axes) -> None:
    longest = max((len(label) for label in axes.get_legend_handles_labels()[1]), default=1)
    columns = min(3, max(1, LEGEND // longest))
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    legend = axes.legend(ncols=columns, frameon=False, fontsize=9, handlelength=1.6, **place)
    for entry in legend.get_texts():
        entry.set_color(INK)


def _clouds(axes: Axes, plot: Mapping[str, Any]) -> None:
    axes.axline((0, 0), slope=1, color=FAINT, lw=1, ls=(0, (2, 3)))
    marks = ("o", "^", "s", "D")
    for i, (cloud, colour) in enumerate(zip(plot["points"], _cycle(plot["points"]), strict=True)):
        axes.plot(
            _floats(cloud["x"]), _floats(cloud["y"]), marks[i % len(marks)], color=colour, ms=6, label=cloud["name"]
        )
    axes.set_xlabel(plot.get("x_label", ""))
    axes.set_ylabel(plot.get("y_label", ""))
    axes.grid(color=FAINT, alpha=0.25, lw=0.6)
    _legend(axes)


def _routes(axes: Axes, plot: Mapping[str, Any]) -> None:
    named = [route for route in plot["routes"] if "name" in route]
    for i, route in enumerate(plot["routes"]):
        colour = SERIES[i % len(named) % len(SERIES)]
        style: dict[str, Any] = {"label": route["name"]} if "name" in route else {"ls": (0, (1, 1.6)), "lw": 2.6}
        end: dict[str, Any] = {"marker": "o", "ms": 4, "markevery": [-1]}  # where it led, for some lie on one another
        axes.plot(_floats(route["x"]), _floats(route["y"]), color=colour, **{"lw": 1.6, **end, **style})
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(plot.get("x_label", ""))
    axes.set_ylabel(plot.get("y_label", ""))
    axes.grid(color=FAINT, alpha=0.25, lw=0.6)
    _legend(axes)


def _dots(axes: Axes, plot: Mapping[str, Any]) -> None:
    rows = plot["rows"]
    groups = list(dict.fromkeys(row.get("group", "") for row in rows))
    for i, row in enumerate(rows):
        colour = SERIES[groups.index(row.get("group", "")) % len(SERIES)]
        low, high = (row.get(end) for end in ("low", "high"))
        if low is not None and high is not None:
            axes.plot([low, high], [i, i], color=colour, lw=3, alpha=0.45, solid_capstyle="round")
        if row["value"] is not None:
            axes.plot([row["value"]], [i], "o", color=colour, ms=7)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(plot.get("x_label", ""))
    axes.grid(axis="x", color=FAINT, alpha=0.25, lw=0.6)


def _plain(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelsize=9, length=0)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(INK)
        label.set_fontsize(9.5)


def _floats(values: Any) -> list[float]:
    return [math.nan if value is None or not math.isfinite(value) else float(value) for value in values]


def _cycle(items: Any) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(len(items))]


def _dashes(items: Any) -> list[Any]:
    """The first line solid, the others dashed each in its own way: colour is never the only mark."""
    styles = ["-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2))]
    return [styles[i % len(styles)] for i in range(len(items))]
