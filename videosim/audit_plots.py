"""Plots of an audit: each model beside controls that frame it, out of what the audits stored. Measures nothing.

A plot whose audit was not run is left out; so is a world that was not asked, or whose kept report lacks the curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from videosim.audits.verdict import Bars

WORLDS = 5  # in one plot
SHARE = (0.0, 1.03)  # the axis of one, with room for a line at 1
ANSWERS = {  # to doses, by the unit in which they are stored: what they are, over what, and the axis
    "m": ("how far the pusher goes", "lanes", "metres"),
    "deg": ("how far the door turns", "doors and levers", "degrees"),
}
Details = Mapping[str, Any]


def plots(measured: Mapping[str, Any], bars: Bars) -> list[dict[str, Any]]:
    """For ``report.Report.plots``; ``measured`` is what measurements.json holds."""
    by_audit = {"A1": _survival, "A3": _choice, "A9": _error, "A6": _doses, "A17": _paths}
    made = [draw(measured, bars) for audit, draw in by_audit.items() if audit in bars.audits]
    return [plot for plot in (*made, _graded(measured)) if plot is not None]


def _survival(measured: Mapping[str, Any], bars: Bars) -> dict[str, Any] | None:
    def curve(details: Details) -> dict[str, Any]:
        ends = {end: details[f"curve_{end}"] for end in ("low", "high") if f"curve_{end}" in details}
        return {"y": details["curve"], **ends}

    bar = bars.audits["A1"]["survival"].limits[0]
    series = _series(measured, "A1", "curve", curve, ("oracle", "freeze", "vanish"))
    for line in series:
        if line["name"] in measured["controls"]:
            line.update(low=line["y"], high=line["y"])  # their bands would lie on one another
    return _lines(
        series,
        steps=True,
        title="A1: share of episodes without a break, S(h)",
        note="Kaplan and Meier, with 95 % intervals of the models. A frozen world keeps every identity and fails by "
        f"its motion. Dotted: the bar at the last frame, {bar:g}.",
        x_label="frame h",
        y_label="S(h)",
        y_range=SHARE,
        x=list(range(bars.sizes["identity_frames"] + 1)),
        lines=[{"y": bar}],
    )


def _choice(measured: Mapping[str, Any], bars: Bars) -> dict[str, Any] | None:
    from videosim.audits.forks import BRANCHES

    far = {name: report["audits"]["A3"]["metrics"]["cai4_far"]["value"] for name, report in _asked(measured, "A3")}
    series = _series(
        measured,
        "A3",
        "cai4_by_frame",
        lambda details: {"y": details["cai4_by_frame"]},
        ("oracle", "blind", "inverted"),
    )
    for line in series:
        line["y"] = [*line["y"], far[line["name"]]]
    near = bars.sizes["intervention_frames"]
    return _lines(
        series,
        title=f"A3: share of futures nearest to their own truth, CAI@{BRANCHES}",
        note=f"At every frame to {near}, then at the far horizon alone; the intervals at both are in the tables. True "
        "futures are hardly apart in the first frames.",
        x_label="frame h",
        y_label=f"CAI@{BRANCHES}",
        y_range=SHARE,
        x=[*range(near + 1), bars.sizes["intervention_far_frames"]],
        lines=[{"y": 1.0 / BRANCHES, "label": "chance"}],
    )


def _error(measured: Mapping[str, Any], bars: Bars) -> dict[str, Any] | None:
    from videosim.audits.coherence import SEGMENTS

    series = _series(
        measured, "A9", "error_floors", lambda details: {"y": details["error_floors"]}, ("oracle", "drift", "freeze")
    )
    frames = bars.sizes["journey_frames"]
    return _lines(
        series,
        title="A9: error of the things' places over time",
        note="Mean over each eighth of the journeys, in e0, the reader's own error, which is the dotted line.",
        x_label="frame",
        y_label="error / e0",
        y_scale="log",
        x=[(i + 0.5) * frames / SEGMENTS for i in range(SEGMENTS)],
        lines=[{"y": 1.0, "label": "e0"}],
    )


def _doses(measured: Mapping[str, Any], bars: Bars) -> dict[str, Any] | None:
    """Of the pusher's way or of the door's turn, by what the audit stored."""
    from videosim.audits.responses import DOSES

    def spread(answers: Any) -> dict[str, Any]:
        low, middle, high = np.quantile(np.asarray(answers, np.float64), (0.1, 0.5, 0.9), axis=0).tolist()
        return {"y": middle, "low": low, "high": high}

    for unit, (what, over, label) in ANSWERS.items():
        told, right = f"answers_{unit}", f"true_{unit}"
        draw = partial(lambda told, details: spread(details[told]), told)
        series = _series(measured, "A6", right, draw, ("attenuated", "retrieval", "blind"))
        true = [r["audits"]["A6"]["details"][right] for _, r in _asked(measured, "A6") if _has(r, "A6", right)]
        if series:
            return _lines(
                [*series, {"name": "truth", **spread(true[0])}],
                title=f"A6: {what}, by the strength of the action",
                note=f"Median over {over}, with the band from the 10th to the 90th percentile.",
                x_label="strength of the action",
                y_label=label,
                x=DOSES.tolist(),
            )
    return None


def _paths(measured: Mapping[str, Any], bars: Bars) -> dict[str, Any] | None:
    """Of the first world, a model if there is one: the true paths of one start and the world's, from above."""
    from videosim.audits.driving_truth import MANOEUVRES

    worlds = sorted(_asked(measured, "A17"), key=lambda row: row[0] in measured["controls"])
    if not worlds:
        return None
    name, report = worlds[0]
    shown, true = report["audits"]["A17"]["details"]["state"]["paths"][0]
    routes = [
        *(
            {"name": told, "x": _column(route, 0), "y": _column(route, 1)}
            for told, route in zip(MANOEUVRES, true, strict=True)
        ),
        *({"x": _column(route, 0), "y": _column(route, 1)} for route in shown),
    ]
    return {
        "routes": routes,
        "title": f"A17: five manoeuvres from one start, from above, truth and {name}",
        "note": "Solid: MuJoCo's. Dotted, in the same colours: the world's, out of the speed and yaw rate that it says "
        "it has.",
        "x_label": "metres ahead",
        "y_label": "metres to the left",
    }


