"""Films for people: labelled side-by-side strips of frames, written as MP4 or GIF.

Small frames are enlarged by whole pixels (nearest neighbour), so that what is seen is what the model made.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from videosim.errors import VideoSimError
from videosim.run import write_atomically

SCALE = 4
MAX_BYTES = 2_000_000  # of one film: a report holds several
GAP, EDGE = 8, 4
LABEL_HEIGHT = 26
GROUND, INK, FAINT, RED = (18, 20, 24), (236, 238, 242), (150, 156, 168), (230, 60, 50)


@dataclass
class Film:
    """A video under its title. ``mp4`` holds the file's bytes (H.264, at most ``MAX_BYTES``); ``narrow``: two may stand
    beside each other where a page is wide."""

    title: str
    mp4: bytes
    note: str = ""
    narrow: bool = False

    @classmethod
    def kept(cls, path: Path, title: str, frames: np.ndarray, fps: float, note: str, narrow: bool = False) -> Film:
        """Of frames uint8 (T, H, W, 3), and the same as a file."""
        content = mp4_bytes(frames, fps)
        write_atomically(path, content)
        return cls(title, content, note, narrow)


def difference(physics: np.ndarray, dream: np.ndarray) -> np.ndarray:
    """Absolute difference per channel, uint8 (…, H, W, 3): black where the two agree."""
    if physics.shape != dream.shape:
        raise VideoSimError(f"films to compare must match in shape; got {physics.shape} and {dream.shape}")
    return np.abs(physics.astype(np.int16) - dream.astype(np.int16)).astype(np.uint8)


def comparison(physics: np.ndarray, dream: np.ndarray, captions: Sequence[str] | None = None) -> np.ndarray:
    """The strip physics | dream | difference of two films uint8 (T, H, W, 3); ``captions`` as in ``side_by_side``."""
    return side_by_side({"physics": physics, "dream": dream, "difference": difference(physics, dream)}, captions)


def side_by_side(
    panels: Mapping[str, np.ndarray],
    captions: Sequence[str] | None = None,
    scale: int = SCALE,
    marks: Mapping[str, int] | None = None,
) -> np.ndarray:
    """Films uint8 (T, H, W, 3) next to each other under their labels: uint8 (T, H', W', 3), both sides even.

    captions  one text a frame, drawn small at the right end of the label row, e.g. ``"1.48 s"``
    scale     enlargement of the panels by whole pixels
    marks     panel -> the frame, from 0, from which on a red frame is drawn around it, outside its pixels
    """
    steps, height, width = _same_size(panels)
    if captions is not None and len(captions) != steps:
        raise VideoSimError(f"a film of {steps} frames needs as many captions; got {len(captions)}")
    row, column = height * scale, width * scale
    size = (LABEL_HEIGHT + row + GAP, GAP + len(panels) * (column + GAP))
    canvas = Image.new("RGB", (size[1] + size[1] % 2, size[0] + size[0] % 2), GROUND)  # H.264 wants even sides
    draw = ImageDraw.Draw(canvas)
    lefts = [GAP + i * (column + GAP) for i in range(len(panels))]
    for left, label in zip(lefts, panels, strict=True):
        draw.text((left, LABEL_HEIGHT / 2), label, INK, _font(14), anchor="lm")
    film = np.repeat(np.asarray(canvas)[None], steps, axis=0)
    for left, (label, frames) in zip(lefts, panels.items(), strict=True):
        if label in (marks or {}):
            rows = slice(LABEL_HEIGHT - EDGE, LABEL_HEIGHT + row + EDGE)
            film[marks[label] :, rows, left - EDGE : left + column + EDGE] = RED  # type: ignore[index]
        film[:, LABEL_HEIGHT : LABEL_HEIGHT + row, left : left + column] = _enlarge(frames, scale)
    for t, caption in enumerate(captions or ()):
        head = Image.fromarray(film[t, :LABEL_HEIGHT])
        ImageDraw.Draw(head).text((size[1] - GAP, LABEL_HEIGHT / 2), caption, FAINT, _font(12), anchor="rm")
        film[t, :LABEL_HEIGHT] = np.asarray(head)
    return film


def mp4_bytes(film: np.ndarray, fps: float, max_bytes: int = MAX_BYTES) -> bytes:
    """H.264 MP4 of uint8 (T, H, W, 3) with even H and W, at the best quality that fits ``max_bytes``.

    Raises VideoSimError when it does not fit at the lowest quality either.
    """
    if film.shape[1] % 2 or film.shape[2] % 2:
        raise VideoSimError(
            f"H.264 needs even frame sides; got {film.shape[2]} by {film.shape[1]}, pad or crop by a pixel"
        )
    for quality in (18, 24, 30, 36, 42):
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
            stream.height, stream.width, stream.pix_fmt = film.shape[1], film.shape[2], "yuv420p"
            stream.options = {"crf": str(quality), "preset": "fast"}
            for frame in film:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
            container.mux(stream.encode())
        if len(buffer.getvalue()) <= max_bytes:
            return buffer.getvalue()
    raise VideoSimError(f"a film of {len(film)} frames does not fit {max_bytes:,} bytes; show fewer frames")


def gif_bytes(film: np.ndarray, fps: float) -> bytes:
    """Endlessly looping GIF of uint8 (T, H, W, 3). The format counts in 1/100 s, so ``fps`` is rounded."""
    images = [Image.fromarray(frame).quantize(128, dither=Image.Dither.NONE) for frame in film]
    buffer = io.BytesIO()
    duration_ms = max(10 * round(100 / fps), 20)  # browsers slow anything faster down to 100 ms
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=duration_ms, loop=0)
    return buffer.getvalue()


def webp_bytes(film: np.ndarray, fps: float, quality: int = 70) -> bytes:
    """Endlessly looping WebP of uint8 (T, H, W, 3): shown wherever a picture is, at a tenth of a GIF's size."""
    images = [Image.fromarray(frame) for frame in film]
    buffer = io.BytesIO()
    settings = {"duration": round(1000 / fps), "loop": 0, "quality": quality, "method": 4}  # 0, the default, is hasty
    images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:], **settings)
    return buffer.getvalue()


