"""The files of an episode store: where they lie, what they hold, and how one is replaced without ever being half there.

    meta/info.json                              LeRobot v3 keys and a "videosim" block (schema, world, source, licence)
    meta/episodes/chunk-000/file-000.parquet    one row per episode
    data/chunk-000/file-000.parquet             one row per frame
    frames/main/chunk-000/file-000.npy          uint8 (rows, H, W, 3); row = the frame's row in the data file

A *shard* is the three files that share one chunk and file number, and belongs to exactly one writer.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from videosim.errors import VideoSimError, first_line
from videosim.run import write_atomically
from videosim.types import Episode, WorldSpec

SCHEMA = 2  # raise it whenever an older reader would misread the files
CHUNK = 1000  # files per folder, LeRobot's "chunks_size"
SHARD_ROWS = 16384  # a shard that holds this many frames is full (200 MB of 64x64 frames)
NUMBERED = "chunk-{chunk_index:03d}/file-{file_index:03d}"

# How the public column names of ``EpisodeStore.column`` are called on disk.
COLUMNS = {
    "actions": "action",
    "rewards": "reward",
    "terminated": "terminated",
    "sensors": "observation.state",
    "physics": "observation.physics",
    "time": "observation.time",
    "action_valid": "action_valid",
}
PER_TRANSITION = ("actions", "rewards", "terminated")  # T rows an episode; the rest have T+1

EPISODE_SCHEMA = pa.schema(
    [
        ("episode_index", pa.int64()),
        ("tasks", pa.list_(pa.string())),
        ("length", pa.int64()),  # rows, that is T+1
        ("dataset_from_index", pa.int64()),
        ("dataset_to_index", pa.int64()),
        ("data/chunk_index", pa.int64()),
        ("data/file_index", pa.int64()),
        ("meta/episodes/chunk_index", pa.int64()),
        ("meta/episodes/file_index", pa.int64()),
        ("behaviour", pa.string()),
        ("seed", pa.int64()),
        ("wide", pa.bool_()),
        ("row_from", pa.int64()),  # first row of the episode inside its data and frame files
        ("physics_size", pa.int64()),
        ("frames_crc32", pa.int64()),
    ]
)


def shard_path(root: Path, kind: str, shard: int) -> Path:
    """The file of ``kind`` ("meta/episodes", "data" or "frames/main") that belongs to shard number ``shard``."""
    suffix = ".npy" if kind.startswith("frames") else ".parquet"
    return root / kind / (NUMBERED.format(chunk_index=shard // CHUNK, file_index=shard % CHUNK) + suffix)


def shards(root: Path, kind: str) -> Iterator[tuple[int, Path]]:
    """Every (shard number, path) of ``kind`` that exists, in order."""
    for path in sorted((root / kind).glob("chunk-*/file-*")):
        digits = path.parent.name[6:], path.stem[5:]
        if path.suffix in (".npy", ".parquet") and all(d.isdigit() for d in digits):
            yield int(digits[0]) * CHUNK + int(digits[1]), path


# --- replacing a file ------------------------------------------------------------------------------------------------


def replace_file(path: Path, content: bytes) -> None:
    """Give ``path`` this content in one step: a reader, or a crash, sees the old file or the new one, never a part."""
    write_atomically(path, content)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut, where the system lets a folder be synchronised."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems refuse it; the rename itself has succeeded
    finally:
        os.close(descriptor)


def parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="snappy")
    return sink.getvalue()


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The table in ``path``; VideoSimError when the file is missing or damaged."""
    try:
        # Opened once: a writer may put another file in its place at any moment, and a footer must find its own pages.
        with pq.ParquetFile(path) as file:
            return file.read(columns)
    except (pa.ArrowException, OSError, KeyError) as fault:
        raise VideoSimError(f"{path} is missing or damaged ({first_line(fault)}); {MEND}") from fault


MEND = "restore the folder from a copy, or collect into a new one"


