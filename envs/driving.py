"""Driving: an own car on roads made from seeds, seen by its dash camera. Keep the lane; or drive round what is in it.

``action`` is the control view of a vehicle's log: steering, positive to the left, and one pedal, the motor above 0 and
the brakes below. The first sensors are a log's own channels, by the same names and in the same units. An episode's
seed, which is part of every saved state, makes its road (``roads.py``) and the errors of its satellite receiver.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from videosim.data.formats.log import CHANNELS
from videosim.envs.driver import driver
from videosim.envs.roads import FIRST_M, LAST_M, Road
from videosim.envs.scenery import LIDAR_GROUP, PAINT, SOLID, VISUAL, Scenery, poses, scenery_xml
from videosim.envs.sources import settle
from videosim.envs.vehicle import ACTUATORS, BODY, CONTACTS, DEFAULTS, GROUND, OPTION, SENSORS, TIMESTEP_S, Vehicle
from videosim.envs.worlds import Knowledge, Row, sensor_spec
from videosim.types import ActionSpec

import mujoco  # isort: skip

CONTROLS = ("steer", "throttle")
SUBSTEPS = 10  # 20 frames a second, as dash cameras have
CRUISE_MPS = 10.0  # faster pays no more
UNDER_WAY_MPS = 2.0  # slower is standing about
PREVIEW_M = (5.0, 10.0, 20.0)  # along the lane, where the sensors tell its course
LIDAR_DEG = np.array([2.0, 6.0, 10.0, 15.0, 22.0, 32.0, 48.0, 75.0])  # of the rays, closest together straight ahead
LIDAR_DEG = np.concatenate([-LIDAR_DEG[::-1], LIDAR_DEG])  # from right to left
LIDAR_M, OBJECT_M = 40.0, 60.0  # how far the lidar sees, and how far ahead an object is listed
PASSED_M = -4.0  # an object this far behind the car's middle is listed no more
LISTED = 2  # objects
GPS_BIAS_M, GPS_NOISE_M, GPS_NOISE_MPS = 1.5, 0.3, 0.1  # standard deviations: an episode's, a fix's, a fix's
RAYS = np.stack([np.cos(np.radians(LIDAR_DEG)), np.sin(np.radians(LIDAR_DEG)), np.zeros(len(LIDAR_DEG))], 1)
SEEN = np.array([group == LIDAR_GROUP for group in range(6)], np.uint8)

XML = f"""
<mujoco model="driving">
  <option {OPTION}/>{VISUAL}
  <default>{DEFAULTS}{PAINT}{SOLID}</default>
  <worldbody>{GROUND}{BODY}{{scenery}}</worldbody>
  <contact>{CONTACTS}</contact>
  <actuator>{ACTUATORS}</actuator>
  <sensor>{SENSORS}</sensor>
