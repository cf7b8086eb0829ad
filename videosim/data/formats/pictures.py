"""The frames of a recording: still pictures, or a film."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from videosim.errors import VideoSimError


class Stills:
    """``stills(n)`` is the picture in ``paths[n]``."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __call__(self, number: int) -> np.ndarray:
        return load(self.paths[number])


class Film:
    """``film(n)`` is the n-th frame of the video in ``path``. Reading on is cheap and reading back starts anew: ask in
    order. ``times`` float64 (K,), seconds from the first frame."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times = self._stamps()
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._next = len(self.times)
        self._last: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.times)

    def __call__(self, number: int) -> np.ndarray:
        if self._last is not None and self._last[0] == number:
            return self._last[1]  # a cut repeats its frame
        if number < self._next:
            self._frames, self._next = self._decoded(), 0
        try:
            for frame in self._frames:
                self._next += 1
                if self._next > number:
                    self._last = (number, frame.to_ndarray(format="rgb24"))
                    return self._last[1]
        except av.FFmpegError as fault:
            raise VideoSimError(f"frame {number} of {self.path} is damaged ({fault}); restore the file") from fault
        raise VideoSimError(f"{self.path} ends before its frame {number}; restore the file")

    def _decoded(self) -> Iterator[av.VideoFrame]:
        with av.open(str(self.path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            yield from container.decode(video=0)

    def _stamps(self) -> np.ndarray:
        """Presentation times in order, without decoding; a bare stream has none, and gets its nominal rate."""
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                packets = [packet for packet in container.demux(stream) if packet.size]
                rate = float(stream.average_rate or stream.guessed_rate or 25)
                stamps = np.sort([float(p.pts * p.time_base) for p in packets if p.pts is not None])
                return stamps - stamps[0] if len(stamps) == len(packets) else np.arange(len(packets)) / rate
        except (av.FFmpegError, OSError, IndexError) as fault:
            raise VideoSimError(f"{self.path} is missing or no video ({fault}); restore it, or name another") from fault


def load(path: Path) -> np.ndarray:
    """uint8 ``(H, W, 3)`` RGB, or ``(H, W)`` of a grey picture. VideoSimError where it is missing or damaged."""
    try:
        with Image.open(path) as image:
            return np.asarray(image if image.mode in ("RGB", "L") else image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError) as fault:
        raise VideoSimError(
            f"{path} is missing or no picture; restore it, or delete its record from the log"
        ) from fault