def write_film(path: Path | str, film: np.ndarray, fps: float) -> None:
    """Write uint8 (T, H, W, 3) as ``.mp4``, ``.gif`` or ``.webp``, by the name's ending. Never leaves half a file."""
    path = Path(path)
    encoders = {".mp4": mp4_bytes, ".gif": gif_bytes, ".webp": webp_bytes}
    if path.suffix not in encoders:
        ending = path.suffix or "a file without ending"
        raise VideoSimError(f"cannot write a film as {ending!r}; use {', '.join(encoders)}")
    if film.dtype != np.uint8 or film.ndim != 4 or film.shape[-1] != 3 or not len(film):
        raise VideoSimError(f"a film is uint8 (T, H, W, 3) with at least one frame; got {film.dtype} {film.shape}")
    write_atomically(path, encoders[path.suffix](film, fps))


def _same_size(panels: Mapping[str, np.ndarray]) -> tuple[int, int, int]:
    shapes = {frames.shape for frames in panels.values()}
    if len(shapes) != 1:
        raise VideoSimError(f"films shown together need one length and size; got {sorted(shapes) or 'none'}")
    shape = shapes.pop()
    if len(shape) != 4 or shape[-1] != 3 or not shape[0] or any(f.dtype != np.uint8 for f in panels.values()):
        raise VideoSimError(f"a film is uint8 (T, H, W, 3) with at least one frame; got {shape}")
    return shape[0], shape[1], shape[2]


def _enlarge(frames: np.ndarray, scale: int) -> np.ndarray:
    return frames.repeat(scale, axis=-3).repeat(scale, axis=-2)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
