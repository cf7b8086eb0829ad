"""The door scene: how far it turns by the force, what it rewards, that it can be solved and that it can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from videosim.envs.door import ARENA_M, CONTACT_M, PANEL_M, TOLERANCE_RAD, behind, mark_angle, turn
from videosim.envs.physics import PhysicsEnv

DOSES = np.linspace(1.0 / 15.0, 1.0, 15)
HELD, STOPPED = 8, 8


@pytest.fixture(scope="module")
def env():
    made = PhysicsEnv("door")
    yield made
    made.close()


def put(env: PhysicsEnv, angle: float, mark: float, lever: float, hand: np.ndarray | None = None) -> np.ndarray:
    """At rest, the hinge in the middle; the hand at the handle, ready to turn the door to the left, or at ``hand``."""
    env.reset(seed=0)
    source = env._source
    source.model.body("door").pos[:2] = source.model.body("mark").pos[:2] = 0.0
    source.model.body("mark").quat[:] = np.cos(mark / 2), 0.0, 0.0, np.sin(mark / 2)
    source.model.geom("handle").pos[0] = lever
    place = behind(np.zeros(2), angle, lever, 1.0) * 1.01 if hand is None else hand
    source.data.qpos[:], source.data.qvel[:] = (angle, *place), 0.0
    env.restore(env.save())
    return place


def answer(env: PhysicsEnv, dose: float, lever: float) -> float:
    """Radians by which the door turns when it is pushed squarely for HELD frames and then left alone."""
    put(env, 0.0, 1.0, lever)
    for t in range(HELD + STOPPED):
        env.step(np.array([0.0, dose if t < HELD else 0.0], np.float32))
    return float(env._source.data.qpos[0])


def play(env: PhysicsEnv, seed: int, skill: float) -> tuple[float, bool]:
    state, _ = env.reset(seed=seed)
    act = env.scripted(np.random.default_rng(seed), skill)
    total, over, info = 0.0, False, {}
    while not over:
        state, reward, terminated, over, info = env.step(act(state))
        assert not terminated and 0.0 <= reward <= 1.0 and np.abs(state[:2]).max() < ARENA_M
        total += reward
    return total, info["success"]


def test_the_door_turns_by_the_force_and_by_the_lever(env):
    """Braked by what grows with speed, it answers in proportion: a straight line of which the far lever is steeper."""
    near, far = (np.array([answer(env, dose, lever) for dose in DOSES]) for lever in (0.14, 0.26))
    for angles in (near, far):
        assert (np.diff(angles) > 0.0).all() and angles[-1] > 0.3
        assert np.corrcoef(DOSES, angles)[0, 1] ** 2 > 0.98
    assert abs(near[-1] - far[-1]) > 0.03


def test_the_script_solves_it_and_noise_does_not(env):
    skilled = [play(env, seed, 1.0) for seed in range(10)]
    noise = [play(env, seed, 0.0) for seed in range(10)]
    assert np.mean([success for _, success in skilled]) >= 0.9
    assert np.mean([success for _, success in noise]) <= 0.4
    assert min(total for total, _ in skilled) > np.mean([total for total, _ in noise])


@pytest.mark.parametrize("off", [0.0, 0.9, 1.1, -1.1])
def test_success_is_the_door_at_the_mark(env, off):
    put(env, 0.3, 0.3 + off * TOLERANCE_RAD, 0.2, np.array([-0.4, -0.4]))
    *_, info = env.step(np.zeros(2, np.float32))
    assert info["success"] is (abs(off) < 1.0)


def test_angles_and_sensors(env):
    assert turn(3.0, -3.0) == pytest.approx(2 * np.pi - 6.0) and turn(0.1, 0.3) == pytest.approx(0.2)
    put(env, 0.3, -2.0, 0.2, np.array([-0.4, -0.4]))
    sensors = dict(zip(env.world_spec.sensors.names, env.sensors().tolist(), strict=True))
    assert mark_angle(env._source) == pytest.approx(-2.0)
    assert (sensors["cos_door"], sensors["sin_mark"]) == (pytest.approx(np.cos(0.3)), pytest.approx(np.sin(-2.0)))
    assert sensors["lever"] == pytest.approx(0.2) and sensors["hand_x"] == pytest.approx(-0.4)


def test_episodes_differ_and_a_branch_is_a_replay(env):
    starts = [env.reset(seed=seed, options={"wide": wide})[0] for seed in range(6) for wide in (False, True)]
    assert len({tuple(start) for start in starts}) == 12
    saved, actions = env.save(), np.random.default_rng(0).uniform(-1, 1, (6, 2)).astype(np.float32)
    first = [env.step(action)[0] for action in actions]
    env.reset(seed=99)
    env.restore(saved)
    np.testing.assert_array_equal(first, [env.step(action)[0] for action in actions])


def test_nothing_begins_inside_the_door_or_leaves_the_arena(env):
    rng = np.random.default_rng(1)
    for seed in range(8):
        env.reset(seed=seed, options={"wide": True})
        hand, hinge, angle = env.sensors()[:2], env.sensors()[7:9], env._source.data.qpos[0]
        along = np.array([np.cos(angle), np.sin(angle)])
        gap = hand - hinge - np.clip((hand - hinge) @ along, 0.0, PANEL_M) * along
        assert np.linalg.norm(gap) > 0.95 * CONTACT_M
        for _ in range(25):
            env.step(rng.choice([-1.0, 1.0], 2).astype(np.float32))
            assert np.abs(env.sensors()[:2]).max() < ARENA_M


def test_everything_is_seen(env):
    """Door, handle, mark and hand each have a colour of their own and change the picture when they move."""

    def picture(**how) -> np.ndarray:
        put(env, **{"angle": 0.2, "mark": 1.8, "lever": 0.2, "hand": np.array([-0.3, -0.3])} | how)
        return env.render().astype(int)

    base = picture()
    moves = ({"angle": 0.5}, {"mark": 2.3}, {"lever": 0.26}, {"hand": np.array([-0.2, -0.3])})
    for how in moves:
        assert np.abs(picture(**how) - base).max() > 60, how
