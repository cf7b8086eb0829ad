"""Readers of logs that other programs have recorded: one small file each, behind one registry.

A reader turns a folder into ``Recording`` objects and nothing more: it says what the source says, in our units and
signs. Resampling, cropping and cutting are the importer's work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from videosim.errors import VideoSimError


class Channel(NamedTuple):
    unit: str
    low: float
    high: float


# What a vehicle's log may say. Left is positive, in steering as in turning.
CHANNELS = {
    "steer": Channel("1", -1.0, 1.0),
    "throttle": Channel("1", -1.0, 1.0),
    "brake": Channel("1", 0.0, 1.0),
    "speed": Channel("m/s", 0.0, 60.0),
    "yaw_rate": Channel("rad/s", -2.0, 2.0),
    "accel_long": Channel("m/s^2", -12.0, 12.0),
}
CONTROLS = ("steer", "throttle", "brake")


@dataclass
class Recording:
    """One log of K records, in the order in which they were made.

    name      of the log, the same whenever it is read
    times     float64 (K,), seconds on the source's clock
    picture   record number -> uint8 (H, W, 3) RGB or (H, W) grey
    channels  name in CHANNELS -> float64 (K,), point samples; NaN where the source says nothing
    breaks    bool (K,): nothing leads from the record before to this one (a new session, deleted records between)
    """

    name: str
    times: np.ndarray
    picture: Callable[[int], np.ndarray]
    channels: dict[str, np.ndarray] = field(default_factory=dict)
    breaks: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        if not len(self.breaks):
            self.breaks = np.zeros(len(self.times), bool)
        unknown = set(self.channels) - set(CHANNELS)
        assert not unknown, f"a reader made up the channels {unknown}"

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Format:
    """``detect(folder)`` is cheap and True only where ``read(folder)`` would succeed on intact files."""

    about: str
    detect: Callable[[Path], bool]
    read: Callable[[Path], list[Recording]]


def formats() -> dict[str, Format]:
    """Every format that can be imported, by the name that ``format=`` takes."""
    from videosim.data.formats import donkeycar, named_frames

    return {"donkeycar": donkeycar.FORMAT, "named_frames": named_frames.FORMAT}


def detect(folder: Path) -> str:
    """Name of the format of ``folder``.

    Raises VideoSimError when no format, or more than one, fits.
    """
    if not folder.is_dir():
        raise VideoSimError(f"there is no folder {folder} to import from; check source=")
    known = formats()
    fits = [name for name, entry in known.items() if entry.detect(folder)]
    if len(fits) == 1:
        return fits[0]
    listed = "; ".join(f"{name}: {entry.about}" for name, entry in known.items())
    found = "no known format" if not fits else f"several formats ({', '.join(fits)})"
    raise VideoSimError(f"{folder} has {found}; give format= one of {listed}")


def read(folder: Path, name: str = "") -> tuple[str, list[Recording]]:
    """The name of the format, detected where ``name`` is empty, and the recordings in ``folder``."""
    name = name or detect(folder)
    if name not in formats():
        raise VideoSimError(f"there is no format {name!r}; choose {', '.join(formats())}, or leave it empty")
    if not folder.is_dir():
        raise VideoSimError(f"there is no folder {folder} to import from; check source=")
    recordings = [recording for recording in formats()[name].read(folder) if len(recording) >= 2]
    if not recordings:
        raise VideoSimError(f"{folder} holds no two consecutive records; check source=")
    return name, recordings
