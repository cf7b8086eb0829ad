"""nuScenes with its CAN bus expansion: the tables of ``v1.0-*`` are JSON and read as such, ``can_bus`` holds a file for
each scene and message.

Motion is the difference of two poses of the vehicle, at the times of the camera. Steering is the wheel's angle in
radians, positive to the left (the first README said right: nutonomy/nuscenes-devkit issue 371); pedals come twice a
second. Scenes 161 to 176 and 309 to 314 have no CAN messages, others lack some.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from videosim.data.formats.log import Format, Recording, sampled
from videosim.data.formats.pictures import Stills
from videosim.errors import VideoSimError

FRONT = "CAM_FRONT"
FULL_LOCK_RAD, FULL_THROTTLE, FULL_BRAKE = 7.7, 1000.0, 126.0  # the ends of the ranges of the CAN messages
PEDAL_REACH_S = 1.0  # two messages a second
# Message and field of each channel, the place in a vector, and the factor to our unit.
CAN = {
    "steer": ("steeranglefeedback", "value", None, 1.0 / FULL_LOCK_RAD),
    "throttle": ("vehicle_monitor", "throttle", None, 1.0 / FULL_THROTTLE),
    "brake": ("vehicle_monitor", "brake", None, 1.0 / FULL_BRAKE),
    "accel_long": ("pose", "accel", 0, 1.0),
}


def detect(folder: Path) -> bool:
    return any((path / "ego_pose.json").is_file() for path in folder.glob("v1.0-*"))


def read(folder: Path, camera: str = "") -> list[Recording]:
    """One recording a scene: key frames and sweeps of one camera, CAM_FRONT if ``camera`` is empty."""
    tables = sorted(path for path in folder.glob("v1.0-*") if (path / "ego_pose.json").is_file())
    if len(tables) != 1:
        raise VideoSimError(f"{folder} needs one folder v1.0-… with the tables and has {len(tables)}; move the others")
    table = _Tables(tables[0])
    shown = table.of_camera(camera or FRONT)
    poses = {row["token"]: row for row in table.rows("ego_pose", "token", "translation", "rotation", "timestamp")}
    recordings = []
    for scene in table.rows("scene", "token", "name"):
        rows = sorted(shown.get(scene["token"], ()), key=lambda row: row["timestamp"])
        if len(rows) >= 2:
            recordings.append(_scene(folder, scene["name"], rows, poses))
    return recordings


FORMAT = Format("a folder with v1.0-*/, samples/ and can_bus/ (nuScenes)", detect, read, several=True)


class _Tables:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, name: str, *fields: str) -> list[dict[str, Any]]:
        """The rows of a table; each must have all ``fields``."""
        path = self.folder / f"{name}.json"
        rows = _json(path)
        for number, row in enumerate(rows):
            missing = [field for field in fields if not isinstance(row, dict) or field not in row]
            if missing:
                raise VideoSimError(f"row {number} of {path} has no {missing[0]!r}; restore the file")
        return rows

    def of_camera(self, channel: str) -> dict[str, list[dict[str, Any]]]:
        """Rows of sample_data of one camera by the token of their scene."""
        cameras = {
            row["token"]: row["channel"]
            for row in self.rows("sensor", "token", "channel", "modality")
            if row["modality"] == "camera"
        }
        if channel not in cameras.values():
            raise VideoSimError(f"{self.folder} has no camera {channel!r}; choose {', '.join(cameras.values())}")
        mounted = {
            row["token"]
            for row in self.rows("calibrated_sensor", "token", "sensor_token")
            if cameras.get(row["sensor_token"]) == channel
        }
        scenes = {row["token"]: row["scene_token"] for row in self.rows("sample", "token", "scene_token")}
        found: dict[str, list[dict[str, Any]]] = {}
        fields = ("calibrated_sensor_token", "sample_token", "ego_pose_token", "filename", "timestamp")
        for number, row in enumerate(self.rows("sample_data", *fields)):
            if row["calibrated_sensor_token"] in mounted:
                scene = scenes.get(row["sample_token"])
                if scene is None:
                    raise VideoSimError(f"row {number} of {self.folder / 'sample_data.json'} belongs to no sample")
                found.setdefault(scene, []).append(row)
        return found


def _scene(folder: Path, name: str, rows: list[dict[str, Any]], poses: dict[str, Any]) -> Recording:
    unknown = [row["filename"] for row in rows if row["ego_pose_token"] not in poses]
    if unknown:
        raise VideoSimError(f"{unknown[0]} of {name} has a pose that ego_pose.json lacks; restore the table")
    own = [poses[row["ego_pose_token"]] for row in rows]
    times = np.array([row["timestamp"] for row in rows], np.float64) / 1e6
    yaw_rate, speed = _motion(own, name)
    channels = {"yaw_rate": yaw_rate, "speed": speed}
    notes = []
    if (folder / "can_bus").is_dir():
        channels |= {key: _can(folder / "can_bus", name, key, times) for key in CAN}
        if all(np.isnan(channels[key]).all() for key in CAN):
            notes = [f"{name} has no CAN messages, so that its records are left out"]
    return Recording(name, times, Stills([folder / row["filename"] for row in rows]), channels, notes=notes)


def _motion(poses: list[dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Yaw rate and forward speed (K,) from each pose to the next; the last pose repeats the one before it."""
    try:
        w, x, y, z = np.array([row["rotation"] for row in poses], np.float64).T
        place = np.array([row["translation"][:2] for row in poses], np.float64)
        times = np.array([row["timestamp"] for row in poses], np.float64) / 1e6
    except (ValueError, TypeError) as fault:
        raise VideoSimError(f"a pose of {name} in ego_pose.json is none; restore the table") from fault
    heading = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    turned = np.angle(np.exp(1j * np.diff(heading)))
    ahead = (np.diff(place, axis=0) * np.stack([np.cos(heading[:-1]), np.sin(heading[:-1])], 1)).sum(1)
    step = np.diff(times)
    step = np.where(step > 0, step, np.nan)
    return tuple(np.append(values, values[-1:]) for values in (turned / step, ahead / step))  # type: ignore[return-value]


def _can(folder: Path, scene: str, channel: str, times: np.ndarray) -> np.ndarray:
    """A channel at the camera's ``times``; NaN where its message is missing."""
    message, field, place, scale = CAN[channel]
    path = folder / f"{scene}_{message}.json"
    if not path.is_file():
        return np.full(len(times), np.nan)
    clock, values = [], []
    for number, row in enumerate(_json(path)):
        try:
            value = row[field] if place is None else row[field][place]
            clock.append(float(row["utime"]) / 1e6)
            values.append(float(value) * scale)
        except (KeyError, TypeError, ValueError, IndexError) as fault:
            raise VideoSimError(f"message {number} of {path} has no {field!r}; restore the file") from fault
    reach = PEDAL_REACH_S if message == "vehicle_monitor" else 0.5
    return sampled(times, np.array(clock), np.array(values), reach)


def _json(path: Path) -> list[Any]:
    try:
        rows = json.loads(path.read_bytes())
    except (OSError, ValueError) as fault:
        raise VideoSimError(f"{path} is missing or no JSON; restore it") from fault
    if not isinstance(rows, list):
        raise VideoSimError(f"{path} holds no rows; restore it")
    return rows
