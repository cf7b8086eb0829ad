"""An episode store as a LeRobotDataset v3: tables with PNGs in them, which loses nothing, or with H.264 films beside.

    meta/info.json, meta/stats.json, meta/tasks.parquet, meta/episodes/chunk-000/file-000.parquet
    data/chunk-000/file-000.parquet                     one row a frame, one row group an episode
    videos/observation.image/chunk-000/file-000.mp4     episodes one after the other

The format wants a whole number of frames a second: ``timestamp`` lies on that grid, the times of capture are in
``observation.time``. An episode's last frame has no action; its row holds zeros and ``action_valid`` is False. What the
format has no place for (units, bounds, the exact interval) is in the "videosim" block of ``meta/info.json``.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from videosim.data import layout
from videosim.data.lerobot_film import FilmWriter
from videosim.data.lerobot_stats import aggregated, image_stats, number_stats
from videosim.run import write_atomically
from videosim.types import Episode, WorldSpec

CAMERA = "observation.image"
FILE_MB, FILM_MB = 100, 200
VIDEO_PATH = "videos/{video_key}/" + layout.NUMBERED + ".mp4"


class LeRobotWriter:
    """Episodes one after the other into ``root``, then ``finish``. Without it ``root`` is no data set."""

    def __init__(self, root: Path, world: WorldSpec, source: str, licence: str, films: bool) -> None:
        self.root, self.world, self.source, self.licence = root, world, source, licence
        self.films = FilmWriter(root, VIDEO_PATH, CAMERA, world.fps, FILM_MB * 1_000_000) if films else None
        self.features = _features(world, self.films)
        self._episodes: list[dict[str, Any]] = []
        self._stats: list[dict[str, dict[str, Any]]] = []
        self._frames = self._file = 0
        self._path = root  # of the open table
        self._table: pq.ParquetWriter | None = None

    def add(self, episode: Episode, times: np.ndarray) -> None:
        rows = self._rows(episode, times)
        pictures = {} if self.films else {CAMERA: _packed(episode.frames)}
        self._write(pa.table({**{name: _column(values) for name, values in rows.items()}, **pictures}))
        stats = {name: number_stats(values) for name, values in rows.items()} | {CAMERA: image_stats(episode.frames)}
        length = len(episode.frames)
        entry = {
            "episode_index": len(self._episodes),
            "tasks": [self.world.name],
            "length": length,
            "data/chunk_index": self._file // layout.CHUNK,
            "data/file_index": self._file % layout.CHUNK,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + length,
        }
        if self.films:
            entry |= self.films.add(episode.frames)
        entry |= {f"stats/{key}/{name}": value for key, stat in stats.items() for name, value in stat.items()}
        self._episodes.append(entry | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
        self._stats.append(stats)
        self._frames += length

    def finish(self) -> None:
        """Close the files and write ``meta/``, of it ``info.json`` last."""
        self.close()
        meta = self.root / "meta"
        write_atomically(
            meta / "episodes/chunk-000/file-000.parquet", layout.parquet_bytes(pa.Table.from_pylist(self._episodes))
        )
        write_atomically(meta / "tasks.parquet", layout.parquet_bytes(_tasks([self.world.name])))
        write_atomically(meta / "stats.json", json.dumps(aggregated(self._stats), indent=2))
        write_atomically(meta / "info.json", json.dumps(self._info(), indent=2))

    def _rows(self, episode: Episode, times: np.ndarray) -> dict[str, np.ndarray]:
        steps, length = episode.length, len(episode.frames)
        number = np.arange(length)
        padded = {"action": episode.actions, "next.reward": episode.rewards, "next.terminated": episode.terminated}
        rows = {
            name: np.concatenate([values, np.zeros((1, *values.shape[1:]), values.dtype)])
            for name, values in padded.items()
        }
        rows |= {"observation.state": episode.sensors, "observation.time": times.astype(np.float64)}
        rows |= {"next.done": rows["next.terminated"] | (number >= steps - 1), "action_valid": number < steps}
        rows |= {"timestamp": (number / self.world.fps).astype(np.float32), "frame_index": number}
        rows |= {"episode_index": np.full(length, len(self._episodes)), "index": self._frames + number}
        rows |= {"task_index": np.zeros(length, np.int64)}
        return {name: rows[name] for name in self.features if name in rows}

    def _write(self, table: pa.Table) -> None:
        """One row group, in the next file where the last one is large."""
        if self._table is not None and self._path.stat().st_size >= FILE_MB * 1_000_000:
            self._close_table()
            self._file += 1
        if self._table is None:
            self._path = self.root / "data" / (_numbered(self._file) + ".parquet")
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._table = pq.ParquetWriter(self._path, table.schema, compression="snappy")
        self._table.write_table(table, row_group_size=len(table))

    def close(self) -> None:
        """Let go of the files; harmless when it has been done."""
        self._close_table()
        if self.films:
            self.films.close()

    def _close_table(self) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None

    def _info(self) -> dict[str, Any]:
        count = len(self._episodes)
        return {
            "codebase_version": "v3.0",
            "robot_type": self.world.name,
            "total_episodes": count,
            "total_frames": self._frames,
            "total_tasks": 1,
            "chunks_size": layout.CHUNK,
            "data_files_size_in_mb": FILE_MB,
            "video_files_size_in_mb": FILM_MB,
            "fps": self.world.fps,
            "splits": {"train": f"0:{count}"},
            "data_path": f"data/{layout.NUMBERED}.parquet",
            "video_path": VIDEO_PATH if self.films else None,
            "features": self.features,
            "videosim": {"world": self.world.to_dict(), "source": self.source, "licence": self.licence},
        }


def _features(world: WorldSpec, films: FilmWriter | None) -> dict[str, dict[str, Any]]:
    def feature(dtype: str, size: int = 1, names: list[str] | None = None) -> dict[str, Any]:
        return {"dtype": dtype, "shape": [size], "names": names}

    shape = list(world.frame.shape)
    picture: dict[str, Any] = {
        "dtype": "video" if films else "image",
        "shape": shape,
        "names": ["height", "width", "channels"],
    }
    if films:
        picture["info"] = films.info(world.frame)
    found = {CAMERA: picture}
    if world.action.size:
        found["action"] = feature("float32", world.action.size, list(world.action.names))
    if world.sensors.size:
        found["observation.state"] = feature("float32", world.sensors.size, list(world.sensors.names))
    found |= {"observation.time": feature("float64"), "next.reward": feature("float32")}
    found |= {name: feature("bool") for name in ("next.terminated", "next.done", "action_valid")}
    found |= {"timestamp": feature("float32")}
    return found | {name: feature("int64") for name in ("frame_index", "episode_index", "index", "task_index")}


def _column(values: np.ndarray) -> pa.Array:
    """Vectors as lists of fixed size, single numbers as scalars."""
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])


def _packed(frames: np.ndarray) -> pa.Array:
    pictures = []
    for number, frame in enumerate(frames):
        sink = io.BytesIO()
        Image.fromarray(frame).save(sink, "PNG", compress_level=1)
        pictures.append({"bytes": sink.getvalue(), "path": f"frame-{number:06d}.png"})
    return pa.array(pictures, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def _tasks(tasks: list[str]) -> pa.Table:
    """The texts are the index of the pandas frame that LeRobot reads, which a schema must say."""
    kinds = {"task_index": ("int64", "int64"), "task": ("unicode", "object")}
    columns = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
        for name, (kind, numpy) in kinds.items()
    ]
    described = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks)})
    return table.replace_schema_metadata({"pandas": json.dumps(described)})


def _numbered(file: int) -> str:
    return layout.NUMBERED.format(chunk_index=file // layout.CHUNK, file_index=file % layout.CHUNK)
