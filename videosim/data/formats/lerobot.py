"""LeRobotDataset v3, and v2.0 and v2.1 as most sets still are: ``meta/info.json`` says where the Parquet tables and the
films lie and what their columns mean. A film of v3 holds many episodes, a picture in a table is a PNG.

Actions and states keep their names where they are no vehicle's. A set that ``videosim export`` wrote tells its units
and bounds; of another, a channel's range is what its values span.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from videosim.data.formats.log import CHANNELS, Channel, Format, Recording
from videosim.data.formats.packed import Packed
from videosim.data.formats.pictures import Film, Selected
from videosim.errors import VideoSimError
from videosim.types import WorldSpec

# What drivers' data sets call our channels, and the factor to our unit.
DRIVING = {
    "steering": ("steer", 1.0),
    "steering_angle_normalized": ("steer", 1.0),
    "gas": ("throttle", 1.0),
    "gas_pedal_normalized": ("throttle", 1.0),
    "brake_pedal_normalized": ("brake", 1.0),
    "speed": ("speed", 1.0 / 3.6),  # km/h
}


@dataclass(frozen=True)
class _Place:
    """Where one episode lies: its table, and of a film the file and the second at which it begins."""

    episode: int
    length: int
    table: Path
    film: Path | None
    begins_s: float


def detect(folder: Path) -> bool:
    try:
        about = _info(folder)
    except VideoSimError:
        return False
    return bool(_cameras(about))


def read(folder: Path, camera: str = "") -> list[Recording]:
    """One recording an episode."""
    about = _info(folder)
    cameras = _cameras(about)
    if not cameras:
        own = "; it is an episode store already, use it as data=" if "videosim" in about else ""
        raise VideoSimError(f"{folder} has no camera among its features{own}")
    if camera and camera not in cameras:
        raise VideoSimError(f"{folder} has no camera {camera!r}; choose {', '.join(cameras)}")
    camera = camera or next((key for key in cameras if "front" in key), cameras[0])
    places = _places(folder, about, camera)
    films = {path: Film(path) for path in dict.fromkeys(place.film for place in places) if path is not None}
    tables = _Tables(about)
    recordings = [_recording(folder, about, camera, place, tables.rows(place), films) for place in places]
    return _described(recordings, about)


FORMAT = Format("a folder with meta/info.json of LeRobotDataset v3 or v2.1", detect, read, several=True)


def _info(folder: Path) -> dict[str, Any]:
    path = folder / "meta" / "info.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        version = str(about["codebase_version"]).removeprefix("v")
        if not (about["fps"] > 0 and isinstance(about["features"], dict) and isinstance(about["data_path"], str)):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise VideoSimError(f"{path} is missing or describes no LeRobot data set; restore it") from fault
    if version.split(".")[0] not in ("2", "3"):
        raise VideoSimError(f"{path} is of LeRobot version {version}; 2.0, 2.1 and 3.0 can be read, so convert it")
    return about


def _cameras(about: dict[str, Any]) -> list[str]:
    return [key for key, feature in about["features"].items() if feature.get("dtype") in ("video", "image")]


def _places(folder: Path, about: dict[str, Any], camera: str) -> list[_Place]:
    filmed = about["features"][camera]["dtype"] == "video"
    try:
        if str(about["codebase_version"]).removeprefix("v").startswith("2"):
            return _places_v2(folder, about, camera if filmed else "")
        return _places_v3(folder, about, camera if filmed else "")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as fault:
        raise VideoSimError(f"{folder}/meta does not say where the episodes are ({fault}); restore it") from fault


def _places_v2(folder: Path, about: dict[str, Any], film: str) -> list[_Place]:
    path = folder / "meta" / "episodes.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as fault:
        raise VideoSimError(f"{path} is missing or damaged; restore it") from fault
    places = []
    for row in rows:
        number = int(row["episode_index"])
        keys = {"episode_chunk": number // int(about.get("chunks_size", 1000)), "episode_index": number}
        at = folder / about["video_path"].format(video_key=film, **keys) if film else None
        places.append(_Place(number, int(row["length"]), folder / about["data_path"].format(**keys), at, 0.0))
    return places


def _places_v3(folder: Path, about: dict[str, Any], film: str) -> list[_Place]:
    paths = sorted((folder / "meta" / "episodes").glob("*/*.parquet"))
    if not paths:
        raise VideoSimError(f"{folder}/meta/episodes holds no table; restore it")
    wanted = ["episode_index", "length", "data/chunk_index", "data/file_index"]
    wanted += [f"videos/{film}/{part}" for part in ("chunk_index", "file_index", "from_timestamp")] if film else []
    rows = [row for path in paths for row in _table(path, wanted).to_pylist()]

    def file(template: str, row: dict[str, Any], kind: str) -> Path:
        numbers = {key: row[f"{kind}/{key}"] for key in ("chunk_index", "file_index")}
        return folder / template.format(video_key=film, **numbers)

    return [
        _Place(
            int(row["episode_index"]),
            int(row["length"]),
            file(about["data_path"], row, "data"),
            file(about["video_path"], row, f"videos/{film}") if film else None,
            float(row[f"videos/{film}/from_timestamp"]) if film else 0.0,
        )
        for row in sorted(rows, key=lambda row: row["episode_index"])
    ]


def _table(path: Path, columns: list[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            missing = sorted(set(columns) - set(file.schema_arrow.names))
            if missing:
                raise VideoSimError(f"{path} has no column {missing[0]!r}; restore it")
            return file.read(columns)
    except (pa.ArrowException, OSError) as fault:
        raise VideoSimError(f"{path} is missing or damaged; restore it") from fault


class _Tables:
    """The rows of one episode after the other, without its pictures; the last file is kept open."""

    def __init__(self, about: dict[str, Any]) -> None:
        numeric = ("float32", "float64", "int64", "int32", "bool")
        self._columns = [key for key, feature in about["features"].items() if feature.get("dtype") in numeric]
        self._path, self._rows = Path(), pa.table({})

    def rows(self, place: _Place) -> tuple[int, pa.Table]:
        """Row of the episode's first frame in its file, and its rows."""
        if place.table != self._path:
            self._path, self._rows = place.table, _table(place.table, self._columns)
        own = np.flatnonzero(self._rows["episode_index"].to_numpy() == place.episode)
        if len(own) != place.length or (len(own) and own[-1] - own[0] != len(own) - 1):
            raise VideoSimError(
                f"{place.table} holds {len(own)} rows of episode {place.episode}, which has {place.length}; restore it"
            )
        first = int(own[0]) if len(own) else 0
        return first, self._rows.slice(first, len(own))


