"""What `videosim audit` prints: verdicts of every world, figures of the models, and what the audits are worth."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from videosim.run import Run

if TYPE_CHECKING:
    from videosim.audits.matrix import Score

SHORT = {"INCONCLUSIVE": "?"}
NUMBERS = ("value", "low", "high", "n")


def show(measured: Mapping[str, Any], wanted: Mapping[str, Mapping[str, str]], judged: Score, run: Run) -> None:
    """Add the tables of one run to it; ``measured`` is what measurements.json holds."""
    reports, controls = measured["worlds"], measured["controls"]
    audits = in_order({audit for report in reports.values() for audit in report["audits"]} - {"A0"})
    run.table(
        f"{measured['scene']}, size {measured['size']}; ? is inconclusive, * has a note, ! is not what the "
        "control must get",
        ("world", *audits),
        [(name, *(_cell(report, audit, wanted.get(name, {})) for audit in audits)) for name, report in reports.items()],
    )
    noted = [(name, *row) for name, report in reports.items() for row in notes(report)]
    if noted:
        run.table("notes", ("world", "audits", "note"), noted)
    for name, report in reports.items():
        if name not in controls:
            run.table(name, ("metric", *NUMBERS, "verdict", "n wanted"), _figures(report))
    if measured["differences"]:
        first, second = (name for name in reports if name not in controls)
        run.table(
            f"{second} less {first}, paired over the same episodes; * where the interval excludes 0",
            ("metric", *NUMBERS, ""),
            [
                (f"{audit} {metric}", *(found[k] for k in NUMBERS), _sign(found))
                for audit, rows in measured["differences"].items()
                for metric, found in rows.items()
            ],
        )
    if controls:
        run.table(
            "the audit of the audits",
            ("", "share", "cells"),
            [
                ("sensitivity: of what must fail, did", judged.sensitivity, judged.must_fail),
                ("specificity: of what must pass, did", judged.specificity, judged.must_pass),
            ],
        )
    if measured["graded"]:
        run.table(
            "graded check: a fault at five strengths, mildest first; rank correlation with the figure that sees it",
            ("fault", "figure", "mildest to strongest", "Spearman"),
            [_graded(row) for row in measured["graded"]],
        )


def verdicts(report: Mapping[str, Any]) -> dict[str, str]:
    """Audit -> verdict of a report as JSON types."""
    return {name: result["verdict"] for name, result in report["audits"].items()}


def in_order(audits: Collection[str]) -> list[str]:
    """By number: A9 before A14."""
    return sorted(audits, key=lambda audit: int(audit[1:]))


def _cell(report: Mapping[str, Any], audit: str, wanted: Mapping[str, str]) -> str:
    found = verdicts(report).get(audit, "")
    wrong = " !" if found and wanted.get(audit, found) != found else ""
    return SHORT.get(found, found) + ("*" if audit in report["notes"] else "") + wrong


def notes(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every note once, behind the audits it is about."""
    about: dict[str, list[str]] = {}
    for audit, note in report["notes"].items():
        about.setdefault(note, []).append(audit)
    return [(", ".join(audits), note) for note, audits in about.items()]


def _figures(report: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (f"{audit} {metric}", *(found.get(k) for k in (*NUMBERS, "verdict", "n_wanted")))
        for audit, result in report["audits"].items()
        for metric, found in result["metrics"].items()
    ]


def _sign(found: Mapping[str, Any]) -> str:
    low, high = found["low"], found["high"]
    return "*" if low is not None and high is not None and low * high > 0 else ""


def _graded(row: Mapping[str, Any]) -> tuple[Any, ...]:
    figures = "  ".join(f"{value:.3g}" for value in row["figures"])
    return row["control"], f"{row['audit']} {row['figure']}", figures, row["spearman"]
