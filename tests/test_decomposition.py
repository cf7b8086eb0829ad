"""The parts of the gap add up, each exchange is charged to its own ingredient, and what cannot be told is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.agents import decomposition
from videosim.agents.arms import Arm
from videosim.agents.decomposition import LABELS, Chain, chain_rows, decompose
from videosim.agents.evaluate import Scores, in_imagination
from videosim.agents.gap_report import gap_table
from videosim.agents.scoring import Scored
from videosim.envs.physics import PhysicsEnv, load_world
from videosim.world_model import WorldModel


@settings(deadline=None)
@given(st.integers(0, 2**31), st.booleans(), st.booleans())
def test_the_gaps_add_up_to_the_whole(seed: int, state: bool, judge: bool) -> None:
    links = np.random.default_rng(seed).normal(500, 200, (4, 2, 5))
    chain = Chain(links[0] if state else None, links[1], links[2] if judge else None, links[3])
    whole, parts = chain.gaps()["gap_whole"], [gap for name, gap in chain.gaps().items() if name != "gap_whole"]
    assert np.allclose(sum(parts), whole) and np.allclose(whole, links[3] - links[0 if state else 1])
    assert len(chain.left_out()) == 2 - state - judge and len(parts) == 1 + state + judge


def test_figures_are_means_of_paired_differences() -> None:
    base = np.array([[100.0, 300.0, 500.0]])
    figures = Chain(base, base - 10, base - 30, base + 40).figures(np.random.default_rng(0))
    value = {name: figure.value for name, figure in figures.items()}
    assert value["gap_perception"] == -10 and value["gap_dynamics"] == -20 and value["gap_reward"] == 70
    assert value["gap_whole"] == 40 and value["return_paid_truly"] == 270
    assert figures["gap_reward"].low == figures["gap_reward"].high == 70  # episodes differ, their gaps do not
    assert set(figures) <= set(LABELS)
    shown = {name: figure.to_dict() for name, figure in figures.items()}
    assert [row["value"] for row in chain_rows(shown)] == [-10, -20, 70, 40]
    table = gap_table(shown, ["And this is unknown."])
    assert len(table.rows) == 6 and table.note.endswith("And this is unknown.")


class _Still:
    mode = "state"

    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.zeros((len(observations), 1), np.float32)


def _setting(make_model: Callable[..., WorldModel], tmp_path: Path) -> tuple[WorldModel, Any, Arm, Scored]:
    world = replace(load_world("cartpole-swingup"), horizon=6)
    env = PhysicsEnv(world)
    model = make_model(spec=env.world_spec)
    env.close()
    dreamed = in_imagination(_Still().act, "state", world, model, 2, 7)
    flat = Scores(np.zeros(2), np.zeros(2, bool), dreamed.sensors, np.full(2, 6))
    return model, world, Arm("imagination", 0, tmp_path, _Still()), Scored(flat, np.zeros((2, 6, 1)), dreamed)  # type: ignore[arg-type]


def test_a_dream_that_pays_as_its_judge_has_no_gap_of_rewards(
    make_model: Callable[..., WorldModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, world, arm, scored = _setting(make_model, tmp_path)
    seen: list[tuple[np.ndarray, ...]] = []

    def judge(*step: np.ndarray) -> np.ndarray:  # the dreamed rewards again
        seen.append(step)
        return np.full(len(step[1]), scored.dreamed.returns[len(seen) - 1] / 6)  # type: ignore[union-attr]

    monkeypatch.setattr(decomposition, "true_reward", lambda world: judge)
    chain = decompose([arm], [scored], model, world, 7)
    assert np.allclose(chain.gaps()["gap_reward"], 0.0)
    assert all(np.array_equal(before[1:], after[:-1]) and len(actions) == 6 for before, actions, after in seen)
    again = decompose([arm], [scored], model, world, 7)  # from the file: the judge is not asked again
    assert len(seen) == 2 and np.array_equal(again.gaps()["gap_whole"], chain.gaps()["gap_whole"])


def test_latents_and_unknown_rewards_are_left_out(make_model: Callable[..., WorldModel], tmp_path: Path) -> None:
    model, _, arm, scored = _setting(make_model, tmp_path)
    arm.policy = SimpleNamespace(mode="latent")  # type: ignore[assignment]
    chain = decompose([arm], [scored], model, load_world("dm_control:finger-spin"), 7)
    assert chain.seen_truly is None and chain.paid_truly is None and len(chain.left_out()) == 2
