"""The comparison of cores: its arithmetic, and a whole one at a tiny size."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from rich.console import Console
from sum_world import SPEC, episode

from videosim.checkpoint import load_checkpoint
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.held_out import open_loop_scores
from videosim.types import FrameSpec

FOLDER = Path(__file__).parents[1] / "experiments"


def loaded(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


written = loaded("backbones_report")
backbones = loaded("backbones")


def test_a_power_law_is_found_again_and_two_meet_where_they_do() -> None:
    compute = np.array([1.0, 4.0, 32.0])
    slow, fast = written.Law.fitted(compute, 0.5 * compute**-0.2), written.Law.fitted(compute, 0.8 * compute**-0.4)
    assert fast.exponent.value == pytest.approx(0.4) and fast.scale == pytest.approx(0.8)
    assert fast.exponent.low == pytest.approx(0.4, abs=1e-6)
    meets = fast.crossing(slow)
    assert meets == pytest.approx((0.8 / 0.5) ** (1 / 0.2)) == slow.crossing(fast)
    assert fast.crossing(fast) == np.inf


def cells(worse: float) -> list:
    """Of two seeds, whose flow core with four steps is ``worse`` times as bad as the denoiser."""
    rng = np.random.default_rng(0)
    made = []
    for seed in range(2):
        error = rng.uniform(0.9, 1.1, (40, 16))
        dreams = {"flow K=4/error": worse * error, "denoiser K=32/error": error}
        made.append(written.Cell("flow", seed, 1.0, {}, dreams))
    return made


@pytest.mark.parametrize(("worse", "verdict"), [(1.0, "PASS"), (1.5, "FAIL"), (1.05, "INCONCLUSIVE")])
def test_a_bar_is_passed_by_the_whole_interval_or_not(worse: float, verdict: str) -> None:
    (row,) = written.bars(cells(worse), {}, np.random.default_rng(0))
    assert row[-1] == verdict and "flow K=4" in row[0]


def test_speed_is_a_ratio_of_times() -> None:
    speed = {"masked K=8": (5.0, 1.0), "token by token": (40.0, 1.0), "denoiser K=32": (60.0, 1.0)}
    rows = written.bars(cells(1.0), speed, np.random.default_rng(0))
    said = {row[0]: row[1:] for row in rows}
    assert said["masked K=8, times faster than the denoiser"] == ["12.00", "≥ 3", "PASS"]
    assert said["masked K=8, times faster than token by token"] == ["8.00", "≥ 10", "FAIL"]


@pytest.mark.parametrize(("worse", "quick"), [(1.0, "masked K=1"), (1.2, "masked K=4"), (2.0, "masked K=8")])
def test_a_core_is_as_fast_as_the_fewest_passes_that_are_as_good_as_all(worse: float, quick: str) -> None:
    rng = np.random.default_rng(0)
    made = []
    for seed in range(2):
        error = rng.uniform(0.9, 1.1, (40, 16))
        arms = {
            "masked K=1": worse,
            "masked K=4": 1.0 if worse < 2.0 else worse,
            "masked K=8": 1.0,
            "token by token": 1.0,
        }
        made.append(written.Cell("masked", seed, 1.0, {}, {f"{arm}/error": far * error for arm, far in arms.items()}))
    speed = {
        "masked K=1": (2.0, 1.0),
        "masked K=4": (4.0, 1.0),
        "masked K=8": (8.0, 1.0),
        "token by token": (64.0, 1.0),
    }
    said = {row[0]: row[1] for row in written.bars(made, speed, np.random.default_rng(0))}
    assert said[f"{quick}, times faster than token by token"] == f"{64 / speed[quick][0]:.2f}"
    assert said[f"{quick}, error over that of token by token"].startswith("1 [")


def test_words_that_are_no_settings_are_refused() -> None:
    assert backbones.settings(["minutes=2.5", "kinds=[flow]"]).kinds == ["flow"]
    for words in (["minute=2"], ["minutes=many"]):
        with pytest.raises(VideoSimError, match="minute"):
            backbones.settings(words)
    with pytest.raises(VideoSimError, match="recurrent"):
        backbones.core(backbones.Settings(), "gan")


@pytest.mark.slow
def test_a_whole_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EpisodeStore.create(tmp_path / "data", replace(SPEC, frame=FrameSpec(32, 32)))
    for seed in range(12):
        one = episode(seed)
        store.append(replace(one, frames=one.frames.repeat(2, 1).repeat(2, 2)))
    for name, value in {"FRACTIONS": (1.0, 0.5), "ROWS": 2, "REPEATS": 1, "DENOISER": 8, "TIMED": 2}.items():
        monkeypatch.setattr(backbones, name, value)
    s = backbones.Settings(
        data=str(tmp_path / "data"), out=str(tmp_path / "out"), minutes=0.01, tokenizer_minutes=0.01, seeds=1,
        width=24, memory=16, batch=4, window=6, horizon=6, windows=5,
    )  # fmt: skip
    out = backbones.compared(s, Console(quiet=True))
    table = (out / "table.md").read_text()
    for arm in ("recurrent", "flow K=1", "denoiser K=8", "masked K=8", "token by token", "frozen flow", "PASS"):
        assert arm in table
    assert {p.name for p in out.glob("*.*")} >= {"cells.csv", "table.md", "horizon.png", "compute.png", "result.json"}
    passes = {"recurrent": None, "flow": 4, "masked": 8}
    for kind, count in passes.items():
        kept = load_checkpoint(out / "cells" / f"{kind}-0-1of1" / "checkpoint")
        assert kept.config.dynamics.kind == kind and getattr(kept.config.dynamics, "steps", None) == count
        assert float(kept.dynamics.sensor_high.max()) < 100.0  # it dreams of nothing that no recording holds
    trained = json.loads((out / "cells" / "recurrent-0-1of1" / "result.json").read_text())["figures"]
    assert {"transition_steps", "painter_steps", "dynamics_steps", "beliefs_steps"} <= set(trained)
    stamps = {p: p.stat().st_mtime_ns for p in (out / "cells").rglob("result.json")}
    assert len(stamps) == 6
    backbones.compared(s, Console(quiet=True))
    assert stamps == {p: p.stat().st_mtime_ns for p in (out / "cells").rglob("result.json")}
    with pytest.raises(VideoSimError, match="other settings"):
        backbones.compared(replace(s, window=5), Console(quiet=True))
    comparison = backbones.Comparison(s, Console(quiet=True))
    model = comparison.tokenized("flow", 0)
    model.eval()
    error = comparison.dreamed(model)["error"]
    scores = open_loop_scores(model, comparison.test, s.horizon, s.windows, 0)
    assert float(error[:, 4].mean()) == pytest.approx(scores["error_5"])
    torch.testing.assert_close(comparison.dreamed(model)["error"], error)