@contextmanager
def locked(path: Path, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold the advisory lock ``path``, alone or ``shared``; the system frees it however the process dies.

    Raises BlockingIOError when it is taken and ``wait`` is False.
    """
    try:
        import fcntl  # absent on Windows, where a store can be read but not written
    except ImportError as fault:
        raise VideoSimError("writing an episode store needs Linux or macOS; on Windows use WSL") from fault
    with open(path, "ab") as file:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield


# --- contents --------------------------------------------------------------------------------------------------------


def npy_header(rows: int, shape: tuple[int, ...]) -> bytes:
    """Header of a uint8 ``(rows, *shape)`` .npy file. Its size is the same for any ``rows``: numpy leaves room."""
    sink = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        sink, {"descr": "|u1", "fortran_order": False, "shape": (rows, *(int(n) for n in shape))}
    )
    return sink.getvalue()


def _vectors(array: np.ndarray) -> pa.Array:
    flat = np.ascontiguousarray(array).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), array.shape[1])


def frame_rows(episode: Episode, times: np.ndarray, dt_s: float, index: int, first_row: int) -> pa.Table:
    """The T+1 rows of one episode. The last has a frame but no action: ``action_valid`` is False, zeros."""
    steps, rows = episode.length, episode.length + 1
    number = np.arange(rows, dtype=np.int64)
    actions = np.zeros((rows, episode.actions.shape[1]), np.float32)
    actions[:steps] = episode.actions
    rewards, terminated = np.zeros(rows, np.float32), np.zeros(rows, bool)
    rewards[:steps], terminated[:steps] = episode.rewards, episode.terminated
    columns: dict[str, Any] = {
        "timestamp": (number * dt_s).astype(np.float32),
        "frame_index": number,
        "episode_index": np.full(rows, index, np.int64),
        "index": first_row + number,
        "task_index": np.zeros(rows, np.int64),
        "action_valid": number < steps,
        "reward": rewards,
        "terminated": terminated,
        "observation.time": np.asarray(times, np.float64),
    }
    for name, values in (
        ("action", actions),
        ("observation.state", episode.sensors),
        ("observation.physics", episode.physics),
    ):
        if values.shape[1]:  # Parquet has no vector of size zero
            columns[name] = _vectors(values)
    return pa.table(columns)


def info(world: WorldSpec, source: str, licence: str, episodes: int, frames: int, physics_size: int) -> dict[str, Any]:
    """The content of meta/info.json. The totals serve other readers; this package counts episode rows."""

    def feature(dtype: str, shape: tuple[int, ...] = (1,), **more: Any) -> dict[str, Any]:
        return {"dtype": dtype, "shape": list(shape), "names": None, **more}

    features = {name: feature("int64") for name in ("frame_index", "episode_index", "index", "task_index")}
    features["timestamp"] = feature("float32")
    if world.action.size:
        features["action"] = feature("float32", (world.action.size,)) | {"names": list(world.action.names)}
    features["action_valid"] = feature("bool")
    features["reward"] = feature("float32")
    features["terminated"] = feature("bool")
    features["observation.time"] = feature("float64")
    if world.sensors.size:
        names, units = list(world.sensors.names), list(world.sensors.units)
        features["observation.state"] = feature("float32", (world.sensors.size,), units=units) | {"names": names}
    if physics_size:
        features["observation.physics"] = feature("float64", (physics_size,))
    return {
        "codebase_version": "v3.0",
        "robot_type": world.name,
        "fps": world.fps,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": 1,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "data_path": f"data/{NUMBERED}.parquet",
        "video_path": None,
        "splits": {"train": f"0:{episodes}"},
        "features": features,
        "videosim": {
            "schema": SCHEMA,
            "world": world.to_dict(),
            "source": source,
            "licence": licence,
            "frames_path": f"frames/main/{NUMBERED}.npy",
            "frame_shape": list(world.frame.shape),
        },
    }


def read_info(root: Path) -> tuple[WorldSpec, str, str]:
    """World, source and licence of the store in ``root``; VideoSimError when none, damaged or from the future."""
    path = root / "meta" / "info.json"
    if not path.is_file():
        raise VideoSimError(
            f"{root} is not an episode store: meta/info.json is missing; make one with `videosim collect`"
        )
    try:
        block = json.loads(path.read_text(encoding="utf-8"))["videosim"]
        schema = int(block["schema"])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise VideoSimError(f"{path} is not the description of a videosim store or is damaged; {MEND}") from fault
    if schema != SCHEMA:
        mend = "upgrade videosim" if schema > SCHEMA else "collect it anew with `videosim collect`"
        raise VideoSimError(f"{root} has store schema {schema} and this version of videosim reads {SCHEMA}; {mend}")
    try:
        return WorldSpec.from_dict(block["world"]), str(block["source"]), str(block["licence"])
    except (KeyError, TypeError, ValueError) as fault:
        raise VideoSimError(f"{path} does not describe its world completely; {MEND}") from fault


def check_frames(path: Path, rows: int, shape: tuple[int, ...]) -> int:
    """Offset of the first frame in a file that must hold ``rows`` frames at least; VideoSimError if it does not."""
    header = npy_header(0, shape)
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            found, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            offset = file.tell()
            size = file.seek(0, os.SEEK_END)
    except (OSError, ValueError) as fault:
        raise VideoSimError(f"{path} is missing or damaged ({first_line(fault)}); {MEND}") from fault
    if version != (1, 0) or dtype != np.uint8 or fortran or found[1:] != tuple(shape) or offset != len(header):
        raise VideoSimError(f"{path} does not hold uint8 frames of shape {tuple(shape)}; {MEND}")
    if size < offset + rows * int(np.prod(shape)):
        raise VideoSimError(f"{path} is shorter than the {rows} frames its episodes need; {MEND}")
    return offset
