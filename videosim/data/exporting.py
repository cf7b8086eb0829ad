"""``videosim export``: an episode store as a data set that others read, LeRobotDataset v3 or Minari.

It is written beside its place and moved there when it is whole, the description last: whatever happens, the folder
holds a data set or none. An interrupted export begins again.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np

from videosim.config import ExportConfig
from videosim.data.lerobot_writer import LeRobotWriter
from videosim.data.minari_writer import MinariWriter
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.types import Episode

FORMATS = ("lerobot", "minari")
FRAMES = ("png", "mp4")
UNFINISHED = ".unfinished"


def main(cfg: ExportConfig, run: Run) -> None:
    """Write the store ``cfg.data`` as a data set into ``run.folder``, which must hold none yet."""
    if not cfg.data:
        raise VideoSimError("there is nothing to export; give data=FOLDER of an episode store")
    if cfg.format not in FORMATS or cfg.frames not in FRAMES:
        raise VideoSimError(f"format is {' or '.join(FORMATS)}, and frames {' or '.join(FRAMES)}")
    store = EpisodeStore.open(cfg.data)
    if not len(store):
        raise VideoSimError(f"{cfg.data} holds no episode to export; collect or import some first")
    held = [path.name for path in run.folder.iterdir() if path.name not in (UNFINISHED, "result.json")]
    if held:
        raise VideoSimError(f"{run.folder} holds {held[0]} already; name another folder with out=")
    scratch = run.folder / UNFINISHED
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        _write(_writer(cfg, store, scratch), store, run)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    size = sum(path.stat().st_size for path in scratch.rglob("*") if path.is_file())
    for part in sorted(scratch.iterdir(), key=lambda path: path.name == "meta"):  # the description last
        os.replace(part, run.folder / part.name)
    scratch.rmdir()
    run.figure("episodes", len(store))
    run.figure("frames", store.frames_total)
    run.figure("bytes_per_frame", size / store.frames_total, unit="bytes")
    run.table(
        f"{len(store)} episodes, {store.frames_total} frames in {run.folder}",
        ("what", "value"),
        [
            ("format", cfg.format),
            ("frames a second", f"{store.world.fps}"),
            ("frames", cfg.frames if cfg.format == "lerobot" else "raw"),
            ("bytes a frame", f"{size / store.frames_total:.0f}"),
        ],
    )


class Writer(Protocol):
    """Episodes one after the other; whole once it is finished. ``close`` lets go of its files."""

    def add(self, episode: Episode, times: np.ndarray) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


def _writer(cfg: ExportConfig, store: EpisodeStore, folder: Path) -> Writer:
    if cfg.format == "minari":
        return MinariWriter(folder, store.world, store.source, store.licence)
    return LeRobotWriter(folder, store.world, store.source, store.licence, cfg.frames == "mp4")


def _write(writer: Writer, store: EpisodeStore, run: Run) -> None:
    with closing(writer), run.progress(store.frames_total, "exporting", "frames") as bar:
        for number in range(len(store)):
            episode = store.episode(number)
            writer.add(episode, store.column("time", number))
            bar.advance(episode.length + 1)
        writer.finish()
