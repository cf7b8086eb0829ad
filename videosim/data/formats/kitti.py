"""KITTI: raw drives (``image_02/data``, ``oxts/data``, ``timestamps.txt``) and odometry sequences (``image_2``,
``times.txt``, and ``poses.txt`` with one 3x4 matrix a line). Motion only: nobody logged the wheel.

Raw gives speed, acceleration and yaw rate by its inertial unit; a pose says where the camera was (x right, y down, z
ahead), and motion is the difference of two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from videosim.data.formats.log import Format, Recording
from videosim.data.formats.pictures import Stills
from videosim.errors import VideoSimError

VF, AF, WU = 8, 14, 22  # forward speed and acceleration, upward turn rate, among the 30 numbers of an oxts line


def _raw(folder: Path) -> list[Path]:
    return [path for path in (folder, *_below(folder)) if (path / "oxts" / "data").is_dir()]


def _odometry(folder: Path) -> list[Path]:
    return [path for path in (folder, *_below(folder)) if (path / "poses.txt").is_file()]


def _below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir()]


def detect(folder: Path) -> bool:
    return bool(_raw(folder) or _odometry(folder))


def read(folder: Path) -> list[Recording]:
    """One recording a drive or sequence."""
    return [_read_raw(path) for path in _raw(folder)] + [_read_odometry(path) for path in _odometry(folder)]


FORMAT = Format("drives with oxts/data and image_02/, or sequences with poses.txt and image_2/ (KITTI)", detect, read)


def _read_raw(folder: Path) -> Recording:
    pictures = _pictures(folder, ("image_02/data", "image_00/data"))
    lines = [_numbers(path, WU + 1)[0] for path in sorted((folder / "oxts" / "data").glob("*.txt"))]
    stamps = _lines(pictures[0].parents[1] / "timestamps.txt")
    if not len(lines) == len(pictures) == len(stamps):
        raise VideoSimError(
            f"{folder} has {len(pictures)} pictures, {len(lines)} oxts files and {len(stamps)} times; take a synced one"
        )
    rows = np.array([line[: WU + 1] for line in lines])
    channels = {"speed": rows[:, VF], "yaw_rate": rows[:, WU], "accel_long": rows[:, AF]}
    return Recording(folder.name, np.array([_seconds(stamp, folder) for stamp in stamps]), Stills(pictures), channels)


def _read_odometry(folder: Path) -> Recording:
    pictures = _pictures(folder, ("image_2", "image_0"))
    times, poses = _numbers(folder / "times.txt")[:, 0], _numbers(folder / "poses.txt", 12).reshape(-1, 3, 4)
    if not len(times) == len(poses) == len(pictures):
        raise VideoSimError(f"{folder} has {len(pictures)} pictures, {len(poses)} poses and {len(times)} times")
    turns, places = poses[:, :, :3], poses[:, :, 3]
    step = np.diff(times)
    moved = np.einsum("tji,tj->ti", turns[:-1], np.diff(places, axis=0))  # in the camera's own axes
    turned = np.einsum("tji,tjk->tik", turns[:-1], turns[1:])
    left = -np.arctan2(turned[:, 0, 2], turned[:, 2, 2])  # about the axis that points down
    step = np.where(step > 0.0, step, np.nan)  # times that do not rise say nothing of motion
    speed, yaw_rate = moved[:, 2] / step, left / step
    channels = {"speed": np.append(speed, speed[-1:]), "yaw_rate": np.append(yaw_rate, yaw_rate[-1:])}
    return Recording(folder.name, times, Stills(pictures), channels)


def _pictures(folder: Path, places: tuple[str, ...]) -> list[Path]:
    """Of the first camera that is there: colour before grey."""
    for place in places:
        found = sorted(path for path in (folder / place).glob("*") if path.suffix in (".png", ".jpg"))
        if found:
            return found
    raise VideoSimError(f"{folder} has no pictures in {' or '.join(places)}; put the camera's folder there")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().strip().splitlines()
    except OSError as fault:
        raise VideoSimError(f"{path} is missing; restore it") from fault


def _numbers(path: Path, least: int = 1) -> np.ndarray:
    """float64 ``(lines, numbers)``, of which a line has ``least`` or more."""
    try:
        values = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as fault:
        raise VideoSimError(f"{path} is missing or holds something else than numbers; restore it") from fault
    if not len(values) or values.shape[1] < least:
        raise VideoSimError(f"{path} needs {least} numbers a line; restore it")
    return values


def _seconds(stamp: str, folder: Path) -> float:
    """Of "2011-09-26 13:02:25.964389445" (nanoseconds, of which microseconds count)."""
    try:
        return datetime.fromisoformat(stamp.strip()[:26]).replace(tzinfo=UTC).timestamp()
    except ValueError as fault:
        raise VideoSimError(f"{folder} has a time that is none: {stamp!r}; restore timestamps.txt") from fault
