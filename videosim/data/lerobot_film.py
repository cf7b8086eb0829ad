"""The films of a LeRobotDataset: episodes one after the other in H.264 files, a new file when one is large.

A reader looks a frame up by its time, so that frame n of a file is shown at exactly n / fps seconds. Every other frame
can be decoded on its own, as in the sets that LeRobot records.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from videosim.data.layout import CHUNK
from videosim.errors import VideoSimError
from videosim.types import FrameSpec

KEY_FRAMES = 2  # distance of two frames that can be decoded on their own
QUALITY = 18  # constant rate factor


class FilmWriter:
    """``add`` an episode's frames, then ``close``."""

    def __init__(self, root: Path, template: str, camera: str, fps: int, largest: int) -> None:
        self._root, self._template, self.camera, self.fps, self._largest = root, template, camera, fps, largest
        self._file, self._frames = -1, 0
        self._container: Any = None

    def info(self, frame: FrameSpec) -> dict[str, Any]:
        """What ``meta/info.json`` says of the films."""
        return {
            "video.height": frame.height,
            "video.width": frame.width,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": self.fps,
            "video.channels": 3,
            "has_audio": False,
        }

    def add(self, frames: np.ndarray) -> dict[str, Any]:
        """Write uint8 ``(T+1, H, W, 3)``; returns where they are, as the episode's row says it."""
        if self._container is None or self._path.stat().st_size >= self._largest:
            self._open(frames.shape[1:3])
        first, self._frames = self._frames, self._frames + len(frames)
        for number, frame in enumerate(frames, first):
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            shown.pts, shown.time_base = number, Fraction(1, self.fps)
            self._container.mux(self._stream.encode(shown))
        return {
            f"videos/{self.camera}/chunk_index": self._file // CHUNK,
            f"videos/{self.camera}/file_index": self._file % CHUNK,
            f"videos/{self.camera}/from_timestamp": first / self.fps,
            f"videos/{self.camera}/to_timestamp": self._frames / self.fps,
        }

    def close(self) -> None:
        if self._container is not None:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._container = None

    def _open(self, size: tuple[int, ...]) -> None:
        if size[0] % 2 or size[1] % 2:
            raise VideoSimError(f"H.264 needs even frame sides and these are {size[1]} by {size[0]}; use frames=png")
        self.close()
        self._file, self._frames = self._file + 1, 0
        numbers = {"chunk_index": self._file // CHUNK, "file_index": self._file % CHUNK}
        self._path = self._root / self._template.format(video_key=self.camera, **numbers)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._path), "w", format="mp4")
        options = {"crf": str(QUALITY), "g": str(KEY_FRAMES), "bf": "0", "preset": "fast"}
        self._stream = self._container.add_stream("libx264", rate=self.fps, options=options)
        self._stream.height, self._stream.width, self._stream.pix_fmt = *size, "yuv420p"
        self._stream.time_base = Fraction(1, self.fps)
