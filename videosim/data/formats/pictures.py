"""Still pictures on disk, as the frames of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from videosim.errors import VideoSimError


class Stills:
    """``stills(n)`` is the picture in ``paths[n]``."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __call__(self, number: int) -> np.ndarray:
        return load(self.paths[number])


def load(path: Path) -> np.ndarray:
    """uint8 ``(H, W, 3)`` RGB, or ``(H, W)`` of a grey picture. VideoSimError where it is missing or damaged."""
    try:
        with Image.open(path) as image:
            return np.asarray(image if image.mode in ("RGB", "L") else image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError) as fault:
        raise VideoSimError(
            f"{path} is missing or no picture; restore it, or delete its record from the log"
        ) from fault
