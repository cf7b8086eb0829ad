"""The state probe of the push scene: where its four coloured things are in a frame, or that they are absent.

Analytic: a colour contrast per object, its connected blobs, the contrast-weighted centroid of the largest one, and a
polynomial from pixels to metres that is fitted on the truth. Knows nothing of who made the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from videosim.audits.push_scene import NAMES
from videosim.errors import VideoSimError

PRESENT = 0.2  # of an object's full mass: less is no object. A quarter visible must be found
SECOND = 0.3  # of an object's full mass: another blob this heavy is a second object of the same colour


@dataclass(frozen=True)
class Reading:
    """What was read from n frames, one column an object of ``NAMES``.

    position  float64 (n, 4, 2) in metres, NaN where absent
    mass      float64 (n, 4), the largest blob's, as a fraction of what the whole object has at that place
    blobs     int (n, 4), things of that colour that are heavy enough to be an object
    """

    position: np.ndarray
    mass: np.ndarray
    blobs: np.ndarray


def contrasts(frames: np.ndarray) -> np.ndarray:
    """How much each pixel is of each object's colour: float32 (n, 4, H, W) from frames uint8 (n, H, W, 3), 0 or more.

    Linear in the colour, so that a pixel half covered counts about half. The offsets keep floor, walls, screen, goal
    and the box's bright stripe out, with a margin for pixel noise.
    """
    red, green, blue = np.moveaxis(frames.astype(np.float32) / 255.0, -1, 0)
    return np.stack(
        [
            np.minimum(np.minimum(red, green), blue) - 0.56,
            red - np.maximum(green, blue) - 0.28,
            green - np.maximum(red, blue) - 0.13,
            np.minimum(blue - red, 0.45) - 0.16,  # box and stripe alike
        ],
        axis=1,
    ).clip(min=0.0)


def _centroids(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the two heaviest blobs of each colour: centroid in pixels (n, 4, 2, 2) as (column, row), and mass (n, 4,
    2)."""
    weights = contrasts(frames)
    place, mass = np.full((*weights.shape[:2], 2, 2), np.nan), np.zeros((*weights.shape[:2], 2))
    for index in np.ndindex(weights.shape[:2]):
        weight = weights[index]
        labels, found = ndimage.label(weight > 0, np.ones((3, 3)))
        if not found:
            continue
        total = np.bincount(labels.ravel(), weight.ravel(), found + 1)
        total[0] = 0.0
        for rank, label in enumerate(np.argsort(-total)[: min(2, found)]):
            rows, columns = np.nonzero(labels == label)
            inside = weight[rows, columns]
            place[index][rank] = inside @ columns / total[label], inside @ rows / total[label]
            mass[index][rank] = total[label]
    return place, mass


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
        place, mass = _centroids(frames)
        self._to_metres, self._full = [], []
        for i, name in enumerate(NAMES):
            whole = (visible[:, i] > 0.97) & (mass[:, i, 0] > 0)
            if whole.sum() < 60:
                raise VideoSimError(
                    f"the reader needs 60 frames with all of {name} in sight and got {whole.sum()}; give more frames"
                )
            at = place[whole, i, 0]
            self._to_metres.append(np.linalg.lstsq(_powers(at, self.degree), position[whole, i], rcond=None)[0])
            self._full.append(np.linalg.lstsq(_powers(at, 1), mass[whole, i, 0], rcond=None)[0])

    def read(self, frames: np.ndarray) -> Reading:
        """frames uint8 (n, H, W, 3) of the size calibrated with."""
        place, mass = _centroids(frames)
        position, share = np.full((len(frames), len(NAMES), 2), np.nan), np.zeros(mass.shape)
        for i in range(len(NAMES)):
            seen = mass[:, i, 0] > 0
            full = _powers(place[seen, i, 0], 1) @ self._full[i]
            share[seen, i] = mass[seen, i] / full[:, None]
            found = share[:, i, 0] >= PRESENT
            position[found, i] = _powers(place[found, i, 0], self.degree) @ self._to_metres[i]
        return Reading(position, share[..., 0], (share >= [PRESENT, SECOND]).sum(-1))
