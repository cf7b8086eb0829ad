"""Readers of logs that other programs have recorded: one small file each, behind one registry.

A reader turns a folder into ``Recording`` objects and nothing more: it says what the source says, in our units and
signs. Resampling, cropping and cutting are the importer's work.
"""

from __future__ import annotations

from pathlib import Path

from videosim.data.formats import (
    comma2k19,
    donkeycar,
    films,
    kitti,
    lerobot,
    named_frames,
    nuscenes,
    rosbag,
    table,
)
from videosim.data.formats.log import Format, Recording
from videosim.errors import VideoSimError


def formats() -> dict[str, Format]:
    """Every format that can be imported, by the name that ``format=`` takes."""
    readers = {
        "comma2k19": comma2k19,
        "donkeycar": donkeycar,
        "films": films,
        "kitti": kitti,
        "lerobot": lerobot,
        "named_frames": named_frames,
        "nuscenes": nuscenes,
        "rosbag": rosbag,
    }
    return {name: reader.FORMAT for name, reader in readers.items()} | table.shipped()


def detect(folder: Path) -> str:
    """Name of the format of ``folder``.

    Raises VideoSimError when no format, or more than one, fits.
    """
    if not folder.is_dir():
        raise VideoSimError(f"there is no folder {folder} to import from; check source=")
    known = formats()
    fits = [name for name, entry in known.items() if entry.detect(folder)]
    if len(fits) == 1:
        return fits[0]
    listed = "; ".join(f"{name}: {entry.about}" for name, entry in known.items())
    found = "no known format" if not fits else f"several formats ({', '.join(fits)})"
    raise VideoSimError(f"{folder} has {found}; give format= one of {listed}")


def read(folder: Path, name: str = "", camera: str = "") -> tuple[str, list[Recording]]:
    """The name of the format, detected where ``name`` is empty, and the recordings in ``folder``. VideoSimError where
    there are none, or a ``camera`` is named and the format has but one."""
    name = name or detect(folder)
    own = Path(name).suffix in (".yaml", ".yml")
    known = formats()
    if not own and name not in known:
        raise VideoSimError(
            f"there is no format {name!r}; choose {', '.join(known)}, a YAML file that says which column of a table is "
            "what, or leave it empty"
        )
    if not folder.is_dir():
        raise VideoSimError(f"there is no folder {folder} to import from; check source=")
    chosen = table.of(Path(name)) if own else known[name]
    if camera and not chosen.several:
        raise VideoSimError(f"a log of the format {name} has one camera; leave camera= empty")
    found = chosen.read(folder, camera) if chosen.several else chosen.read(folder)
    recordings = [recording for recording in found if len(recording) >= 2]
    if not recordings:
        raise VideoSimError(f"{folder} holds no two consecutive records; check source=")
    return Path(name).stem if own else name, recordings
