"""The driving worlds: what their sensors say is so, what their pictures show, what they reward, and that they can be
driven."""

from __future__ import annotations

import numpy as np
import pytest

from videosim.data.alignment import ALIGNED, image_motion, lag_correlation
from videosim.data.formats.log import CHANNELS, VIEWS
from videosim.envs.driving import GPS_BIAS_M, GPS_NOISE_M, GPS_NOISE_MPS, LIDAR_DEG, LIDAR_M, PASSED_M, PREVIEW_M
from videosim.envs.physics import PhysicsEnv
from videosim.envs.roads import BLOCKS_M, FIRST_M, PIECE_M, PIECES
from videosim.envs.scenery import HEDGE_M
from videosim.envs.vehicle import LENGTH_M

STRAIGHT = np.array([0.0, 0.1])


@pytest.fixture(scope="module")
def lane():
    made = PhysicsEnv("driving")
    yield made
    made.close()


@pytest.fixture(scope="module")
def traffic():
    made = PhysicsEnv("driving-obstacles")
    yield made
    made.close()


def named(env: PhysicsEnv) -> dict[str, float]:
    return dict(zip(env.world_spec.sensors.names, env.sensors().astype(float), strict=True))


def start(
    env: PhysicsEnv, seed: int, s: float = 0.0, lane_offset: float = 0.0, heading: float = 0.0, speed: float = 8.0
) -> None:
    """Begin the episode of ``seed`` there."""
    env.reset(seed=seed)
    env._source.start(s, lane_offset, heading, speed)
    env.restore(env.save())


def play(env: PhysicsEnv, seed: int, skill: float | None) -> tuple[float, bool]:
    """(return up to its first fault, whether there was none); ``skill`` None acts at random."""
    sensors, _ = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    act = env.scripted(rng, skill) if skill is not None else lambda _: rng.uniform(-1.0, 1.0, 2)
    total, kept, over = 0.0, True, False
    while kept and not over:
        sensors, reward, terminated, truncated, info = env.step(act(sensors))
        assert 0.0 <= reward <= 1.0
        total, kept, over = total + reward, info["success"] and not terminated, truncated
    return total, kept


@pytest.mark.parametrize("world", ["lane", "traffic"])
def test_the_script_keeps_its_place_and_random_actions_do_not(world, request):
    env = request.getfixturevalue(world)
    skilled, noise, random = ([play(env, seed, skill) for seed in range(300, 305)] for skill in (1.0, 0.0, None))
    assert all(kept for _, kept in skilled) and not any(kept for _, kept in noise + random)
    assert min(total for total, _ in skilled) > 2.5 * max(total for total, _ in noise + random)


def test_the_ego_block_is_that_of_an_imported_log(lane):
    spec = lane.world_spec
    assert set(spec.action.names) < set(VIEWS["control"])
    for name, low, high in zip(spec.action.names, spec.action.low, spec.action.high, strict=True):
        assert CHANNELS[name][1:] == (low, high)
    units = dict(zip(spec.sensors.names, spec.sensors.units, strict=True))
    assert {name: channel.unit for name, channel in CHANNELS.items() if name in units} == {
        "speed": units["speed"],
        "yaw_rate": units["yaw_rate"],
        "accel_long": units["accel_long"],
    }


# --- sensors ---------------------------------------------------------------------------------------------------------


