"""For tests of formats: what the driver does is burnt into the pictures, and a log is brought into a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from videosim.config import ImportConfig
from videosim.data import importing
from videosim.data.store import EpisodeStore
from videosim.run import Console, Run


def steering(drive: int, length: int) -> np.ndarray:
    """float32 (length,) in [-1, 1]: no two neighbours alike, nor two drives."""
    return np.sin(0.9 * np.arange(length) + drive).astype(np.float32)


def picture(value: float, side: int = 48) -> np.ndarray:
    """uint8 (side, side, 3) of one grey level, which says ``value``."""
    return np.full((side, side, 3), round(127 + 100 * value), np.uint8)


def burnt(frames: np.ndarray) -> np.ndarray:
    """The values that uint8 (T, H, W, 3) show."""
    return (frames.mean((1, 2, 3)) - 127) / 100


def brought_in(source: Path, out: Path, **settings: Any) -> EpisodeStore:
    cfg = ImportConfig(source=str(source), **{"height": 48, "width": 48, "shortest": 2, **settings})
    with Run("import", cfg, out, Console(quiet=True)) as run:
        importing.main(cfg, run)
    return EpisodeStore.open(out)


def figures(out: Path) -> dict[str, float]:
    """What the command has counted and measured."""
    return {name: figure["value"] for name, figure in json.loads((out / "result.json").read_text())["figures"].items()}
