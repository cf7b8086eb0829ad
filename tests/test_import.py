"""Logs in: every frame keeps the action that belongs to it, cuts are kept, and a store that does not hang together is
told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from videosim.config import CheckConfig, ImportConfig
from videosim.data import alignment, importing
from videosim.data.formats import detect, read
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.run import Console, Run
from videosim.video import write_film

REAL = Path(__file__).parents[2] / "shared" / "data" / "driving"


def angle(number: int) -> float:
    """What the driver does at a record: no two neighbours alike."""
    return round(float(np.sin(0.7 * number)), 3)


def picture(number: int) -> np.ndarray:
    """The action burnt into the pixels: a grey level that says ``angle(number)``."""
    return np.full((24, 32, 3), round(127 + 100 * angle(number)), np.uint8)


def write_tub(folder: Path, records: int = 40, step_ms: int = 50, **changed: Any) -> Path:
    """A donkeycar tub v2 in its true layout, two catalogues; ``changed``: deleted, sessions, late_ms, grey."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for n in range(records):
        name = f"{n}_cam_image_array_.jpg"
        image = Image.fromarray(picture(n))
        (image.convert("L") if changed.get("grey") else image).save(folder / "images" / name, quality=95)
        late = changed.get("late_ms", {}).get(n, 0)
        rows.append(
            {
                "_index": n,
                "_session_id": changed.get("sessions", {}).get(n, "a"),
                "_timestamp_ms": 1_600_000_000_000 + n * step_ms + late,
                "cam/image_array": name,
                "user/angle": angle(n),
                "user/throttle": 0.5,
                "user/mode": "user",
            }
        )
    half = records // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        (folder / f"catalog_{number}.catalog").write_text("".join(json.dumps(row) + "\n" for row in part))
    state = {"paths": ["catalog_0.catalog", "catalog_1.catalog"], "deleted_indexes": changed.get("deleted", [])}
    lines: list[Any] = [["cam/image_array", "user/angle"], ["image_array", "float"], {}, {"created_at": 0.0}, state]
    (folder / "manifest.json").write_text("\n".join(json.dumps(line) for line in lines))
    return folder


def brought_in(source: Path, out: Path, **settings: Any) -> EpisodeStore:
    cfg = ImportConfig(source=str(source), **{"height": 16, "width": 16, "shortest": 2, **settings})
    with Run("import", cfg, out, Console(quiet=True)) as run:
        importing.main(cfg, run)
    return EpisodeStore.open(out)


def checked(store: Path, out: Path) -> dict[str, Any]:
    cfg = CheckConfig(data=str(store))
    with Run("check", cfg, out, Console(quiet=True)) as run:
        alignment.main(cfg, run)
    return {name: figure["value"] for name, figure in run.figures.items()}


def misaligned(store: EpisodeStore, shift: int = 0) -> float:
    """Largest difference between an action and what is burnt into its frame (or the frame ``shift`` later)."""
    worst = 0.0
    for i in range(len(store)):
        shown = -(store.frames(i)[:-1].mean((1, 2, 3)) - 127) / 100  # a tub's angle is positive to the right
        steer = store.column("actions", i)[:, 0]
        worst = max(worst, float(np.abs(shown[shift:] - steer[: len(steer) - shift]).max()))
    return worst


def test_every_frame_keeps_its_action(tmp_path: Path) -> None:
    store = brought_in(write_tub(tmp_path / "tub"), tmp_path / "out", episode_frames=15)
    assert store.world.action.names == ("steer", "throttle") and store.world.fps == 20
    assert misaligned(store) < 0.03 < 0.3 < misaligned(store, 1)
    assert [n + 1 for n in store.lengths] == [15, 15, 12]  # a cut repeats its frame
    assert sum(store.lengths) == 39
    assert np.allclose(np.diff(store.column("time", 1)), 0.05)


