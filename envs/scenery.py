"""What the dash camera and the lidar see of a road: its surface, its markings, hedges, sky and what stands on it.

A fixed number of boxes is laid along the part of the road around the car. They touch nothing and move no body, so they
are not state: they are put in their places whenever somebody looks, as a function of the road and of where the car is.
Obstacles and other cars are bodies, moved by hand (``mocap``), which the car can hit.
"""

from __future__ import annotations

import numpy as np

from videosim.envs import rendering  # noqa: F401  (chooses the OpenGL back end before mujoco is imported)
from videosim.envs.roads import BLOCKS_M, CAR_M, CARS, FIRST_M, PIECE_M, PIECES, Road

import mujoco  # isort: skip

SHOWN = 28  # pieces of road at a time
AHEAD_M = 26.0  # how far in front of the car their middle lies
SHOULDER_M = 0.45  # breadth of the white line at each edge
DASH_M = (1.4, 0.18)  # half the length and breadth of a dash, on every second piece
SKY_M = 120.0  # how far away the sky is
HEDGE_M = 0.4  # half the thickness of a hedge
BURIED_M = -20.0  # height of what is not there
LIDAR_GROUP = 1  # geoms of this group send the lidar's rays back
# From above and from the eye: a face is as bright as it is level or turned to the camera, whatever the way it drives.
LIGHT = (
    '<light directional="true" dir="0 0 -1" ambient=".5 .5 .5" diffuse=".5 .5 .5" specular="0 0 0" castshadow="false"/>'
)
VISUAL = """
    <visual><headlight ambient="0 0 0" diffuse=".5 .5 .5" specular="0 0 0"/><map znear=".02" zfar="40"/>
      <quality numslices="8" numstacks="4" numquads="1"/></visual>
    <statistic extent="10" center="0 0 0"/>"""
PAINT = '<default class="paint"><geom type="box" contype="0" conaffinity="0" group="2" mass="0"/></default>'
# Height of each layer of the ground: what lies higher covers what lies lower.
LAYERS = {"land": -0.02, "line": 0.0, "road": 0.02, "dash": 0.04}