def test_inertial_sensors_are_the_derivatives_of_the_motion(lane):
    rng = np.random.default_rng(0)
    start(lane, 4)
    rows, headings = [named(lane)], [lane._source.vehicle.place[2]]
    steer, pedal = 0.0, 0.0
    for _ in range(80):
        steer, pedal = 0.9 * np.array([steer, pedal]) + rng.normal(0.0, (0.05, 0.15))
        lane.step(np.clip([steer, pedal], -1.0, 1.0))
        rows.append(named(lane))
        headings.append(lane._source.vehicle.place[2])
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    dt = lane.world_spec.dt_s
    turned = np.diff(headings) / dt
    assert np.abs((column["yaw_rate"][1:] + column["yaw_rate"][:-1]) / 2 - turned)[1:].max() < 0.03
    assert np.corrcoef(column["accel_long"][1:], np.diff(column["speed"]) / dt)[0, 1] > 0.97
    assert np.abs(column["accel_long"][1:] - np.diff(column["speed"]) / dt).mean() < 0.2
    assert np.corrcoef(column["accel_lat"][1:], column["speed"][1:] * column["yaw_rate"][1:])[0, 1] > 0.9
    assert np.abs(column["wheel_speed"] - column["speed"]).max() < 0.25
    assert np.abs(column["gps_speed"] - column["speed"]).max() < 5 * GPS_NOISE_MPS


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_positive_steering_is_to_the_left(lane, side):
    start(lane, 7)
    first = named(lane)
    for _ in range(12):
        lane.step(np.array([0.3 * side, 0.0]))
    last = named(lane)
    moved = {name: side * (last[name] - first[name]) for name in first}
    assert moved["yaw_rate"] > 0.1 and moved["lane_offset"] > 0.3 and moved["heading_error"] > 0.1
    assert moved["accel_lat"] > 1.0 and moved["steer_angle"] > 0.1 and moved["lane_at_10m"] < -1.0


def test_the_receiver_errs_as_declared_and_the_same_when_restored(lane):
    bias, noise = [], []
    for seed in range(60):
        lane.reset(seed=seed)
        start_, saved = lane._source.gps(), lane.save()
        fixes = []
        for _ in range(4):
            *_, info = lane.step(STRAIGHT)
            fixes.append(info["gps_m"] - lane._source.data.qpos[:2])
        bias.append(np.mean(fixes, 0))
        noise.append(np.std(fixes, 0, ddof=1))
        lane.restore(saved)
        np.testing.assert_array_equal(lane._source.gps(), start_)
    assert np.std(bias) == pytest.approx(GPS_BIAS_M, rel=0.3)
    assert np.sqrt(np.mean(np.square(noise))) == pytest.approx(GPS_NOISE_M, rel=0.2)


def distance_to(boxes: np.ndarray, origin: np.ndarray, angle: float) -> float:
    """Along a ray in the plane to the nearest of ``boxes`` (n, 5): x, y, heading, half length, half width."""
    best = LIDAR_M
    for x, y, heading, length, width in boxes:
        cos, sin = np.cos(heading), np.sin(heading)
        turn = np.array([[cos, sin], [-sin, cos]])
        at, way = turn @ (origin - (x, y)), turn @ (np.cos(angle), np.sin(angle))
        with np.errstate(divide="ignore"):
            near, far = np.sort([(-np.array([length, width]) - at) / way, (np.array([length, width]) - at) / way], 0)
        if 0.0 < near.max() < far.min():
            best = min(best, float(near.max()))
    return best


def test_the_lidar_measures_what_stands_there(traffic):
    """Against boxes computed from the road alone, at several moments and places."""
    seen_objects = 0
    for seed in range(6):
        start(traffic, seed)
        start(traffic, seed, float(np.sort(traffic._source.road.objects.s)[seed % 3]) - 14.0, 1.0, 0.02)
        for _ in range(5):
            traffic.step(STRAIGHT)
        source, road = traffic._source, traffic._source.road
        along = FIRST_M + PIECE_M * (np.arange(PIECES) + 0.5)
        there = [np.isfinite(offset) for offset in road.hedges]
        hedges = [
            np.stack([*road.at(along[keep], offset[keep])], 1) for offset, keep in zip(road.hedges, there, strict=True)
        ]
        hedges = [np.c_[rows, np.full(len(rows), PIECE_M / 2), np.full(len(rows), HEDGE_M)] for rows in hedges]
        objects = road.objects
        poses = np.stack(road.at(objects.now(source.data.time), objects.offset), 1)
        rows = np.c_[poses, objects.half_length, objects.half_width]
        x, y, heading = source.vehicle.place
        origin = np.array([x, y]) + LENGTH_M / 2 * np.array([np.cos(heading), np.sin(heading)])
        expected = [distance_to(np.concatenate([*hedges, rows]), origin, heading + np.radians(d)) for d in LIDAR_DEG]
        close = np.abs(source.lidar() - expected) < 0.15
        assert close.sum() >= len(close) - 1  # a ray that grazes an edge may fall either way
        seen_objects += sum(distance_to(rows, origin, heading + np.radians(d)) < LIDAR_M for d in LIDAR_DEG)
    assert seen_objects >= 8


