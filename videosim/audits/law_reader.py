"""The state probe of the law scene: where its red, green and blue thing are in a frame, or that they are absent.

The camera is so far off that the picture is a map, true to scale: one linear fit on the truth tells metres from pixels.
"""

from __future__ import annotations

import numpy as np

from videosim.audits.blobs import find_blobs
from videosim.errors import VideoSimError

PRESENT = 3.0  # pixels of full contrast: less is no thing
# Contrast that no thing but one of that colour has, with a margin for pixel noise.
OFFSETS = np.full(3, 0.06, np.float32)
NEEDED = 40  # frames for each colour


def contrasts(frames: np.ndarray) -> np.ndarray:
    """How much redder, greener and bluer a pixel is than anything else, beyond OFFSETS: float32 (n, 3, H, W) from
    frames uint8 (n, H, W, 3), 0 or more. Linear in the colour, so that a pixel half covered counts about half."""
    colours = np.moveaxis(frames.astype(np.float32) / 255.0, -1, 1)
    rest = np.stack([np.delete(colours, i, axis=1).max(1) for i in range(3)], axis=1)
    return (colours - rest - OFFSETS[:, None, None]).clip(min=0.0)


class LawReader:
    """Calibrated on true frames, used on any. Raises VideoSimError on a calibration that it cannot fit."""

    def __init__(self, frames: np.ndarray, place: np.ndarray) -> None:
        """frames uint8 (n, H, W, 3); place (n, 3, 2) in metres, NaN for what is not there."""
        blobs = find_blobs(contrasts(frames), OFFSETS)
        seen = np.isfinite(place[..., 0]) & (blobs.mass[..., 0] >= PRESENT)
        if seen.sum(0).min() < NEEDED:
            raise VideoSimError(f"the reader needs {NEEDED} frames with each colour and got {seen.sum(0)}; give more")
        self._fit = np.linalg.lstsq(_terms(blobs.place[seen]), place[seen], rcond=None)[0]

    def read(self, frames: np.ndarray) -> np.ndarray:
        """Places float64 (n, 3, 2) in metres, NaN where absent, in frames uint8 (n, H, W, 3)."""
        blobs = find_blobs(contrasts(frames), OFFSETS)
        place = np.full((*blobs.mass.shape[:2], 2), np.nan)
        seen = blobs.mass[..., 0] >= PRESENT
        place[seen] = _terms(blobs.place[seen]) @ self._fit
        return place


def _terms(place: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(place), 1)), place / 32.0 - 1.0], axis=1)
