"""The audit of the audits: does each say of every control what it must?"""

from __future__ import annotations

from dataclasses import dataclass

from videosim.audits.exam import Exam, Report
from videosim.audits.scene import Matrix
from videosim.audits.verdict import FAIL, PASS


def examine_control(exam: Exam, name: str) -> Report:
    """Those audits of the control ``name`` that have an expected verdict."""
    world = exam.scene.control(name)
    report = exam.examine(world, tuple(exam.scene.expected()[name]))
    world.close()
    return report


@dataclass(frozen=True)
class Score:
    """How well audits tell broken worlds from sound ones; 1.00 and 1.00 are wanted.

    sensitivity  share of the cells that must fail that did
    specificity  share of the cells that must pass that did
    must_fail, must_pass  how many cells those are
    wrong        (control, audit, expected, found) of every other cell
    """

    sensitivity: float
    specificity: float
    must_fail: int
    must_pass: int
    wrong: list[tuple[str, str, str, str]]


def score(found: Matrix, wanted: Matrix) -> Score:
    """Compare cell by cell, over the controls of ``found``."""
    cells = [
        (control, audit, verdict, verdicts[audit])
        for control, verdicts in found.items()
        for audit, verdict in wanted[control].items()
    ]

    def share(kind: str) -> float:
        right = [said == kind for *_, want, said in cells if want == kind]
        return sum(right) / len(right) if right else 1.0

    kinds = [want for *_, want, _ in cells]
    counts = kinds.count(FAIL), kinds.count(PASS)
    return Score(share(FAIL), share(PASS), *counts, [cell for cell in cells if cell[2] != cell[3]])