def test_the_lane_ahead_is_where_the_sensors_say(lane):
    """Whoever moves along the lane by 5 m finds its middle at what ``lane_at_5m`` said."""
    for seed in range(4):
        start(lane, seed, 30.0, 0.7, 0.1)
        source = lane._source
        said = named(lane)["lane_at_5m"]
        x, y, heading = source.vehicle.place
        s = source.lane()[0] + PREVIEW_M[0]
        start(lane, seed, s)
        ahead = np.array(source.vehicle.place[:2]) - (x, y)
        assert ahead @ (-np.sin(heading), np.cos(heading)) == pytest.approx(said, abs=0.05)
        assert named(lane)["lane_offset"] == pytest.approx(0.0, abs=0.02)


def test_objects_are_listed_until_they_are_passed(traffic):
    start(traffic, 11)
    objects = traffic._source.road.objects
    nearest = int(np.argmin(objects.s))
    start(traffic, 11, float(objects.s[nearest]) - 20.0)
    listed = named(traffic)
    assert listed["object_1_ahead"] == pytest.approx(20.0, abs=0.3)
    assert listed["object_1_speed"] == pytest.approx(objects.speed[nearest])
    start(traffic, 11, float(objects.s[nearest]) - PASSED_M + 0.5, 1.8)
    assert named(traffic)["object_1_ahead"] > 5.0


# --- pictures --------------------------------------------------------------------------------------------------------


def test_markings_and_edges_stand_out_from_the_road(lane):
    """On every road a quarter of the picture is asphalt, and markings of another colour are on it."""
    for seed in range(12):
        start(lane, seed, 5.0)
        frame, colours = lane.render().astype(float) / 255.0, lane._source.road.colours

        def pixels(colour, within, frame=frame):
            return int((np.abs(frame - np.clip(colour, 0.0, 1.0)).max(-1) < within).sum())

        assert pixels(colours.road, 0.05) > 64 * 64 / 4
        assert pixels(colours.marking, 0.3) >= 40  # a line that is thinner than a pixel is paler
        assert np.abs(colours.marking - colours.road).max() > 0.4
        assert np.abs(colours.ground - colours.road).max() > 0.05


def test_the_sky_is_the_same_in_every_direction(lane):
    """It used to darken as the road bent away from the light."""
    tops = []
    for heading in (-0.8, 0.0, 0.8):
        start(lane, 3, 40.0, 0.0, heading)
        tops.append(lane.render()[0].astype(int))
    assert np.abs(np.diff(tops, axis=0)).max() <= 2


def test_the_picture_turns_with_the_steering_as_in_a_real_log(lane):
    """By the measure of `videosim check`: to the right when steered left, up to a quarter of a second later."""
    steering, motion = [], []
    for seed in range(4):
        sensors, _ = lane.reset(seed=seed)
        act = lane.scripted(np.random.default_rng(seed), 0.8)
        frames, actions = [lane.render()], []
        for _ in range(100):
            actions.append(act(sensors))
            sensors, *_ = lane.step(actions[-1])
            frames.append(lane.render())
        steering.append(np.array(actions)[:, 0].astype(float))
        motion.append(image_motion(np.array(frames)))
    correlation = lag_correlation(steering, motion, 10)
    assert correlation.max() > ALIGNED and correlation.argmax() <= 5


def test_an_obstacle_and_another_car_are_plainly_seen(traffic):
    """What is 12 m ahead covers a few dozen pixels, which differ from the empty road's."""
    start(traffic, 21)
    objects = traffic._source.road.objects
    for which in range(len(objects.s)):
        start(
            traffic, 21, float(objects.s[which]) - 12.0, float(objects.offset[which]) + traffic._source.road.lane_m / 2
        )
        frame = traffic.render().astype(int)
        traffic._source.data.mocap_pos[which, 2] = -50.0
        traffic.restore(traffic.save())
        covered = np.abs(frame - traffic.render()).max(-1) > 40
        assert covered.sum() >= 12, which


