"""The control zoo on driving: the oracle is the physics bitwise, a branch is a replay, each is broken as it says."""

from __future__ import annotations

import numpy as np
import pytest
from rollout import same, trace

from videosim.envs.controls import ZOOS
from videosim.envs.physics import PhysicsEnv

NAMES = [name for name in ZOOS["driving"] if name != "codec"]
SEED = 2**32 + 5


@pytest.fixture(scope="module")
def begun() -> np.ndarray:
    """A state of the healthy car, under way."""
    env = PhysicsEnv("driving")
    env.reset(seed=SEED)
    for _ in range(5):
        env.step(np.array([0.1, 0.3], np.float32))
    state = env.save()
    env.close()
    return state


def told(name: str, begun: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Sensors (S,) of the world ``name`` after ``actions`` from ``begun``."""
    env = PhysicsEnv(name)
    env.reset(seed=1, options={"state": begun})
    for action in actions:
        env.step(action)
    sensors = env.sensors()
    env.close()
    return sensors


def test_the_oracle_is_the_physics_bitwise(begun):
    """On the same road, although it was reset with another seed: the road is part of the state."""
    shown = []
    for name in ("driving", "control:driving.oracle"):
        env = PhysicsEnv(name)
        env.reset(seed=9, options={"state": begun})
        steps = [(*env.step(np.array([0.2, 0.5], np.float32))[:2], env.render()) for _ in range(4)]
        shown.append([np.concatenate([np.ravel(part) for part in step]) for step in steps])
        env.close()
    np.testing.assert_array_equal(*shown)


@pytest.mark.parametrize("name", NAMES)
def test_a_branch_is_a_replay(begun, name):
    env = PhysicsEnv(f"control:driving.{name}")
    env.reset(seed=SEED, options={"state": begun})
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (7, 2)).astype(np.float32)
    for action in actions[:4]:
        env.step(action)
    saved = env.save()
    first = trace(env, actions[4:])
    env.reset(seed=SEED + 1)
    env.restore(saved)
    assert same(first, trace(env, actions[4:]))
    env.close()


def test_what_is_done_to_the_actions(begun):
    """Each equals the physics under the actions it says it does."""
    asked = np.random.default_rng(1).uniform(-1.0, 1.0, (6, 2)).astype(np.float32)
    late = np.concatenate([np.zeros((2, 2), np.float32), asked[:-2]])
    done = {"inverted": -asked, "attenuated": np.float32(0.75) * asked, "lag2": late}
    for name, instead in done.items():
        np.testing.assert_array_equal(told(f"control:driving.{name}", begun, asked), told("driving", begun, instead))


def test_straight_and_slow_whatever_is_asked(begun):
    spec = PhysicsEnv("driving").world_spec.sensors.names
    speed, yaw_rate = spec.index("speed"), spec.index("yaw_rate")
    for asked in ([1.0, 1.0], [-1.0, -1.0]):
        sensors = told("control:driving.straight_slow", begun, np.tile(np.array(asked, np.float32), (60, 1)))
        assert sensors[speed] == pytest.approx(3.0, abs=0.3) and abs(sensors[yaw_rate]) < 0.01
