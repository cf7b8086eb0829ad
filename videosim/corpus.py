"""An episode store as flat tensors for training: everything small in memory, frames left memory-mapped. What the store
says is put where the model's world has it, by name; what it does not say is NaN.

Latents are encoded once (``encode``), because dynamics on cached latents train an order of magnitude faster than on
frames. Windows never cross an episode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videosim.data.store import EpisodeStore, Part
from videosim.embodiments import has
from videosim.errors import VideoSimError
from videosim.missing import as_input
from videosim.types import WorldSpec
from videosim.world_model import WorldModel

BACKGROUND_FRAMES = 15  # frames whose median image counts as an episode's background
COMMON_FRAMES = 64  # episodes whose median background counts as common to all


def divided(store: EpisodeStore, number: int, held_out: Any) -> tuple[list[Part], list[Part]]:
    """What a store of body ``number`` has to train on and to test on; ``held_out`` as in ``TrainConfig``."""
    return store.divided(held_out[number] if isinstance(held_out, (list, tuple)) else held_out)


class Corpus:
    """The chosen ``episodes`` of a store, or parts of them, each as an episode of its own. ``E`` episodes, ``F`` frames
    in all.

    sensors ``(F, S)``, rewards / terminated ``(F,)`` and actions ``(F, A)`` in [-1, 1] are aligned with frames: row f
    holds what followed frame f; the last row of an episode is zero.

    world       the model's, of which the store may have a part; None: the store's own
    embodiment  number of the body that it shows
    task        whether its rewards and terminations are those of a task; False: they are not known
    mirror      names of actions and sensors whose sign a mirror turns: everything is shown as in a mirror, and what
                another sensor would say is not known; empty: as it was
    """

    def __init__(
        self,
        store: EpisodeStore,
        episodes: Sequence[int | Part],
        world: WorldSpec | None = None,
        embodiment: int = 0,
        task: bool = True,
        mirror: Sequence[str] = (),
    ) -> None:
        if not len(episodes):
            raise VideoSimError("the store holds no episode for this part of the data; collect more frames")
        parts = [i if isinstance(i, Part) else Part(i, 0, store.lengths[i] + 1) for i in episodes]
        self.spec, self.embodiment, self.task = world or store.world, embodiment, task
        shown = slice(None, None, -1 if len(mirror) else 1)
        about = [(store.checksums[part.episode], part.first, part.end) for part in parts]
        self.fingerprint = hashlib.sha256(repr((store.world.frame, shown, about)).encode()).hexdigest()  # of the frames
        self.frames = [store.frames(part.episode)[part.first : part.end, :, shown] for part in parts]
        self.lengths = np.array([len(f) - 1 for f in self.frames])
        self.first = np.concatenate([[0], np.cumsum(self.lengths + 1)])
        total = int(self.first[-1])
        action, sensors = self.spec.action, self.spec.sensors
        self.measured = has(sensors.names, store.world.sensors.names)
        steered = np.array([action.names.index(name) for name in store.world.action.names], int)
        felt = np.array([sensors.names.index(name) for name in store.world.sensors.names], int)
        self.sensors = torch.full((total, sensors.size), torch.nan)
        self.actions = torch.zeros(total, action.size)
        self.rewards = torch.zeros(total)
        self.terminated = torch.zeros(total)
        if not task:
            self.rewards[:], self.terminated[:] = torch.nan, torch.nan
        for row, (i, start, end) in enumerate(parts):
            a, b = int(self.first[row]), int(self.first[row + 1])
            acted = np.zeros((end - start - 1, action.size), np.float32)
            acted[:, steered] = store.column("actions", i)[start : end - 1]
            self.sensors[a:b, felt] = torch.as_tensor(np.array(store.column("sensors", i)[start:end]))
            self.actions[a : b - 1, steered] = torch.as_tensor(action.normalise(acted)[:, steered])
            if task:
                for name, values in (("rewards", self.rewards), ("terminated", self.terminated)):
                    values[a : b - 1] = torch.as_tensor(np.array(store.column(name, i)[start : end - 1], np.float32))
        if len(mirror):
            self._turn(mirror)
        self.wide = np.array([store.wide[part.episode] for part in parts])
        self.physics: Callable[[int], np.ndarray] = lambda row: store.column("physics", parts[row].episode)[
            parts[row].first : parts[row].end
        ]
        self.background = np.stack(
            [np.median(f[:: max(1, len(f) // BACKGROUND_FRAMES)], axis=0).astype(np.uint8) for f in self.frames]
        )
        some = np.linspace(0, len(self.frames) - 1, min(len(self.frames), COMMON_FRAMES)).astype(int)
        self.common = np.median(self.background[some], axis=0).astype(np.uint8)
        self.latents = torch.zeros(0)

    def _turn(self, mirror: Sequence[str]) -> None:
        """Actions and sensors as a mirror shows them; what is 0 in their units must be the middle of their range."""
        action, turned = self.spec.action, has(self.spec.sensors.names, mirror)
        for number in np.flatnonzero(has(action.names, mirror)):
            if action.low[number] != -action.high[number]:
                raise VideoSimError(f"{action.names[number]} is not centred on 0, so a mirror cannot turn its sign")
            self.actions[:, number] *= -1.0
        self.measured &= turned
        self.sensors[:, ~turned] = torch.nan
        self.sensors[:, turned] *= -1.0

    def starts(self, length: int) -> np.ndarray:
        """``(n, 2)`` int64: every (episode row, t) at which a window of ``length`` transitions fits.

        Raises VideoSimError when none does; an episode that is shorter is left out without a word.
        """
        parts = [
            np.stack([np.full(n - length + 1, row), np.arange(n - length + 1)], 1)
            for row, n in enumerate(self.lengths)
            if n >= length
        ]
        if not parts:
            raise VideoSimError(
                f"no episode is {length} steps long; collect longer episodes or lower train.window to "
                f"{int(self.lengths.max())}"
            )
        return np.concatenate(parts)

    def training_starts(self, length: int) -> np.ndarray:
        """As ``starts``, and the first frame of every episode too short for ``length`` transitions: a world that ends
        early would otherwise teach nothing but its rare long episodes."""
        short = np.flatnonzero((self.lengths < length) & (self.lengths > 0))
        first_frames = np.stack([short, np.zeros_like(short)], 1)
        return np.concatenate([first_frames, self.starts(length)]) if (self.lengths >= length).any() else first_frames

    def sudden_starts(self, length: int, share: float) -> np.ndarray:
        """The ``share`` of ``starts(length)`` along whose windows the motion of a sensor changes most abruptly, in
        deviations of its motion in a step: contacts, which most windows do not hold. Any window where none is long
        enough to tell."""
        if length < 2 or (self.lengths < length).all():
            return self.training_starts(length)
        starts = self.starts(length)
        sensors = as_input(self.sensors)
        step = sensors[1:] - sensors[:-1]
        change = ((step[1:] - step[:-1]).abs() / step.std(0).clamp(min=1e-6)).amax(-1)
        most = change.unfold(0, length - 1, 1).amax(-1)[self.first[starts[:, 0]] + starts[:, 1]]
        count = max(1, round(share * len(starts)))
        return starts[most.topk(count).indices.numpy()]

    def near_end(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Those of ``starts`` whose windows of ``length`` hold a termination: they are rare and decide the continue
        head, so they make a quarter of every batch."""
        span = np.minimum(self.lengths[starts[:, 0]] - starts[:, 1], length)
        begin = self.first[starts[:, 0]] + starts[:, 1]
        over = as_input(self.terminated)
        return starts[[bool(over[f : f + n].any()) for f, n in zip(begin, span, strict=True)]]

    def pairs(self, where: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Consecutive frames at ``where`` ``(B, 2)``: uint8 ``(B, 2, H, W, 3)``; two pictures of nothing to see, the
        background of the episode and the one common to all, uint8 ``(B, 2, H, W, 3)``; and the sensors ``(B, S)`` of
        the second frame."""
        frames = np.stack([self.frames[row][t : t + 2] for row, t in where])
        index = torch.as_tensor(self.first[where[:, 0]] + where[:, 1] + 1)
        own = self.background[where[:, 0]]
        backgrounds = np.stack([own, np.broadcast_to(self.common, own.shape)], 1)
        return torch.as_tensor(frames), torch.as_tensor(backgrounds), self.sensors[index]

    def windows(self, where: np.ndarray, length: int) -> dict[str, Tensor]:
        """Windows of ``length`` transitions at ``where`` ``(B, 2)``: latents and sensors ``(B, length+1, …)``; actions,
        rewards, terminated and bool valid ``(B, length, …)``: False past the end of the episode, where its last frame
        is repeated; and the embodiment int64 ``(B, 1)``. Needs ``encode`` first."""
        row, t = where[:, 0], where[:, 1]
        left = (self.lengths[row] - t)[:, None]
        index = torch.as_tensor((self.first[row] + t)[:, None] + np.minimum(np.arange(length + 1), left))
        before = index[:, :-1]
        return {
            "latents": self.latents[index],
            "sensors": self.sensors[index],
            "actions": self.actions[before],
            "rewards": self.rewards[before],
            "terminated": self.terminated[before],
            "valid": torch.as_tensor(np.arange(length) < left),
            "embodiment": torch.full((len(where), 1), self.embodiment),
        }

    def encode(self, model: WorldModel, advance: Callable[[int], None] = lambda n: None) -> None:
        """Fill ``latents`` ``(F, N, D)`` with the tokenizer's raw output for every frame, once."""
        parts = []
        for frames in self.frames:
            parts.append(model.encode(torch.as_tensor(np.array(frames))))
            advance(len(frames))
        self.latents = torch.cat(parts)
