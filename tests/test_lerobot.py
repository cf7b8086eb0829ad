"""LeRobot data sets in and out: laid out as the format says, the action of a frame burnt into its pixels."""

from __future__ import annotations

import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from logs import brought_in, burnt, picture, steering
from PIL import Image

from videosim.config import ExportConfig
from videosim.data import exporting
from videosim.data.formats import detect
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.run import Console, Run
from videosim.types import ActionSpec, Episode, FrameSpec, SensorSpec, WorldSpec

FPS = 10
LENGTHS = (17, 23, 12)
DRIVER = ["gas_pedal_normalized", "brake_pedal_normalized", "steering_angle_normalized"]


def film(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "6", "g": "7"})
        stream.width = stream.height = 48
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, FPS)
        for n, value in enumerate(values):
            frame = av.VideoFrame.from_ndarray(picture(value), format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def png(value: float) -> dict[str, Any]:
    sink = io.BytesIO()
    Image.fromarray(picture(value)).save(sink, "PNG")
    return {"bytes": sink.getvalue(), "path": "frame.png"}


def rows(episode: int, length: int, before: int, camera: str, filmed: bool) -> pa.Table:
    steer = steering(episode, length)
    actions = np.stack([np.full(length, 0.5), np.zeros(length), steer], 1).astype(np.float32)
    state = np.stack([36.0 + np.arange(length), np.full(length, 90.0)], 1).astype(np.float32)
    number = np.arange(length, dtype=np.int64)
    columns: dict[str, Any] = {
        "action.continuous": pa.array(actions.tolist(), pa.list_(pa.float32())),
        "observation.state.vehicle": pa.array(state.tolist(), pa.list_(pa.float32(), 2)),
        "timestamp": (number / FPS).astype(np.float32),
        "frame_index": number,
        "episode_index": np.full(length, episode),
        "index": before + number,
        "task_index": np.zeros(length, np.int64),
    }
    if not filmed:
        columns[camera] = pa.array([png(value) for value in steer])
    return pa.table(columns)


def write_set(folder: Path, version: str, filmed: bool, names: Any = None) -> Path:
    """A data set of three episodes in its true layout, with the columns of a driver's set."""
    camera = "observation.images.front_left"
    v3 = version == "v3.0"
    starts = np.cumsum((0, *LENGTHS))
    tables = [rows(k, n, int(starts[k]), camera, filmed) for k, n in enumerate(LENGTHS)]
    features: dict[str, Any] = {
        camera: {"dtype": "video" if filmed else "image", "shape": [48, 48, 3], "names": None},
        "action.continuous": {"dtype": "float32", "shape": [3], "names": {"axes": names or DRIVER}},
        "observation.state.vehicle": {"dtype": "float32", "shape": [2], "names": {"axes": ["speed", "heading"]}},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    }
    features |= {
        key: {"dtype": "int64", "shape": [1], "names": None}
        for key in ("frame_index", "episode_index", "index", "task_index")
    }
    info: dict[str, Any] = {"codebase_version": version, "fps": FPS, "chunks_size": 1000, "features": features}
    (folder / "meta").mkdir(parents=True)
    if v3:
        info["data_path"] = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        info["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
        (folder / "data/chunk-000").mkdir(parents=True)
        # Two episodes share a file, the third has its own.
        pq.write_table(pa.concat_tables(tables[:2]), folder / "data/chunk-000/file-000.parquet", row_group_size=11)
        pq.write_table(tables[2], folder / "data/chunk-000/file-001.parquet")
        if filmed:
            both = np.concatenate([steering(k, LENGTHS[k]) for k in (0, 1)])
            film(folder / "videos" / camera / "chunk-000/file-000.mp4", both)
            film(folder / "videos" / camera / "chunk-000/file-001.mp4", steering(2, LENGTHS[2]))
        episodes = [
            {
                "episode_index": k,
                "tasks": ["drive"],
                "length": n,
                "data/chunk_index": 0,
                "data/file_index": int(k == 2),
                f"videos/{camera}/chunk_index": 0,
                f"videos/{camera}/file_index": int(k == 2),
                f"videos/{camera}/from_timestamp": LENGTHS[0] / FPS if k == 1 else 0.0,
            }
            for k, n in enumerate(LENGTHS)
        ]
        (folder / "meta/episodes/chunk-000").mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(episodes), folder / "meta/episodes/chunk-000/file-000.parquet")
    else:
        info["data_path"] = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        info["video_path"] = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
        (folder / "data/chunk-000").mkdir(parents=True)
        lines = []
        for k, table in enumerate(tables):
            pq.write_table(table, folder / f"data/chunk-000/episode_{k:06d}.parquet")
            if filmed:
                film(folder / f"videos/chunk-000/{camera}/episode_{k:06d}.mp4", steering(k, LENGTHS[k]))
            lines.append(json.dumps({"episode_index": k, "tasks": ["drive"], "length": LENGTHS[k]}))
        (folder / "meta/episodes.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "meta/info.json").write_text(json.dumps(info))
    return folder


def sent_out(store: Path, out: Path, **settings: Any) -> dict[str, Any]:
    cfg = ExportConfig(data=str(store), **settings)
    with Run("export", cfg, out, Console(quiet=True)) as run:
        exporting.main(cfg, run)
    return run.figures


@pytest.mark.parametrize("filmed", [True, False])
@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_every_frame_keeps_its_action(version: str, filmed: bool, tmp_path: Path) -> None:
    source = write_set(tmp_path / "set", version, filmed)
    assert detect(source) == "lerobot"
    store = brought_in(source, tmp_path / "out")
    assert [n + 1 for n in store.lengths] == list(LENGTHS) and store.world.fps == FPS
    assert store.world.action.names == ("throttle", "brake", "steer")
    assert store.world.sensors.names == ("speed", "heading")
    for k in range(3):
        shown, steer = burnt(store.frames(k)), store.column("actions", k)[:, 2]
        limit = 0.04 if filmed else 0.006
        assert np.abs(shown[:-1] - steer).max() < limit < 0.3 < np.abs(shown[1:] - steer).max()
        np.testing.assert_allclose(store.column("sensors", k)[:, 0], (36.0 + np.arange(LENGTHS[k])) / 3.6, rtol=1e-5)


@pytest.mark.parametrize("filmed", [True, False])
def test_several_processes_read_the_same(filmed: bool, tmp_path: Path) -> None:
    source = write_set(tmp_path / "set", "v3.0", filmed)
    one, two = (brought_in(source, tmp_path / str(n), episode_frames=9, workers=n) for n in (1, 2))
    assert sorted(one.seeds) == sorted(two.seeds)
    for k, seed in enumerate(one.seeds):
        np.testing.assert_array_equal(one.frames(k), two.frames(two.seeds.index(seed)))


def test_what_is_no_vehicle_keeps_its_names_and_range(tmp_path: Path) -> None:
    store = brought_in(write_set(tmp_path / "set", "v3.0", False, ["waist", "shoulder", "heading"]), tmp_path / "out")
    assert store.world.action.names == ("waist", "shoulder", "heading")
    assert store.world.sensors.names == ("speed", "state.heading")
    assert store.world.action.low[2] == pytest.approx(min(steering(k, n).min() for k, n in enumerate(LENGTHS)))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            lambda s: (s / "videos/observation.images.front_left/chunk-000/file-000.mp4").unlink(),
            "file-000.mp4 is miss",
        ),
        (lambda s: (s / "videos/observation.images.front_left/chunk-000/file-000.mp4").write_bytes(b"no"), "no video"),
        (
            lambda s: film(s / "videos/observation.images.front_left/chunk-000/file-000.mp4", np.zeros(30)),
            "row 13 of ep",
        ),
        (lambda s: (s / "data/chunk-000/file-001.parquet").unlink(), "file-001.parquet is missing"),
        (lambda s: (s / "meta/episodes/chunk-000/file-000.parquet").unlink(), "holds no table"),
        (
            lambda s: pq.write_table(pa.table({"episode_index": [0]}), s / "data/chunk-000/file-001.parquet"),
            "no column",
        ),
    ],
)
def test_a_damaged_set_is_named(damage: Any, sentence: str, tmp_path: Path) -> None:
    source = write_set(tmp_path / "set", "v3.0", True)
    damage(source)
    with pytest.raises(VideoSimError, match=sentence):
        brought_in(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_version_from_elsewhere_and_a_camera_that_is_none(tmp_path: Path) -> None:
    source = write_set(tmp_path / "set", "v3.0", False)
    with pytest.raises(VideoSimError, match=r"choose observation\.images\.front_left"):
        brought_in(source, tmp_path / "out", camera="rear")
    info = json.loads((source / "meta/info.json").read_text())
    (source / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v4.0"}))
    with pytest.raises(VideoSimError, match=r"version 4\.0"):
        brought_in(source, tmp_path / "out", format="lerobot")


# --- out -------------------------------------------------------------------------------------------------------------

WORLD = WorldSpec(
    "cart pole",
    FrameSpec(48, 48),
    ActionSpec((-3.0, -1.0), (3.0, 1.0), ("force", "steer")),
    SensorSpec(("x", "speed"), ("m", "m/s"), (-1.0, -9.0), (1.0, 9.0)),
    0.05001,
    30,
)


def write_store(folder: Path, lengths: tuple[int, ...] = (30, 7, 12)) -> EpisodeStore:
    store = EpisodeStore.create(folder, WORLD, "a test", "CC0")
    for seed, steps in enumerate(lengths):
        rng = np.random.default_rng(seed)
        steer = np.append(steering(seed, steps), 0.0)
        frames = np.stack([picture(value) for value in steer])
        frames[:, :8] = rng.integers(0, 256, (steps + 1, 8, 48, 3), np.uint8)  # what a codec cannot keep
        episode = Episode(
            frames,
            np.stack([rng.uniform(-3, 3, steps), steer[:-1]], 1).astype(np.float32),
            rng.normal(size=steps).astype(np.float32),
            rng.normal(size=(steps + 1, 2)).astype(np.float32),
            rng.normal(size=(steps + 1, 4)),
            np.arange(steps) >= steps - 2,
            "random",
            seed,
        )
        store.append(episode, 100.0 + 0.05001 * np.arange(steps + 1))
    return store


def test_png_there_and_back_loses_nothing(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    sent_out(tmp_path / "store", tmp_path / "set")
    again = brought_in(tmp_path / "set", tmp_path / "again", episode_frames=31, world="cart pole")
    assert again.lengths == store.lengths
    assert again.world.to_dict() == store.world.to_dict() | {"dt_s": pytest.approx(WORLD.dt_s, rel=1e-12)}
    for k in range(3):
        np.testing.assert_array_equal(again.frames(k), store.frames(k))
        for name in ("actions", "sensors", "rewards", "terminated", "time"):
            np.testing.assert_array_equal(again.column(name, k), store.column(name, k), err_msg=name)


def test_films_there_and_back_keep_every_frame_in_its_place(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    sent_out(tmp_path / "store", tmp_path / "set", frames="mp4")
    again = brought_in(tmp_path / "set", tmp_path / "again", episode_frames=31)
    for k in range(3):
        shown, steer = burnt(again.frames(k)[:, 12:]), store.column("actions", k)[:, 1]
        assert np.abs(shown[:-1] - steer).max() < 0.04 < 0.3 < np.abs(shown[1:] - steer).max()


def test_frames_alone_go_there_and_back(tmp_path: Path) -> None:
    world = WorldSpec("cam", FrameSpec(48, 48), ActionSpec((), (), ()), SensorSpec((), (), (), ()), 0.1, 9)
    none = np.zeros((9, 0), np.float32)
    frames = np.stack([picture(value) for value in steering(0, 10)])
    episode = Episode(frames, none, none.sum(1), np.zeros((10, 0), "f4"), np.zeros((10, 0)), none.any(1))
    EpisodeStore.create(tmp_path / "store", world).append(episode)
    sent_out(tmp_path / "store", tmp_path / "set")
    again = brought_in(tmp_path / "set", tmp_path / "again")
    np.testing.assert_array_equal(again.frames(0), frames)
    assert again.world.action.size == again.world.sensors.size == 0


@pytest.mark.parametrize("frames", ["png", "mp4"])
def test_the_description_of_the_format_field_by_field(frames: str, tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    sent_out(tmp_path / "store", tmp_path / "set", frames=frames)
    root, key, total = tmp_path / "set", "observation.image", store.frames_total
    info = json.loads((root / "meta/info.json").read_text())
    plain = {name: value for name, value in info.items() if name not in ("features", "videosim", "video_path")}
    assert plain == {
        "codebase_version": "v3.0",
        "robot_type": "cart pole",
        "total_episodes": 3,
        "total_frames": total,
        "total_tasks": 1,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": 20,
        "splits": {"train": "0:3"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    }
    films = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    assert info["video_path"] == (films if frames == "mp4" else None)
    features = info["features"]
    default = {"timestamp": "float32"}
    default |= dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64")
    for name, dtype in default.items():
        assert features[name] == {"dtype": dtype, "shape": [1], "names": None}
    assert features["action"] == {"dtype": "float32", "shape": [2], "names": ["force", "steer"]}
    camera = features[key]
    assert camera["dtype"] == ("video" if frames == "mp4" else "image")
    assert camera["shape"] == [48, 48, 3] and camera["names"] == ["height", "width", "channels"]

    table = pq.read_table(root / "data/chunk-000/file-000.parquet")
    assert len(table) == total and set(table.column_names) == set(features) - ({key} if frames == "mp4" else set())
    for name, feature in features.items():
        if name != key:
            kind = pa.from_numpy_dtype(np.dtype(feature["dtype"]))
            size = feature["shape"][0]
            vector = name in ("action", "observation.state")
            assert table[name].type == (pa.list_(kind, size) if vector else kind), name
    starts = np.cumsum([0, *(n + 1 for n in store.lengths)])
    np.testing.assert_array_equal(table["index"].to_numpy(), np.arange(total))
    stamps = table["frame_index"].to_numpy() / 20
    np.testing.assert_allclose(table["timestamp"].to_numpy(), stamps, atol=1e-6)

    episodes = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet")
    assert episodes["episode_index"].to_pylist() == [0, 1, 2] and episodes["tasks"].to_pylist() == [["cart pole"]] * 3
    assert episodes["dataset_from_index"].to_pylist() == starts[:-1].tolist()
    assert episodes["dataset_to_index"].to_pylist() == starts[1:].tolist()
    for name in ("data/chunk_index", "data/file_index", "meta/episodes/chunk_index", "meta/episodes/file_index"):
        assert episodes[name].to_pylist() == [0, 0, 0]
    for name in features:
        for stat in ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"):
            assert f"stats/{name}/{stat}" in episodes.column_names
    if frames == "mp4":
        assert camera["info"]["video.codec"] == "h264" and camera["info"]["video.fps"] == 20
        begins, ends = (episodes[f"videos/{key}/{end}_timestamp"].to_numpy() for end in ("from", "to"))
        np.testing.assert_allclose(begins, starts[:-1] / 20)
        np.testing.assert_allclose(ends, starts[1:] / 20)
        with av.open(str(root / f"videos/{key}/chunk-000/file-000.mp4")) as container:
            times = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
        np.testing.assert_allclose(times, np.arange(total) / 20, atol=1e-6)  # the reader allows 1e-4 s
    else:
        assert set(table[key][0].as_py()) == {"bytes", "path"}

    stats = json.loads((root / "meta/stats.json").read_text())
    assert set(stats) == set(features)
    actions = np.concatenate([np.append(store.column("actions", k), np.zeros((1, 2), "f4"), 0) for k in range(3)])
    for name, truth in (("mean", actions.mean(0)), ("std", actions.std(0)), ("min", actions.min(0))):
        np.testing.assert_allclose(stats["action"][name], truth, atol=1e-5)
    assert stats["action"]["count"] == [total] and np.shape(stats[key]["mean"]) == (3, 1, 1)
    pixels = np.concatenate([store.frames(k) for k in range(3)]) / 255.0
    np.testing.assert_allclose(np.ravel(stats[key]["mean"]), pixels.mean((0, 1, 2)), atol=1e-6)

    tasks = pq.read_table(root / "meta/tasks.parquet")
    assert tasks.column_names == ["task_index", "task"] and tasks["task_index"].to_pylist() == [0]
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_an_export_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_store(tmp_path / "store")

    def fails(*_: Any) -> None:
        raise OSError("no more")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="no more"):
        broken.setattr("videosim.data.lerobot_writer.image_stats", fails)
        sent_out(tmp_path / "store", tmp_path / "set")
    assert not (tmp_path / "set").exists()
    sent_out(tmp_path / "store", tmp_path / "set")
    with pytest.raises(VideoSimError, match="already"):
        sent_out(tmp_path / "store", tmp_path / "set")


def test_bad_export_settings(tmp_path: Path) -> None:
    write_store(tmp_path / "store")
    for settings, sentence in (
        ({"data": ""}, "nothing to export"),
        ({"format": "tape"}, "lerobot or minari"),
        ({"frames": "gif"}, "png or mp4"),
        ({"data": str(tmp_path)}, "not an episode store"),
    ):
        cfg = ExportConfig(**{"data": str(tmp_path / "store"), **settings})
        with (
            pytest.raises(VideoSimError, match=sentence),
            Run("export", cfg, tmp_path / "out", Console(quiet=True)) as run,
        ):
            exporting.main(cfg, run)
        assert not (tmp_path / "out").exists()
