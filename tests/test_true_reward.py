"""The judge of dreamed steps: on states that are true it pays what physics pays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from videosim.envs.physics import PhysicsEnv, load_world
from videosim.envs.true_reward import true_reward


@pytest.mark.parametrize(
    ("name", "apart"),  # the cheetah's contacts follow from more than float32 sensors
    [("cartpole-swingup", 1e-4), ("reacher-easy", 1e-4), ("push", 1e-4), ("cheetah-run", 0.02), ("driving", 1e-4)],
)
def test_on_true_states_it_pays_what_physics_pays(name: str, apart: float) -> None:
    world = replace(load_world(name), horizon=60)
    env, rng = PhysicsEnv(world), np.random.default_rng(0)
    env.reset(seed=5, options={"wide": name != "driving"})
    act = env.scripted(rng, 0.8)
    assert act is not None
    sensors, actions, paid = [env.sensors()], [], []
    for _ in range(60):
        actions.append(np.clip(act(sensors[-1]), env.action_space.low, env.action_space.high))
        _, reward, ended, _, _ = env.step(actions[-1])
        sensors.append(env.sensors())
        paid.append(reward)
        if ended:
            break
    judge = true_reward(world)
    assert judge is not None and np.ptp(paid) > 0.01
    told = judge(np.array(sensors[:-1]), np.array(actions), np.array(sensors[1:]))
    assert np.abs(told - paid).max() < apart * world.action_repeat


def test_a_state_from_which_physics_cannot_go_on_pays_nothing_and_leaves_no_trace() -> None:
    judge = true_reward(load_world("cartpole-swingup"))
    assert judge is not None
    upright, nowhere = [0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1e12, 0.0]
    states, actions = np.array([upright, nowhere, upright]), np.zeros((3, 1))
    first, lost, again = judge(states, actions, states)
    assert first > 0.5 and lost == 0.0 and again == first


def test_a_world_whose_sensors_do_not_tell_has_no_judge() -> None:
    assert true_reward(load_world("dm_control:finger-spin")) is None
