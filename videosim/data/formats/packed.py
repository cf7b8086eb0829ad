"""Pictures that lie in a column of a Parquet table, as LeRobot keeps them: a PNG's bytes, or the path of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from videosim.data.formats.pictures import decoded, load
from videosim.errors import VideoSimError


class Packed:
    """``packed(n)`` is the picture of row ``first + n``. One row group is in memory."""

    _ends: np.ndarray  # row behind the last of each row group; empty: not looked up yet
    _from: int  # row of the first picture in memory
    _pictures: pa.ChunkedArray

    def __init__(self, path: Path, column: str, first: int) -> None:
        self.path, self.column, self.first = path, column, first
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "column": self.column, "first": self.first}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.close()

    def __call__(self, number: int) -> np.ndarray:
        row = self.first + number
        try:
            if not self._from <= row < self._from + len(self._pictures):
                self._read(row)
            entry = self._pictures[row - self._from].as_py()
            content, path = (entry.get("bytes"), entry.get("path")) if isinstance(entry, dict) else (entry, None)
        except (pa.ArrowException, OSError, KeyError, IndexError) as fault:
            raise VideoSimError(f"row {row} of {self.path} has no picture in {self.column!r}; restore it") from fault
        if not content and path:
            return load(self.path.parents[2] / path)
        return decoded(content or b"", f"the picture in row {row} of {self.path}")

    def _read(self, row: int) -> None:
        if not len(self._ends):
            with pq.ParquetFile(self.path) as file:
                sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
                self._ends = np.cumsum(sizes)
        group = int(np.searchsorted(self._ends, row, side="right"))
        with pq.ParquetFile(self.path) as file:
            self._pictures = file.read_row_group(group, [self.column])[self.column]
        self._from = int(self._ends[group]) - len(self._pictures)

    def close(self) -> None:
        self._ends = np.zeros(0, int)
        self._from, self._pictures = 0, pa.chunked_array([], pa.binary())
