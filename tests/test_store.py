"""The episode store: what is read is what was written, whatever happens to the writer; bad folders get one sentence."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import threading
from itertools import cycle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.data import layout
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.run import write_atomically
from videosim.types import ActionSpec, Episode, FrameSpec, SensorSpec, WorldSpec

FIELDS = ("frames", "actions", "rewards", "sensors", "physics", "terminated", "behaviour", "seed", "wide")


def world(height: int = 6, width: int = 5, actions: int = 2, sensors: int = 3, name: str = "toy") -> WorldSpec:
    def numbers(size: int, value: float) -> tuple[float, ...]:
        return (value,) * size

    return WorldSpec(
        name,
        FrameSpec(height, width),
        ActionSpec(numbers(actions, -1.0), numbers(actions, 2.0), tuple(f"a{i}" for i in range(actions))),
        SensorSpec(
            tuple(f"s{i}" for i in range(sensors)), ("m",) * sensors, numbers(sensors, -1.0), numbers(sensors, 1.0)
        ),
        0.04,
        50,
    )


def episode(spec: WorldSpec, steps: int, seed: int = 0, physics: int = 4, behaviour: str = "random") -> Episode:
    rng = np.random.default_rng(seed)
    return Episode(
        frames=rng.integers(0, 256, (steps + 1, *spec.frame.shape), dtype=np.uint8),
        actions=rng.standard_normal((steps, spec.action.size)).astype(np.float32),
        rewards=rng.random(steps, np.float32),
        sensors=rng.standard_normal((steps + 1, spec.sensors.size)).astype(np.float32),
        physics=rng.standard_normal((steps + 1, physics)),
        terminated=rng.random(steps) < 0.5,
        behaviour=behaviour,
        seed=seed,
        wide=seed % 2 == 1,
    )


def equal(one: Episode, other: Episode) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    filled = EpisodeStore.create(tmp_path / "store", world())
    for seed, steps in enumerate((7, 1, 12)):
        filled.append(episode(filled.world, steps, seed))
    return filled


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    actions=st.integers(1, 4),
    sensors=st.integers(0, 4),
    physics=st.integers(0, 4),
    steps=st.lists(st.integers(1, 20), min_size=1, max_size=4),
)
def test_what_is_read_is_what_was_written(height, width, actions, sensors, physics, steps) -> None:
    spec = world(height, width, actions, sensors)
    written = [episode(spec, n, seed, physics) for seed, n in enumerate(steps)]
    with tempfile.TemporaryDirectory() as folder:
        appended = EpisodeStore.create(Path(folder) / "s", spec)
        assert [appended.append(e) for e in written] == list(range(len(steps)))
        for opened in (appended, EpisodeStore.open(Path(folder) / "s", spec)):
            assert opened.lengths == steps and opened.frames_total == sum(steps) + len(steps)
            assert all(equal(opened.episode(i), e) for i, e in enumerate(written))
            opened.verify()


def test_dtypes_masks_and_times(store: EpisodeStore) -> None:
    times = np.array([0.0, 0.05, 0.081, 0.12])
    number = store.append(episode(store.world, 3, 9), times)
    assert np.array_equal(store.column("time", number), times)
    assert store.column("time", 0)[1] == store.world.dt_s
    assert store.column("action_valid", number).tolist() == [True, True, True, False]
    dtypes = {name: store.column(name, 0).dtype for name in ("actions", "sensors", "physics", "time", "terminated")}
    assert list(map(str, dtypes.values())) == ["float32", "float32", "float64", "float64", "bool"]
    with pytest.raises(ValueError, match="read-only"):
        store.frames(0)[0] = 0


def test_files_follow_the_lerobot_layout(store: EpisodeStore) -> None:
    info = json.loads((store.folder / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0" and info["fps"] == 25
    assert (info["total_episodes"], info["total_frames"]) == (len(store), store.frames_total)
    assert WorldSpec.from_dict(info["videosim"]["world"]) == store.world
    table = pq.read_table(store.folder / info["data_path"].format(chunk_index=0, file_index=0))
    assert set(table.column_names) == set(info["features"])
    assert table["index"].to_pylist() == list(range(store.frames_total))
    assert table["frame_index"].to_pylist() == [t for n in store.lengths for t in range(n + 1)]
    plain = np.load(store.folder / "frames/main/chunk-000/file-000.npy", mmap_mode="r")  # numpy alone reads frames
    assert len(plain) == store.frames_total and np.array_equal(plain[-13:], store.frames(2))


def test_writers_side_by_side_number_episodes_in_the_order_of_commits(tmp_path: Path) -> None:
    one = EpisodeStore.create(tmp_path / "s", world())
    other = EpisodeStore.open(tmp_path / "s")
    for seed in range(6):
        assert (one, other)[seed % 2].append(episode(one.world, 2 + seed, seed)) == seed
    one.refresh()
    assert one.seeds == list(range(6)) and one.lengths == [2, 3, 4, 5, 6, 7]
    assert len(list(layout.shards(tmp_path / "s", "frames/main"))) == 2
    assert all(equal(one.episode(i), episode(one.world, 2 + i, i)) for i in range(6))


def test_a_full_shard_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SHARD_ROWS", 10)
    store = EpisodeStore.create(tmp_path / "s", world())
    for seed in range(5):
        store.append(episode(store.world, 4, seed))
    assert len(list(layout.shards(store.folder, "data"))) == 3
    assert all(equal(store.episode(i), episode(store.world, 4, i)) for i in range(5))


def test_appending_never_moves_an_episode_across_the_split(store: EpisodeStore) -> None:
    for seed in range(3, 60):
        train, test = store.split(0.3)
        store.append(episode(store.world, 1, seed, behaviour=("random", "noise")[seed % 2]))
        grown_train, grown_test = store.split(0.3)
        assert set(train) <= set(grown_train) and set(test) <= set(grown_test)
        assert sorted(grown_train + grown_test) == list(range(len(store)))
    assert 0.1 < len(grown_test) / len(store) < 0.5
    assert store.split(0.0)[1] == [] and store.split(1.0)[0] == []
    few = [len(side) for share in (1e-9, 1.0 - 1e-9) for side in store.split(share)]
    assert few == [len(store) - 1, 1, 1, len(store) - 1]  # no side of a short log is empty


def test_the_end_of_a_drive_is_held_out(tmp_path: Path) -> None:
    store = EpisodeStore.create(tmp_path, world())
    begun, pieces = [40, 0, 20], []  # a cut between two episodes repeats its frame; they need not lie in order
    for first in begun:
        pieces.append(episode(store.world, 20, seed=first))
        store.append(pieces[-1], (first + np.arange(21)) * 0.05)
    assert store.divided(15.0) == store.split_by_time(15)
    assert store.divided(0.3) == tuple([(i, 0, 21) for i in side] for side in store.split(0.3))
    train, test = store.split_by_time(15)  # of 61 frames 46 to 60, and not 41 to 45
    assert test == [(0, 6, 21)]
    assert train == [(1, 0, 21), (2, 0, 21)]
    train, test = store.split_by_time(30)
    assert test == [(2, 11, 21), (0, 0, 21)] and train == [(1, 0, 21)]
    seen = {begun[e] + t for e, first, end in train for t in range(first, end)}
    assert seen == set(range(21)) and len(range(21, 31)) == 30 / 3  # a third as many are nobody's
    with pytest.raises(VideoSimError, match="61 frames, too few to hold out the last 50"):
        store.split_by_time(50)
    store.append(episode(store.world, 20), (50 + np.arange(21)) * 0.05)
    with pytest.raises(VideoSimError, match="overlap in time"):
        store.split_by_time(15)


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["fsync", "ftruncate", "replace"])
@pytest.mark.parametrize("after", range(5))
def test_a_full_disk_leaves_the_store_as_it_was(store: EpisodeStore, monkeypatch, call: str, after: int) -> None:
    """Whichever system call fails, and however often it has succeeded before, no part of the episode can be seen."""
    before = [store.episode(i) for i in range(len(store))]
    real, calls = getattr(os, call), 0

    def failing(*arguments):
        nonlocal calls
        calls += 1
        if calls > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, call, failing)
    try:
        store.append(episode(store.world, 5, 77))
        written = 1
    except VideoSimError as fault:
        assert "No space left on device; make room" in str(fault)
        written = 0
    monkeypatch.undo()
    for reader in (EpisodeStore.open(store.folder), store):
        reader.refresh()
        assert len(reader) == 3 + written
        assert all(equal(reader.episode(i), e) for i, e in enumerate(before))
        reader.verify()
    number = store.append(episode(store.world, 5, 78))
    assert equal(EpisodeStore.open(store.folder).episode(number), episode(store.world, 5, 78))


def _damage_info(root: Path) -> None:
    (root / "meta/info.json").write_text('{"videosim": ')


def _foreign_info(root: Path) -> None:
    (root / "meta/info.json").write_text('{"codebase_version": "v3.0"}')


def _of_schema(root: Path, schema: int) -> None:
    info = json.loads((root / "meta/info.json").read_text())
    info["videosim"]["schema"] = schema
    (root / "meta/info.json").write_text(json.dumps(info))


def _future(root: Path) -> None:
    _of_schema(root, layout.SCHEMA + 1)


def _past(root: Path) -> None:
    _of_schema(root, layout.SCHEMA - 1)


def _without_world(root: Path) -> None:
    info = json.loads((root / "meta/info.json").read_text())
    del info["videosim"]["world"]["action"]
    (root / "meta/info.json").write_text(json.dumps(info))


def _no_info(root: Path) -> None:
    (root / "meta/info.json").unlink()


def _short_frames(root: Path) -> None:
    path = root / "frames/main/chunk-000/file-000.npy"
    os.truncate(path, path.stat().st_size - 1)


def _no_frames(root: Path) -> None:
    (root / "frames/main/chunk-000/file-000.npy").unlink()


def _other_frames(root: Path) -> None:
    np.save(root / "frames/main/chunk-000/file-000.npy", np.zeros((99, 9, 9, 3), np.uint8))


def _damaged_episodes(root: Path) -> None:
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    path.write_bytes(path.read_bytes()[:50])


def _no_data(root: Path) -> None:
    (root / "data/chunk-000/file-000.parquet").unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_damage_info, "is damaged"),
        (_foreign_info, "not the description of a videosim store"),
        (_future, "upgrade videosim"),
        (_past, "collect it anew"),
        (_without_world, "does not describe its world"),
        (_no_info, "is not an episode store"),
        (_short_frames, "shorter than the 23 frames"),
        (_no_frames, "missing or damaged"),
        (_other_frames, "does not hold uint8 frames of shape"),
        (_damaged_episodes, "missing or damaged"),
        (_no_data, "is missing"),
    ],
)
def test_a_damaged_store_is_refused_in_one_sentence(store: EpisodeStore, damage, sentence: str) -> None:
    damage(store.folder)
    with pytest.raises(VideoSimError, match=sentence) as fault:
        EpisodeStore.open(store.folder)
    assert "\n" not in str(fault.value)


def test_damage_inside_is_found_when_read(store: EpisodeStore) -> None:
    frames = store.folder / "frames/main/chunk-000/file-000.npy"
    with open(frames, "r+b") as file:
        file.seek(frames.stat().st_size - 5)
        file.write(b"\x00\x01")
    with pytest.raises(VideoSimError, match="frames of episode 2"):
        EpisodeStore.open(store.folder).verify()
    data = store.folder / "data/chunk-000/file-000.parquet"
    data.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(VideoSimError, match="missing or damaged"):
        EpisodeStore.open(store.folder).column("actions", 0)


def test_bad_requests(store: EpisodeStore, tmp_path: Path) -> None:
    with pytest.raises(VideoSimError, match="already holds"):
        EpisodeStore.create(store.folder, store.world)
    with pytest.raises(VideoSimError, match="holds episodes of world 'toy', not of 'other'"):
        EpisodeStore.open(store.folder, world(name="other"))
    with pytest.raises(VideoSimError, match="with other settings"):
        EpisodeStore.open(store.folder, world(height=7))
    with pytest.raises(VideoSimError, match="no number 3"):
        store.frames(3)
    with pytest.raises(VideoSimError, match="no column 'speed'"):
        store.column("speed", 0)
    with pytest.raises(VideoSimError, match="needs frames of uint8"):
        store.append(episode(world(height=7), 3))
    with pytest.raises(VideoSimError, match="needs actions of float32"):
        store.append(episode(world(actions=1), 3))
    with pytest.raises(VideoSimError, match="same physics"):
        store.append(episode(store.world, 3, physics=5))
    with pytest.raises(VideoSimError, match="capture times"):
        store.append(episode(store.world, 3), np.zeros(3))
    (tmp_path / "file").write_text("")
    with pytest.raises(VideoSimError, match="choose another folder"):
        EpisodeStore.create(tmp_path / "file" / "s", store.world)
    empty = EpisodeStore.create(tmp_path / "empty", store.world)
    assert len(empty) == 0 and empty.frames_total == 0 and empty.split() == ([], [])


def test_a_table_is_read_whole_while_a_writer_replaces_it(tmp_path: Path) -> None:
    path, stop = tmp_path / "rows.parquet", threading.Event()
    versions = [layout.parquet_bytes(pa.table({"x": list(range(rows))})) for rows in (1, 5000, 30, 20000)]
    path.write_bytes(versions[0])

    def write() -> None:
        for version in cycle(versions):
            write_atomically(path, version)
            if stop.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        lengths = {len(layout.read_parquet(path)) for _ in range(150)}
    finally:
        stop.set()
        writer.join()
    assert lengths <= {1, 5000, 30, 20000} and len(lengths) > 1
