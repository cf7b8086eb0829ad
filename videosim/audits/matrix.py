"""The audit of the audits: does each say of every control what it must?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

import yaml

from videosim.audits.exam import Exam
from videosim.audits.verdict import FAIL, PASS
from videosim.audits.world import PhysicsWorld

Matrix = Mapping[str, Mapping[str, str]]  # control -> audit -> verdict


def expected() -> Matrix:
    """The expected verdicts; the codec's row is missing, for it needs a checkpoint to be opened."""
    return yaml.safe_load((files("videosim.audits") / "matrix.yaml").read_text())


def measured(exam: Exam, controls: Iterable[str]) -> Matrix:
    """The verdicts that ``exam`` comes to, in the cells that are expected."""
    found = {}
    for name in controls:
        world = PhysicsWorld(f"control:{name}")
        report = exam.examine(world, tuple(expected()[name]))
        found[name] = {audit: report.results[audit].verdict for audit in expected()[name]}
        world.close()
    return found


@dataclass(frozen=True)
class Score:
    """How well audits tell broken worlds from sound ones; 1.00 and 1.00 are wanted.

    sensitivity  share of the cells that must fail that did
    specificity  share of the cells that must pass that did
    wrong        (control, audit, expected, found) of every other cell
    """

    sensitivity: float
    specificity: float
    wrong: list[tuple[str, str, str, str]]


def score(found: Matrix, wanted: Matrix) -> Score:
    """Compare, cell by cell, over the controls of ``found``."""
    cells = [(c, audit, wanted[c][audit], verdict) for c, row in found.items() for audit, verdict in row.items()]

    def share(kind: str) -> float:
        right = [verdict == kind for *_, want, verdict in cells if want == kind]
        return sum(right) / len(right) if right else 1.0

    return Score(share(FAIL), share(PASS), [cell for cell in cells if cell[2] != cell[3]])
