"""The README's Python blocks run as they stand, and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_shell_blocks_name_commands_that_exist() -> None:
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL))
    assert {"make demo", "make test"} <= set(re.findall(r"^make \w+", shell, flags=re.MULTILINE))
    assert set(re.findall(r"^videosim (\w+)", shell, flags=re.MULTILINE)) <= set(COMMANDS)
