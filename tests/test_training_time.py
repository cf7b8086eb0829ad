"""What a training would take, from a short one."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from sum_world import MODEL

from videosim import gate
from videosim.config import TrainConfig
from videosim.run import Console

TINY = TrainConfig(
    model=MODEL, held_out=0.2, threads=1, tokenizer_steps=6, tokenizer_batch=4, transition_steps=40, dynamics_steps=8,
    painter_steps=5, belief_steps=5, filter_steps=5, course_steps=5, batch=4, window=8, score_horizon=10,
    score_windows=8, contexts=4, task_contexts=2, context_frames=3,
)  # fmt: skip


def test_every_stage_is_counted_and_nothing_else(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PROBE_STEPS", 40)
    path = Path(__file__).parents[1] / "experiments" / "training_time.py"
    spec = importlib.util.spec_from_file_location("training_time", path)
    assert spec is not None and spec.loader is not None
    timing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(timing)
    minutes = timing.estimated(replace(TINY, data=str(data)), Console(quiet=True))
    total = minutes.pop("all")
    assert set(minutes) == {"tokenizer", "transition", "painter", "dynamics", "belief", "else"}
    assert min(minutes.values()) > 0.0 and total == pytest.approx(sum(minutes.values()))
    longer = timing.estimated(replace(TINY, data=str(data), transition_steps=4000), Console(quiet=True))
    assert longer["transition"] > 5 * minutes["transition"]  # of a hundred times as many
