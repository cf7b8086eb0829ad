"""nuScenes as its tables lie on disk: the turn of the vehicle burnt into the pictures, CAN on clocks of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logs import brought_in, burnt, figures, picture, steering
from PIL import Image

from videosim.data.formats import detect, read
from videosim.errors import VideoSimError

LENGTH, STEP_US, START_US = 24, 83_333, 1_532_402_927_000_000
SPEED = 8.0


def write_scenes(root: Path, scenes: tuple[str, ...] = ("scene-0061",), can: bool = True) -> Path:
    """The tables that a camera needs; every sixth picture is a key frame; a second camera and a lidar beside it."""
    tables: dict[str, list[dict[str, Any]]] = {
        "sensor": [
            {"token": "s-front", "channel": "CAM_FRONT", "modality": "camera"},
            {"token": "s-back", "channel": "CAM_BACK", "modality": "camera"},
            {"token": "s-lidar", "channel": "LIDAR_TOP", "modality": "lidar"},
        ],
        "calibrated_sensor": [
            {"token": f"c-{name}", "sensor_token": f"s-{name}"} for name in ("front", "back", "lidar")
        ],
        "log": [{"token": "log", "logfile": "n015", "vehicle": "n015", "location": "singapore-onenorth"}],
        **{name: [] for name in ("scene", "sample", "sample_data", "ego_pose")},
    }
    for number, scene in enumerate(scenes):
        tables["scene"].append({"token": f"t-{scene}", "name": scene, "log_token": "log", "nbr_samples": 4})
        rate = steering(number, LENGTH)
        heading, place = 0.3, np.array([600.0, 1600.0])
        for n in range(LENGTH):
            sample = f"{scene}-{n // 6}"
            if n % 6 == 0:
                tables["sample"].append({"token": sample, "scene_token": f"t-{scene}", "timestamp": 0})
            stamp = START_US + number * 10**9 + n * STEP_US
            turn = [np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)]
            for name in ("lidar", "back", "front"):
                key = f"{scene}-{name}-{n}"
                folder = "samples" if n % 6 == 0 else "sweeps"
                file = f"{folder}/CAM_{name.upper()}/{key}.jpg"
                tables["ego_pose"].append(
                    {"token": key, "timestamp": stamp, "rotation": turn, "translation": [*place, 0.0]}
                )
                tables["sample_data"].append(
                    {
                        "token": key,
                        "sample_token": sample,
                        "ego_pose_token": key,
                        "calibrated_sensor_token": f"c-{name}",
                        "filename": file,
                        "timestamp": stamp,
                        "is_key_frame": n % 6 == 0,
                    }
                )
                if name != "lidar":
                    (root / file).parent.mkdir(parents=True, exist_ok=True)
                    shown = picture(float(rate[n] if name == "front" else 0.0))
                    Image.fromarray(shown).save(root / file, quality=95)
            dt = STEP_US / 1e6
            place = place + SPEED * dt * np.array([np.cos(heading), np.sin(heading)])
            heading += float(rate[n]) * dt
        if can:
            write_can(root / "can_bus", scene, START_US + number * 10**9)
    tables["sample_data"].reverse()  # no order is promised
    (root / "v1.0-mini").mkdir()
    for name, rows in tables.items():
        (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows))
    return root


def write_can(folder: Path, scene: str, start: int) -> None:
    folder.mkdir(exist_ok=True)
    wheel = [{"utime": start - 50_000 + 10_000 * k, "value": 0.01 * k} for k in range(230)]
    pedals = [{"utime": start - 400_000 + 500_000 * k, "throttle": 250, "brake": 63} for k in range(8)]
    pose = [{"utime": start - 10_000 + 20_000 * k, "accel": [1.5, 0.0, 9.8], "vel": [8.0, 0, 0]} for k in range(120)]
    for name, rows in (("steeranglefeedback", wheel), ("vehicle_monitor", pedals), ("pose", pose)):
        (folder / f"{scene}_{name}.json").write_text(json.dumps(rows))


def test_motion_is_the_difference_of_two_poses(tmp_path: Path) -> None:
    source = write_scenes(tmp_path / "set", ("scene-0061", "scene-0103"))
    assert detect(source) == "nuscenes"
    store = brought_in(source, tmp_path / "out", action="motion")
    assert store.world.action.names == ("yaw_rate", "speed") and store.world.fps == 12
    assert store.lengths == [LENGTH - 1] * 2
    for k in range(2):
        shown, (rate, speed) = burnt(store.frames(k)), store.column("actions", k).T
        assert np.abs(shown[:-1] - rate).max() < 0.01 < 0.3 < np.abs(shown[1:] - rate).max()
        np.testing.assert_allclose(speed, SPEED, rtol=1e-4)


def test_can_messages_are_read_at_the_times_of_the_camera(tmp_path: Path) -> None:
    store = brought_in(write_scenes(tmp_path / "set"), tmp_path / "out")
    assert store.world.action.names == ("steer", "throttle", "brake")
    assert store.world.sensors.names == ("speed", "yaw_rate", "accel_long")
    steer, throttle, brake = store.column("actions", 0).T
    np.testing.assert_allclose(steer, (0.05 + np.arange(LENGTH - 1) * STEP_US / 1e6) / 7.7, atol=1e-5)
    np.testing.assert_allclose(throttle, 0.25)
    np.testing.assert_allclose(brake, 0.5)
    np.testing.assert_allclose(store.column("sensors", 0)[:, 2], 1.5)


def test_another_camera_and_a_set_without_can(tmp_path: Path) -> None:
    source = write_scenes(tmp_path / "set", can=False)
    store = brought_in(source, tmp_path / "out", camera="CAM_BACK")
    assert store.world.action.names == ("yaw_rate", "speed") and np.abs(burnt(store.frames(0))).max() < 0.01
    with pytest.raises(VideoSimError, match="choose CAM_FRONT, CAM_BACK"):
        read(source, camera="CAM_TOP")


def test_a_scene_without_can_is_left_out_and_counted(tmp_path: Path) -> None:
    source = write_scenes(tmp_path / "set", ("scene-0061", "scene-0161"))
    for path in (source / "can_bus").glob("scene-0161*"):
        path.unlink()
    store = brought_in(source, tmp_path / "out")
    assert store.lengths == [LENGTH - 1]
    assert figures(tmp_path / "out")["records_without_a_value"] == LENGTH


def test_bad_tables_are_named(tmp_path: Path) -> None:
    source = write_scenes(tmp_path / "set")
    table = source / "v1.0-mini" / "ego_pose.json"
    rows = json.loads(table.read_text())
    for changed, sentence in (
        ([{"token": "x"}], r"row 0 of .*ego_pose\.json has no 'translation'"),
        (rows[:10], r"has a pose that ego_pose\.json lacks"),
        ([row | {"rotation": "none"} for row in rows], "a pose of scene-0061"),
        ({}, "holds no rows"),
    ):
        table.write_text(json.dumps(changed))
        with pytest.raises(VideoSimError, match=sentence):
            read(source)
    table.write_text(json.dumps([row | {"translation": [float("nan")] * 3} for row in rows]))
    with pytest.raises(VideoSimError, match=r"records without a value: 24 \(first: record 0 of scene-0061, speed\)"):
        brought_in(source, tmp_path / "out", action="motion")
