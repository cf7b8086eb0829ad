"""comma2k19 and openpilot folders laid out like it: segments of a minute with ``video.hevc`` (openpilot's own name is
``fcamera.hevc``), ``processed_log/CAN`` and ``global_pose``; arrays are .npy files without the ending.

CAN and IMU have clocks of their own and are read at the frame times. Steering is the wheel's angle in degrees, positive
to the left; the gyro's third axis points down. The data set's README names some folders otherwise than they are called.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from videosim.data.formats.log import Format, Recording, sampled, together
from videosim.data.formats.pictures import Film
from videosim.errors import VideoSimError

FILMS = ("video.hevc", "fcamera.hevc")
DEEPEST = 3  # Chunk_n/route/segment
FULL_LOCK_DEG = 450.0  # of the steering wheel
TIMES, SPEED, STEERING, GYRO = (
    "global_pose/frame_times",
    "processed_log/CAN/speed",
    "processed_log/CAN/steering_angle",
    "processed_log/IMU/gyro",
)


def segments(folder: Path) -> list[Path]:
    """``folder`` itself where it is a segment, else the segments below it, in order of their names."""
    found, level = [], [folder]
    for _ in range(DEEPEST + 1):
        inner = [path for path in level if (path / "processed_log" / "CAN").is_dir()]
        found += inner
        level = [path for outer in level if outer not in inner for path in sorted(outer.iterdir()) if path.is_dir()]
    return sorted(found)


def detect(folder: Path) -> bool:
    return bool(segments(folder))


def read(folder: Path) -> list[Recording]:
    """One recording a segment."""
    return [_segment(path) for path in segments(folder)]


FORMAT = Format("a segment with processed_log/ and video.hevc, or a folder of them (comma2k19)", detect, read)


def _segment(folder: Path) -> Recording:
    film = Film(next((folder / name for name in FILMS if (folder / name).is_file()), folder / FILMS[0]))
    times = _array(folder / TIMES)
    length, notes = together(len(film), {str(folder / TIMES): len(times)})
    times = times[:length]
    speed = sampled(times, *_series(folder / SPEED))
    clock, turn = _series(folder / GYRO, 2)
    with np.errstate(divide="ignore", invalid="ignore"):  # of times that do not rise nothing is used
        accel = np.gradient(speed, times) if len(times) > 1 else np.zeros(len(times))
    return Recording(
        f"{folder.parent.name}/{folder.name}",
        times,
        film,
        {
            "steer": sampled(times, *_series(folder / STEERING)) / FULL_LOCK_DEG,
            "speed": speed,
            "yaw_rate": -sampled(times, clock, turn),
            "accel_long": accel,
        },
        film=str(film.path),
        notes=notes,
    )


def _series(folder: Path, column: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Times and one column of values, both ``(n,)``; some are stored as ``(n, 1)``."""
    times, values = _array(folder / "t"), _array(folder / "value")
    values = values.reshape(len(values), -1)
    if len(times) != len(values) or not len(times) or column >= values.shape[1]:
        raise VideoSimError(f"{folder} holds {len(times)} times and {values.shape} values; restore it")
    return times, values[:, column]


def _array(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False), np.float64)
    except (OSError, ValueError) as fault:
        raise VideoSimError(f"{path} is missing or no array; restore it, or import another segment") from fault
