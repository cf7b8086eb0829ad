"""The probe of the gallery: at which pixel each of the six coloured balls is seen, or that it is not.

Walls, floor and ceiling are grey. Nothing is calibrated: a ball's picture is an ellipse, and geometry knows its middle.
"""

from __future__ import annotations

import numpy as np

from videosim.audits.blobs import find_blobs
from videosim.envs.gallery import COLOURS

PRESENT = 2.5  # pixels of full contrast: less is no ball
OFFSETS = np.full(len(COLOURS), 0.08, np.float32)  # a margin for pixel noise


def contrasts(frames: np.ndarray) -> np.ndarray:
    """How much of each of COLOURS a pixel is: float32 (n, 6, H, W) from frames uint8 (n, H, W, 3), 0 or more. Linear in
    the colour, so that a pixel half covered counts about half."""
    red, green, blue = np.moveaxis(frames.astype(np.float32) / 255.0, -1, 0)
    contrast = [
        *(red - np.maximum(green, blue), green - np.maximum(red, blue), blue - np.maximum(red, green)),
        *(np.minimum(red, green) - blue, np.minimum(red, blue) - green, np.minimum(green, blue) - red),
    ]
    return (np.stack(contrast, axis=1) - OFFSETS[:, None, None]).clip(min=0.0)


class GalleryReader:
    """Reads frames of any origin."""

    def read(self, frames: np.ndarray) -> np.ndarray:
        """Pixels (column, row) float64 (n, 6, 2), NaN where absent, in frames uint8 (n, H, W, 3)."""
        blobs = find_blobs(contrasts(frames), OFFSETS)
        return np.where((blobs.mass[..., :1] >= PRESENT), blobs.place, np.nan)
