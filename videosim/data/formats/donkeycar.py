"""donkeycar tub v2 (donkeycar 4 and 5): ``manifest.json``, ``catalog_N.catalog`` of JSON lines, and ``images/``.

The tub's angle is positive to the right; ours to the left. Its millisecond stamps are as good as the program that wrote
them: a converted tub may step by 3 ms.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from videosim.data.formats.log import Format, Recording
from videosim.data.formats.pictures import Stills
from videosim.errors import VideoSimError

IMAGE, ANGLE, THROTTLE, STAMP = "cam/image_array", "user/angle", "user/throttle", "_timestamp_ms"


def detect(folder: Path) -> bool:
    return (folder / "manifest.json").is_file() and any(folder.glob("*.catalog"))


def read(folder: Path) -> list[Recording]:
    """One recording: deleted records are left out and, as new sessions do, break it."""
    state = _manifest(folder)
    deleted = set(state.get("deleted_indexes", []))
    rows = [row for name in state["paths"] for row in _catalog(folder / name) if row["_index"] not in deleted]
    rows.sort(key=lambda row: row["_index"])
    index = np.array([row["_index"] for row in rows])
    session = np.array([str(row.get("_session_id", "")) for row in rows])
    breaks = np.zeros(len(rows), bool)
    breaks[1:] = (np.diff(index) != 1) | (session[1:] != session[:-1])
    paths = [folder / "images" / str(row[IMAGE]) for row in rows]
    return [
        Recording(
            folder.name,
            np.array([row[STAMP] for row in rows], np.float64) / 1e3,
            Stills(paths),
            {"steer": -_column(rows, ANGLE), "throttle": _column(rows, THROTTLE)},
            breaks,
        )
    ]


FORMAT = Format("a folder with manifest.json and catalog_0.catalog (donkeycar tub v2)", detect, read)


def _manifest(folder: Path) -> dict[str, Any]:
    """The last of the manifest's JSON lines: catalogues and deleted records."""
    path = folder / "manifest.json"
    try:
        state = json.loads(path.read_text().strip().splitlines()[-1])
        if isinstance(state["paths"], list):
            return state
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        pass
    raise VideoSimError(f"{path} is no donkeycar manifest: its last line must name the catalogues; restore the file")


def _catalog(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text().splitlines()
    except OSError as fault:
        raise VideoSimError(f"{path} is missing, though the manifest names it; restore the file") from fault
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows.append({**row, "_index": int(row["_index"]), STAMP: float(row[STAMP]), IMAGE: str(row[IMAGE])})
        except (ValueError, KeyError, TypeError) as fault:
            raise VideoSimError(
                f"line {number} of {path} is no tub record; restore the file or delete the line"
            ) from fault
    return rows


def _column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([float(row[name]) if row.get(name) is not None else np.nan for row in rows])
