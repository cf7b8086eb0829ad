"""Pictures of a MuJoCo scene without a display, by a fast path and (for fair comparisons) by MuJoCo's default one.

Import this module before ``mujoco``: it chooses the OpenGL back end, which MuJoCo reads once, at import.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import weakref
from typing import Protocol

import numpy as np

from videosim.errors import VideoSimError

NO_OPENGL = (
    "no OpenGL library could be loaded, so nothing can be rendered; on Debian or Ubuntu run "
    "`apt-get install libegl1 libgl1-mesa-dri` (or `apt-get install libosmesa6` with MUJOCO_GL=osmesa)"
)
LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def choose_gl() -> None:
    """Set MUJOCO_GL to ``egl``, else ``osmesa``, else ``off``, where the user set nothing and there is no display."""
    if os.name != "posix" or os.uname().sysname != "Linux":
        return
    if "MUJOCO_GL" in os.environ or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    os.environ["MUJOCO_GL"] = next((name for name, library in LIBRARIES.items() if _loads(library)), "off")


choose_gl()
os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's software rasteriser: small frames want no threads

import mujoco  # noqa: E402, I001  (MUJOCO_GL must be set first)


_opened: weakref.WeakSet[mujoco.Renderer] = weakref.WeakSet()


def close_renderer(renderer: mujoco.Renderer) -> None:
    """Close ``renderer`` with its own OpenGL context current, as drawing makes it: MuJoCo frees the buffers of the
    context that is, and another renderer would go on without its own."""
    if renderer in _opened:
        renderer.render()
        renderer.close()
        _opened.discard(renderer)


def _close_all() -> None:
    for renderer in list(_opened):
        close_renderer(renderer)


def open_renderer(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    buffer = model.vis.global_
    buffer.offwidth, buffer.offheight = max(buffer.offwidth, width), max(buffer.offheight, height)
    try:
        renderer = mujoco.Renderer(model, height, width)
    except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
        raise VideoSimError(f"{NO_OPENGL} (MuJoCo said: {error})") from error
    if not _opened:
        atexit.register(_close_all)  # before MuJoCo's own exit handler, which ends OpenGL under a renderer still open
    _opened.add(renderer)
    return renderer


def box_average(large: np.ndarray, factor: int) -> np.ndarray:
    """Shrink uint8 ``(H * factor, W * factor, 3)`` to ``(H, W, 3)`` by the rounded mean of each square."""
    if factor == 1:
        return large
    # Sums of strided slices: ten times faster than a reshaped ``mean`` over two axes.
    rows: np.ndarray = sum(large[i::factor].astype(np.uint32 if factor > 16 else np.uint16) for i in range(factor))  # type: ignore[assignment]
    both: np.ndarray = sum(rows[:, i::factor] for i in range(factor))  # type: ignore[assignment]
    return ((both + factor * factor // 2) // (factor * factor)).astype(np.uint8)


class Renderer(Protocol):
    """Makes frames of one scene, seen by one camera."""

    def __init__(self, model: mujoco.MjModel, height: int, width: int, camera: str, supersample: int) -> None: ...

    def frame(self, data: mujoco.MjData) -> np.ndarray:
        """The current picture, uint8 ``(height, width, 3)``."""
        ...

    def close(self) -> None: ...


class FastRenderer:
    """No shadows, no reflections, no multisampling; drawn ``supersample`` times larger and box-averaged.

    On a software rasteriser this is tens of times faster than MuJoCo's defaults, and the averaging keeps motion of less
    than a pixel visible.
    """

    def __init__(self, model: mujoco.MjModel, height: int, width: int, camera: str, supersample: int) -> None:
        self._supersample = supersample
        self._camera = camera or -1
        quality = model.vis.quality
        kept = quality.shadowsize, quality.offsamples
        quality.shadowsize, quality.offsamples = 0, 0  # read once, when the context is made
        try:
            self._renderer = open_renderer(model, height * supersample, width * supersample)
        finally:
            quality.shadowsize, quality.offsamples = kept
        flags = self._renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False

    def frame(self, data: mujoco.MjData) -> np.ndarray:
        self._renderer.update_scene(data, self._camera)
        return box_average(self._renderer.render(), self._supersample)

    def close(self) -> None:
        close_renderer(self._renderer)


class DefaultRenderer:
    """MuJoCo's own settings for the scene: what one gets without care. The benchmark compares against it."""

    def __init__(self, model: mujoco.MjModel, height: int, width: int, camera: str, supersample: int = 1) -> None:
        del supersample  # the scene's own multisampling does this work
        self._camera = camera or -1
        self._renderer = open_renderer(model, height, width)

    def frame(self, data: mujoco.MjData) -> np.ndarray:
        self._renderer.update_scene(data, self._camera)
        return self._renderer.render()

    def close(self) -> None:
        close_renderer(self._renderer)
