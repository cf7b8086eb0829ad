"""ShardWriter: adds episodes to one shard of a store; a crash at any moment loses at most the episode being written.

The order is the whole trick: the frames go to the end of the shard's .npy and to disk, then the data file is replaced,
then the file of episode rows. Whoever reads trusts only the episode rows, so frames or data without one do not exist.

Why frames are appended in place while tables are replaced: frames are 95 % of the bytes, numpy leaves room in the
header for a growing first axis, and bytes beyond the last episode row are invisible. A Parquet file cannot grow, but
the tables of one shard are a few MB, so writing them again for each episode costs a few percent of collecting it, and
the result is a handful of large files instead of thousands of small ones, with no later pass to join them.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from videosim.data import layout
from videosim.types import Episode


class ShardWriter:
    """Claims the next free shard number of ``root`` by creating its frame file; no two writers share one."""

    def __init__(self, root: Path, frame_shape: tuple[int, ...]) -> None:
        self._root, self._shape = root, frame_shape
        self._row_bytes = int(np.prod(frame_shape))
        self._header = len(layout.npy_header(0, frame_shape))
        self._data: list[pa.Table] = []
        self._episodes: list[pa.Table] = []
        self._pending = 0  # frames on disk that no episode row counts yet
        self.rows = 0
        self.shard = self._claim()

    def _claim(self) -> int:
        shard = max((number for number, _ in layout.shards(self._root, "frames/main")), default=-1) + 1
        while True:
            path = layout.shard_path(self._root, "frames/main", shard)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(path, "xb") as file:
                    file.write(layout.npy_header(0, self._shape))
            except FileExistsError:
                shard += 1
                continue
            layout.sync_folder(path.parent)
            return shard

    @property
    def full(self) -> bool:
        return self.rows >= layout.SHARD_ROWS

    def write_frames(self, frames: np.ndarray) -> None:
        """Put uint8 ``(T+1, H, W, 3)`` behind the last committed frame, on disk. OSError leaves the file as it was."""
        path = layout.shard_path(self._root, "frames/main", self.shard)
        with open(path, "r+b", buffering=0) as file:
            try:
                file.seek(self._header + self.rows * self._row_bytes)
                rest = np.ascontiguousarray(frames).data.cast("B")
                while rest:
                    rest = rest[file.write(rest) :]
                file.seek(0)
                file.write(layout.npy_header(self.rows + len(frames), self._shape))
                os.fsync(file.fileno())
            except OSError:
                self._withdraw(file.fileno())
                raise
        self._pending = len(frames)

    def _withdraw(self, descriptor: int) -> None:
        """Give back the space of frames that no episode row counts."""
        os.pwrite(descriptor, layout.npy_header(self.rows, self._shape), 0)
        os.ftruncate(descriptor, self._header + self.rows * self._row_bytes)
        self._pending = 0

    def commit(self, episode: Episode, times: np.ndarray, dt_s: float, task: str, index: int, first_row: int) -> None:
        """Make the frames just written an episode: number ``index`` of the store, its rows from ``first_row`` on.

        Raises OSError with the shard as it was before ``write_frames``.
        """
        data = [*self._data, layout.frame_rows(episode, times, dt_s, index, first_row)]
        chunk, file = self.shard // layout.CHUNK, self.shard % layout.CHUNK
        row = {
            "episode_index": index,
            "tasks": [task],
            "length": self._pending,
            "dataset_from_index": first_row,
            "dataset_to_index": first_row + self._pending,
            "data/chunk_index": chunk,
            "data/file_index": file,
            "meta/episodes/chunk_index": chunk,
            "meta/episodes/file_index": file,
            "behaviour": episode.behaviour,
            "seed": int(episode.seed),
            "wide": bool(episode.wide),
            "row_from": self.rows,
            "physics_size": episode.physics.shape[1],
            "frames_crc32": zlib.crc32(np.ascontiguousarray(episode.frames).data),
        }
        episodes = [*self._episodes, pa.Table.from_pylist([row], schema=layout.EPISODE_SCHEMA)]
        try:
            self._replace("data", data)
            self._replace("meta/episodes", episodes)
        except OSError:
            with open(layout.shard_path(self._root, "frames/main", self.shard), "r+b") as opened:
                self._withdraw(opened.fileno())
            raise
        self._data, self._episodes = data, episodes
        self.rows, self._pending = self.rows + self._pending, 0

    def _replace(self, kind: str, tables: list[pa.Table]) -> None:
        path = layout.shard_path(self._root, kind, self.shard)
        layout.replace_file(path, layout.parquet_bytes(pa.concat_tables(tables).combine_chunks()))
