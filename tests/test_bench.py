"""`videosim bench` records every figure that is relied on, and its long dream sees what it is meant to see."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from videosim.checkpoint import save_checkpoint
from videosim.config import BenchConfig, WorldConfig
from videosim.envs import bench
from videosim.envs.physics import PhysicsEnv
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
    monkeypatch.setattr(bench, "LONG_DREAM", 20)
    cfg = BenchConfig(checkpoint=str(checkpoint), envs=[1, 4], repeats=2, seconds=0.02, steps=40, contexts=2)
    with Run("bench", cfg, tmp_path / "out") as run:
        bench.main(cfg, run)
    figures = json.loads((tmp_path / "out" / "result.json").read_text())["figures"]
    speeds = {f"{kind}_steps_per_s_{n}" for kind in ("latent", "pixel") for n in (1, 4)}
    speeds |= {"physics_default_steps_per_s", "physics_fast_steps_per_s", "latent_ms_1"}
    speeds |= {"step_cost_ratio_40_to_10"}
    assert speeds | {"memory_growth_mb", "nan_rows_1000", "physical_range_fraction_1000"} <= set(figures)
    for name in speeds:
        figure = figures[name]
        assert 0 < figure["low"] <= figure["value"] <= figure["high"], name
        assert figure["n"] == 2
        assert figure["unit"]
    assert figures["nan_rows_1000"]["value"] == 0
    assert figures["nan_rows_1000"]["n"] == 2
    truth = figures["physical_range_fraction_1000_physics"]  # twenty steps from rest stay in range
    assert truth["value"] == 1.0 and truth["n"] == 40


def test_the_long_dream_counts_broken_and_unphysical_rows(
    tiny_model: WorldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "LONG_DREAM", 5)
    calls = iter(range(100))

    def sensors(state: dict[str, torch.Tensor]) -> torch.Tensor:
        values = torch.zeros(len(state["age"]), tiny_model.spec.sensors.size)
        values[0, 0] = 1.02  # beyond the range by 1 % of it
        if next(calls) == 10:  # once at the start, then twice a step: the last observation
            values[1, 1] = torch.nan
        return values

    monkeypatch.setattr(tiny_model, "sensors", sensors)
    run = Run("bench", None, tmp_path)
    bench._long_dream(BenchConfig(contexts=3), run, tiny_model, WorldConfig(), lambda _: None)
    figures = run.figures
    assert figures["nan_rows_1000"]["value"] == 1
    assert figures["physical_range_fraction_1000"]["n"] == 15
    strict, widened = (figures[f"physical_range_fraction_1000{end}"]["value"] for end in ("", "_widened"))
    assert strict == pytest.approx(9 / 15)
    assert widened == pytest.approx(14 / 15)


@pytest.mark.parametrize("bad", [{"repeats": 0}, {"seconds": 0.0}, {"steps": 5}, {"envs": [0]}, {"contexts": -1}])
def test_bad_settings(bad: dict[str, object], tmp_path: Path) -> None:
    cfg = BenchConfig(**bad)
    with pytest.raises(VideoSimError, match=r"bench needs|each 1 or more"), Run("bench", cfg, tmp_path / "out") as run:
        bench.main(cfg, run)
    assert not (tmp_path / "out").exists()
