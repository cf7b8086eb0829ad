"""`videosim bench` records every figure that is relied on, and its long dream sees what it is meant to see."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from videosim.checkpoint import load_checkpoint, save_checkpoint
from videosim.config import BenchConfig, WorldConfig
from videosim.envs import bench, long_dream
from videosim.envs.physics import PhysicsEnv, load_world
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.world_model import WorldModel


@pytest.fixture
def checkpoint(make_model: Callable[..., WorldModel], tmp_path: Path) -> Path:
    env = PhysicsEnv(WorldConfig(height=48, width=48))
    env.reset(seed=0)
    begun = torch.as_tensor(env.save())[None]
    save_checkpoint(tmp_path / "model", make_model(spec=env.world_spec, physics=begun.repeat(3, 1)), {})
    env.close()
    return tmp_path / "model"


def test_every_figure_is_there(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_dream, "STEPS", 20)
    cfg = BenchConfig(checkpoint=str(checkpoint), envs=[1, 4], repeats=2, seconds=0.02, steps=40, contexts=2)
    with Run("bench", cfg, tmp_path / "out") as run:
        bench.main(cfg, run)
    figures = json.loads((tmp_path / "out" / "result.json").read_text())["figures"]
    speeds = {f"{kind}_steps_per_s_{n}" for kind in ("latent", "pixel") for n in (1, 4)}
    speeds |= {"physics_default_steps_per_s", "physics_fast_steps_per_s", "latent_ms_1"}
    speeds |= {"step_cost_ratio_40_to_10"}
    assert speeds | {"memory_growth_mb", "nan_rows_20", "physical_range_fraction_20"} <= set(figures)
    for name in speeds:
        figure = figures[name]
        assert 0 < figure["low"] <= figure["value"] <= figure["high"], name
        assert figure["n"] == 2
        assert figure["unit"]
    assert figures["nan_rows_20"]["value"] == 0
    assert figures["nan_rows_20"]["n"] == 2
    truth = figures["declared_range_fraction_20_physics"]  # twenty steps from rest stay in range
    assert truth["value"] == 1.0 and truth["n"] == 2
    assert figures["physical_range_fraction_20_physics"]["value"] <= 1.0


def test_the_long_dream_counts_broken_and_unphysical_rows(
    tiny_model: WorldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_dream, "STEPS", 5)
    calls = iter(range(100))

    def sensors(state: dict[str, torch.Tensor]) -> torch.Tensor:
        values = torch.zeros(len(state["age"]), tiny_model.spec.sensors.size)
        values[0, 0] = 1.02  # beyond the range by 1 % of it
        if next(calls) == 10:  # once at the start, then twice a step: the last observation
            values[1, 1] = torch.nan
        return values

    monkeypatch.setattr(tiny_model, "sensors", sensors)
    run = Run("bench", None, tmp_path)
    long_dream.long_dream(tiny_model, WorldConfig(), 3, 0, run, lambda _: None)
    figures = run.figures
    assert figures["nan_rows_5"]["value"] == 1
    share = figures["declared_range_fraction_5"]
    assert share["n"] == 3
    assert share["value"] == pytest.approx(9 / 15)
    assert share["low"] < share["value"] < share["high"]


def test_where_physics_does_not_go_is_not_physical(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From rest, half a second of pushing cannot turn the pole round, though every cosine has been declared."""
    monkeypatch.setattr(long_dream, "STEPS", 3)
    model = load_checkpoint(checkpoint)
    truth = long_dream._followed(env := PhysicsEnv("cartpole-swingup"), model.contexts.physics[0].numpy(), 0)
    env.close()
    shown = torch.as_tensor(truth[-1])
    model.contexts.sensors = torch.as_tensor(truth[:1]).repeat(len(model.contexts), 1)

    def sensors(state: dict[str, torch.Tensor]) -> torch.Tensor:
        rows = shown.repeat(len(state["age"]), 1)
        rows[1:, 1] = 0.0  # a cosine: level with the cart
        return rows

    monkeypatch.setattr(model, "sensors", sensors)
    run = Run("bench", None, tmp_path)
    long_dream.long_dream(model, load_world("cartpole-swingup"), 2, 0, run, lambda _: None)
    assert run.figures["physical_range_fraction_3"]["value"] == pytest.approx(0.5)
    assert run.figures["declared_range_fraction_3"]["value"] == 1.0


@pytest.mark.parametrize("bad", [{"repeats": 0}, {"seconds": 0.0}, {"steps": 5}, {"envs": [0]}, {"contexts": -1}])
def test_bad_settings(bad: dict[str, object], tmp_path: Path) -> None:
    cfg = BenchConfig(**bad)
    with pytest.raises(VideoSimError, match=r"bench needs|each 1 or more"), Run("bench", cfg, tmp_path / "out") as run:
        bench.main(cfg, run)
    assert not (tmp_path / "out").exists()


def test_a_bar_holds_where_all_that_was_measured_is_within_it() -> None:
    def figure(value: float, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
        return {"value": value, "low": low, "high": high}

    said = bench.asked(
        {
            "latent_steps_per_s_256": figure(16_000, 15_500, 17_000),
            "pixel_steps_per_s_256": figure(2_100, 1_900, 2_200),
            "latent_ms_1": figure(2.5, 2.1, 2.8),
            "nan_rows_1000": figure(0),
            "physical_range_fraction_1000": figure(0.999, 0.985, 1.0),
            "memory_growth_mb": figure(0.0),
        }
    )
    assert said == {
        "latent_steps_per_s_256": "≥ 15000: PASS",
        "pixel_steps_per_s_256": "≥ 2000: INCONCLUSIVE",
        "latent_ms_1": "≤ 2: FAIL",
        "nan_rows_1000": "≤ 0: PASS",
        "physical_range_fraction_1000": "≥ 0.99: INCONCLUSIVE",
    }
