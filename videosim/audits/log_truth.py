"""The true side of a driving log: clips of recorded drives that training has not seen, and worlds made of them.

A log knows no state and no other future than its own. What there is, is how far the picture turned in it, by the phase
correlation of ``videosim check``, and that a car that steers left sees its surroundings move to the right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from videosim.audits.world import Start, World
from videosim.data.alignment import MAX_LAG_S, SHORTEST, image_motion, lag_correlation
from videosim.data.store import EpisodeStore, Part
from videosim.errors import VideoSimError
from videosim.types import WorldSpec

CONTEXT = 8  # frames before a clip, with the one it begins at
SECONDS = 1.0  # of a clip
TURN = 0.2  # least steering, of full lock, of a clip that turns
COMPONENTS = 32  # of the frames' latents
SAMPLE = 600  # frames from which those are found


@dataclass(frozen=True)
class Clip:
    """A recorded second, under ``actions`` (T, A) from ``start``: frames uint8 (T+1, H, W, 3), the start's first."""

    start: Start
    actions: np.ndarray
    frames: np.ndarray


class LogTruth:
    """The clips of what a store holds out, one after the other. VideoSimError where the store has no steering, or
    nothing that is held out is long enough.

    lag   frames by which the picture follows the steering, where their correlation over the whole log is best
    gain  pixels that the picture turns in a step, to the right, for steering of full lock to the left, by least squares
    """

    def __init__(self, folder: str, held_out: float) -> None:
        store = EpisodeStore.open(folder)
        self.spec: WorldSpec = store.world
        if "steer" not in self.spec.action.names:
            raise VideoSimError(f"{folder} has no steering to be followed; audit a log that was imported with controls")
        self.column = self.spec.action.names.index("steer")
        self.steps = round(SECONDS / self.spec.dt_s)
        self._key = f"{store.world.to_dict()}{store.seeds}{store.lengths}{held_out}"
        seen, unseen = store.divided(held_out)
        self.clips = [clip for part in unseen for clip in self._cut(store, part)]
        if not self.clips:
            raise VideoSimError(
                f"no held-out episode of {folder} has {CONTEXT + self.steps} frames; give a longer log, or held_out=1 "
                "where training has seen none of it"
            )
        self._fit(store, seen or unseen)

    def close(self) -> None:
        """Nothing is open."""

    def sha256(self) -> str:
        """Of what the clips are cut from."""
        return hashlib.sha256(self._key.encode()).hexdigest()

    def _cut(self, store: EpisodeStore, part: Part) -> list[Clip]:
        frames, actions = _frames(store, part), _actions(store, part)
        cuts: list[Clip] = []
        for at in range(CONTEXT - 1, len(actions) - self.steps + 1, self.steps):
            before = slice(at - CONTEXT + 1, at)
            context = np.array(frames[before.start : at + 1])
            start = Start(np.zeros(0), context, actions[before], len(cuts) + 1000 * part.episode)
            cuts.append(Clip(start, actions[at : at + self.steps], np.array(frames[at : at + self.steps + 1])))
        return cuts

    def _fit(self, store: EpisodeStore, parts: list[Part]) -> None:
        """Lag, gain and latents, off what training may have seen."""
        steer, motion = [], []
        for part in parts:
            turned = _actions(store, part)[:, self.column].astype(np.float64)
            if len(turned) >= SHORTEST:
                steer.append(turned)
                motion.append(image_motion(_frames(store, part)))
        correlation = lag_correlation(steer, motion, round(MAX_LAG_S / self.spec.dt_s))
        if np.isnan(correlation).all():
            raise VideoSimError("neither the steering of this log nor its picture varies; audit one that turns")
        self.lag = int(np.nanargmax(correlation))
        pairs = [(s[: len(s) - self.lag], m[self.lag :]) for s, m in zip(steer, motion, strict=True)]
        s, m = (np.concatenate(part) for part in zip(*pairs, strict=True))
        self.gain = float(s @ m / (s @ s))
        rng = np.random.default_rng(0)
        every = np.concatenate([_frames(store, part)[::4] for part in parts])
        rows = _flat(every[rng.permutation(len(every))[:SAMPLE]])
        self._mean = rows.mean(0)
        _, size, axes = np.linalg.svd(rows - self._mean, full_matrices=False)
        kept = size[:COMPONENTS] > 1e-6 * size[0]
        self._axes = axes[:COMPONENTS][kept].T / (size[:COMPONENTS][kept] / np.sqrt(len(rows)))

    def latents(self, frames: np.ndarray) -> np.ndarray:
        """Principal components of frames (T, H, W, 3) of this log, each of unit variance: float64 (T, <=32). No model's
        own, for each would choose its own measure."""
        return (_flat(frames) - self._mean) @ self._axes


def _frames(store: EpisodeStore, part: Part) -> np.ndarray:
    return store.frames(part.episode)[part.first : part.end]


def _actions(store: EpisodeStore, part: Part) -> np.ndarray:
    return np.asarray(store.column("actions", part.episode)[part.first : part.end - 1], np.float32)


def _flat(frames: np.ndarray) -> np.ndarray:
    """Frames a quarter as large, as rows."""
    small = frames[:, ::2, ::2].astype(np.float64)
    return small.reshape(len(frames), -1)


class Panorama:
    """A control: the picture at the start, turned by ``factor`` times what the log says that steering turns it. 1: it
    answers as the log does on average; -1: the wrong way round; 0: it is frozen."""

    reward = 0.0
    success: bool | None = None
    state: np.ndarray | None = None
    latent: np.ndarray | None = None

    def __init__(self, log: LogTruth, name: str, factor: float) -> None:
        self.spec, self.name, self._log, self._factor = log.spec, name, log, factor

    def reset(self, start: Start) -> None:
        self._picture, self._turned = start.frames[-1], 0.0
        self._told = [float(action[self._log.column]) for action in start.actions]

    def step(self, action: np.ndarray) -> None:
        self._told.append(float(action[self._log.column]))
        self._turned += self._factor * self._log.gain * self._told[-1 - self._log.lag]

    def render(self) -> np.ndarray:
        return np.roll(self._picture, round(self._turned), axis=1)

    def codec(self, frames: np.ndarray) -> np.ndarray:
        return frames

    def snapshot(self) -> tuple[Any, ...]:
        return self._picture, self._turned, list(self._told)

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        self._picture, self._turned, told = snapshot
        self._told = list(told)

    def close(self) -> None:
        """Nothing is open."""


class Replay(Panorama):
    """A control: the recorded frames, whatever is told."""

    def __init__(self, log: LogTruth, name: str) -> None:
        super().__init__(log, name, 0.0)

    def reset(self, start: Start) -> None:
        super().reset(start)
        self._frames = next(clip.frames for clip in self._log.clips if clip.start.seed == start.seed)

    def render(self) -> np.ndarray:
        return self._frames[len(self._told) - (CONTEXT - 1)]


def log_control(log: LogTruth, name: str) -> World:
    """``steered``, ``inverted``, ``freeze`` or ``blind``."""
    factors = {"steered": 1.0, "inverted": -1.0, "freeze": 0.0}
    return Replay(log, name) if name == "blind" else Panorama(log, name, factors[name])
