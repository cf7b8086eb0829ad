"""Measurements kept in one file: what is there is not measured again, what cannot be read is."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from videosim.run import write_atomically


class Kept:
    """Arrays by name in the file at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with np.load(path, allow_pickle=False) as stored:
                self.arrays = dict(stored)
        except (OSError, ValueError, BadZipFile):
            self.arrays = {}

    def get(self, name: str, measure: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray:
        """The array ``name``; where there is none, what ``measure`` gives, which is kept at once."""
        if name not in self.arrays:
            self.arrays[name] = measure(*arguments)
            buffer = io.BytesIO()
            np.savez(buffer, **self.arrays)  # type: ignore[arg-type]
            write_atomically(self.path, buffer.getvalue())
        return self.arrays[name]
