"""The frames of a recording: still pictures, a film, or a selection from one. All can be pickled."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from videosim.errors import VideoSimError
from videosim.types import FrameSpec

LOOKED_AT = 16  # pictures whose sizes say the size of all
AHEAD = 64  # frames: farther ahead is sought, not decoded


class Stills:
    """``stills(n)`` is the picture in ``paths[n]``. One of another size than most is a fault."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __call__(self, number: int) -> np.ndarray:
        picture = load(self.paths[number])
        if self.size and picture.shape[:2] != self.size:
            (height, width), (usual, wide) = picture.shape[:2], self.size
            raise VideoSimError(f"{self.paths[number]} is {width} by {height} and the others are {wide} by {usual}")
        return picture

    def close(self) -> None:
        pass  # nothing is kept open

    @cached_property
    def size(self) -> tuple[int, int] | None:
        """(H, W) of most pictures, judged by a few of them; None where none can be read."""
        sizes: Counter[tuple[int, int]] = Counter()
        for number in np.unique(np.linspace(0, len(self.paths) - 1, LOOKED_AT).astype(int)):
            try:
                with Image.open(self.paths[number]) as image:
                    sizes[image.height, image.width] += 1
            except (OSError, UnidentifiedImageError, ValueError):
                continue
        return sizes.most_common(1)[0][0] if sizes else None


class Film:
    """``film(n)`` is the n-th frame of the video in ``path``. Reading on is cheap; going back, or far ahead, seeks
    where the frames have time stamps and starts anew where they have none. What follows a damaged frame is lost up to
    the next key frame. ``times`` float64 (K,), seconds from the first frame."""

    _frames: Iterator[tuple[int, av.VideoFrame]]  # (number, frame) of those to come
    _next: int  # the first of them
    _last: tuple[int, np.ndarray] | None
    _lost: int | None  # the frame where decoding failed

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamps, self._keys, self.times = self._read_stamps()
        self.close()

    def __len__(self) -> int:
        return len(self.times)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_stamps": self._stamps, "_keys": self._keys, "times": self.times}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.close()

    def __call__(self, number: int) -> np.ndarray:
        if self._last is not None and self._last[0] == number:
            return self._last[1]  # a cut repeats its frame
        if number >= len(self):
            raise VideoSimError(f"{self.path} ends before its frame {number}; restore the file")
        if self._lost is not None and number >= self._lost:
            if not ((self._keys > self._lost) & (self._keys <= number)).any():
                raise VideoSimError(f"frame {number} of {self.path} is lost with frame {self._lost}; restore the file")
            self.close()
        if number < self._next or (self._stamps is not None and number > self._next + AHEAD):
            self._frames, self._next = self._decoded(number), 0 if self._stamps is None else number
        try:
            for at, frame in self._frames:
                if at < number:
                    continue
                self._next = at + 1
                if at > number or frame.is_corrupt:
                    raise VideoSimError(f"frame {number} of {self.path} is damaged; restore the file")
                self._last = (number, frame.to_ndarray(format="rgb24"))
                return self._last[1]
        except av.FFmpegError as fault:
            self._lost = number
            raise VideoSimError(f"frame {number} of {self.path} is damaged ({fault}); restore the file") from fault
        self._lost = number
        raise VideoSimError(f"{self.path} ends before its frame {number}; restore the file")

    def close(self) -> None:
        self._frames, self._next, self._last, self._lost = iter(()), len(self.times), None, None

    def _decoded(self, number: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """(frame number, frame) from some frame at or before ``number`` on."""
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if self._stamps is not None:
                container.seek(int(self._stamps[number]), stream=stream)
            for count, frame in enumerate(container.decode(stream)):
                if self._stamps is None:
                    yield count, frame
                elif frame.pts is not None:
                    yield int(np.searchsorted(self._stamps, frame.pts)), frame

    def _read_stamps(self) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
        """Without decoding: presentation times in order, in the film's own unit; numbers of the key frames; and the
        times in seconds. A bare stream has neither of the first two, and gets its nominal rate."""
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                packets = [(packet.pts, packet.is_keyframe) for packet in container.demux(stream) if packet.size]
                rate = float(stream.average_rate or stream.guessed_rate or 25)
                unit = float(stream.time_base or 0)
        except (av.FFmpegError, OSError, IndexError) as fault:
            raise VideoSimError(f"{self.path} is missing or no video ({fault}); restore it, or name another") from fault
        found = [stamp for stamp, _ in packets if stamp is not None]
        if not packets or len(found) < len(packets):
            return None, np.zeros(0, int), np.arange(len(packets)) / rate
        stamps = np.unique(np.array(found, np.int64))
        keys = np.searchsorted(stamps, [stamp for stamp, (_, key) in zip(found, packets, strict=True) if key])
        return stamps, keys, (stamps - stamps[0]) * unit


class Selected:
    """``selected(n)`` is the frame ``numbers[n]`` of a film that other recordings may share."""

    def __init__(self, film: Film, numbers: np.ndarray) -> None:
        self.film, self.numbers = film, numbers

    def __call__(self, number: int) -> np.ndarray:
        return self.film(int(self.numbers[number]))

    def close(self) -> None:
        self.film.close()


def load(path: Path) -> np.ndarray:
    """uint8 ``(H, W, 3)`` RGB, or ``(H, W)`` of a grey picture. VideoSimError where it is missing or damaged."""
    return decoded(path, str(path))


def decoded(source: Path | bytes, name: str) -> np.ndarray:
    """As ``load``, of a file or its content; a fault names it ``name``."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return np.asarray(image if image.mode in ("RGB", "L") else image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as fault:
        raise VideoSimError(
            f"{name} is missing or no picture; restore it, or delete its record from the log"
        ) from fault


def check_crop(crop: Sequence[float]) -> None:
    """VideoSimError where ``crop`` is not top, left, bottom and right as fractions of a picture."""
    top, left, bottom, right = crop if len(crop) == 4 else (1.0, 1.0, 0.0, 0.0)
    if not (0.0 <= top < bottom <= 1.0 and 0.0 <= left < right <= 1.0):
        raise VideoSimError(f"crop is [top, left, bottom, right] as fractions of the picture; got {list(crop)}")


def shown(picture: np.ndarray, frame: FrameSpec, crop: Sequence[float]) -> np.ndarray:
    """``picture`` uint8 ``(h, w, 3)`` or ``(h, w)``, cropped and resized by averaging: uint8 ``(H, W, 3)``."""
    height, width = picture.shape[:2]
    top, left, bottom, right = crop
    box = (left * width, top * height, right * width, bottom * height)
    image = Image.fromarray(picture).convert("RGB")
    return np.asarray(image.resize((frame.width, frame.height), Image.Resampling.BOX, box))
