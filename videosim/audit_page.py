"""The page of `videosim audit`: what the worlds were found to be, beside what they had to be. Measures nothing.

Every bar on it is one of the bar file's, and every verdict one that measurements.json holds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from videosim.audit_plots import plots
from videosim.audit_tables import COSTS, costs, in_order, notes
from videosim.report import VERDICTS, Badge, Report, Table, number
from videosim.video import Film

if TYPE_CHECKING:
    from videosim.audits.ledger import Entry
    from videosim.audits.matrix import Score
    from videosim.audits.scene import Scene
    from videosim.audits.verdict import Bar, Bars

LEDGER = {"supported": "pass", "contradicted": "fail"}
SIGNS = {"at_least": "≥", "at_most": "≤"}


def page(
    measured: Mapping[str, Any],
    scene: Scene,
    judged: Score,
    bars: Bars,
    entries: Sequence[Entry],
    films: Sequence[Film],
) -> Report:
    """The report of one run.

    measured  what measurements.json holds
    scene     whose worlds they are
    entries   the ledger's, of the models of this run
    """
    models = [name for name in measured["worlds"] if name not in measured["controls"]]
    figures = measured["figures"]
    asked = [*_headline(bars), "control_sensitivity", "control_specificity"]
    return Report(
        title=f"Audit of {' and '.join(models)}" if models else "Audit of the audits",
        result=measured,
        summary=_summary(measured, judged, models),
        headline=[name for name in asked if name in figures],
        labels=_labels(bars),
        leading=[_verdicts(measured, scene.expected()), *_notes(measured), _audits(scene), *_ledger(entries, measured)],
        films=films,
        plots=plots(measured, bars),
        tables=[
            *(_metrics(name, measured["worlds"][name], bars) for name in models),
            *(_costs(name, measured["worlds"][name]) for name in models),
            *_differences(measured, models),
            _instrument(measured, bars),
            *_breaks(measured),
            *_graded(measured),
            *_failures(measured, bars),
            _made(measured, bars),
        ],
    )


def _summary(measured: Mapping[str, Any], judged: Score, models: Sequence[str]) -> str:
    said = []
    for name in models:
        found = [result["verdict"] for audit, result in measured["worlds"][name]["audits"].items() if audit != "A0"]
        counts = [found.count(verdict) for verdict in VERDICTS]
        said.append(
            f"{name} passes {counts[0]} of {len(found)} audits, fails {counts[1]} and leaves {counts[2]} open, at size "
            f"{measured['size']}."
        )
    if measured["controls"]:
        cells = judged.must_fail + judged.must_pass
        right = cells - len(judged.wrong)
        said.append(f"Of {cells} verdicts on {len(measured['controls'])} controls {right} are what they must be.")
    else:
        said.append("No control was asked, so nothing shows that the audits could have found a fault.")
    if judged.wrong:
        audits = in_order({audit for _, audit, *_ in judged.wrong})
        said.append(f"Void, for having erred about a control: {', '.join(audits)}.")
    return " ".join(said)


def _verdicts(measured: Mapping[str, Any], wanted: Mapping[str, Mapping[str, str]]) -> Table:
    reports = measured["worlds"]
    audits = in_order({audit for report in reports.values() for audit in report["audits"]} - {"A0"})
    rows = [
        (name, *(_verdict(report, audit, wanted.get(name, {})) for audit in audits)) for name, report in reports.items()
    ]
    note = (
        "A control is a world of which it is known beforehand what is wrong with it; with oracle, nothing is. "
        "Below the verdict on a control stands what it must be; an outlined cell is not that. A dash: that audit says "
        "nothing certain of this control. * has a note."
    )
    return Table("Verdicts", ("world", *audits), rows, note)


def _verdict(report: Mapping[str, Any], audit: str, wanted: Mapping[str, str]) -> Badge | str:
    if audit not in report["audits"]:
        return "–"
    found = report["audits"][audit]["verdict"]
    must = f"must {wanted[audit]}" if audit in wanted else ""
    star = "*" if audit in report["notes"] else ""
    return Badge(found + star, VERDICTS[found], must, odd=wanted.get(audit, found) != found)


def _notes(measured: Mapping[str, Any]) -> list[Table]:
    rows = [(name, *row) for name, report in measured["worlds"].items() for row in notes(report)]
    return [Table("* Notes", ("world", "audits", "note"), rows)] if rows else []


def _ledger(entries: Sequence[Entry], measured: Mapping[str, Any]) -> list[Table]:
    rows = [
        (e.claim.sentence, e.claim.model, f"L{e.claim.level}", _asked(e), e.measured or "–", _claimed(e), e.why)
        for e in entries
    ]
    note = f"Claims are written by hand and measured here, at size {measured['size']}."
    columns = ("claim", "model", "level", "asked", "measured", "verdict", "why")
    return [Table("Claims, and what was measured of them", columns, rows, note)] if rows else []


def _asked(entry: Entry) -> str:
    return f"{entry.claim.audit} {entry.claim.metric.replace('_', ' ')} {words(entry.claim.asks)}"


def _claimed(entry: Entry) -> Badge:
    return Badge(entry.verdict, LEDGER.get(entry.verdict, "open"))


def _metrics(name: str, report: Mapping[str, Any], bars: Bars) -> Table:
    rows = [row for audit in in_order(set(report["audits"]) - {"A0"}) for row in _rows(report, audit, bars)]
    note = "A bar was set before anything was measured, and applies to the interval. n: what was resampled."
    return Table(f"{name}, metric by metric", ("metric", *COLUMNS), rows, note)


def _costs(name: str, report: Mapping[str, Any]) -> Table:
    note = (
        "An audit stops at the first look at which its verdict is settled; the intervals of all looks hold together "
        "with 95 %. The seconds count the truth that it was the first to ask for."
    )
    return Table(
        f"What the audits of {name} took", COSTS, [costs(found) for found in report["audits"].items()], note, True
    )


COLUMNS = ("bar", "value", "95 % interval", "n", "verdict", "n that would settle it")


def _rows(report: Mapping[str, Any], audit: str, bars: Bars) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for metric, found in report["audits"][audit]["metrics"].items():
        badge = Badge(found["verdict"], VERDICTS[found["verdict"]])
        interval = f"{number(found['low'])} to {number(found['high'])}"
        bar = words(bars.audits[audit][metric])
        name = f"{audit} {metric.replace('_', ' ')}"
        rows.append((name, bar, found["value"], interval, found["n"], badge, found.get("n_wanted")))
    return rows


def words(bar: Bar) -> str:
    """A bar in signs: ``≥ 0.95, its interval ≥ 0.9``; of the interval nothing is said where it has the same limits."""
    value, bound = _limits(bar.kind, bar.limits), _limits(bar.kind, bar.bound)
    return value if value == bound else f"{value}, interval {bound}"


def _limits(kind: str, ends: Sequence[float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}" if kind == "within" else f"{SIGNS[kind]} {ends[0]:g}"


def _differences(measured: Mapping[str, Any], models: Sequence[str]) -> list[Table]:
    rows = [
        (
            f"{audit} {metric.replace('_', ' ')}",
            found["value"],
            f"{number(found['low'])} to {number(found['high'])}",
            found["n"],
        )
        for audit, metrics in measured["differences"].items()
        for metric, found in metrics.items()
    ]
    title = f"{models[-1]} less {models[0]}, paired over the same episodes" if rows else ""
    return [Table(title, ("metric", "difference", "95 % interval", "n"), rows)] if rows else []


def _instrument(measured: Mapping[str, Any], bars: Bars) -> Table:
    report = next(iter(measured["worlds"].values()))
    note = "The reader of frames on true frames. Where it does not pass, nothing else is measured."
    return Table("The instrument", ("metric", *COLUMNS), _rows(report, "A0", bars), note)


def _breaks(measured: Mapping[str, Any]) -> list[Table]:
    details = {
        name: report["audits"]["A1"]["details"]
        for name, report in measured["worlds"].items()
        if "kinds" in report["audits"].get("A1", {}).get("details", {})
    }
    broken = {name: found for name, found in details.items() if found["kinds"]}
    kinds = sorted({kind for found in broken.values() for kind in found["kinds"]})
    rows = [
        (name, *(found["kinds"].get(kind, 0) for kind in kinds), _frame(found["median_first_break"]))
        for name, found in broken.items()
    ]
    note = "Episodes by the kind of their first break (A1); worlds that are not here broke none."
    return [Table("How identities broke", ("world", *kinds, "median frame"), rows, note)] if rows else []


def _frame(number: float | None) -> float | str:
    return number if number is not None and math.isfinite(number) else "after the end"


def _failures(measured: Mapping[str, Any], bars: Bars) -> list[Table]:
    rows = [
        (name, *row)
        for name in measured["controls"]
        for audit in in_order(set(measured["worlds"][name]["audits"]) - {"A0"})
        for row in _rows(measured["worlds"][name], audit, bars)
        if row[5].said != "PASS"
    ]
    note = "Every metric of a control that did not pass, which is how a fault was seen."
    return (
        [Table("By what the controls failed", ("control", "metric", *COLUMNS), rows, note, folded=True)] if rows else []
    )


def _graded(measured: Mapping[str, Any]) -> list[Table]:
    from videosim.audits.severity import RANKED

    rows = []
    for row in measured["graded"]:
        steps = ", ".join(
            f"{number:g}: {figure:.3g}" for number, figure in zip(row["numbers"], row["figures"], strict=True)
        )
        verdict = "PASS" if row["spearman"] >= RANKED else "FAIL"
        said = (row["spearman"], f"≥ {RANKED:g}", Badge(verdict, VERDICTS[verdict]))
        rows.append((row["control"], f"{row['audit']} {row['figure'].replace('_', ' ')}", steps, *said))
    columns = ("fault", "figure", "strength: figure, mildest first", "rank correlation", "bar", "verdict")
    return [Table("Graded check", columns, rows)] if rows else []


def _audits(scene: Scene) -> Table:
    rows = [(a.name, a.title, f"L{a.level}", ", ".join(a.gate) or "–") for a in scene.audits.values()]
    return Table("What the audits ask", ("audit", "question", "level of evidence", "gated by"), rows)


def _made(measured: Mapping[str, Any], bars: Bars) -> Table:
    hashes = [("SHA-256 of the bar file", measured["bars_sha256"]), ("SHA-256 of the scene", measured["scene_sha256"])]
    weights = [(f"weights of {name}", weights) for name, weights in measured["weights"].items()]
    numbers = [(name.replace("_", " "), number) for name, number in bars.sizes.items()]
    return Table("Hashes and sizes", ("", f"size {measured['size']}"), [*hashes, *weights, *numbers], folded=True)


def _headline(bars: Bars) -> list[str]:
    """The figures of the audits that a reader asks for first."""
    named = [
        ("A3", "cai4_h{intervention_frames}"),
        ("A1", "identity_survival_{identity_frames}"),
        ("A17", "manoeuvre_accuracy_state"),
        ("A17", "manoeuvre_accuracy_picture"),
    ]
    return [figure.format(**bars.sizes) for audit, figure in named if audit in bars.audits]


def _labels(bars: Bars) -> dict[str, str]:
    words = {
        "cai4_h{intervention_frames}": "Futures told apart after {intervention_frames} frames, CAI@4",
        "identity_survival_{identity_frames}": "Episodes without an identity break in {identity_frames} frames",
        "manoeuvre_accuracy_state": "Manoeuvres told apart by the sensors it says it has",
        "manoeuvre_accuracy_picture": "Manoeuvres told apart by its pictures",
        "control_sensitivity": "Of the controls' cells that must fail, did",
        "control_specificity": "Of the controls' cells that must pass, did",
        "probe_floor_fraction": "Error of the reader as a share of the arena",
        "reader_speed_r2": "R² of the speed that is read off true frames",
        "reader_yaw_rate_r2": "R² of the yaw rate that is read off true frames",
    }
    sizes: dict[str, Any] = defaultdict(str, bars.sizes)
    return {figure.format_map(sizes): said.format_map(sizes) for figure, said in words.items()}