def test_an_action_that_shows_later_is_brought_to_its_frame(tmp_path: Path) -> None:
    store = brought_in(write_tub(tmp_path / "tub"), tmp_path / "out", action_offset_s=0.1)
    steer, shown = store.column("actions", 0)[:, 0], -(store.frames(0)[:-1].mean((1, 2, 3)) - 127) / 100
    assert np.abs(shown[:-2] - steer[2:]).max() < 0.03
    assert store.frames_total == 38


def test_nothing_leads_over_a_cut(tmp_path: Path) -> None:
    sessions = {n: "b" for n in range(30, 40)}
    tub = write_tub(tmp_path / "tub", deleted=[10, 11], sessions=sessions, late_ms={n: 400 for n in range(20, 40)})
    store = brought_in(tub, tmp_path / "out")
    assert [n + 1 for n in store.lengths] == [10, 8, 10, 10]
    assert misaligned(store) < 0.03
    with pytest.raises(VideoSimError, match="lower shortest"):
        brought_in(tub, tmp_path / "none", shortest=11)


def test_a_second_import_adds_what_is_new_and_nothing_else(tmp_path: Path) -> None:
    tub = write_tub(tmp_path / "tub")
    first = brought_in(tub, tmp_path / "out", episode_frames=15)
    assert len(brought_in(tub, tmp_path / "out", episode_frames=15)) == len(first)
    more = brought_in(write_tub(tmp_path / "other", 20), tmp_path / "out", episode_frames=15)
    assert len(more) == len(first) + 2


def test_recordings_of_different_rates_are_not_mixed(tmp_path: Path) -> None:
    write_segment(tmp_path / "route" / "40")
    slow = write_segment(tmp_path / "route" / "41", 12)
    times = np.load(slow / "global_pose" / "frame_times")
    with open(slow / "global_pose" / "frame_times", "wb") as file:
        np.save(file, times[0] + 2.0 * (times - times[0]))
    with pytest.raises(VideoSimError, match="10 to 20 frames/s; import them apart"):
        brought_in(tmp_path / "route", tmp_path / "out")


def test_stamps_that_no_camera_makes_need_a_rate(tmp_path: Path) -> None:
    tub = write_tub(tmp_path / "tub", step_ms=3)
    with pytest.raises(VideoSimError, match=r"333 frames/s.*rate="):
        brought_in(tub, tmp_path / "out")
    assert not (tmp_path / "out" / "meta").exists()
    assert brought_in(tub, tmp_path / "out", rate=20.0).world.fps == 20


def test_grey_swapped_and_cropped_pictures(tmp_path: Path) -> None:
    assert misaligned(brought_in(write_tub(tmp_path / "grey", grey=True), tmp_path / "g")) < 0.03
    tub = write_tub(tmp_path / "tub", 4)
    for n in range(4):
        half = np.zeros((24, 32, 3), np.uint8)
        half[:, 16:, 0] = 255
        Image.fromarray(half).save(tub / "images" / f"{n}_cam_image_array_.jpg", quality=100, subsampling=0)
    right = brought_in(tub, tmp_path / "right", crop=[0.0, 0.5, 1.0, 1.0]).frames(0)[0].mean((0, 1))
    assert right[0] > 220 and right[2] < 30
    swapped = brought_in(tub, tmp_path / "swapped", swap_channels=True).frames(0)[0].mean((0, 1))
    assert swapped[2] > 100 > 30 > swapped[0]


def write_names(folder: Path, records: int = 30) -> Path:
    folder.mkdir()
    for n in range(records):
        name = f"frame_{n:05d}_spd_0_agl_{round(90 * angle(n))}_mil_{n * 130}.jpg"
        Image.fromarray(picture(n)).save(folder / name, quality=95)
    return folder


def test_names_that_are_the_log(tmp_path: Path) -> None:
    folder = write_names(tmp_path / "drive")
    next(folder.glob("frame_00012*")).unlink()
    store = brought_in(folder, tmp_path / "out")
    assert [n + 1 for n in store.lengths] == [12, 17] and misaligned(store) < 0.03
    assert detect(folder) == "named_frames" and store.world.action.names == ("steer",)


