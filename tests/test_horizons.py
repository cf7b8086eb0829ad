"""The horizon curve: every length is a training of its own, and bad settings are named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from videosim.agents import horizons
from videosim.agents.arms import Arm, arm_key
from videosim.agents.evaluate import Scores
from videosim.agents.horizons import FRAGMENTS, main
from videosim.agents.scoring import Scored
from videosim.config import AgentConfig, HorizonsConfig, WorldConfig
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.world_model import WorldModel


def test_only_places_with_a_horizon_have_a_curve(tiny_model: WorldModel) -> None:
    assert FRAGMENTS == ["imagination", "imagination-by-physics", "imagination-blind"]
    for place in FRAGMENTS:
        keys = {arm_key(place, tiny_model, WorldConfig(), AgentConfig(imagined_horizon=h), 0) for h in (5, 15)}
        assert len(keys) == 2


def test_the_curve_is_of_the_lengths_asked(tiny_model: WorldModel, tmp_path: Path, monkeypatch: Any) -> None:
    def train_arms(model: Any, world: Any, agent: AgentConfig, places: Any, seeds: Any, cache: Any, run: Any) -> Any:
        about: Any = SimpleNamespace(mode="state", length=agent.imagined_horizon)
        return {place: [Arm(place, seed, tmp_path, about) for seed in seeds] for place in places}

    def score_arms(arms: Any, model: Any, world: Any, episodes: int, seed: int, bar: Any) -> Any:
        def scored(arm: Any) -> Scored:
            returns = np.full(episodes, 10.0 * arm.policy.length)
            return Scored(Scores(returns, np.zeros(episodes, bool), returns, returns), returns)

        return {place: [scored(arm) for arm in members] for place, members in arms.items()}

    monkeypatch.setattr(horizons, "load_with_physics", lambda name: (tiny_model, WorldConfig(name="tiny")))
    monkeypatch.setattr(horizons, "train_arms", train_arms)
    monkeypatch.setattr(horizons, "score_arms", score_arms)
    cfg = HorizonsConfig(checkpoint="x", horizons=[15, 5], arms=["imagination", "imagination-by-physics"], seeds=2)
    with Run("horizons", cfg, tmp_path / "run") as run:
        main(cfg, run)
    assert run.figures["return_imagination_h5"]["value"] == 50
    assert run.figures["return_imagination_by_physics_h15"]["value"] == 150
    drawn = horizons.curves(run.figures, cfg.arms, [5, 15])
    assert drawn["x"] == [5, 15] and [line["y"] for line in drawn["series"]] == [[50, 150], [50, 150]]
    assert "The best is 15 steps" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"horizons": []}, "one horizon"), ({"horizons": [0]}, "from 1"), ({"arms": ["physics"]}, "physics")],
)
def test_bad_settings_are_named(wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
    cfg = HorizonsConfig(checkpoint="cartpole-swingup", **wrong)
    with pytest.raises(VideoSimError, match=said), Run("horizons", cfg, tmp_path / "run") as run:
        main(cfg, run)
    assert not (tmp_path / "run").exists()