def _column(route: Sequence[Sequence[float]], column: int) -> list[float]:
    return [place[column] for place in route]


def _graded(measured: Mapping[str, Any]) -> dict[str, Any] | None:
    series = []
    for row in measured["graded"]:
        values = np.asarray(row["figures"], np.float64)
        spread = np.ptp(values)
        y = ((values - values.min()) / spread if spread > 0 else np.zeros_like(values)).tolist()
        series.append({"name": row["control"], "y": y})
    return _lines(
        series,
        title="Graded check: a fault at five strengths, and the figure that sees it",
        note="Each figure between its least and its greatest value, as in the table of the graded check.",
        x_label="strength of the fault, mildest first",
        y_label="figure, rescaled",
        x=[1, 2, 3, 4, 5],
    )


def _lines(series: Sequence[Mapping[str, Any]], **rest: Any) -> dict[str, Any] | None:
    return {"series": series, **rest} if series else None


def _asked(measured: Mapping[str, Any], audit: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, report) for name, report in measured["worlds"].items() if audit in report["audits"]]


def _has(report: Mapping[str, Any], audit: str, detail: str) -> bool:
    return detail in report["audits"][audit]["details"]


def _series(
    measured: Mapping[str, Any],
    audit: str,
    detail: str,
    draw: Callable[[Details], Mapping[str, Any]],
    beside: Sequence[str],
) -> list[dict[str, Any]]:
    """A series of every model, then of the controls ``beside``, as far as they have the ``detail``."""
    asked = {name: report for name, report in _asked(measured, audit) if _has(report, audit, detail)}
    models = [name for name in asked if name not in measured["controls"]]
    names = [*models, *(name for name in beside if name in asked and name in measured["controls"])]
    return [{"name": name, **draw(asked[name]["audits"][audit]["details"])} for name in names[:WORLDS]]
