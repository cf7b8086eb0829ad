"""The state probe of the push scene: where its four coloured things are in a frame, or that they are absent.

Analytic: a colour contrast per object, its connected blobs, the contrast-weighted centroid of the largest one, and a
polynomial from pixels to metres that is fitted on the truth. Knows nothing of who made the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videosim.audits.blobs import find_blobs
from videosim.audits.push_scene import NAMES
from videosim.errors import VideoSimError

PRESENT = 0.2  # of an object's full mass: less is no object. A quarter visible must be found
# Contrast of each colour that floor, walls, screen and goal do not reach, with a margin for pixel noise.
OFFSETS = np.array([0.56, 0.28, 0.13, 0.16], np.float32)
SECOND = 0.3  # of an object's full mass: another blob this heavy is a second object of the same colour


@dataclass(frozen=True)
class Reading:
    """What was read from n frames, one column an object of ``NAMES``.

    position  float64 (n, 4, 2) in metres, NaN where absent
    area      float64 (n, 4), pixels above half of the blob's height, as a fraction of the whole object's at that place
    strength  float64 (n, 4), the colour's contrast, as a fraction of the whole object's: is it still of its colour?
    blobs     int (n, 4), things of that colour that are heavy enough to be an object
    """

    position: np.ndarray
    area: np.ndarray
    strength: np.ndarray
    blobs: np.ndarray


def contrasts(frames: np.ndarray) -> np.ndarray:
    """How much each pixel is of each object's colour: float32 (n, 4, H, W) from frames uint8 (n, H, W, 3), 0 or more.

    Linear in the colour, so that a pixel half covered counts about half.
    """
    red, green, blue = np.moveaxis(frames.astype(np.float32) / 255.0, -1, 0)
    contrast = [
        np.minimum(np.minimum(red, green), blue),
        red - np.maximum(green, blue),
        green - np.maximum(red, blue),
        np.minimum(blue - red, 0.45),  # the box's body and its bright stripe alike
    ]
    return (np.stack(contrast, axis=1) - OFFSETS[:, None, None]).clip(min=0.0)


def _powers(place: np.ndarray, degree: int) -> np.ndarray:
    """Monomials up to ``degree`` of pixel places (n, 2), scaled to order one: (n, terms)."""
    x, y = (place / 32.0 - 1.0).T
    return np.stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=1)


class PushReader:
    """Calibrated on true frames, used on any. Raises VideoSimError on a calibration that it cannot fit."""

    degree = 3  # of the polynomial from pixels to metres: perspective, and a sphere's lit side

    def __init__(self, frames: np.ndarray, position: np.ndarray, visible: np.ndarray) -> None:
        """frames uint8 (n, H, W, 3); position (n, 4, 2) in metres; visible (n, 4), the share of each object in sight,
        in [0, 1]. Only whole objects calibrate."""
        blobs = find_blobs(contrasts(frames), OFFSETS)
        self._to_metres, self._whole = [], []
        for i, name in enumerate(NAMES):
            whole = (visible[:, i] > 0.97) & (blobs.mass[:, i, 0] > 0)
            if whole.sum() < 60:
                raise VideoSimError(
                    f"the reader needs 60 frames with all of {name} in sight and got {whole.sum()}; give more frames"
                )
            at = blobs.place[whole, i]
            sizes = np.stack([blobs.mass[whole, i, 0], blobs.area[whole, i], blobs.contrast[whole, i]], axis=1)
            self._to_metres.append(np.linalg.lstsq(_powers(at, self.degree), position[whole, i], rcond=None)[0])
            self._whole.append(np.linalg.lstsq(_powers(at, 1), sizes, rcond=None)[0])

    def read(self, frames: np.ndarray) -> Reading:
        """frames uint8 (n, H, W, 3) of the size calibrated with."""
        blobs = find_blobs(contrasts(frames), OFFSETS)
        shape = blobs.area.shape
        reading = Reading(np.full((*shape, 2), np.nan), np.zeros(shape), np.zeros(shape), np.zeros(shape, int))
        for i in range(len(NAMES)):
            seen = blobs.mass[:, i, 0] > 0
            at = blobs.place[seen, i]
            mass, area, contrast = (_powers(at, 1) @ self._whole[i]).T
            share = blobs.mass[seen, i] / mass[:, None]
            found = share[:, 0] >= PRESENT
            reading.position[seen, i] = np.where(found[:, None], _powers(at, self.degree) @ self._to_metres[i], np.nan)
            reading.area[seen, i] = blobs.area[seen, i] / area
            reading.strength[seen, i] = blobs.contrast[seen, i] / contrast
            reading.blobs[seen, i] = (share >= [PRESENT, SECOND]).sum(1)
        return reading
