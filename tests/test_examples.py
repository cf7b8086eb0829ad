"""The examples run as they stand, as a user would run them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_a_swing_up_is_learned_and_tried(tmp_path: Path) -> None:
    words = [sys.executable, str(EXAMPLES / "swing_up.py"), "2048"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"10 episodes in MuJoCo: [\d.]+ untrained, [\d.]+ .* after 2,048 imagined steps", done.stdout)
