"""Films and nothing else: one recording each, without an action. Comma's calibration challenge is such a folder, as its
labels tell how the camera was mounted and not what anybody did."""

from __future__ import annotations

from pathlib import Path

from videosim.data.formats.log import Format, Recording
from videosim.data.formats.pictures import Film

ENDINGS = (".mp4", ".mov", ".mkv", ".avi", ".hevc", ".ts", ".m4v")
BESIDE = (".md", ".txt", ".jpg", ".png", "")  # what may lie beside them without telling of their frames


def _films(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())


def detect(folder: Path) -> bool:
    """Films alone, none with a text of its own name, which may well be its labels."""
    files = [path for path in folder.iterdir() if path.is_file()]
    films = [path for path in files if path.suffix.lower() in ENDINGS]
    others = [path for path in files if path not in films]
    plain = all(path.suffix.lower() in BESIDE for path in others)
    return bool(films) and plain and not any(film.with_suffix(".txt").exists() for film in films)


def read(folder: Path) -> list[Recording]:
    """One recording a film, in ``folder`` or below it."""
    recordings = []
    for path in _films(folder):
        film = Film(path)
        recordings.append(Recording(str(path.relative_to(folder)), film.times, film, film=str(path)))
    return recordings


FORMAT = Format("a folder of films and nothing else: no action", detect, read)
