"""The push scene: what it rewards, what it hides, and that it can be solved."""

from __future__ import annotations

import numpy as np
import pytest

from videosim.envs.physics import PhysicsEnv
from videosim.envs.push import ARENA_M, GOAL_M, OBJECTS, SCREEN_CENTRE, place

FAR = [np.array([-0.4, -0.4]), np.array([0.0, -0.4]), np.array([0.2, -0.4]), np.array([0.4, -0.4])]


@pytest.fixture(scope="module")
def env():
    made = PhysicsEnv("push")
    yield made
    made.close()


def put(env: PhysicsEnv, places: list[np.ndarray]) -> None:
    """Start at rest with pusher, red, green, blue at ``places`` and the goal at (0.3, 0)."""
    env.reset(seed=0)
    place(env._source, np.array([0.3, 0.0]), places, 0.0)
    env._source.data.qvel[:] = 0.0
    env.restore(env.save())


def play(env: PhysicsEnv, seed: int, skill: float) -> tuple[float, bool, list[float]]:
    state, _ = env.reset(seed=seed)
    act = env.scripted(np.random.default_rng(seed), skill)
    rewards, over, info = [], False, {}
    while not over:
        state, reward, terminated, over, info = env.step(act(state))
        assert not terminated
        rewards.append(reward)
    return sum(rewards), info["success"], rewards


def test_the_script_solves_it_and_noise_does_not(env):
    skilled = [play(env, seed, 1.0) for seed in range(8)]
    noise = [play(env, seed, 0.0) for seed in range(8)]
    assert np.mean([success for _, success, _ in skilled]) >= 0.9
    assert np.mean([success for _, success, _ in noise]) <= 0.4
    assert min(total for total, *_ in skilled) > np.mean([total for total, *_ in noise])
    assert all(0.0 <= reward <= 1.0 for _, _, rewards in skilled + noise for reward in rewards)


@pytest.mark.parametrize("offset", [0.0, 0.9, 1.1])
def test_success_is_red_inside_the_goal(env, offset):
    put(env, [FAR[0], np.array([0.3, offset * GOAL_M]), FAR[2], FAR[3]])
    *_, info = env.step(np.zeros(2))
    assert info["success"] is (offset < 1.0)


def test_pushed_objects_soon_stop(env):
    put(env, [np.array([-0.25, 0.0]), np.array([-0.1, 0.0]), FAR[2], FAR[3]])
    for _ in range(10):
        env.step(np.array([1.0, 0.0]))
    start = env.sensors()[2]
    for _ in range(25):
        env.step(np.array([-1.0, 0.0]))
    sensors = dict(zip(env.world_spec.sensors.names, env.sensors(), strict=True))
    assert start > -0.05  # it was pushed
    assert abs(sensors["red_velocity_x"]) < 0.01


def test_the_screen_hides_things_and_never_the_goal(env):
    """Moving red under the screen changes no pixel; moving it in the open does; every goal place is seen."""

    def picture(red):
        put(env, [FAR[0], np.array(red), FAR[2], FAR[3]])
        return env.render().astype(int)

    x, y = SCREEN_CENTRE
    assert np.array_equal(picture((x, y)), picture((x + 0.03, y + 0.02)))
    assert np.abs(picture((x, -0.1)) - picture((x + 0.03, -0.1))).max() > 50
    yellow = []
    for seed in range(5):
        env.reset(seed=seed)
        frame = env.render().astype(int)
        yellow.append(((frame[..., 0] > 150) & (frame[..., 1] > 130) & (frame[..., 2] < 110)).sum())
    assert min(yellow) > 60


def test_objects_are_big_and_of_different_colour(env):
    put(env, [np.array([-0.3, -0.2]), np.array([-0.1, -0.2]), np.array([0.1, -0.2]), np.array([0.3, -0.25])])
    frame = env.render().astype(int)
    for channel in range(len(OBJECTS)):
        others = np.delete(frame, channel, axis=2).max(axis=2)
        rows, columns = np.nonzero(frame[..., channel] > others + 60)
        assert np.ptp(rows) + 1 >= 6 and np.ptp(columns) + 1 >= 6


def test_nothing_leaves_the_arena_even_in_wide_starts(env):
    rng = np.random.default_rng(0)
    for seed in range(6):
        env.reset(seed=seed, options={"wide": True})
        for _ in range(30):
            env.step(rng.choice([-1.0, 1.0], 2))
            assert np.abs(env.sensors()[:8]).max() < ARENA_M