def _recording(
    folder: Path,
    about: dict[str, Any],
    camera: str,
    place: _Place,
    found: tuple[int, pa.Table],
    films: dict[Path, Film],
) -> Recording:
    first, rows = found
    stamps = _values(rows, "timestamp", place)[:, 0]
    named = _channels(about, rows, place)
    extra = {
        key: _values(rows, key, place)[:, 0]
        for key in ("observation.time", "next.reward", "next.terminated")
        if key in rows.column_names
    }
    return Recording(
        f"{folder.name}/{place.episode:06d}",
        extra.get("observation.time", stamps),
        Packed(place.table, camera, first) if place.film is None else _filmed(films[place.film], place, stamps, about),
        {name: values for name, (values, _) in named.items()},
        described=dict.fromkeys(named, Channel("1", 0.0, 1.0)),
        controls=tuple(name for name, (_, acts) in named.items() if acts),
        rewards=extra.get("next.reward", np.zeros(len(rows))),
        terminated=extra.get("next.terminated", np.zeros(len(rows))).astype(bool),
        rate=float(about["fps"]),
        film=str(place.film or ""),
    )


def _filmed(film: Film, place: _Place, stamps: np.ndarray, about: dict[str, Any]) -> Selected:
    """The frames of one episode, found by their times."""
    half = 0.5 / float(about["fps"])
    numbers = np.searchsorted(film.times, place.begins_s + stamps - half)
    shown = film.times[numbers.clip(max=len(film) - 1)] if len(film) else np.full(len(stamps), np.inf)
    away = np.abs(shown - place.begins_s - stamps) > half
    if away.any():
        raise VideoSimError(
            f"{place.film} has no frame for row {int(np.argmax(away))} of episode {place.episode}; restore the file"
        )
    return Selected(film, numbers)


def _channels(about: dict[str, Any], rows: pa.Table, place: _Place) -> dict[str, tuple[np.ndarray, bool]]:
    """Name -> values float64 (K,), and whether they are an action; actions first."""
    named: dict[str, tuple[np.ndarray, bool]] = {}
    own = "videosim" in about
    keys = [key for key in rows.column_names if about["features"][key]["dtype"].startswith("float")]
    actions = [key for key in keys if key.split(".")[0] == "action"]
    for key in [*actions, *(key for key in keys if key.startswith("observation.state"))]:
        values = _values(rows, key, place)
        for column, said in enumerate(_names(key, about["features"][key], values.shape[1])):
            name, scale = (said, 1.0) if own else DRIVING.get(said.lower(), (said, 1.0))
            if name == "speed" and key == "observation.state":
                scale = 1.0  # only a vehicle's own block counts in km/h
            named[name if name not in named else f"state.{name}"] = (values[:, column] * scale, key in actions)
    return named


def _names(key: str, feature: dict[str, Any], size: int) -> list[str]:
    names = feature.get("names")
    if isinstance(names, dict):
        names = next(iter(names.values()), None)
    if isinstance(names, list) and len(names) == size:
        return [str(name) for name in names]
    return [f"{key}_{n}" for n in range(size)] if size > 1 else [key]


def _values(rows: pa.Table, key: str, place: _Place) -> np.ndarray:
    """float64 ``(K, size)`` of a column of numbers or of vectors; NaN for null."""
    column = rows[key].combine_chunks()
    size = 1
    if isinstance(column.type, (pa.ListType, pa.LargeListType, pa.FixedSizeListType)):
        flat = column.flatten()
        size = len(flat) // max(len(column), 1)
        if size * len(column) != len(flat) or column.null_count:
            raise VideoSimError(f"{place.table} has vectors of several lengths in {key!r}; restore it")
        column = flat
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False)).reshape(-1, size)


def _described(recordings: list[Recording], about: dict[str, Any]) -> list[Recording]:
    """The recordings with one unit and range a channel, over all of them; of our own export as its world says."""
    if "videosim" not in about:
        names = [name for name in (recordings[0].channels if recordings else ()) if name not in CHANNELS]
        known = {name: _spanned(name, recordings) for name in names}
        return [replace(recording, described=known) for recording in recordings]
    try:
        world = WorldSpec.from_dict(about["videosim"]["world"])
    except (KeyError, TypeError, ValueError) as fault:
        raise VideoSimError("meta/info.json does not describe its world completely; export it again") from fault
    action, sensors = world.action, world.sensors
    known = dict(zip(action.names, map(Channel, ("1",) * action.size, action.low, action.high), strict=True))
    known |= dict(zip(sensors.names, map(Channel, sensors.units, sensors.low, sensors.high), strict=True))
    return [replace(recording, described=known, rate=1.0 / world.dt_s) for recording in recordings]


def _spanned(name: str, recordings: list[Recording]) -> Channel:
    values = np.concatenate([recording.channels[name] for recording in recordings if name in recording.channels])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    return Channel("1", low, high if high > low else low + 1.0)
