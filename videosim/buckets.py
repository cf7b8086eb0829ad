"""Stores of a model's worlds in other sizes of picture, 96x64 beside 64x64: one run learns whole clips from all of
them, each batch from one.

The networks that have no size of their own are shared; see ``resized``. A store is of the body that has its actions and
its sensors. Lengths are mixed in any case: a lesson about whole clips draws its own, down to a single image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from videosim.config import TrainConfig
from videosim.corpus import Corpus, divided
from videosim.crew import Loss
from videosim.data.store import EpisodeStore
from videosim.embodiments import joined
from videosim.errors import VideoSimError
from videosim.latent_cache import LatentCache
from videosim.lessons import Lesson
from videosim.losses import clip_loss
from videosim.metrics import psnr
from videosim.resized import resized
from videosim.run import Run
from videosim.types import WorldSpec
from videosim.world_model import WorldModel

SCORED = 256  # frames of a tokenizer's score
# Share of all steps that are lessons in another size, however many sizes there are. They teach shared networks what is
# particular to a grid, which is little, and nothing of sensors, dreams or rewards, so most steps must be the main
# size's. A choice: what other shares do has not been measured.
SIZED = 0.2


class Bucket:
    """What ``model`` may learn from the store in ``folder``.

    Raises VideoSimError where it is of none of the model's bodies or has the model's own size, and where the model
    cannot use another.
    """

    def __init__(self, model: WorldModel, folder: str, cfg: TrainConfig) -> None:
        store = EpisodeStore.open(folder)
        body = _body(model, store.world, folder)
        if store.world.frame == model.spec.frame:
            raise VideoSimError(f"{folder} has the size of data, {model.spec.frame.shape[:2]}; give it in data=[…]")
        if not model.dynamics.clips:
            raise VideoSimError(
                "other sizes are for whole clips; train model.dynamics.kind=flow or masked, with model.dynamics.joint=1"
            )
        self.model, self.cfg, self.frame = model, cfg, store.world.frame
        self.train, self.test = (Corpus(store, rows, model.spec, body) for rows in divided(store, body, cfg.held_out))
        self.view = resized(model, self.frame)
        self.name = model.embodied(body).figure(f"{self.frame.width}x{self.frame.height}")
        self.starts = {length: self.train.training_starts(length) for length in (1, cfg.window)}

    def encode(self, cache: LatentCache, run: Run) -> None:
        """Encode every frame that is learned from, once the tokenizer is trained and the latents' scales are set."""
        self.view = resized(self.model, self.frame)
        cache.fill([self.train], self.view, run)

    def tokenizer_lesson(self, step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """As the model's own, but for the sensors: what reads them has the size of the model."""
        frames, backgrounds, sensors = self.train.pairs(self._drawn(1, self.cfg.tokenizer_batch, rng))
        return self.view.tokenizer.loss(frames, backgrounds, sensors[:, :0], rng)

    def clip_lesson(self, step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = self.train.windows(self._drawn(self.cfg.window, self.cfg.batch, rng), self.cfg.window)
        lost, terms = clip_loss(self.model, self.view, batch, rng)
        return lost, {f"{term}_{self.name}": value for term, value in terms.items()}

    def score(self, seed: int) -> float:
        """PSNR in dB of what the tokenizer makes of frames that it has not seen."""
        starts, rng = self.test.starts(1), np.random.default_rng([seed, 7])
        where = starts[rng.choice(len(starts), size=min(SCORED, len(starts)), replace=False)]
        frames = np.stack([self.test.frames[row][t] for row, t in where])
        return float(psnr(self.view.recoded(frames), frames).mean())

    def _drawn(self, length: int, count: int, rng: torch.Generator) -> np.ndarray:
        starts = self.starts[length]
        return starts[torch.randint(len(starts), (count,), generator=rng).numpy()]


def _body(model: WorldModel, world: WorldSpec, folder: str) -> int:
    """Number of the model's body that has the actions and the sensors of ``world``, by their names; of several, that
    after which ``folder`` is called."""
    bodies, called = model.embodiments, Path(folder).resolve().name
    own = set(world.action.names), set(world.sensors.names)
    fits = [number for number, body in enumerate(bodies) if (set(body.actions), set(body.sensors)) == own]
    # A part of the model's world adds nothing to it: no wider bounds either.
    if not fits or joined([model.spec, replace(world, frame=model.spec.frame)], ["data", folder])[0] != model.spec:
        raise VideoSimError(
            f"{folder} holds {world.name}, whose actions and sensors, or their bounds, are not those of "
            f"{' or '.join(body.name for body in bodies)}; collect one of these with world.height= and world.width="
        )
    named = [number for number in fits if called.startswith(bodies[number].name)]
    if len(fits) > 1 and not named:
        raise VideoSimError(
            f"{folder} may be of {' or '.join(bodies[number].name for number in fits)}, which have the same actions "
            "and sensors; give the folder a name that begins with that of its body"
        )
    return max(named or fits, key=lambda number: len(bodies[number].name))


def opened(model: WorldModel, cfg: TrainConfig) -> list[Bucket]:
    """One for every store in ``cfg.sizes``."""
    return [Bucket(model, folder, cfg) for folder in cfg.sizes]


def encode(buckets: Sequence[Bucket], cache: LatentCache, run: Run, seed: int) -> None:
    """Encode the frames of all, and report how well the tokenizer draws pictures of their sizes."""
    for bucket in buckets:
        bucket.encode(cache, run)
        run.figure(f"psnr_full_{bucket.name}", bucket.score(seed), unit="dB")


def beside(own: Sequence[Lesson], others: Sequence[Loss]) -> list[Lesson]:
    """The model's ``own`` lessons and those in other sizes, of which each of ``others`` is one, with their weights."""
    all_own = sum(weight for weight, _ in own)
    return [*own, *((SIZED / (1.0 - SIZED) * all_own / len(others), lesson) for lesson in others)]
