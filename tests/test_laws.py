"""The law scene: its laws hold, its splits are what they say, and a state carries everything an episode varies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout import same, trace

from videosim.envs.law_trials import FACTORS, LAWS, SPLITS, Trial, draw_trial, nearest_seen
from videosim.envs.laws import CONTACT_RADPS, GRAVITY_MPS2, LawsSource, damping, read
from videosim.envs.physics import PhysicsEnv

STILL = np.zeros(2, np.float32)


@pytest.fixture(scope="module")
def source() -> LawsSource:
    return LawsSource()


def middle(law: str) -> tuple[float, float]:
    first, second = FACTORS[law]
    return first.at(0.5), second.at(0.5)


def play(source: LawsSource, law: str, seed: int = 3, steps: int = 18, factors: tuple[float, float] | None = None):
    """Sensors by name, (steps + 1,) each."""
    source.lay_out(Trial(law, factors or middle(law), seed))
    rows = [read(source)]
    for _ in range(steps):
        source.advance(STILL)
        rows.append(read(source))
    return dict(zip(source.knowledge.sensors.names, np.array(rows).T, strict=True))


def acceleration(place: np.ndarray, dt_s: float) -> float:
    return 2.0 * float(np.polyfit(dt_s * np.arange(len(place)), place, 2)[0])


# --- the laws --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("law", "steps"), [("fall", 12), ("projectile", 12)])
def test_what_flies_falls_with_g_and_keeps_its_speed_across(source, law, steps):
    seen = play(source, law, steps=steps)
    assert acceleration(seen["red_z"], source.dt_s) == pytest.approx(-GRAVITY_MPS2, rel=1e-3)
    assert np.ptp(seen["red_velocity_x"]) < 1e-9


def test_without_a_force_nothing_changes_its_velocity(source):
    seen = play(source, "uniform")
    assert np.ptp(seen["red_velocity_x"]) < 1e-9 and np.ptp(seen["red_velocity_z"]) < 1e-9
    assert np.hypot(seen["red_velocity_x"], seen["red_velocity_z"])[0] == pytest.approx(middle("uniform")[0])


def test_a_pendulum_keeps_its_energy_and_its_length(source):
    seen = play(source, "pendulum")
    speed = np.hypot(seen["red_velocity_x"], seen["red_velocity_z"])
    energy = speed**2 / 2 + GRAVITY_MPS2 * seen["red_z"]
    assert np.ptp(energy) < 0.02 * speed.max() ** 2 / 2 and speed.max() > 1.0
    assert np.hypot(seen["red_x"], 2.8 - seen["red_z"]) == pytest.approx(middle("pendulum")[0])


@pytest.mark.parametrize(("law", "restitution"), [("elastic", 1.0), ("inelastic", 0.0)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_collisions_keep_the_momentum_and_part_as_they_should(source, law, restitution, seed):
    seen = play(source, law, seed)
    masses = [seen[f"{colour}_half"][0] ** 2 for colour in ("red", "green")]
    red, green = seen["red_velocity_x"], seen["green_velocity_x"]
    momentum = masses[0] * red + masses[1] * green
    assert momentum[-1] == pytest.approx(momentum[0], rel=1e-6)
    assert abs(green[-1] - red[-1]) / abs(red[0] - green[0]) == pytest.approx(restitution, abs=0.07)


@pytest.mark.parametrize("restitution", [0.5, 0.7, 0.9])
def test_damping_gives_the_restitution_it_is_asked_for(restitution):
    source = LawsSource()
    for ball in ("red_ball", "green_ball"):
        source.model.geom(ball).solref[1] = -damping(restitution)
    seen = play(source, "elastic")
    red, green = seen["red_velocity_x"], seen["green_velocity_x"]
    assert abs(green[-1] - red[-1]) / abs(red[0] - green[0]) == pytest.approx(restitution, abs=0.03)
    assert damping(0.999) < 1.0 < CONTACT_RADPS


@pytest.mark.parametrize(("tilt", "friction"), [(0.45, 0.2), (0.65, 0.08), (0.8, 0.26)])
def test_a_block_slides_with_g_of_sine_less_friction(source, tilt, friction):
    seen = play(source, "incline", factors=(tilt, friction))
    along = np.hypot(seen["red_x"] - seen["red_x"][0], seen["red_z"] - seen["red_z"][0])
    expected = GRAVITY_MPS2 * (np.sin(tilt) - friction * np.cos(tilt))
    assert acceleration(along, source.dt_s) == pytest.approx(expected, rel=0.03)
    assert abs(seen["tilt"][0]) == pytest.approx(tilt) and seen["friction"][0] == pytest.approx(friction)


def test_a_stack_rests(source):
    seen = play(source, "stack")
    moved = [np.ptp(seen[f"{colour}_{axis}"]) for colour in ("red", "green", "blue") for axis in "xz"]
    assert max(moved) < 1e-3


def test_the_action_pushes_the_red_thing(source):
    source.lay_out(Trial("uniform", middle("uniform"), 3))
    before = read(source)[2]
    source.advance(np.array([1.0, 0.0]))
    assert read(source)[2] - before == pytest.approx(4.0 * source.dt_s, rel=1e-3)


# --- trials and splits -----------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1), split=st.sampled_from(SPLITS))
@settings(max_examples=60, deadline=None)
def test_a_trial_is_of_its_split_and_the_nearest_that_is_seen_is_recorded(seed, split):
    trial = draw_trial(np.random.default_rng(seed), split)
    near = nearest_seen(trial)
    assert trial.split == split and near.split == "id"
    assert (near == trial) == (split == "id")
    changed = sum(a != b for a, b in zip(near.factors, trial.factors, strict=True))
    assert changed == {"id": 0, "pairs": 1, "ood": 2}[split]


def test_held_out_pairs_hold_values_that_recordings_show():
    """Either factor alone takes the same values in both splits: only the combination is new."""
    rng = np.random.default_rng(0)
    shares = {s: np.array([draw_trial(rng, s).shares for _ in range(400)]) for s in ("id", "pairs")}
    for factor in (0, 1):
        recorded, held_out = (shares[s][:, factor] for s in ("id", "pairs"))
        assert recorded.min() < 0.05 and recorded.max() > 0.95
        assert held_out.min() >= 0.0 and held_out.max() <= 1.0


# --- the state -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", LAWS)
def test_a_state_carries_the_whole_trial_into_another_instance(source, law):
    """Whatever the other one did before: sizes, masses, friction and lengths are part of the state."""
    first, other = PhysicsEnv("laws"), PhysicsEnv("control:laws.oracle")
    for env, begin in ((first, law), (other, LAWS[LAWS.index(law) - 1])):
        env.reset(seed=1)
        env._source.lay_out(Trial(begin, middle(begin), 5)) if env is first else env._source.source.lay_out(
            Trial(begin, middle(begin), 6)
        )
    saved, actions = first.save(), np.random.default_rng(0).uniform(-1, 1, (3, 2)).astype(np.float32)
    expected = [(first.step(action)[0], first.render()) for action in actions]
    other.restore(saved)
    for action, (state, frame) in zip(actions, expected, strict=True):
        np.testing.assert_array_equal(other.step(action)[0], state)
        np.testing.assert_array_equal(other.render(), frame)
    first.close(), other.close()


@pytest.mark.parametrize("control", ["rough", "dull", "equal_masses", "retrieval", "vanish", "creep"])
def test_a_branch_of_a_control_is_its_replay(control):
    env = PhysicsEnv(f"control:laws.{control}")
    env.reset(seed=2)
    trace(env, [STILL] * 4)
    saved = env.save()
    first = trace(env, [STILL] * 4)
    env.reset(seed=7)
    env.restore(saved)
    assert same(first, trace(env, [STILL] * 4))
    env.close()