def _pieces() -> str:
    length = PIECE_M / 2 + 0.3  # overlapping, so that no wedge opens on the outside of a bend
    row = []
    for i in range(SHOWN):
        row.append(f'<geom class="paint" name="line_{i}" size="{length} 4 .01"/>')
        row.append(f'<geom class="paint" name="road_{i}" size="{length} 4 .01"/>')
        row += [
            f'<geom class="paint" name="{side}_{i}" size="{PIECE_M / 2} {HEDGE_M} 1.2" group="{LIDAR_GROUP}"/>'
            for side in ("left", "right")
        ]
    row += [f'<geom class="paint" name="dash_{i}" size="{DASH_M[0]} {DASH_M[1]} .01"/>' for i in range(SHOWN // 2)]
    return "".join(row)


def _block(number: int, size: tuple[float, float, float]) -> str:
    x, y, z = size
    return f"""
    <body name="object_{number}" mocap="true" pos="0 0 {BURIED_M}">
      <geom name="object_{number}" class="solid" size="{x} {y} {z}" pos="0 0 {z}"/>
      <geom class="paint" size="{x + 0.02} {y + 0.02} {z * 0.2}" pos="0 0 {z}" rgba=".95 .95 .95 1"/>
    </body>"""


def _car(number: int) -> str:
    x, y, z = CAR_M
    low, high = z * 0.6, z * 0.4
    return f"""
    <body name="object_{number}" mocap="true" pos="0 0 {BURIED_M}">
      <geom name="object_{number}" class="solid" size="{x} {y} {low}" pos="0 0 {low + 0.2}"/>
      <geom class="paint" size="{x * 0.55} {y * 0.9} {high}" pos="-.1 0 {2 * low + high + 0.2}" rgba=".1 .12 .16 1"/>
      <geom class="paint" size="{x + 0.03} {y * 0.95} .12" pos="0 0 {low + 0.3}" rgba=".7 .02 .02 1"/>
      <geom class="paint" size="{x + 0.05} {y * 0.55} .14" pos="0 0 {low + 0.3}" rgba=".85 .85 .85 1"/>
      <geom class="paint" size="{x * 0.95} {y * 0.95} .1" pos="0 0 .1" rgba=".05 .05 .05 1"/>
    </body>"""


def scenery_xml(objects: bool) -> str:
    """The bodies and geoms of the scene, with things on the road or without."""
    sky = f'<geom class="paint" name="sky" size=".1 {SKY_M * 2} {SKY_M}"/>'
    sky += f'<geom class="paint" name="land" size="{SKY_M} {SKY_M} .01"/>'
    things = [_block(i, size) for i, size in enumerate(BLOCKS_M)]
    things += [_car(len(BLOCKS_M) + i) for i in range(CARS)]
    return LIGHT + sky + _pieces() + ("".join(things) if objects else "")


SOLID = f"""<default class="solid"><geom type="box" contype="2" conaffinity="0" group="{LIDAR_GROUP}" friction=".4"/>
    </default>"""


class Scenery:
    """The scene's boxes in ``model``, laid along one road at a time."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model

        def ids(name: str, count: int = SHOWN) -> np.ndarray:
            return np.array([model.geom(f"{name}_{i}").id for i in range(count)])

        self._line, self._road, self._dash = ids("line"), ids("road"), ids("dash", SHOWN // 2)
        self._hedges = np.stack([ids("left"), ids("right")])
        self._sky, self._land = model.geom("sky").id, model.geom("land").id
        count = (len(BLOCKS_M) + CARS) if model.nmocap else 0
        self._objects = np.array([model.geom(f"object_{i}").id for i in range(count)], int)
        self._of: Road | None = None
        self._places = np.zeros((4, PIECES, 3))  # of dash, line and road; hedge left; hedge right: x, y, z
        self._turns = np.zeros((PIECES, 9))

    def lay_out(self, data: mujoco.MjData, road: Road, s: float) -> None:
        """Put the boxes where they are seen from ``s``; says nothing to the physics."""
        if road is not self._of:
            self._survey(road)
        first = round((s + AHEAD_M - FIRST_M) / PIECE_M) - SHOWN // 2
        first = int(np.clip(first - first % 2, 0, PIECES - SHOWN))
        seen = slice(first, first + SHOWN)
        for ids, height in ((self._line, LAYERS["line"]), (self._road, LAYERS["road"])):
            data.geom_xpos[ids] = self._places[0, seen] + (0.0, 0.0, height)
            data.geom_xmat[ids] = self._turns[seen]
        data.geom_xpos[self._dash] = self._places[0, first : first + SHOWN : 2] + (0.0, 0.0, LAYERS["dash"])
        data.geom_xmat[self._dash] = self._turns[first : first + SHOWN : 2]
        for side, ids in enumerate(self._hedges):
            data.geom_xpos[ids] = self._places[1 + side, seen]
            data.geom_xmat[ids] = self._turns[seen]
            self.model.geom_rgba[ids, :3] = road.colours.hedges[side, seen]
        x, y, turn = data.qpos[0], data.qpos[1], _heading(data)
        data.geom_xpos[self._land] = x, y, LAYERS["land"]
        data.geom_xpos[self._sky] = x + SKY_M * np.cos(turn), y + SKY_M * np.sin(turn), SKY_M
        data.geom_xmat[[self._sky, self._land]] = _turned(np.array([turn]))[0]

    def hit(self, data: mujoco.MjData) -> bool:
        """Whether something touches an obstacle or another car, whose geoms are the scene's last."""
        return bool(len(self._objects) and data.ncon and data.contact.geom.max() >= self._objects[0])

    def _survey(self, road: Road) -> None:
        """Everything about ``road`` that does not depend on where the car is."""
        self._of, model, colours = road, self.model, road.colours
        s = FIRST_M + PIECE_M * (np.arange(PIECES) + 0.5)
        x, y, heading = road.at(s)
        self._turns = _turned(heading)
        self._places[0] = np.stack([x, y, np.zeros(PIECES)], 1)
        model.geom_size[self._road, 1] = road.lane_m
        model.geom_size[self._line, 1] = road.lane_m + SHOULDER_M
        for side in (0, 1):
            x, y, _ = road.at(s, np.nan_to_num(road.hedges[side]))
            there = np.isfinite(road.hedges[side])
            self._places[1 + side] = np.stack([x, y, np.where(there, 2 * road.height[side] - 1.2, BURIED_M)], 1)
        model.geom_rgba[self._line, :3] = model.geom_rgba[self._dash, :3] = colours.marking
        model.geom_rgba[self._road, :3] = colours.road
        model.geom_rgba[self._land, :3] = colours.ground
        model.geom_rgba[self._sky, :3] = colours.sky
        if len(self._objects):
            model.geom_rgba[self._objects, :3] = road.objects.colour


def poses(road: Road, time_s: float) -> np.ndarray:
    """Where obstacles and other cars are at ``time_s``: position (m) and quaternion, float64 (n, 7)."""
    x, y, heading = road.at(road.objects.now(time_s), road.objects.offset)
    zero = np.zeros_like(x)
    return np.stack([x, y, zero, np.cos(heading / 2), zero, zero, np.sin(heading / 2)], 1)


def _heading(data: mujoco.MjData) -> float:
    w, x, y, z = data.qpos[3:7]
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def _turned(heading: np.ndarray) -> np.ndarray:
    """Rotation matrices about the vertical, float64 (n, 9)."""
    cos, sin, zero, one = np.cos(heading), np.sin(heading), np.zeros_like(heading), np.ones_like(heading)
    return np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], 1)
