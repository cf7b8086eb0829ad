"""The car as a vehicle: it turns, brakes, skids and rolls as the textbook says, and its roads are what they claim."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.envs.proving_ground import braking_distance, coasting, drive, plane, skidding, turning_radius
from videosim.envs.roads import BLOCKS_M, EPISODE_S, LAST_M, RADIUS_M, STEP_M, TURN_RAD, Road
from videosim.envs.vehicle import (
    GRAVITY_MPS2,
    MASS_KG,
    STEER_RAD,
    STEER_RATE_RADPS,
    TIMESTEP_S,
    TOP_SPEED_MPS,
    ackermann,
    from_ackermann,
)

import mujoco  # isort: skip

SEEDS = st.integers(0, 2**31 - 1)


@pytest.mark.parametrize(("steer", "speed"), [(0.1, 10.0), (-0.25, 8.0), (0.5, 5.0), (-1.0, 3.0)])
def test_a_steady_circle_is_the_bicycle_s(steer, speed):
    radius, bicycle, sideways = turning_radius(steer, speed)
    assert radius == pytest.approx(bicycle, rel=0.01)
    assert sideways == pytest.approx(speed**2 / bicycle, rel=0.05)


def test_left_and_right_are_mirror_images():
    assert turning_radius(0.4, 6.0)[0] == pytest.approx(-turning_radius(-0.4, 6.0)[0], rel=1e-6)


@pytest.mark.parametrize(("speed", "grip"), [(8.0, 0.3), (15.0, 0.3), (15.0, 0.6), (10.0, 0.9), (15.0, 0.9)])
def test_braking_takes_v_squared_over_two_mu_g(speed, grip):
    distance, ideal = braking_distance(speed, grip)
    assert distance == pytest.approx(ideal, rel=0.02)


@pytest.mark.parametrize("grip", [0.3, 0.9])
def test_tyres_hold_no_more_than_their_friction(grip):
    felt, ideal = skidding(12.0, grip)
    assert 0.85 * ideal < felt < 1.01 * ideal


@pytest.mark.parametrize("steer", [0.0, 0.3, -1.0])
def test_nothing_is_gained_by_coasting(steer):
    energy = coasting(6.0, steer, 5.0)
    assert np.diff(energy).max() <= 1e-6 * energy[0]
    assert energy[-1] < 0.95 * energy[0]


def test_a_stopped_car_stays_and_brakes_do_not_turn_it_back():
    vehicle = plane()
    vehicle.put(0.0, 0.0, 0.0, 3.0)
    speeds = [vehicle.velocity[0] for _ in drive(vehicle, 4.0, 0.0, -1.0)]
    assert min(speeds) > -0.1 and abs(speeds[-1]) < 1e-3


def test_the_motor_tires_towards_its_top_speed():
    vehicle = plane()
    vehicle.put(0.0, 0.0, 0.0, 0.0)
    speeds = np.array([vehicle.velocity[0] for _ in drive(vehicle, 20.0, 0.0, 1.0)])
    assert (np.diff(speeds[20:]) > -1e-4).all() and 15.0 < speeds[-1] < TOP_SPEED_MPS


def test_steering_follows_its_command_at_a_limited_rate():
    vehicle = plane()
    vehicle.put(0.0, 0.0, 0.0, 2.0)
    angles = np.array([vehicle.steer for _ in drive(vehicle, 1.0, 1.0)])
    assert np.diff(angles).max() < 1.3 * STEER_RATE_RADPS * TIMESTEP_S
    assert angles[-1] == pytest.approx(STEER_RAD, rel=0.01)


def test_four_wheels_carry_the_weight_in_a_turn_and_while_braking():
    """A locked or sliding wheel used to hop: the mean of the load was right, its deviation as large as the mean."""
    vehicle = plane()
    for speed, steer, pedal, spread in ((8.0, 0.25, 0.0, 0.01), (12.0, 0.0, -0.6, 0.01), (12.0, 0.5, 0.0, 0.3)):
        vehicle.put(0.0, 0.0, 0.0, speed, steer * STEER_RAD)
        loads, force = [], np.zeros(6)
        for _ in drive(vehicle, 1.0, steer, pedal):
            each = []
            for contact in range(vehicle.data.ncon):
                mujoco.mj_contactForce(vehicle.model, vehicle.data, contact, force)
                each.append(force[0])
            loads.append(sum(each))
        weight = MASS_KG * GRAVITY_MPS2
        assert np.mean(loads[40:]) == pytest.approx(weight, rel=0.03)
        assert np.std(loads[40:]) < spread * weight


@given(st.floats(-0.5, 0.5))
def test_steered_wheels_share_one_centre(steer):
    left, right = ackermann(steer)
    assert from_ackermann(left, right) == pytest.approx(steer, abs=1e-12)
    assert left >= right  # the inner wheel turns further


def test_the_table_of_trials_is_printed(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("vehicle", Path(__file__).parents[1] / "experiments" / "vehicle.py")
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    monkeypatch.setattr(sys, "argv", ["vehicle.py", "coasting"])
    table.main()
    assert "largest gain in a time step 0 J" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["vehicle.py", "flying"])
    with pytest.raises(SystemExit, match="no part 'flying'; choose of turning"):
        table.main()


# --- roads -----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(0.0, 450.0), st.floats(-6.0, 6.0))
def test_a_place_on_the_road_is_found_again(seed, s, offset):
    road = Road(seed)
    x, y, heading = (float(value) for value in road.at(s, offset))
    found = road.locate(x, y)
    assert found == pytest.approx((s, offset, heading), abs=0.08)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_a_road_is_its_seed_s_and_can_be_driven(seed):
    road, again, s = Road(seed), Road(seed), np.arange(0.0, 400.0)
    assert all(np.array_equal(a, b) for a, b in zip(road.at(s), again.at(s), strict=True))
    assert not np.array_equal(road.curvature, Road(seed + 1).curvature)
    assert np.abs(road.curvature).max() <= 1.0 / RADIUS_M[0] + 1e-9
    x, y, heading = road.at(np.arange(0.0, LAST_M, STEP_M))
    assert np.abs(heading).max() < TURN_RAD + 0.02
    assert np.hypot(np.diff(x), np.diff(y)) == pytest.approx(STEP_M, rel=0.01)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_no_car_meets_an_obstacle_and_there_is_always_a_way(seed):
    """For as long as an episode lasts, cars drive clear of everything, and one lane is free beside every object."""
    road = Road(seed)
    objects = road.objects
    for time_s in np.linspace(0.0, EPISODE_S, 8):
        s = objects.now(time_s)
        gaps = np.diff(np.sort(s))
        assert gaps.min() > 15.0
    assert (np.abs(objects.offset) + objects.half_width < road.lane_m + 0.3).all()
    assert (objects.speed[: len(BLOCKS_M)] == 0.0).all() and (objects.speed[len(BLOCKS_M) :] > 0.0).all()
