"""What a training would take, from a short one."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from sum_world import MODEL

from videosim import gate
from videosim.config import TrainConfig
from videosim.run import Console, Run

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
TINY = TrainConfig(
    model=MODEL, held_out=0.2, threads=1, tokenizer_steps=6, tokenizer_batch=4, transition_steps=40, dynamics_steps=8,
    painter_steps=5, belief_steps=5, filter_steps=5, course_steps=5, batch=4, window=8, score_horizon=10,
    score_windows=8, contexts=4, task_contexts=2, context_frames=3,
)  # fmt: skip


@pytest.fixture
def timing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("training_time", EXPERIMENTS / "training_time.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_stage_is_counted_and_nothing_else(
    timing: ModuleType, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "PROBE_STEPS", 40)
    minutes = timing.estimated(replace(TINY, data=str(data)), Console(quiet=True))
    total = minutes.pop("all")
    assert set(minutes) == {"tokenizer", "transition", "painter", "dynamics", "belief", "else"}
    assert min(minutes.values()) > 0.0 and total == pytest.approx(sum(minutes.values()))


def test_a_stage_takes_as_many_times_longer_as_it_has_steps(
    timing: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(cfg: TrainConfig, run: Run) -> None:
        assert (cfg.transition_steps, cfg.belief_steps, cfg.evaluate_every) == (200, 1, 0)
        run.figure("training_minutes_transition", 2.0)
        run.figure("training_minutes_belief", 0.5)

    monkeypatch.setattr(timing.train, "main", trained)
    minutes = timing.estimated(replace(TINY, transition_steps=4000), Console(quiet=True))
    assert minutes["transition"] == 40.0 and minutes["belief"] == 2.5 and "tokenizer" not in minutes
