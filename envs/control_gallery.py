"""Controls of the gallery: worlds without depth, without a fixed room, or without a memory of it. A8 must see each."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from videosim.envs.faults import Before, Draw, Fault, FaultySource
from videosim.envs.gallery import COLOURS, FOVY_DEG

DEPTH_M = 2.2  # at which a flat picture of the room is taken to hang


def _remember(world: FaultySource, before: Before) -> None:
    """The pose at the start, in the fault's own memory."""
    if world.steps == 1:
        world.own[:3] = before.qpos


def _from(world: FaultySource, draw: Draw, pose: np.ndarray) -> np.ndarray:
    """What is seen from another pose."""
    camera = world.data.cam("eye")
    kept = camera.xpos.copy(), camera.xmat.copy()
    x, y, heading = pose
    cos, sin = np.cos(heading), np.sin(heading)
    camera.xpos[:2] = x, y
    camera.xmat[:] = sin, 0.0, -cos, -cos, 0.0, -sin, 0.0, 1.0, 0.0  # columns: right, up, back
    frame = draw()
    camera.xpos[:], camera.xmat[:] = kept
    return frame


def _moved(world: FaultySource) -> tuple[float, float, float]:
    """How far the camera has gone since the start, forward and to the left as it looked then, and how far it has
    turned."""
    x, y, turned = world.data.qpos - world.own[:3]
    cos, sin = np.cos(world.own[2]), np.sin(world.own[2])
    return cos * x + sin * y, cos * y - sin * x, turned


def _drawn_from(frame: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The picture whose pixels are those of ``frame`` at (column, row), at its edge where they lie outside."""
    parts = [
        map_coordinates(frame[..., i].astype(np.float32), [row, column], order=1, mode="nearest") for i in range(3)
    ]
    return np.clip(np.stack(parts, -1) + 0.5, 0, 255).astype(np.uint8)


def _grid(side: int) -> tuple[np.ndarray, np.ndarray, float]:
    """To the left and up of the middle, of each pixel, as tangents (H, W); and pixels a tangent."""
    focal = side / 2.0 / float(np.tan(np.radians(FOVY_DEG) / 2.0))
    offsets = ((side - 1) / 2.0 - np.arange(side)) / focal
    left, up = np.meshgrid(offsets, offsets)
    return left, up, focal


def two_d_warp(depth_m: float = DEPTH_M) -> Fault:
    """The first picture, as if it hung in front of the camera ``depth_m`` away: every view of it is a homography, and
    nothing is nearer than anything else; A8 must see it, by the balls that are elsewhere."""

    def picture(world: FaultySource, draw: Draw) -> np.ndarray:
        if world.steps == 0:
            return draw()
        frame, (ahead, aside, turned) = _from(world, draw, world.own[:3]), _moved(world)
        left, up, focal = _grid(len(frame))
        cos, sin = np.cos(turned), np.sin(turned)
        forward = np.maximum(cos - sin * left, 0.05)  # of each line of sight; those that turn away see the edge
        scale = (depth_m - ahead) / forward
        column = (len(frame) - 1) / 2.0 - focal * (aside + scale * (sin + cos * left)) / depth_m
        row = (len(frame) - 1) / 2.0 - focal * scale * up / depth_m
        return _drawn_from(frame, column, row)

    return Fault(motion=_remember, picture=picture, numbers=3)


def no_parallax() -> Fault:
    """The camera turns as it is told and stays where it was, so that every picture is a homography of every other; A8
    must see it, by the balls that do not come nearer."""

    def picture(world: FaultySource, draw: Draw) -> np.ndarray:
        return draw() if world.steps == 0 else _from(world, draw, np.append(world.own[:2], world.data.qpos[2]))

    return Fault(motion=_remember, picture=picture, numbers=3)


def zoom_only() -> Fault:
    """To go forward enlarges the first picture, and nothing else is done; A8 must see it, by the balls that are
    elsewhere."""

    def picture(world: FaultySource, draw: Draw) -> np.ndarray:
        if world.steps == 0:
            return draw()
        frame, (ahead, _, _) = _from(world, draw, world.own[:3]), _moved(world)
        left, up, focal = _grid(len(frame))
        middle, scale = (len(frame) - 1) / 2.0, focal * max(0.05, 1.0 - ahead / DEPTH_M)
        return _drawn_from(frame, middle - scale * left, middle - scale * up)

    return Fault(motion=_remember, picture=picture, numbers=3)


def slow_drift(rate: float = 0.05) -> Fault:
    """The camera creeps east by ``rate`` m/s and turns by as many rad/s, whatever it is told; A8 must see it, when it
    comes back to another place."""

    def motion(world: FaultySource, before: Before) -> None:
        world.data.qpos[[0, 2]] += rate * world.dt_s

    return Fault(motion=motion)


def forget(angle_rad: float = 0.3) -> Fault:
    """A ball that goes out of sight is elsewhere from then on, ``angle_rad`` round the room; A8 must see it, by the
    balls that come back."""

    def motion(world: FaultySource, before: Before) -> None:
        x, y, heading = world.data.qpos
        half = np.radians(FOVY_DEG) / 2.0
        for i in range(len(COLOURS)):
            place = world.data.mocap_pos[i]
            bearing = np.arctan2(place[1] - y, place[0] - x) - heading
            hidden = abs((bearing + np.pi) % (2.0 * np.pi) - np.pi) > half + 0.15
            if hidden and world.own[i] == 1.0:
                cos, sin = np.cos(angle_rad), np.sin(angle_rad)
                place[:2] = cos * place[0] - sin * place[1], sin * place[0] + cos * place[1]
                world.own[i] = 2.0
            elif not hidden and world.own[i] == 0.0:
                world.own[i] = 1.0

    return Fault(motion=motion, numbers=len(COLOURS))
