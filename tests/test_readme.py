"""The README's Python blocks run as they stand, and its commands exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from videosim.audits.catalogue import AUDITS
from videosim.cli import COMMANDS

TEXT = (Path(__file__).parents[1] / "README.md").read_text()
# A block after the comment <!-- slow --> trains something.
BLOCKS = re.findall(r"(<!-- slow -->\n)?```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, marks=[pytest.mark.slow] if slow else [], id=f"block-{i}")
        for i, (slow, code) in enumerate(BLOCKS)
    ],
)
def test_python_blocks_run(code: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_there_is_a_quickstart() -> None:
    assert BLOCKS


# --- figures ---------------------------------------------------------------------------------------------------------

RESULTS = Path(__file__).parents[1] / "experiments" / "results"
AUDITED = re.compile(r"`videosim (audit|ledger)")
FIGURE = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)+(?![\w.]*\w)|\b\d+(?= ?%)")


def typed(text: str) -> list[str]:
    """Decimals and percentages in the paragraphs about audits, outside code and outside what is generated."""
    prose = re.sub(r"<!-- results:begin -->.*<!-- results:end -->|```.*?```", "", text, flags=re.DOTALL)
    paragraphs = [part for part in prose.split("\n\n") if AUDITED.search(part)]
    return [figure for part in paragraphs for figure in FIGURE.findall(re.sub(r"`[^`]*`", "", part))]


def measured() -> list[float]:
    """Every value and end of an interval in the committed results of audits."""
    found = [json.loads(path.read_text())["figures"] for path in sorted(RESULTS.glob("*/audit.json"))]
    ends = [row.get(key) for figures in found for row in figures.values() for key in ("value", "low", "high", "n")]
    return [float(end) for end in ends if end is not None]


def backed(figure: str, values: Sequence[float]) -> bool:
    """Whether one of ``values`` is the ``figure`` when it is rounded to as many digits; a percentage has none."""
    number, digits = float(figure.replace(",", "")), len(figure.partition(".")[2])
    scale = 1.0 if digits else 100.0
    return any(round(scale * value, digits) == number or round(value, digits) == number for value in values)


def test_every_figure_about_audits_was_measured_by_one() -> None:
    values = measured()
    assert [figure for figure in typed(TEXT) if not backed(figure, values)] == []


def test_a_figure_that_nobody_measured_is_found() -> None:
    text = (
        "Not about it: 0.77.\n\n`videosim audit` gives 0.95 and 98 % of `x=0.33`, in 10.5 s.\n\n`videosim rank`: 0.5."
    )
    assert typed(text) == ["0.95", "98", "10.5"]
    assert [backed(figure, [0.9512, 0.98]) for figure in typed(text)] == [True, True, False]


def test_every_audit_that_is_named_exists() -> None:
    prose = re.sub(r"<!-- results:begin -->.*<!-- results:end -->", "", TEXT, flags=re.DOTALL)
    assert set(re.findall(r"\bA\d+\b", prose)) <= {"A0"}.union(*AUDITS.values())


def test_shell_blocks_name_commands_that_exist() -> None:
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL))
    assert {"make demo", "make test"} <= set(re.findall(r"^make \w+", shell, flags=re.MULTILINE))
    assert set(re.findall(r"^videosim (\w+)", shell, flags=re.MULTILINE)) <= set(COMMANDS)
