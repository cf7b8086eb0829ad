"""What an audit must know of the push scene to judge it: objects, size, speeds, and what its screen hides."""

from __future__ import annotations

import hashlib

import numpy as np

from videosim.envs.push import ARENA_M as HALF_M
from videosim.envs.push import OBJECTS, SPEED_MPS, XML

NAMES = ("pusher", *OBJECTS)
ARENA_M = 2 * HALF_M  # side of the arena: errors are also given as fractions of it
DT_S = 0.04
STEP_M = np.sqrt(2.0) * SPEED_MPS * DT_S  # the furthest that anything is driven in a frame
RADIUS_M = 0.085  # no object is larger: half the box's diagonal
# The inner edges of the screen's shadow, seen from the camera, at the height of the objects; its outer edges lie beyond
# the walls. Nothing outside is hidden by it (a test compares this with MuJoCo's segmentation).
SHADOW_X_M, SHADOW_Y_M = -0.158, 0.194


def scene_sha256() -> str:
    """Of the scene as MuJoCo compiles it: a measurement says on which scene it was made."""
    return hashlib.sha256(XML.encode()).hexdigest()


def positions(sensors: np.ndarray) -> np.ndarray:
    """The planar positions float64 (…, 4, 2) of NAMES in metres, out of push's sensors (…, S)."""
    return np.asarray(sensors, np.float64)[..., :8].reshape(*np.shape(sensors)[:-1], 4, 2)


def may_be_hidden(place: np.ndarray, frames: np.ndarray | float = 1.0) -> np.ndarray:
    """Whether an object last seen at ``place`` (…, 2) may be hidden by the screen, partly or wholly, ``frames`` later:
    bool (…)."""
    reach = RADIUS_M + STEP_M * np.asarray(frames)
    return (place[..., 0] < SHADOW_X_M + reach) & (place[..., 1] > SHADOW_Y_M - reach)