def test_an_episode_and_a_restored_state_bring_their_own_road(traffic):
    """Whatever was driven in between, and down to the first observation."""
    first, _ = traffic.reset(seed=31)
    frame, saved = traffic.render(), traffic.save()
    other, _ = traffic.reset(seed=32)
    width = traffic.world_spec.sensors.names.index("lane_width")
    assert other[width] != first[width] and not np.array_equal(traffic.render(), frame)
    for _ in range(3):
        traffic.step(np.array([0.2, -1.0]))
    traffic.restore(saved)
    assert np.array_equal(traffic.sensors(), first) and np.array_equal(traffic.render(), frame)
    traffic.step(np.array([0.2, -1.0]))
    assert np.array_equal(traffic.reset(seed=31)[0], first) and np.array_equal(traffic.render(), frame)


def test_looking_and_measuring_change_nothing(traffic):
    traffic.reset(seed=8)
    saved = traffic.save()
    first = traffic.sensors(), traffic.render()
    assert np.array_equal(saved, traffic.save())
    assert np.array_equal(first[0], traffic.sensors()) and np.array_equal(first[1], traffic.render())


def test_both_worlds_have_the_same_car(lane, traffic):
    """Once it settled on top of an obstacle that waited at the origin."""
    heights = []
    for env in (lane, traffic):
        start(env, 0)
        heights.append(float(env._source.data.qpos[2]))
    assert heights[0] == heights[1]


# --- tasks -----------------------------------------------------------------------------------------------------------


def test_the_middle_of_the_lane_at_speed_pays_most(lane):
    def reward(lane_offset, speed):
        start(lane, 2, 5.0, lane_offset, 0.0, speed)
        return lane.step(STRAIGHT)[1]

    assert reward(0.0, 10.5) > 0.97
    assert reward(0.0, 10.0) > reward(0.8, 10.0) > reward(2.5, 10.0) == 0.0
    assert reward(0.0, 9.0) > reward(0.0, 5.0) > reward(0.0, 0.5)


def test_both_lanes_pay_where_there_are_obstacles(traffic):
    start(traffic, 2, 5.0, traffic._source.road.lane_m, 0.0, 10.5)
    assert 0.45 < traffic.step(STRAIGHT)[1] < 0.55


@pytest.mark.parametrize(
    ("lane_offset", "heading", "over"),
    [(0.0, 0.0, False), (3.5, 0.0, False), (-2.6, 0.0, True), (6.5, 0.0, True), (0.0, 1.7, True), (0.0, -1.0, False)],
)
def test_the_end_is_off_the_road_or_backwards(lane, lane_offset, heading, over):
    start(lane, 0, 5.0, lane_offset, heading, 1.0)
    *_, terminated, _, info = lane.step(STRAIGHT)
    assert terminated is over and not (over and info["success"])


def test_a_crash_ends_it_and_stops_the_car(traffic):
    start(traffic, 13)
    source = traffic._source
    which = int(np.nanargmin(source.road.objects.s[: len(BLOCKS_M)]))
    start(traffic, 13, source.road.objects.s[which] - 9.0, source.road.objects.offset[which] + source.road.lane_m / 2)
    steps, terminated = 0, False
    while not terminated and steps < 40:
        _, reward, terminated, *_ = traffic.step(STRAIGHT)
        steps += 1
    assert terminated and reward == 0.0 and 8 < steps < 30
    for _ in range(10):
        traffic.step(STRAIGHT)
    assert named(traffic)["speed"] < 6.0


def test_wide_starts_are_all_over_the_road_and_never_in_an_object(traffic):
    rows = []
    for seed in range(60):
        traffic.reset(seed=seed, options={"wide": True})
        *_, terminated, _, _ = traffic.step(STRAIGHT)
        rows.append([named(traffic)[name] for name in ("lane_offset", "speed", "heading_error")] + [terminated])
    offset, speed, heading, over = np.array(rows).T
    assert over.mean() < 0.1
    assert np.ptp(offset) > 4.0 and np.ptp(speed) > 9.0 and np.std(heading) > 0.08
