"""`videosim rank`: what it writes, what it says of too little, and policies that stop where they should."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from videosim.agents import rank
from videosim.agents.learn import learn
from videosim.agents.rank import BARS, CONTROLS, main, verdicts
from videosim.checkpoint import save_checkpoint
from videosim.config import AgentConfig, RankConfig
from videosim.envs.physics import load_world
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.world_model import WorldModel


def figure(value: float, low: float | None = None, high: float | None = None, n: int = 24) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high, "n": n}


def test_an_undecided_correlation_says_what_would_settle_it() -> None:
    figures = {
        "pearson_r": figure(0.95, 0.84, 0.99, 12), "mmrv_of_chance": figure(0.1, 0.0, 0.14),
        "drop_one_range": figure(0.2, 0.1, 0.3), "bias": figure(0.04, 0.01, 0.07),
    }  # fmt: skip
    said = [row[2] for row in verdicts(figures)]
    assert said == ["INCONCLUSIVE: 15 policies would settle it", "PASS", "FAIL", "INCONCLUSIVE"]
    figures["pearson_r"] = figure(0.5, 0.1, 0.8)
    assert verdicts(figures)[0][2] == "FAIL"
    assert len(verdicts(figures)) == len(BARS)


def test_controls_edit_actions_as_they_say() -> None:
    def act(seen: np.ndarray) -> np.ndarray:
        return np.full((len(seen), 2), 0.8, np.float32)

    again, half, reversed_ = (edit(act)(np.zeros((3, 4))) for edit in CONTROLS.values())
    assert np.abs(again - 0.8).max() < 1e-5 and (again != np.float32(0.8)).any()
    assert np.allclose(half, 0.4) and np.allclose(reversed_, -0.8)


@pytest.mark.parametrize("wrong", [{"state_policies": 3}, {"latent_policies": -1}, {"episodes": 1}])
def test_too_little_is_said_before_anything_is_trained(wrong: dict[str, int], tmp_path: Path) -> None:
    cfg = RankConfig(checkpoint="cartpole-swingup", cache=str(tmp_path), **wrong)
    with Run("rank", cfg, tmp_path / "run") as run, pytest.raises(VideoSimError, match="4 policies on the true state"):
        main(cfg, run)


def test_a_training_stops_when_it_has_come_far_enough(make_model: Callable[..., WorldModel], tmp_path: Path) -> None:
    model, agent = make_model(), AgentConfig(steps=2000, envs=4, rollout=16, batch=32, epochs=1, imagined_horizon=10)
    run = Run("agent", {}, tmp_path / "run")

    def steps(enough: float, folder: str) -> int:
        with run.progress(agent.steps, "training") as bar:
            learn("imagination", model, load_world("cartpole-swingup"), agent, 0, tmp_path / folder, bar, enough)
        return json.loads((tmp_path / folder / "curve.json").read_text())["steps"][-1]

    assert steps(-np.inf, "at once") < 100 and steps(np.inf, "never") >= 1900
    run.finish()


@pytest.mark.slow
def test_the_whole_ranking_of_a_model_that_knows_nothing(
    swingup_model: WorldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank, "_references", lambda *_: (0.0, 100.0))  # so short a training has learned nothing
    save_checkpoint(tmp_path / "checkpoint", swingup_model, {})
    agent = AgentConfig(steps=2000, envs=4, rollout=16, batch=32, epochs=1, hidden=[8], imagined_horizon=10)
    cfg = RankConfig(
        checkpoint=str(tmp_path / "checkpoint"), agent=agent, state_policies=4, latent_policies=1, episodes=3,
        reference_episodes=3, cache=str(tmp_path / "arms"),
    )  # fmt: skip
    for folder in ("first", "second"):
        with Run("rank", cfg, tmp_path / folder) as run:
            main(cfg, run)
    first, second = (json.loads((tmp_path / f / "result.json").read_text())["figures"] for f in ("first", "second"))
    assert first == second and {*BARS, "spearman", "regret_at_1", "largest_hole"} <= set(first)
    rows = list(csv.DictReader((tmp_path / "first" / "episodes.csv").read_text().splitlines()))
    assert len(rows) == 5 * 3 and {row["family"] for row in rows} == {"true state", "latents"}
    assert "Beside controls" in (tmp_path / "first" / "report.html").read_text()
