"""The state probe of the door scene: at which angle the door stands and where its hinge is, or that they are absent.

Analytic: door and handle are as red as they are not blue, and nothing else is; the hinge alone is dark. The door lies
along the larger axis of its second moments and points away from the hinge. The camera looks straight down, so that
angles in the picture are those of the scene, and one linear fit on the truth tells metres from pixels. Knows nothing of
who made the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videosim.audits.blobs import find_blobs
from videosim.errors import VideoSimError

OFFSETS = np.array([0.10, 0.02], np.float32)  # of door and hinge: a margin for pixel noise
DARK = 0.25  # the hinge is darker than that in every colour, floor and mark are not
PRESENT = np.array([0.35, 0.10])  # of the whole mass: less is no door, or no hinge, whose darkness a blur takes most of
REACH_PX = 11.0  # from the middle of the door: all of it, and little else
NEEDED = 60  # frames


@dataclass(frozen=True)
class Reading:
    """What was read from n frames.

    angle_rad  float64 (n,), in [-pi, pi), from hinge to free end, NaN where door or hinge is absent
    hinge      float64 (n, 2) in metres, NaN where absent
    """

    angle_rad: np.ndarray
    hinge: np.ndarray


def wrapped(angle_rad: np.ndarray | float) -> np.ndarray:
    """The same angle in [-pi, pi)."""
    return (np.asarray(angle_rad) + np.pi) % (2.0 * np.pi) - np.pi


def contrasts(frames: np.ndarray) -> np.ndarray:
    """How much each pixel is door or handle, and hinge: float32 (n, 2, H, W) from frames uint8 (n, H, W, 3), 0 or more.
    Linear in the colour, so that a pixel half covered counts about half."""
    red, green, blue = np.moveaxis(frames.astype(np.float32) / 255.0, -1, 0)
    contrast = np.stack([red - blue, DARK - np.maximum(np.maximum(red, green), blue)], axis=1)
    return (contrast - OFFSETS[:, None, None]).clip(min=0.0)


class DoorReader:
    """Calibrated on true frames, used on any. Raises VideoSimError on a calibration that it cannot fit."""

    def __init__(self, frames: np.ndarray, hinge: np.ndarray) -> None:
        """frames uint8 (n, H, W, 3), each with the whole door; hinge (n, 2) in metres."""
        blobs = find_blobs(contrasts(frames), OFFSETS)
        seen = (blobs.mass[..., 0] > 0.0).all(1)
        if seen.sum() < NEEDED:
            raise VideoSimError(
                f"the reader needs {NEEDED} frames with door and hinge in sight and got {seen.sum()}; give more frames"
            )
        self._to_metres = np.linalg.lstsq(_terms(blobs.place[seen, 1]), hinge[seen], rcond=None)[0]
        self._whole = np.median(blobs.mass[seen, :, 0], axis=0)

    def read(self, frames: np.ndarray) -> Reading:
        """frames uint8 (n, H, W, 3) of the size calibrated with."""
        weights = contrasts(frames)
        blobs = find_blobs(weights, OFFSETS)
        door, hinge = (blobs.mass[..., 0] >= PRESENT * self._whole).T
        reading = Reading(np.full(len(frames), np.nan), np.full((len(frames), 2), np.nan))
        reading.hinge[hinge] = _terms(blobs.place[hinge, 1]) @ self._to_metres
        both = door & hinge
        reading.angle_rad[both] = _direction(weights[both, 0], blobs.place[both, 0], blobs.place[both, 1])
        return reading


def _direction(weights: np.ndarray, middle: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """Of doors with ``weights`` (n, H, W) and their ``middle`` (n, 2) in pixels, away from ``hinge`` (n, 2): (n,)."""
    rows, columns = np.mgrid[: weights.shape[1], : weights.shape[2]]
    x = columns - middle[:, 0, None, None]
    y = middle[:, 1, None, None] - rows  # upwards
    mass = np.where(x * x + y * y <= REACH_PX**2, weights, 0.0)
    total = mass.sum((1, 2))
    x, y = (place - ((mass * place).sum((1, 2)) / total)[:, None, None] for place in (x, y))
    xx, yy, xy = ((mass * product).sum((1, 2)) for product in (x * x, y * y, x * y))
    along = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    out = middle - hinge
    backwards = np.cos(along) * out[:, 0] - np.sin(along) * out[:, 1] < 0.0
    return wrapped(along + np.pi * backwards)


def _terms(place: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(place), 1)), place / 32.0 - 1.0], axis=1)
