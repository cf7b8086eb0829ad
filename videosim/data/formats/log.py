"""What a log is before it is an episode store: recordings of named channels, and the readers that make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

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
# What counts as the action: what the driver did, or how the vehicle moved. The rest are sensors.
VIEWS = {"control": ("steer", "throttle", "brake"), "motion": ("yaw_rate", "speed")}


class Pictures(Protocol):
    """Record number -> uint8 (H, W, 3) RGB or (H, W) grey; VideoSimError where that picture is damaged. ``close`` gives
    back what is kept open; the next call opens it again. It can be pickled."""

    def __call__(self, number: int, /) -> np.ndarray: ...

    def close(self) -> None: ...


@dataclass
class Recording:
    """One log of K records, in the order in which they were made.

    name        of the log, the same whenever it is read
    times       float64 (K,), seconds on the source's clock
    picture     the picture of a record
    channels    name -> float64 (K,), point samples; NaN where the source says nothing
    breaks      bool (K,): nothing leads from the record before to this one (a new session, deleted records between)
    described   name -> unit and range of every channel that CHANNELS does not know, or knows otherwise
    controls    channels that are the action, where the source itself says so; empty: those of a view
    rewards     float64 (K,) of the transition that begins at a record, and terminated bool (K,); left out: none
    rate        frames a second, where the source declares it; 0: what ``times`` say
    film        name of the file whose pictures are read one after the other; empty: any picture costs the same
    notes       what whoever imports this should know, a sentence each
    """

    name: str
    times: np.ndarray
    picture: Pictures
    channels: dict[str, np.ndarray] = field(default_factory=dict)
    breaks: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    described: dict[str, Channel] = field(default_factory=dict)
    controls: tuple[str, ...] = ()
    rewards: np.ndarray = field(default_factory=lambda: np.zeros(0))
    terminated: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    rate: float = 0.0
    film: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("breaks", "terminated", "rewards"):
            if not len(getattr(self, name)):
                setattr(self, name, np.zeros(len(self.times), float if name == "rewards" else bool))
        unknown = set(self.channels) - set(self.known)
        assert not unknown, f"a reader made up the channels {unknown}"

    @property
    def known(self) -> dict[str, Channel]:
        return CHANNELS | self.described

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Format:
    """``detect(folder)`` is cheap and True only where ``read(folder)`` would succeed on intact files. Where a log may
    have ``several`` cameras, ``read`` takes the name of one as well, "" for the one in front."""

    about: str
    detect: Callable[[Path], bool]
    read: Callable[..., list[Recording]]
    several: bool = False


def sampled(when: np.ndarray, clock: np.ndarray, values: np.ndarray, reach_s: float = 0.5) -> np.ndarray:
    """``values`` (n,) of the times ``clock`` (n,) at the times ``when``: interpolated, and NaN where the nearest sample
    on either side is farther away than ``reach_s``."""
    fine = np.isfinite(clock) & np.isfinite(values)
    order = np.argsort(clock[fine], kind="stable")
    clock, values = clock[fine][order], values[fine][order]
    if not len(clock):
        return np.full(len(when), np.nan)
    after = np.searchsorted(clock, when).clip(0, len(clock) - 1)
    before = (after - 1).clip(0)
    away = np.maximum(np.abs(clock[after] - when), np.abs(clock[before] - when))
    beyond = (when < clock[0]) | (when > clock[-1])
    away = np.where(beyond, np.minimum(np.abs(when - clock[0]), np.abs(when - clock[-1])), away)
    return np.where(away <= reach_s, np.interp(when, clock, values), np.nan)


def together(length: int, others: dict[str, int], slack: int = 2) -> tuple[int, list[str]]:
    """How many records are left of ``length`` pictures and as many rows of ``others`` (name -> rows), and a note where
    the last ones have no partner. VideoSimError where the lengths differ by more than ``slack``: nobody can know then
    which picture belongs to which row."""
    shared = min(length, *others.values())
    off = {name: rows for name, rows in others.items() if rows != length}
    if any(abs(rows - length) > slack for rows in off.values()):
        told = " and ".join(f"{rows} rows of {name}" for name, rows in off.items())
        raise VideoSimError(
            f"{length} pictures and {told} do not belong together; restore the files, or cut them to one length"
        )
    return shared, [
        f"{name} has {rows} rows for {length} pictures; the first {shared} are used" for name, rows in off.items()
    ]
