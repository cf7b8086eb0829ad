"""The comparison's arithmetic, caching and verdicts on scores that are known; the command itself on a model that knows
nothing (slow)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from videosim.agents.arms import arm_key, train_arms
from videosim.agents.bars import BARS, judged, shortfalls
from videosim.agents.closed_loop import ClosedLoop
from videosim.agents.evaluate import Scores
from videosim.agents.films import by_score, replay
from videosim.agents.gap import main
from videosim.agents.gap_figures import arm_figures, seed_rows
from videosim.agents.gap_report import ARMS, arm_rows, summary, training_curves
from videosim.agents.learn import PLACES
from videosim.agents.places import model_frames
from videosim.agents.scoring import Scored, _read, _write
from videosim.agents.settings import digest
from videosim.checkpoint import save_checkpoint
from videosim.config import AgentConfig, GapConfig, WorldConfig
from videosim.envs.physics import PhysicsEnv, load_world
from videosim.envs.worlds import COLUMNS, time_upright
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.statistics import iqm
from videosim.world_model import WorldModel

RNG = np.random.default_rng


def scored(returns: Any, dreamed: Any = None, success: Any = None) -> Scored:
    """One policy over the episodes with these returns."""

    def scores(values: Any) -> Scores:
        count = len(values)
        won = np.zeros(count, bool) if success is None else np.asarray(success)
        return Scores(np.asarray(values, float), won, np.zeros((count, 5, 5), np.float32), np.full(count, 4))

    return Scored(
        scores(returns), np.zeros((len(returns), 4, 1), np.float32), None if dreamed is None else scores(dreamed)
    )


ARMS_SCORED = {
    "imagination": [scored([80, 100, 60], [100, 110, 90]), scored([90, 70, 50], [90, 90, 90])],
    "physics": [scored([100, 120, 80], [100, 100, 100]), scored([100, 100, 100], [100, 100, 100])],
    "random": [scored([10, 20, 0])],
}


# --- figures ---------------------------------------------------------------------------------------------------------


def test_the_ratio_is_that_of_the_returns_shown() -> None:
    figures = arm_figures(ARMS_SCORED, {}, False, RNG(0))
    value = {name: figure.value for name, figure in figures.items()}
    assert value["return_imagination"] == pytest.approx(75) and value["return_physics"] == pytest.approx(100)
    assert value["return_ratio"] == pytest.approx(value["return_imagination"] / value["return_physics"])
    assert value["return_ratio_normalised"] == pytest.approx((75 - 10) / (100 - 10))
    assert value["return_dreamed"] == pytest.approx(95)
    assert value["transfer_drop"] == pytest.approx(value["return_dreamed"] - value["return_imagination"])
    assert value["return_imagination_iqm"] == pytest.approx(iqm(np.array([80, 100, 60, 90, 70, 50])))
    assert figures["return_imagination"].n == 6 and figures["return_ratio"].n == 3
    assert all(f.low <= f.value <= f.high for f in figures.values())


def test_a_world_scored_by_success_is_compared_by_success() -> None:
    arms = {
        "imagination": [scored([9, 9, 9, 9], [9] * 4, [True, True, False, False])],
        "physics": [scored([1, 1, 1, 1], [1] * 4, [True, True, True, False])],
    }
    figures = arm_figures(arms, {}, True, RNG(0))
    assert figures["return_ratio"].value == pytest.approx(0.5 / 0.75)
    assert figures["success_imagination"].value == 0.5


def test_a_spinning_pole_is_not_upright() -> None:
    steps = 251
    sensors = np.zeros((4, steps, 5), np.float32)
    angle = np.cumsum(np.full(steps, 12 * 0.04))
    sensors[0, :, 1], sensors[0, :, 2], sensors[0, :, 4] = np.cos(angle), np.sin(angle), 12.0  # spins
    sensors[1, :, 1] = 1.0  # stands
    sensors[2, :, 1] = -1.0  # hangs
    sensors[3, :, 1] = np.where(np.arange(steps) < 140, 1.0, np.nan)  # stood, then the episode ended early
    spin, stands, hangs, ended = time_upright(sensors)
    assert (spin, stands, hangs) == (0.0, 1.0, 0.0) and 0.1 < ended < 0.2
    assert set(COLUMNS["dm_control:cartpole-swingup"]) == {"time_upright"} and "dm_control:reacher-easy" not in COLUMNS


def test_dots_show_every_policy() -> None:
    rows = seed_rows(ARMS_SCORED, ARMS, RNG(0))
    assert [row["value"] for row in rows[:3]] == pytest.approx([75, 80, 70])
    assert [row["name"] for row in rows].count("· policy 0") == 4 and rows[-1]["name"] == "random actions"


# --- the closed loop -------------------------------------------------------------------------------------------------


def test_lockstep_figures() -> None:
    error = np.tile(np.linspace(0, 0.2, 21), (6, 1))  # passes 10 % after step 10
    real = np.tile(np.arange(6.0)[:, None], (1, 20))
    figures = ClosedLoop(error, real + 0.5, real).figures(RNG(0))
    assert figures["closed_loop_horizon_frames"].value == 11
    assert figures["reward_gap"].value == pytest.approx(0.5) and figures["pearson_r"].value == pytest.approx(1.0)
    assert len(ClosedLoop(error, real, real).plots()[0]["x"]) == 21


# --- verdicts --------------------------------------------------------------------------------------------------------


def test_the_whole_interval_must_clear_the_bar() -> None:
    def said(value: float | None, low: float | None, high: float | None) -> str:
        figures = {"return_ratio": {"value": value, "low": low, "high": high}}
        return next(row[-1] for row in judged("reacher-easy", figures) if row[0] == "return_ratio")

    assert said(0.95, 0.91, 0.99) == "PASS"
    assert said(0.95, 0.85, 1.05) == "INCONCLUSIVE"
    assert said(0.89, 0.80, 0.93) == "INCONCLUSIVE"
    assert said(0.85, 0.80, 0.89) == "FAIL"
    assert said(None, None, None) == "FAIL"


def test_what_fell_short_is_said() -> None:
    good = {name: {"value": 2 * bar, "low": 1.5 * bar} for name, bar in BARS["cartpole-swingup"].items()}
    good |= {
        "return_random": {"value": 30.0},
        "return_imagination": {"value": 1000.0},
        "return_dreamed": {"value": 1010.0},
    }
    assert shortfalls("cartpole-swingup", good, 3, 50) == []
    spins = {**good, "time_upright_imagination": {"value": 0.02}}
    assert "not balancing" in shortfalls("cartpole-swingup", spins, 3, 50)[0]
    exploits = {**good, "return_dreamed": {"value": 2000.0}}
    assert "exploits" in shortfalls("cartpole-swingup", exploits, 3, 50)[0]
    assert "trial" in shortfalls("cartpole-swingup", good, 1, 50)[0]
    idle = {**good, "return_imagination": {"value": 20.0}, "return_dreamed": {"value": 20.0}}
    assert "no better than random" in " ".join(shortfalls("cartpole-swingup", idle, 3, 50))
    figures = {"return_imagination": {"value": 1.0}}
    assert "1 thing failed" in summary("w", figures, ["a"]) and "2 things failed" in summary("w", figures, ["a", "b"])


def test_physics_frames_are_counted_where_they_were_used() -> None:
    columns, rows = arm_rows({}, [*list(ARMS)[:3], "random"], AgentConfig(steps=1000), 400)
    assert [row[columns.index("physics frames")] for row in rows] == [400, 1400, 1000, 0]


# --- caching ---------------------------------------------------------------------------------------------------------


def test_a_key_changes_with_what_determines_the_arm_and_with_nothing_else(tiny_model: WorldModel) -> None:
    world, cfg = WorldConfig(), AgentConfig()

    def keys(model: WorldModel = tiny_model, world: WorldConfig = world, cfg: AgentConfig = cfg, seed: int = 0) -> Any:
        return np.array([arm_key(place, model, world, cfg, seed) for place in [*PLACES][:3]])

    before = keys()
    assert len(set(before)) == 3 and (keys() == before).all()
    assert (keys(seed=1) != before).all() and (keys(cfg=replace(cfg, gamma=0.9)) != before).all()
    assert (keys(world=replace(world, horizon=9)) != before).all()
    assert list(keys(cfg=replace(cfg, imagined_horizon=5)) != before) == [True, False, False]
    assert tiny_model.contexts is not None
    tiny_model.contexts.latents += 1.0
    assert list(keys() != before) == [True, False, False]
    before, wary = keys(), replace(cfg, max_uncertainty="calibrated")
    told = keys(cfg=wary)
    tiny_model.card = {"Uncertainty": {"threshold": 0.1}}
    assert list(keys() != before) == [False, False, False]
    assert list(keys(cfg=wary) != told) == [True, False, False]
    with torch.no_grad():
        next(tiny_model.dynamics.parameters()).add_(1.0)
    assert list(keys() != before) == [True, True, False]  # the true state does not pass through the weights


def test_finished_arms_are_not_trained_again(tiny_model: WorldModel, tmp_path: Path, monkeypatch: Any) -> None:
    trainings = []

    def learn(
        place: str, model: Any, world: Any, cfg: AgentConfig, seed: int, folder: Path, bar: Any, data: str
    ) -> str:
        if seed == 2:
            raise KeyboardInterrupt
        trainings.append((place, seed))
        folder.mkdir(parents=True)
        (folder / "curve.json").write_text(json.dumps({"steps": [1, 10], "return": [0.0, 5.0]}))
        return "policy"

    monkeypatch.setattr("videosim.agents.arms.learn", learn)
    monkeypatch.setattr("videosim.agents.arms.Policy.load", lambda folder: "policy")
    run = Run("gap", GapConfig(), tmp_path / "run")
    arguments = (tiny_model, WorldConfig(name="a:b"), AgentConfig(steps=10))
    with pytest.raises(KeyboardInterrupt):
        train_arms(*arguments, ["imagination"], [0, 1, 2], tmp_path, run)
    assert trainings == [("imagination", 0), ("imagination", 1)]
    arms = train_arms(*arguments, ["imagination", "physics"], [0, 1], tmp_path, run)
    assert trainings[2:] == [("physics", 0), ("physics", 1)] and list(arms) == ["imagination", "physics"]
    curves = training_curves(arms, tiny_model.spec, AgentConfig(steps=10))
    assert curves[0]["series"][0]["y"][-1] == pytest.approx(5.0 / tiny_model.spec.horizon)


def test_scores_survive_their_file_and_damage_means_again(tmp_path: Path) -> None:
    path, kept = tmp_path / "s.npz", ARMS_SCORED["imagination"][0]
    assert _read(path) is None
    _write(path, kept)
    again = _read(path)
    assert again is not None and again.dreamed is not None
    assert np.array_equal(again.physics.returns, kept.physics.returns) and np.array_equal(again.actions, kept.actions)
    _write(path, scored([1.0]))
    assert (again := _read(path)) is not None and again.dreamed is None
    path.write_bytes(path.read_bytes()[:-40])
    assert _read(path) is None


def test_digests_follow_content_not_order() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": (2,), "a": 1}) != digest({"a": 1, "b": [3]})


# --- films -----------------------------------------------------------------------------------------------------------


def test_episodes_are_shown_by_score() -> None:
    picked = by_score([scored([5, 9, 1]), scored([7, 3, 2])])
    assert picked == {"best": (0, 1), "median": (1, 1), "worst": (0, 2)}


def test_a_replay_gives_the_scored_return_bitwise() -> None:
    world = replace(load_world("cartpole-swingup"), horizon=6)
    actions = RNG(0).uniform(-1, 1, (6, 1)).astype(np.float32)
    env = PhysicsEnv(world)
    env.reset(seed=3)
    total = [env.step(action)[1] for action in env.world_spec.action.denormalise(actions)]
    frames, rewards = replay(world, 3, actions)
    assert rewards.tolist() == total and frames.shape == (7, 64, 64, 3)
    assert np.array_equal(frames[-1], env.render())


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"arms": ["physics"]}, "imagination"),
        ({"arms": ["imagination", "mars"]}, "mars"),
        ({"episodes": 0}, "episodes must be at least 1"),
        ({"context": 0}, "context must be at least 1"),
        ({"checkpoint": "nowhere"}, "nowhere"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(VideoSimError, match=said), Run("gap", GapConfig(), tmp_path / "run") as run:
        main(GapConfig(**{"checkpoint": "none", **settings}), run)
    assert not (tmp_path / "run").exists()


def test_frames_come_from_the_card(tiny_model: WorldModel) -> None:
    assert model_frames(tiny_model) is None
    tiny_model.card = {"Data": {"frames": 40000}}
    assert model_frames(tiny_model) == 40000


@pytest.mark.slow
def test_the_whole_comparison_on_a_model_that_knows_nothing(swingup_model: WorldModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", swingup_model, {"Data": {"frames": 123}})
    agent = AgentConfig(steps=64, envs=4, rollout=16, batch=32, epochs=1, hidden=[8], imagined_horizon=10)
    cfg = GapConfig(
        checkpoint=str(tmp_path / "checkpoint"), agent=agent, arms=["imagination", "physics"], seeds=1, episodes=3,
        cache=str(tmp_path / "arms"), held_out_frames=300, open_loop_starts=3, open_loop_horizon=20,
        lockstep_episodes=3,
    )  # fmt: skip
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        with Run("gap", cfg, folder) as run:
            main(cfg, run)
    figures = json.loads((first / "result.json").read_text())["figures"]
    needed = ["imagination", "physics", "random", "dreamed", "ratio"]
    assert {f"return_{name}" for name in needed} <= set(figures)
    assert {"open_loop_horizon_frames", "pearson_r", "transfer_drop", "time_upright_imagination"} <= set(figures)
    assert figures["physics_frames"]["value"] == 123
    assert figures == json.loads((second / "result.json").read_text())["figures"]  # cached, and the same again
    page = (first / "report.html").read_text()
    assert "What failed or fell short" in page and page.count("<video") == 5
    assert {path.stem for path in (first / "videos").glob("*.mp4")} == {
        "best",
        "median",
        "worst",
        "closed-loop",
        "physics",
    }
