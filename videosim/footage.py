"""What a film begins from: frames of an episode store, a film, a GIF or a picture, in a model's size; and masks.

A picture of another size is cropped as asked for and then resized by averaging over areas. One that has the model's
size already, and is not cropped, stays as it is to the bit.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from videosim.data.formats.pictures import Film, check_crop, shown
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.types import ActionSpec, FrameSpec

ALL = (0.0, 0.0, 1.0, 1.0)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
MODES = ("RGB", "L", "P", "1")  # channels of a picture that have one meaning


class Footage:
    """Frames that somebody has, and what was done between them.

    ``name`` is what faults call it; ``actions`` float32 ``(T, A)`` in world units lie between its T+1 frames, None
    where they are not known; ``rate`` is in frames a second, None for pictures.
    """

    def __init__(
        self,
        picture: Callable[[int], np.ndarray],
        count: int,
        frame: FrameSpec,
        name: str = "the source",
        crop: Sequence[float] = ALL,
        actions: np.ndarray | None = None,
        rate: float | None = None,
    ) -> None:
        check_crop(crop)
        if not count:
            raise VideoSimError(f"{name} holds no frame; restore it, or name another")
        self._picture, self._count, self._frame, self._crop = picture, count, frame, crop
        self.name, self.actions, self.rate = name, actions, rate

    @classmethod
    def of(cls, frames: np.ndarray, frame: FrameSpec, actions: np.ndarray | None = None) -> Footage:
        """Of an array uint8 ``(T+1, H, W, 3)``, H and W of any size. Raises VideoSimError on any other."""
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise VideoSimError(
                f"footage is uint8 (T, H, W, 3), red, green and blue; got {frames.dtype} {frames.shape}"
            )
        return cls(frames.__getitem__, len(frames), frame, actions=actions)

    def __len__(self) -> int:
        """T+1, its number of frames."""
        return self._count

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of its pictures as they were handed in."""
        height, width = self._picture(0).shape[:2]
        return height, width

    def covers(self, start: int, count: int) -> bool:
        """Whether ``count`` frames from ``start`` on are there."""
        return start >= 0 and start + count <= len(self)

    def acted(self, start: int | None, steps: int) -> np.ndarray | None:
        """The actions ``(steps, A)`` from frame ``start`` on; None where not all are known."""
        if self.actions is None or start is None or not self.covers(start, steps + 1):
            return None
        return self.actions[start : start + steps]

    def frames(self, start: int, count: int) -> np.ndarray:
        """uint8 ``(count, H, W, 3)`` in the model's size. Raises VideoSimError where it has not as many, or one is
        damaged."""
        if not self.covers(start, count):
            raise VideoSimError(
                f"{self.name} has {len(self)} frames, and {count} from number {start} on are wanted; ask for others"
            )
        return np.stack([shown(self._picture(n), self._frame, self._crop) for n in range(start, start + count)])


def read(
    path: str | Path, frame: FrameSpec, crop: Sequence[float] = ALL, episode: int = 0, action: ActionSpec | None = None
) -> Footage:
    """What lies at ``path``: an episode store, of which ``episode`` is taken with its actions if they are of the kind
    ``action``; a picture, a GIF or WebP; or a film. ``crop``: top, left, bottom, right, as fractions of the picture.

    Raises VideoSimError on anything unreadable or empty.
    """
    path = Path(path)
    if path.is_dir():
        store = EpisodeStore.open(path)
        frames = store.frames(episode)
        actions = store.column("actions", episode) if store.world.action == action else None
        return Footage(
            frames.__getitem__,
            len(frames),
            frame,
            f"episode {episode} of {path}",
            crop,
            actions,
            1.0 / store.world.dt_s,
        )
    if path.suffix.lower() in PICTURES:
        pictures = _Pictures(path)
        return Footage(pictures, len(pictures), frame, str(path), crop)
    film = Film(path)
    rate = float(1.0 / np.median(np.diff(film.times))) if len(film) > 1 else None
    return Footage(film, len(film), frame, str(path), crop, rate=rate)


def read_mask(path: str | Path, source: Footage, frame: FrameSpec, crop: Sequence[float] = ALL) -> np.ndarray:
    """Bool ``(H, W)`` in the model's size: what a picture shows in white, or anything but black. It is cropped as the
    source is, whose size it must have; a pixel of which a part is marked is marked.

    Raises VideoSimError on a picture of another size, or one without a mark.
    """
    picture = _Pictures(Path(path))(0)
    if picture.shape[:2] != source.size:
        (height, width), (high, wide) = picture.shape[:2], source.size
        raise VideoSimError(
            f"the mask {path} is {width} by {height} and {source.name} is {wide} by {high}; draw it on a frame of it"
        )
    marked = Image.fromarray((picture.reshape(*picture.shape[:2], -1) > 0).any(-1).astype(np.float32))
    top, left, bottom, right = crop
    box = (left * marked.width, top * marked.height, right * marked.width, bottom * marked.height)
    mask = np.asarray(marked.resize((frame.width, frame.height), Image.Resampling.BOX, box)) > 0.0
    if not mask.any():
        raise VideoSimError(f"the mask {path} marks nothing that is shown; paint white what is to be made anew")
    return mask


def rectangle(region: Sequence[float], frame: FrameSpec) -> np.ndarray:
    """Bool ``(H, W)``: the pixels that the rectangle ``region`` touches, its top, left, bottom and right as fractions
    of the frame. Raises VideoSimError on one that is none."""
    top, left, bottom, right = region if len(region) == 4 else (1.0, 1.0, 0.0, 0.0)
    if not (0.0 <= top < bottom <= 1.0 and 0.0 <= left < right <= 1.0):
        raise VideoSimError(f"region is [top, left, bottom, right] as fractions of the frame; got {list(region)}")

    def touched(low: float, high: float, count: int) -> np.ndarray:
        at = np.arange(count)
        return (at + 1 > round(low * count, 6)) & (at < round(high * count, 6))

    return touched(top, bottom, frame.height)[:, None] & touched(left, right, frame.width)


class _Pictures:
    """``pictures(n)`` is the n-th picture of a file that holds one or, a GIF or WebP, several."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._image = Image.open(io.BytesIO(path.read_bytes()))
            self._count = int(getattr(self._image, "n_frames", 1))
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as fault:
            raise VideoSimError(f"{path} is missing or no picture; restore it, or name another") from fault
        if self._image.format != "GIF" and self._image.mode not in MODES:
            raise VideoSimError(f"{path} has the channels {self._image.mode}; save it as RGB, with 8 bits a channel")

    def __len__(self) -> int:
        return self._count

    def __call__(self, number: int) -> np.ndarray:
        try:
            self._image.seek(number)
            return np.asarray(self._image.convert("RGB"))
        except (OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError) as fault:
            raise VideoSimError(f"frame {number} of {self.path} is damaged; restore the file") from fault
