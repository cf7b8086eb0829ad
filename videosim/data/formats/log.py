"""What a log is before it is an episode store: recordings of named channels, and the readers that make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np


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
# What counts as the action: what the driver did, or how the vehicle moved. The rest are sensors.
VIEWS = {"control": ("steer", "throttle", "brake"), "motion": ("yaw_rate", "speed")}


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