</mujoco>
"""
ROWS: list[Row] = [
    ("speed", CHANNELS["speed"].unit, 0.0, 18.0),
    ("yaw_rate", CHANNELS["yaw_rate"].unit, -1.5, 1.5),
    ("accel_long", CHANNELS["accel_long"].unit, -12.0, 12.0),
    ("accel_lat", "m/s^2", -12.0, 12.0),
    ("steer_angle", "rad", -0.4, 0.4),
    ("wheel_speed", "m/s", 0.0, 18.0),
    ("gps_speed", "m/s", 0.0, 18.0),
    ("lane_width", "m", 3.0, 4.2),
    ("lane_offset", "m", -2.5, 6.5),
    ("heading_error", "rad", -np.pi / 2, np.pi / 2),
    *(
        (f"lane_at_{distance:g}m", "m", -reach, reach)
        for distance, reach in zip(PREVIEW_M, (7.0, 10.0, 20.0), strict=True)
    ),
    *((f"lidar_{i}", "m", 0.0, LIDAR_M) for i in range(len(RAYS))),
]
OBJECT_ROWS: list[Row] = [
    row
    for i in range(1, LISTED + 1)
    for row in (
        (f"object_{i}_ahead", "m", PASSED_M, OBJECT_M),
        (f"object_{i}_offset", "m", -3.0, 7.0),
        (f"object_{i}_speed", "m/s", 0.0, 6.0),
    )
]


class DrivingSource:
    """Lane keeping on an empty road. The reward, in [0, 1] a step, is the progress along the road, as a part of 10 m/s,
    times how well the car is centred in the right lane. The task is over when the car's middle leaves the road, when it
    points backwards, overturns, or touches something. ``info["success"]``: it is in its lane and moves on, at 2 m/s or
    more; ``info["gps_m"]``: the receiver's east and north (m), float64 (2,), which no picture tells."""

    objects = False
    derived: tuple[str, ...] = ()
    dt_s = SUBSTEPS * TIMESTEP_S
    action = ActionSpec(
        low=tuple(CHANNELS[name].low for name in CONTROLS),
        high=tuple(CHANNELS[name].high for name in CONTROLS),
        names=CONTROLS,
    )

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(XML.format(scenery=scenery_xml(self.objects)))
        self.data = mujoco.MjData(self.model)
        self.vehicle = Vehicle(self.model, self.data)
        self.memory = np.zeros(3)  # the seed, and the mean acceleration of the last step, forward and to the left
        self.scenery = Scenery(self.model)
        self._made: Road | None = None
        rows = ROWS + (OBJECT_ROWS if self.objects else [])
        self.knowledge = Knowledge(sensor_spec(rows), read, wide, driver(sensor_spec(rows)))

    @property
    def road(self) -> Road:
        """The road of this episode, made again where a restored state brings another seed."""
        seed = int(self.memory[0])
        if self._made is None or self._made.seed != seed:
            self._made = Road(seed)
        return self._made

    def begin(self, seed: int) -> None:
        """The car rolls along its lane, roughly in the middle of it."""
        rng = np.random.default_rng([seed, 0])
        self.memory[:] = seed, 0.0, 0.0
        self.start(rng.uniform(0.0, 10.0), rng.normal(0.0, 0.2), rng.normal(0.0, 0.03), rng.uniform(4.0, 9.0))

    def start(self, s: float, lane_offset: float, heading_error: float, speed: float, steer: float = 0.0) -> None:
        """Put the car on the road, ``lane_offset`` (m) to the left of its lane's middle."""
        x, y, heading = self.road.at(s, lane_offset - self.road.lane_m / 2)
        self.vehicle.put(float(x), float(y), float(heading) + heading_error, speed, steer)
        self._place(self._others(0.0))
        settle(self.model, self.data)

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        hit, felt, now = False, np.zeros(2), self.data.time
        before, after = self._others(now), self._others(now + self.dt_s)
        for step in range(SUBSTEPS):
            self._place(before + (after - before) * (step / SUBSTEPS))
            self.vehicle.control(float(action[0]), float(action[1]))
            mujoco.mj_step(self.model, self.data)
            hit = hit or self.scenery.hit(self.data)
            felt += self.vehicle.acceleration
        self.memory[1:] = felt / SUBSTEPS
        self._place(after)
        settle(self.model, self.data)
        return self._outcome(hit)

    def _outcome(self, hit: bool) -> tuple[float, bool, dict[str, Any]]:
        s, lane_offset, error = self.lane()
        half = self.road.lane_m / 2
        off = abs(lane_offset - half) > self.road.lane_m or abs(error) > np.pi / 2 or self.vehicle.upright < 0.5
        over = bool(hit or off or not FIRST_M + 20.0 < s < LAST_M - 80.0)
        progress = float(np.clip(self.vehicle.velocity[0] * np.cos(error) / CRUISE_MPS, 0.0, 1.0))
        reward = 0.0 if over else progress * self.worth(max(0.0, 1.0 - (lane_offset / half) ** 2))
        success = not over and progress * CRUISE_MPS >= UNDER_WAY_MPS and self.kept(lane_offset)
        return reward, over, {"success": success, "gps_m": self.gps()[:2]}

    def _others(self, time_s: float) -> np.ndarray:
        """Where obstacles and other cars are, float64 (n, 7); n is 0 on an empty road."""
        return poses(self.road, time_s)[: self.model.nmocap]

    def _place(self, objects: np.ndarray) -> None:
        self.data.mocap_pos[:], self.data.mocap_quat[:] = objects[:, :3], objects[:, 3:]

    def worth(self, centred: float) -> float:
        """What a metre pays, in [0, 1]; ``centred`` is 1 in the middle of the lane and 0 outside it."""
        return centred

    def kept(self, lane_offset: float) -> bool:
        """Whether the car is where it should be."""
        return abs(lane_offset) < self.road.lane_m / 2

    def lane(self) -> tuple[float, float, float]:
        """Where the car is: ``s`` (m), offset to the left of its lane's middle (m), heading off the road's (rad)."""
        x, y, heading = self.vehicle.place
        s, offset, along = self.road.locate(x, y)
        return s, offset + self.road.lane_m / 2, float((heading - along + np.pi) % (2 * np.pi) - np.pi)

    def gps(self) -> np.ndarray:
        """East and north (m) and speed (m/s) with the errors of this episode and of this fix, float64 (3,)."""
        seed, fix = int(self.memory[0]), round(self.data.time / self.dt_s)
        noise = np.random.default_rng([seed, 2, fix]).normal(0.0, (GPS_NOISE_M, GPS_NOISE_M, GPS_NOISE_MPS))
        return np.array([*(self.data.qpos[:2] + _gps_bias(seed)), np.linalg.norm(self.vehicle.velocity)]) + noise

    def lidar(self) -> np.ndarray:
        """Distance (m) from the middle of the front bumper to what each ray meets, at most LIDAR_M, float64 (16,)."""
        data = self.data
        site = self.model.site("lidar").id
        rays = RAYS @ data.site_xmat[site].reshape(3, 3).T
        met, distance = np.empty(len(RAYS), np.int32), np.empty(len(RAYS))
        origin = data.site_xpos[site]
        mujoco.mj_multiRay(
            self.model, data, origin, rays.ravel(), SEEN, True, -1, met, distance, None, len(RAYS), LIDAR_M
        )
        return np.where(distance < 0.0, LIDAR_M, np.minimum(distance, LIDAR_M))

    def look(self, draw: Any) -> np.ndarray:
        """The dash camera's frame, uint8 (H, W, 3)."""
        self.scenery.lay_out(self.data, self.road, self.lane()[0])
        return draw()

    def observation(self) -> dict[str, np.ndarray]:
        return {"state": read(self)}


