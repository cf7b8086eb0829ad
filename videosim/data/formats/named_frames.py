"""Pictures whose names are the log, as donkeycar's first recorder wrote them:
``frame_00030_spd_0_agl_-20_mil_3968.jpg`` is record 30, angle -20 of 90 degrees, 3.968 s.

The speed in the name is a constant of that recorder and says nothing, so it is not read. Its pictures have red and blue
swapped (``swap_channels=true``).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from videosim.data.formats.log import Format, Recording
from videosim.data.formats.pictures import Stills

NAME = re.compile(r"frame_(\d+)_spd_(-?\d+)_agl_(-?\d+)_mil_(\d+)\.(?:jpe?g|png)$", re.IGNORECASE)
FULL_LOCK_DEG = 90.0


def detect(folder: Path) -> bool:
    return any(NAME.match(path.name) for path in folder.iterdir())


def read(folder: Path) -> list[Recording]:
    """One recording; a number that is missing breaks it."""
    found = sorted(
        (int(match[1]), path, float(match[3]), float(match[4]))
        for path in folder.iterdir()
        if (match := NAME.match(path.name))
    )
    index = np.array([number for number, *_ in found])
    breaks = np.zeros(len(found), bool)
    breaks[1:] = np.diff(index) != 1
    steer = -np.array([angle for _, _, angle, _ in found]) / FULL_LOCK_DEG
    times = np.array([stamp for *_, stamp in found]) / 1e3
    return [Recording(folder.name, times, Stills([path for _, path, *_ in found]), {"steer": steer}, breaks)]


FORMAT = Format("pictures named frame_N_spd_S_agl_A_mil_T.jpg (donkeycar of 2016)", detect, read)
