"""Reads how a car moves off its dash camera's frames: speed, yaw rate and the lidar's distances, from five frames.

A small convolutional network, trained on frames of the physics alone (``driving_fit.py`` does it; ``driving_reader.
safetensors`` beside this file holds what came out), so that what it says of a world's frames owes nothing to that
world. The five frames around the one that is read are a tenth of a second apart, so only every second one is asked for;
and because a car's motion changes slowly, what is read is the mean of SMOOTH readings. Whether it is any good is A0's
question, and asked anew in every run.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

STRIDE = 2  # steps of the world between two frames that are looked at
SMOOTH = 5  # readings
AROUND = np.arange(-2, 3)  # frames, so far apart, around the one that is read
TOP = 20  # rows above show sky
SIDE = 64  # pixels of the frames it knows
BATCH = 512
LIDAR = 16
NAMES = ("speed", "yaw_rate", *(f"lidar_{i}" for i in range(LIDAR)))
MEAN = np.array([6.0, 0.0, *[20.0] * LIDAR], np.float32)  # of what it reads, about, and
SCALE = np.array([4.0, 0.4, *[15.0] * LIDAR], np.float32)  # how much that varies
WEIGHTS = "driving_reader.safetensors"


def network() -> nn.Sequential:
    """Standardised frames float32 (B, 5, 44, 64) -> (B, 18), each value less its MEAN over its SCALE."""
    return nn.Sequential(
        *(nn.Conv2d(len(AROUND), 24, 5, 2, 2), nn.SiLU()),
        *(nn.Conv2d(24, 32, 3, 2, 1), nn.SiLU()),
        *(nn.Conv2d(32, 48, 3, 2, 1), nn.SiLU()),
        *(nn.Conv2d(48, 16, 1), nn.Flatten()),
        *(nn.Linear(16 * 6 * 8, 96), nn.SiLU()),
        nn.Linear(96, len(NAMES)),
    )


def grey(frames: np.ndarray) -> np.ndarray:
    """uint8 (T, 64, 64, 3) -> uint8 (T, 44, 64), without the sky."""
    return frames[:, TOP:].astype(np.float32).mean(-1).astype(np.uint8)


def standardised(windows: torch.Tensor) -> torch.Tensor:
    """Grey windows float32 (B, 5, 44, 64) without their own mean and contrast, for roads are of many colours."""
    mean, spread = windows.mean((1, 2, 3), keepdim=True), windows.std((1, 2, 3), keepdim=True)
    return (windows - mean) / (spread + 8.0)


def trained() -> nn.Sequential:
    """The network that comes with the package."""
    net = network()
    with as_file(files("videosim.audits") / WEIGHTS) as path:
        net.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return net


class MotionReader:
    """Reads with a ``network()``; with the trained one where none is given."""

    def __init__(self, net: nn.Sequential | None = None) -> None:
        self._network = (net or trained()).eval()

    @torch.no_grad()
    def read(self, frames: np.ndarray) -> np.ndarray:
        """NAMES at each of uint8 (n, 64, 64, 3), STRIDE steps apart, that has two before and two after it: float64
        (n - 4, 18)."""
        shown = grey(frames)
        middle = np.arange(2, len(shown) - 2)
        said = []
        for begin in range(0, len(middle), BATCH):
            windows = shown[middle[begin : begin + BATCH, None] + AROUND].astype(np.float32)
            said.append(self._network(standardised(torch.from_numpy(windows))).numpy())
        return _smooth(np.concatenate(said).astype(np.float64) * SCALE + MEAN)


def _smooth(rows: np.ndarray) -> np.ndarray:
    """Rows (T, …), each the mean of the up to SMOOTH rows around it, as many before as after."""
    reach = np.minimum(np.minimum(np.arange(len(rows)), np.arange(len(rows))[::-1]), SMOOTH // 2)
    return np.stack([rows[t - r : t + r + 1].mean(0) for t, r in enumerate(reach)])
