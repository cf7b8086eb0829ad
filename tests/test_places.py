"""Places where policies come from: each control breaks, or mends, exactly one thing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sum_world import MODEL, SPEC

from videosim.agents.arms import arm_key
from videosim.agents.gap_figures import NAMES
from videosim.agents.gap_report import ARMS, LABELS
from videosim.agents.learn import PLACES, learn, place_of
from videosim.agents.places import Deaf
from videosim.agents.sb3 import ImaginationVecEnv
from videosim.config import AgentConfig, WorldConfig
from videosim.envs.observations import Filter, TrueState
from videosim.envs.physics import PhysicsEnv, load_world
from videosim.envs.pool import PhysicsPool
from videosim.envs.video_sim import VideoSimVectorEnv
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.world_model import WorldModel

AGENT = AgentConfig(steps=64, envs=4, rollout=16, batch=32, epochs=1, hidden=[8], imagined_horizon=10)


def test_every_place_has_a_name_of_its_own_and_can_be_shown() -> None:
    assert len(set(NAMES.values())) == len(PLACES) + 1 and set(ARMS) == set(NAMES)
    assert {f"return_{name}" for name in NAMES.values()} <= set(LABELS)
    with pytest.raises(VideoSimError, match="imagination-blind"):
        place_of("mars")


def test_a_policy_sees_physics_as_it_learnt_to_see(tiny_model: WorldModel) -> None:
    kinds = {name: type(place.observer(tiny_model, "state")) for name, place in PLACES.items()}
    seeing = {name for name, kind in kinds.items() if kind is Filter}
    assert seeing == {"imagination", "imagination-blind", "physics", "physics-at-data-budget"}
    assert all(kind in (Filter, TrueState) for kind in kinds.values())


def test_frames_of_physics_are_counted_where_they_were_used() -> None:
    frames = {name: place.physics_frames(300, 100) for name, place in PLACES.items()}
    assert frames == {
        "imagination": 100, "imagination-blind": 100, "behaviour-cloning": 100, "physics": 400,
        "physics-at-data-budget": 200, "physics-true-state": 300, "imagination-by-physics": 300,
    }  # fmt: skip


def test_the_data_budget_is_the_card_s(tiny_model: WorldModel) -> None:
    place = PLACES["physics-at-data-budget"]
    with pytest.raises(VideoSimError, match="card holds none"):
        place.agent(tiny_model, AGENT)
    tiny_model.card = {"Data": {"frames": 4321}}
    assert place.agent(tiny_model, AGENT) == replace(AGENT, steps=4321)


def test_a_deaf_dream_hears_another_row(tiny_model: WorldModel) -> None:
    def dreamed(kind: type[ImaginationVecEnv], first: float) -> np.ndarray:
        env = kind(VideoSimVectorEnv(3, tiny_model, "state", horizon=9))
        env.seed(3)
        env.reset()
        actions = np.zeros((3, 2), np.float32)
        actions[0] = first
        return env.step(actions)[0]

    heard = np.abs(dreamed(ImaginationVecEnv, 1.0) - dreamed(ImaginationVecEnv, -1.0)).sum(1) > 0
    deaf = np.abs(dreamed(Deaf, 1.0) - dreamed(Deaf, -1.0)).sum(1) > 0
    assert heard.tolist() == [True, False, False] and deaf.tolist() == [False, True, False]
    with pytest.raises(VideoSimError, match="2 or more"):
        PLACES["imagination-blind"].env(tiny_model, WorldConfig(), replace(AGENT, envs=1), 0)  # type: ignore[union-attr]


def test_physics_in_place_of_the_model_begins_where_the_dreams_do() -> None:
    world = replace(load_world("cartpole-swingup"), horizon=3)
    env, states, sensors = PhysicsEnv(world), [], []
    for seed in range(3):
        env.reset(seed=seed, options={"wide": True})
        states.append(env.save())
        sensors.append(env.sensors())
    pool = PhysicsPool(world, 4, render=False, workers=1, starts=np.stack(states))
    try:
        begun = list(pool.reset([0, 1, 2, 3]).sensors)
        for _ in range(12):
            step = pool.step(np.zeros((4, 1), np.float32))
            begun += [step.sensors[row] for row in step.final]
    finally:
        pool.close()
    near = np.abs(np.stack(begun)[:, None] - np.stack(sensors)).max(-1) < 1e-5
    assert len(begun) == 4 + 4 * 4 and near.any(1).all() and near.any(0).all()  # from clips alone, and from all of them


def test_a_model_without_physics_in_its_clips_says_so(tiny_model: WorldModel) -> None:
    with pytest.raises(VideoSimError, match="hold their physics state"):
        PLACES["imagination-by-physics"].env(tiny_model, WorldConfig(), AGENT, 0)  # type: ignore[union-attr]


def test_cloning_does_what_was_done(data: Path, tmp_path: Path) -> None:
    model = WorldModel(MODEL, SPEC).eval()
    cfg = replace(AGENT, hidden=[16], epochs=10, learning_rate=1e-2, obs="latent")
    with Run("agent", {}, tmp_path / "run") as run, run.progress(1, "cloning") as bar:
        learn("behaviour-cloning", model, WorldConfig(), cfg, 0, tmp_path / "arm", bar, data=str(data))
        policy = learn("behaviour-cloning", model, WorldConfig(), cfg, 0, tmp_path / "arm", bar)  # kept: no data needed
    # random actions are cut at the ends of that world: there their mean, 0.2 of the way, leads back to the middle
    left, middle, right = policy.act(np.array([[-0.98], [0.0], [0.98]], np.float32))[:, 0]
    assert policy.mode == "state" and left > middle > right and left > 0.05 and right < -0.05
    assert json.loads((tmp_path / "arm" / "curve.json").read_text()) == {"steps": [], "return": []}
    keys = [arm_key("behaviour-cloning", model, WorldConfig(), replace(cfg, envs=n), 0, str(data)) for n in (4, 4, 5)]
    assert keys[0] == keys[1]
    with pytest.raises(VideoSimError, match="data=<its folder>"):
        arm_key("behaviour-cloning", model, WorldConfig(), cfg, 0)


@pytest.mark.slow
def test_every_place_trains(swingup_model: WorldModel, tmp_path: Path) -> None:
    world = load_world("cartpole-swingup")
    swingup_model.card = {"Data": {"frames": 64}}
    with Run("agent", {}, tmp_path / "run") as run:
        for place in PLACES:
            if place != "behaviour-cloning":
                with run.progress(1, place) as bar:
                    policy = learn(place, swingup_model, world, AGENT, 0, tmp_path / place, bar)
                assert policy.mode == "state"
