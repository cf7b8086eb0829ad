"""What of a film is known before it is made: the outline that a verb draws and a model fills in. Plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from videosim.types import FrameSpec


@dataclass(frozen=True)
class Outline:
    """A film of T frames, of which some pixels are known.

    frames   uint8 (T, H, W, 3); of any value where nothing is known
    known    bool (T, H, W): pixels that stay as they are, to the bit
    hint     how much of all other pixels of ``frames`` a model may keep, in [0, 1] (SDEdit, Meng et al. 2022): 0
             nothing, 1 all
    start    number of the source's frame that the first one of the film is (it may lie before the source begins); None:
             the film shows no one stretch of the source
    surplus  frames at the end that guide what is made and are not part of the film
    """

    frames: np.ndarray
    known: np.ndarray
    hint: float = 0.0
    start: int | None = None
    surplus: int = 0

    @classmethod
    def around(
        cls, pieces: Mapping[int, np.ndarray], count: int, frame: FrameSpec, start: int | None = None, surplus: int = 0
    ) -> Outline:
        """``count`` frames of which whole ones are known: ``pieces`` uint8 (k, H, W, 3), by where they begin."""
        frames = np.zeros((count, *frame.shape), np.uint8)
        known = np.zeros(frames.shape[:3], bool)
        for at, piece in pieces.items():
            frames[at : at + len(piece)] = piece
            known[at : at + len(piece)] = True
        return cls(frames, known, start=start, surplus=surplus)

    def __len__(self) -> int:
        """T."""
        return len(self.frames)

    @property
    def whole(self) -> np.ndarray:
        """bool (T,): frames of which every pixel is known."""
        return np.asarray(self.known.all((1, 2)))

    @property
    def lead(self) -> int:
        """How many frames at the beginning are known, where all that follow are not and may be made one after another;
        0: this film cannot be made so."""
        count = int(self.whole.sum())
        forward = self.whole[:count].all() and not self.known[count:].any() and not self.hint
        return count if forward and count < len(self) else 0

    def filled(self, made: np.ndarray) -> np.ndarray:
        """The film uint8 (T - surplus, H, W, 3): what was ``made`` (T, H, W, 3), and what is known pasted over it."""
        film = np.where(self.known[..., None], self.frames, made)
        return film[: len(self) - self.surplus]

    def held(self) -> np.ndarray | None:
        """The film in which nothing happens, each frame the nearest known one, uint8 (T, H, W, 3); None where no frame
        is known as a whole."""
        at = np.flatnonzero(self.whole)
        if not len(at):
            return None
        nearest = np.abs(np.arange(len(self))[:, None] - at).argmin(1)
        return self.frames[at[nearest]]
