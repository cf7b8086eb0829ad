"""Pictures or a video, and a table of what was done: one small YAML file says which column is what.

    table: log.csv                  # beside it, or below the folder that is imported
    columns: [a, b]                 # names, where the table has no header
    where: {camera: center}         # rows that count; left out: all
    picture: {column: a, folder: IMG}   # a file for each row; of a path only the name counts, if a folder is given
    video: drive.mp4                # or one film, its n-th frame for the n-th row
    time: {column: t, scale: 1.0e-9}    # to seconds; pattern: year … millisecond in a name; left out: the film's clock
    clock: own                      # the rows have times of their own, from the film's start on; left out: one a frame
    channels: {steer: {column: b, scale: -1.0, offset: 0.0}}    # value * scale + offset in our units, left positive

``tables/`` holds the ones that ship; ``format=`` takes their names, or the path of another.
"""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import yaml

from videosim.data.formats.log import CHANNELS, Format, Recording, sampled, together
from videosim.data.formats.pictures import Film, Stills
from videosim.errors import VideoSimError

REACH_S = 2.0  # how far from a frame a row with a clock of its own may be: a GPS speaks once a second
SHIPPED = Path(__file__).parent / "tables"
KEYS = {"about", "table", "columns", "where", "picture", "video", "time", "clock", "channels"}


def shipped() -> dict[str, Format]:
    """The formats of the tables that ship, by name."""
    return {path.stem: of(path) for path in sorted(SHIPPED.glob("*.yaml"))}


def of(path: Path) -> Format:
    """The format that the YAML file ``path`` describes. VideoSimError where it does not describe one."""
    mapping = _mapping(path)

    def detect(folder: Path) -> bool:
        return (folder / mapping["table"]).is_file()

    return Format(mapping.get("about", f"as {path.name} says"), detect, lambda folder: [_read(folder, mapping, path)])


def _mapping(path: Path) -> dict[str, Any]:
    try:
        mapping = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as fault:
        raise VideoSimError(
            f"{path} is no readable YAML file; it must say which column of the table is what"
        ) from fault
    wrong = _wrong(mapping)
    if wrong:
        raise VideoSimError(f"{path} {wrong}")
    return mapping


def _wrong(mapping: Any) -> str:
    """What is missing or too much in the description of a table; "" if nothing."""
    if not isinstance(mapping, dict) or set(mapping) - KEYS or not isinstance(mapping.get("table"), str):
        return f"needs 'table' and knows {', '.join(sorted(KEYS))}"
    if ("picture" in mapping) == ("video" in mapping):
        return "needs either 'picture' or 'video'"
    channels = mapping.get("channels")
    if not isinstance(channels, dict) or set(channels) - set(CHANNELS):
        return f"needs 'channels', some of {', '.join(CHANNELS)}"
    named = [*channels.values(), *(mapping[key] for key in ("picture", "time") if key in mapping)]
    if any(not isinstance(entry, dict) or "column" not in entry for entry in named):
        return "needs a 'column' for everything that it reads"
    if "clock" in mapping and (mapping["clock"] != "own" or "video" not in mapping or "time" not in mapping):
        return "may say 'clock: own' of a table with 'time' beside a 'video', and nothing else"
    return "needs 'time', as pictures have none" if "picture" in mapping and "time" not in mapping else ""


def _read(folder: Path, mapping: dict[str, Any], path: Path) -> Recording:
    rows = _rows(folder / mapping["table"], mapping)

    def column(name: str) -> list[str]:
        if rows and name not in rows[0]:
            raise VideoSimError(f"{folder / mapping['table']} has no column {name!r}, which {path.name} names")
        return [row[name] for row in rows]

    def numbers(entry: dict[str, Any]) -> np.ndarray:
        values = np.array([_number(text) for text in column(entry["column"])])
        return values * float(entry.get("scale", 1.0)) + float(entry.get("offset", 0.0))

    channels = {name: numbers(entry) for name, entry in mapping["channels"].items()}
    if "video" in mapping:
        film = Film(folder / mapping["video"])
        times = numbers(mapping["time"]) if "time" in mapping else film.times
        if "clock" in mapping:
            felt = {name: sampled(film.times, times, values, REACH_S) for name, values in channels.items()}
            return Recording(folder.name, film.times, film, felt, film=str(film.path))
        length, notes = together(len(film), {mapping["table"]: len(rows)})
        cut = {name: values[:length] for name, values in channels.items()}
        return Recording(folder.name, times[:length], film, cut, film=str(film.path), notes=notes)
    entry, time = mapping["picture"], mapping["time"]
    names = [PureWindowsPath(name.strip()) for name in column(entry["column"])]  # reads both kinds of slash
    paths = [folder / (Path(entry["folder"]) / name.name if "folder" in entry else name.as_posix()) for name in names]
    if "pattern" in time:
        times = np.array([_stamp(name, time["pattern"]) for name in column(time["column"])])
    else:
        times = numbers(time)
    return Recording(folder.name, times, Stills(paths), channels)


def _rows(path: Path, mapping: dict[str, Any]) -> list[dict[str, str]]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, mapping.get("columns"), restval="", skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise VideoSimError(f"{path} is no readable table ({fault}); restore it") from fault
    wanted = {key: str(value) for key, value in mapping.get("where", {}).items()}
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _stamp(name: str, pattern: str) -> float:
    """Seconds that a name tells as year, month, day, hour, minute, second and, maybe, milliseconds."""
    found = re.search(pattern, name)
    try:
        year, month, day, *clock = [int(part) for part in found.groups()] if found else []
        hour, minute, second, milliseconds = (*clock, 0, 0, 0, 0)[:4]
        moment = datetime(year, month, day, hour, minute, second, milliseconds * 1000, UTC)
        return moment.timestamp()
    except (ValueError, TypeError) as fault:
        raise VideoSimError(
            f"no time can be read from the name {name!r} by {pattern!r}; correct the pattern"
        ) from fault