def write_udacity(folder: Path, records: int = 30) -> Path:
    (folder / "IMG").mkdir(parents=True)
    rows = []
    for n in range(records):
        name = f"center_2026_01_02_03_04_{n // 10:02d}_{n % 10 * 100:03d}.jpg"
        Image.fromarray(picture(n)).save(folder / "IMG" / name, quality=95)
        rows.append(f"C:\\Users\\me\\sim\\IMG\\{name}, left.jpg, right.jpg, {angle(n)}, 0.5, 0, 10.0")
    (folder / "driving_log.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_table_without_header_and_with_paths_of_another_machine(tmp_path: Path) -> None:
    store = brought_in(write_udacity(tmp_path / "sim"), tmp_path / "out")
    assert store.source.startswith("udacity_simulator") and store.world.fps == 10
    assert misaligned(store) < 0.03 and store.lengths == [29]
    assert store.world.action.names == ("steer", "throttle", "brake") and store.world.sensors.names == ("speed",)
    np.testing.assert_allclose(store.column("sensors", 0), 4.4704, rtol=1e-5)


def test_the_rows_of_one_camera(tmp_path: Path) -> None:
    (tmp_path / "ch2" / "center").mkdir(parents=True)
    lines = ["index,timestamp,width,height,frame_id,filename,angle,torque,speed"]
    for n in range(20):
        Image.fromarray(picture(n)).save(tmp_path / "ch2" / "center" / f"{n}.jpg", quality=95)
        stamp = 1_475_000_000_000_000_000 + n * 50_000_000
        lines += [f"0,{stamp},640,480,left_camera,left/{n}.jpg,9,0,9"]
        lines += [f"0,{stamp},640,480,center_camera,center/{n}.jpg,{-angle(n) / 0.12},0,{n}"]
    (tmp_path / "ch2" / "interpolated.csv").write_text("\n".join(lines))
    store = brought_in(tmp_path / "ch2", tmp_path / "out")
    assert store.lengths == [19] and misaligned(store) < 0.03 and store.world.fps == 20
    np.testing.assert_allclose(store.column("sensors", 0)[:, 0], np.arange(20))


def test_a_film_and_a_table_of_ones_own(tmp_path: Path) -> None:
    drive, count = tmp_path / "drive", 40
    drive.mkdir()
    write_film(drive / "front.mp4", np.stack([picture(n) for n in range(count)]), fps=20)
    rows = "".join(f"{-angle(n)},{n}\n" for n in range(count))
    (drive / "log.csv").write_text("wheel,clicks\n" + rows)
    own = tmp_path / "mine.yaml"
    own.write_text("table: log.csv\nvideo: front.mp4\nchannels: {steer: {column: wheel}}\n")
    store = brought_in(drive, tmp_path / "out", format=str(own), episode_frames=15)
    assert misaligned(store) < 0.06 and store.frames_total == count + 2 and store.world.fps == 20
    assert store.world.name == "mine"
    for text, sentence in (
        ("table: log.csv\nchannels: {}\n", "either 'picture' or 'video'"),
        ("table: log.csv\nvideo: front.mp4\nchannels: {stir: {column: wheel}}\n", "some of steer"),
        ("table: log.csv\nvideo: front.mp4\nchannels: {steer: {column: weal}}\n", "no column 'weal'"),
        ("table: log.csv\nvideo: back.mp4\nchannels: {steer: {column: wheel}}\n", "missing or no video"),
        ("table: [", "no readable YAML"),
    ):
        own.write_text(text)
        with pytest.raises(VideoSimError, match=sentence):
            brought_in(drive, tmp_path / "none", format=str(own))


def write_hevc(path: Path, pictures: Sequence[np.ndarray]) -> None:
    """A bare HEVC stream of uint8 (48, 64, 3), without time stamps."""
    with av.open(str(path), "w", format="hevc") as film:
        stream = film.add_stream("libx265", rate=20, options={"crf": "5", "x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shown in pictures:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        film.mux(stream.encode())


def write_segment(folder: Path, records: int = 30) -> Path:
    """A comma2k19 segment: CAN at 100 Hz on its own clock, film as a bare HEVC stream, steering burnt into it."""
    start = 46_408.5
    clock = start - 0.1 + np.arange(0, records * 0.05 + 0.3, 0.01)

    def put(name: str, times: np.ndarray, values: np.ndarray) -> None:
        (folder / name).mkdir(parents=True)
        for part, array in (("t", times), ("value", values)):
            with open(folder / name / part, "wb") as file:
                np.save(file, array)

    steer = np.sin(2.0 * (clock - start))
    put("processed_log/CAN/steering_angle", clock, 450.0 * steer)
    put("processed_log/CAN/speed", clock, (10.0 + 2.0 * (clock - start))[:, None])
    put("processed_log/IMU/gyro", clock, np.stack([clock, clock, -0.3 * steer], 1))
    times = start + 0.05 * np.arange(records)
    (folder / "global_pose").mkdir()
    with open(folder / "global_pose" / "frame_times", "wb") as file:
        np.save(file, times)
    greys = [round(127 - 100 * value) for value in np.sin(2.0 * (times - start))]
    write_hevc(folder / "video.hevc", [np.full((48, 64, 3), grey, np.uint8) for grey in greys])
    return folder


def test_a_segment_with_clocks_of_its_own(tmp_path: Path) -> None:
    route = tmp_path / "b0c9|2018-08-01--21-13-49"
    write_segment(route / "40")
    write_segment(route / "41", 12)
    store = brought_in(route, tmp_path / "out")
    assert store.lengths == [29, 11] and misaligned(store) < 0.04 < misaligned(store, 1)
    assert store.world.action.names == ("steer",) and store.world.fps == 20
    speed, yaw_rate, accel = store.column("sensors", 0).T
    np.testing.assert_allclose(speed, 10.0 + 0.1 * np.arange(30), atol=1e-3)
    np.testing.assert_allclose(accel, 2.0, atol=1e-3)
    np.testing.assert_allclose(yaw_rate[:-1], 0.3 * store.column("actions", 0)[:, 0], atol=1e-3)
    (route / "41" / "processed_log" / "CAN" / "speed" / "t").unlink()
    with pytest.raises(VideoSimError, match="speed/t is missing"):
        brought_in(route, tmp_path / "none")


def test_folders_laid_out_as_openpilot_names_them(tmp_path: Path) -> None:
    segment = write_segment(tmp_path / "Chunk_1" / "b0c9|2018-08-01--21-13-49" / "40")
    (segment / "video.hevc").rename(segment / "fcamera.hevc")
    store = brought_in(tmp_path, tmp_path / "out")
    assert store.source.startswith("comma2k19") and store.lengths == [29] and misaligned(store) < 0.04
    (segment / "fcamera.hevc").unlink()
    write_hevc(segment / "video.hevc", [np.zeros((48, 64, 3), np.uint8)] * 20)  # the film of another minute
    with pytest.raises(VideoSimError, match=r"20 pictures and 30 rows of .*frame_times do not belong together"):
        brought_in(tmp_path, tmp_path / "none")


def test_motion_counts_as_the_action_where_nobody_logged_the_wheel(tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "2011_09_26_drive_0001_sync"
    (raw / "image_02" / "data").mkdir(parents=True)
    (raw / "oxts" / "data").mkdir(parents=True)
    for n in range(20):
        Image.fromarray(picture(n)).save(raw / "image_02" / "data" / f"{n:010d}.png")
        oxts = np.zeros(30)
        oxts[[8, 14, 22]] = 10.0, 0.5, -angle(n)
        (raw / "oxts" / "data" / f"{n:010d}.txt").write_text(" ".join(map(str, oxts)))
    stamps = "\n".join(f"2011-09-26 13:02:{n // 10:02d}.{n % 10}00389445" for n in range(20))
    (raw / "image_02" / "timestamps.txt").write_text(stamps + "\n")
    store = brought_in(tmp_path / "raw", tmp_path / "out")
    assert store.world.action.names == ("yaw_rate", "speed") and store.world.sensors.names == ("accel_long",)
    assert store.world.fps == 10 and store.lengths == [19] and misaligned(store) < 0.03
    with pytest.raises(VideoSimError, match=r"steer or throttle or brake.*another action="):
        brought_in(tmp_path / "raw", tmp_path / "none", action="control")
    next((raw / "oxts" / "data").glob("*.txt")).unlink()
    with pytest.raises(VideoSimError, match="19 oxts files"):
        brought_in(tmp_path / "raw", tmp_path / "none")


def test_motion_is_the_difference_of_two_poses(tmp_path: Path) -> None:
    sequence = tmp_path / "00"
    (sequence / "image_0").mkdir(parents=True)
    pose, lines = np.eye(4), []
    for n in range(10):
        Image.fromarray(picture(n)[..., 0]).save(sequence / "image_0" / f"{n:06d}.png")
        lines.append(" ".join(map(str, pose[:3].reshape(-1))))
        turn = -0.05  # about the axis that points down: to the left
        step = np.eye(4)
        step[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
        step[2, 3] = 1.2
        pose = pose @ step
    (sequence / "poses.txt").write_text("\n".join(lines))
    (sequence / "times.txt").write_text("\n".join(str(0.1 * n) for n in range(10)))
    store = brought_in(sequence, tmp_path / "out")
    np.testing.assert_allclose(store.column("actions", 0), np.tile([0.5, 12.0], (9, 1)), rtol=1e-4)
    lines[4] = " ".join(["nan"] * 12)
    (sequence / "poses.txt").write_text("\n".join(lines))
    store = brought_in(sequence, tmp_path / "lost")
    assert [n + 1 for n in store.lengths] == [3, 5]  # no motion to the lost pose, nor from it


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda tub: (tub / "manifest.json").write_text("{}"), "no donkeycar manifest"),
        (lambda tub: (tub / "catalog_1.catalog").unlink(), "the manifest names it"),
        (lambda tub: (tub / "catalog_0.catalog").write_text("{}\n"), "line 1 of"),
    ],
)
def test_a_damaged_tub_is_named(tmp_path: Path, damage: Callable[[Path], Any], sentence: str) -> None:
    tub = write_tub(tmp_path / "tub")
    damage(tub)
    with pytest.raises(VideoSimError, match=sentence):
        brought_in(tub, tmp_path / "out")


def test_bad_settings(tmp_path: Path) -> None:
    tub = write_tub(tmp_path / "tub", 4)
    for settings, sentence in (
        ({"format": "tape"}, "choose comma2k19, donkeycar"),
        ({"rate": -1.0}, "frames a second"),
        ({"crop": [0.5, 0.0, 0.4, 1.0]}, "fractions"),
        ({"shortest": 1}, "shortest >= 2"),
        ({"action": "will"}, "control, motion or none"),
    ):
        with pytest.raises(VideoSimError, match=sentence):
            brought_in(tub, tmp_path / "out", **settings)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoSimError, match="no known format"):
        read(tmp_path / "empty")
    with pytest.raises(VideoSimError, match="no folder"):
        read(tmp_path / "nowhere", "donkeycar")


# --- does it hang together? ------------------------------------------------------------------------------------------


def drive(lag: int, sign: float = 1.0, steps: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Steering (T,), and frames (T+1, 32, 48, 3) of a far landscape that moves sideways ``lag`` frames after it."""
    rng = np.random.default_rng(0)
    steer = np.convolve(rng.normal(size=steps), np.ones(8) / 3.0, "same").clip(-1, 1)
    return steer, landscape(np.concatenate([np.zeros(lag + 1), 3.0 * sign * steer])[: steps + 1], 32, 48)


def landscape(moved: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 (T, height, width, 3): something far, ``moved`` (T,) pixels to the right since the frame before."""
    rng = np.random.default_rng(7)
    land = np.convolve(rng.normal(size=4000), np.hanning(9), "same")
    rows = np.stack([np.interp(p + np.arange(width), np.arange(4000), land) for p in 2000 - np.cumsum(moved)])
    grey = np.clip(127 + 30 * rows, 0, 255).astype(np.uint8)
    return np.broadcast_to(grey[:, None, :, None], (len(moved), height, width, 3)).copy()


@pytest.mark.parametrize("lag", [0, 2, 5])
def test_the_lag_is_found(lag: int) -> None:
    steer, frames = drive(lag)
    found = alignment.lag_correlation([steer], [alignment.image_motion(frames)], 8)
    assert int(found.argmax()) == lag and found[lag] > 0.95


def test_image_motion_is_in_pixels_to_the_right() -> None:
    steer, frames = drive(0)
    assert np.median(np.abs(alignment.image_motion(frames) - 3.0 * steer)) < 0.15


def test_wrong_labels_and_wrong_signs_are_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steer, frames = drive(1)
    other = np.random.default_rng(1).permutation(steer)
    for name, labels, images in (
        ("right", steer, frames),
        ("wrong", other, frames),
        ("sign", steer, drive(1, -1.0)[1]),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for n, image in enumerate(images[:-1]):
            Image.fromarray(image).save(folder / f"frame_{n:05d}_spd_0_agl_{round(-90 * labels[n])}_mil_{n * 50}.png")
        brought_in(folder, tmp_path / f"{name}-store", height=32, width=48)
        figures = checked(tmp_path / f"{name}-store", tmp_path / f"{name}-check")
        assert figures["accepted"] == (name == "right")
        if name == "right":
            assert figures["steer_motion_lag_s"] == pytest.approx(0.05)


# --- real logs -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL.is_dir(), reason="the development logs are not here")
@pytest.mark.parametrize(
    ("folder", "settings", "accepted", "lag_s"),
    [
        ("dev_donkeycar_tub_2020", {"rate": 20.0}, 1.0, 0.2),
        ("extra_donkey_2016/sidewalk", {"swap_channels": True}, 1.0, 0.3),
        ("extra_donkey_2016/whiteline2", {"swap_channels": True}, 0.0, None),
    ],
)
def test_real_drives(
    folder: str, settings: dict[str, Any], accepted: float, lag_s: float | None, tmp_path: Path
) -> None:
    brought_in(REAL / folder, tmp_path / "out", **{"height": 64, "width": 64, "shortest": 10, **settings})
    figures = checked(tmp_path / "out", tmp_path / "check")
    assert figures["accepted"] == accepted
    assert lag_s is None or figures["steer_motion_lag_s"] == pytest.approx(lag_s, abs=0.03)


@pytest.mark.skipif(not REAL.is_dir(), reason="the development logs are not here")
def test_a_real_car_turns_as_it_steers(tmp_path: Path) -> None:
    segment = tmp_path / "route" / "40"
    shutil.copytree(REAL / "logs_comma2k19_example1" / "40", segment)
    # Its own film is not among the logs: this one turns as the poses do, of which the reader knows nothing.
    times, turns = (np.load(segment / "global_pose" / name) for name in ("frame_times", "frame_orientations"))
    turned = Rotation.from_quat(turns[:-1], scalar_first=True).inv() * Rotation.from_quat(turns[1:], scalar_first=True)
    left = -turned.as_rotvec()[:, 2] / np.diff(times)
    write_hevc(segment / "video.hevc", landscape(np.append(0.0, 200.0 * left), 48, 64))
    store = brought_in(tmp_path / "route", tmp_path / "out", episode_frames=1200, height=48, width=64)
    figures = checked(tmp_path / "out", tmp_path / "check")
    assert figures["accepted"] and figures["steer_motion_lag_s"] <= 0.1
    assert store.lengths == [1199] and store.world.fps == 20
    speed, yaw_rate, _ = store.column("sensors", 0)[:-1].T
    steer = store.column("actions", 0)[:, 0]
    assert np.corrcoef(steer * speed, yaw_rate)[0, 1] > 0.65
