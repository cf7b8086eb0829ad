"""Perturbed worlds are off by what they say and by nothing else; harms are paired; the command itself (slow)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from videosim.agents.stress import main, stress_figures
from videosim.checkpoint import save_checkpoint
from videosim.config import AgentConfig, StressConfig
from videosim.envs.physics import PhysicsEnv, load_world
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.world_model import WorldModel


def trace(name: str, actions: np.ndarray) -> np.ndarray:
    env = PhysicsEnv(name, render_mode=None)
    env.reset(seed=3, options={"wide": False})
    seen = [env.sensors()]
    for action in actions:
        env.step(action)
        seen.append(env.sensors())
    return np.array(seen)


ACTIONS = np.random.default_rng(0).uniform(-1, 1, (12, 1)).astype(np.float32)


def test_a_factor_of_one_changes_nothing_and_another_does() -> None:
    own = trace("cartpole-swingup", ACTIONS)
    for what in ("mass", "friction", "gravity", "damping"):
        assert np.array_equal(trace(f"perturbed:{what}1@cartpole-swingup", ACTIONS), own)
    for what in ("mass2", "gravity0.5", "damping2000"):
        changed = trace(f"perturbed:{what}@cartpole-swingup", ACTIONS)
        assert np.array_equal(changed[0], own[0]) and np.abs(changed - own).max() > 1e-3


def test_a_delay_is_counted_in_the_agent_s_steps() -> None:
    late = np.concatenate([np.zeros((2, 1), np.float32), ACTIONS[:-2]])
    assert np.array_equal(trace("perturbed:delay2@cartpole-swingup", ACTIONS), trace("cartpole-swingup", late))


@pytest.mark.parametrize("world", ["cartpole-swingup", "driving"])  # the latter has a memory of its own
def test_a_perturbed_world_is_seen_as_its_own(world: str) -> None:
    changed, own = PhysicsEnv(f"perturbed:mass2@{world}"), PhysicsEnv(world)
    action = np.ones(len(own.world_spec.action.names), np.float32)
    assert changed.world_spec.sensors == own.world_spec.sensors and changed.world_spec.dt_s == own.world_spec.dt_s
    changed.reset(seed=1)
    changed.step(action)
    state = changed.save()
    after = [changed.step(action)[1] for _ in range(3)]
    changed.restore(state)
    assert after == [changed.step(action)[1] for _ in range(3)]
    for env in (changed, own):
        env.close()


@pytest.mark.parametrize("what", ["mass", "friction"])
def test_what_episodes_draw_for_themselves_is_not_perturbed_in_vain(what: str) -> None:
    with pytest.raises(VideoSimError, match=f"every episode of laws draws its own {what}"):
        PhysicsEnv(f"perturbed:{what}2@laws")


@pytest.mark.parametrize("name", ["mass@push", "colour2@push", "mass2@mars"])
def test_what_cannot_be_perturbed_is_named(name: str) -> None:
    with pytest.raises(VideoSimError, match=r"mass2@cartpole-swingup|mars"):
        PhysicsEnv(load_world(f"perturbed:{name}"))


def test_harms_are_paired_and_compared() -> None:
    base = np.array([[100.0, 300.0], [120.0, 280.0]])
    scored = {
        "imagination": {"none": base, "mass2": base - 50, "delay1": base - 20, "gravity0.5": base - 10},
        "physics": {"none": base + 5, "mass2": base - 25, "delay1": base - 5, "gravity0.5": base},
    }
    figures = stress_figures(scored, np.random.default_rng(0))
    harm = figures["harm_imagination_mass2"]
    assert harm.value == harm.low == harm.high == 50 and figures["harm_physics_mass2"].value == 30
    assert figures["brittleness_mass2"].value == 20 and figures["harm_rank_correlation"].value == 1.0


@pytest.mark.slow
def test_the_whole_comparison_on_a_model_that_knows_nothing(swingup_model: WorldModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", swingup_model, {})
    agent = AgentConfig(steps=64, envs=4, rollout=16, batch=32, epochs=1, hidden=[8], imagined_horizon=10)
    cfg = StressConfig(
        checkpoint=str(tmp_path / "checkpoint"), agent=agent, perturbations=["mass2", "delay1"], seeds=1, episodes=2,
        cache=str(tmp_path / "arms"),
    )  # fmt: skip
    with Run("stress", cfg, tmp_path / "run") as run:
        main(cfg, run)
    found = json.loads((tmp_path / "run" / "result.json").read_text())["figures"]
    assert {"harm_imagination_mass2", "brittleness_delay1", "return_physics_none"} <= set(found)
    assert "the most harmful first" in (tmp_path / "run" / "report.html").read_text()