class ObstacleSource(DrivingSource):
    """The same on a road with obstacles and slower cars in both lanes. Half of what a metre pays is for being centred
    in the right lane, the other half is paid anywhere on the road; ``info["success"]``: it moves on, in either lane."""

    objects = True

    def worth(self, centred: float) -> float:
        return 0.5 + 0.5 * centred

    def kept(self, lane_offset: float) -> bool:
        return True


@lru_cache(maxsize=8)
def _gps_bias(seed: int) -> np.ndarray:
    """East and north (m), float64 (2,)."""
    return np.random.default_rng([seed, 3]).normal(0.0, GPS_BIAS_M, 2)


def read(source: Any) -> np.ndarray:
    """The sensors of ``ROWS``, and of ``OBJECT_ROWS`` where there are objects, float64 (S,)."""
    vehicle, road = source.vehicle, source.road
    s, lane_offset, error = source.lane()
    source.scenery.lay_out(source.data, road, s)
    ahead = vehicle.velocity[0]
    turns = vehicle.yaw_rate, *source.memory[1:], vehicle.steer
    own = [ahead, *turns, vehicle.wheel_speed, source.gps()[2], road.lane_m, lane_offset, error]
    x, y, heading = vehicle.place
    lane_x, lane_y, _ = road.at(s + np.array(PREVIEW_M), -road.lane_m / 2)
    preview = (lane_y - y) * np.cos(heading) - (lane_x - x) * np.sin(heading)
    values = [*own, *preview, *source.lidar()]
    return np.array(values + _objects(source, s) if source.objects else values)


def _objects(source: Any, s: float) -> list[float]:
    """The LISTED nearest objects that are not yet passed: how far ahead, how far to the left of the lane's middle, and
    their speed."""
    objects, rows = source.road.objects, []
    ahead = objects.now(source.data.time) - s
    order = [i for i in np.argsort(ahead) if PASSED_M < ahead[i] < OBJECT_M]
    for i in order[:LISTED]:
        rows += [ahead[i], objects.offset[i] + source.road.lane_m / 2, objects.speed[i]]
    return rows + [OBJECT_M, 0.0, 0.0] * (LISTED - min(len(order), LISTED))


def wide(source: Any, rng: np.random.Generator) -> None:
    """Anywhere on either lane of the road, askew, at any speed, the wheels turned."""
    road = source.road
    for _ in range(20):
        s, lane_offset = rng.uniform(0.0, 200.0), rng.uniform(-0.35, 1.35) * road.lane_m
        gaps = np.abs(road.objects.s - s)
        if not source.objects or gaps.min() > 9.0:
            break
    source.start(s, lane_offset, rng.normal(0.0, 0.15), rng.uniform(1.0, 14.0), rng.normal(0.0, 0.06))
