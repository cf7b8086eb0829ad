"""Stores of the same world in other sizes of picture, 96x64 beside 64x64: one run learns whole clips from all of them,
each batch from one.

The networks that have no size of their own are shared; see ``resized``. Lengths are mixed in any case: a lesson about
whole clips draws its own, down to a single image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.metrics import psnr
from videosim.resized import resized
from videosim.run import Run
from videosim.spacetime import SpaceTimeDynamics
from videosim.telling import telling
from videosim.world_model import WorldModel

SCORED = 256  # frames of a tokenizer's score
Lesson = Callable[[torch.Generator], tuple[Tensor, dict[str, float]]]
Loss = Callable[[int, torch.Generator], tuple[Tensor, dict[str, float]]]


class Bucket:
    """What ``model`` may learn from the store in ``folder``.

    Raises VideoSimError where it holds another world, or the model cannot use another size.
    """

    def __init__(self, model: WorldModel, folder: str, cfg: TrainConfig) -> None:
        store = EpisodeStore.open(folder)
        if replace(store.world, frame=model.spec.frame) != model.spec:
            raise VideoSimError(
                f"{folder} holds {store.world.name} and the model is of {model.spec.name}, or their specifications "
                "differ in more than the size of the frames; collect the same world with world.height= and world.width="
            )
        core = model.dynamics
        if not isinstance(core, SpaceTimeDynamics) or not core.config.joint:
            raise VideoSimError(
                "other sizes are for whole clips; train model.dynamics.kind=flow or masked, with model.dynamics.joint=1"
            )
        self.model, self.cfg, self.frame = model, cfg, store.world.frame
        rows, held_out = store.split(cfg.held_out)
        self.train, self.test = Corpus(store, rows), Corpus(store, held_out)
        self.view = resized(model, self.frame)
        self.starts = {length: self.train.training_starts(length) for length in (1, cfg.window)}

    @property
    def name(self) -> str:
        return f"{self.frame.width}x{self.frame.height}"

    def encode(self) -> None:
        """Encode every frame that is learned from, once the tokenizer is trained and the latents' scales are set."""
        self.view = resized(self.model, self.frame)
        self.train.encode(self.view)

    def tokenizer_lesson(self, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """As the model's own, but for the sensors: what reads them has the size of the model."""
        frames, backgrounds, sensors = self.train.pairs(self._drawn(1, self.cfg.tokenizer_batch, rng))
        return self.view.tokenizer.loss(frames, backgrounds, sensors[:, :0], rng)

    def clip_lesson(self, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = self.train.windows(self._drawn(self.cfg.window, self.cfg.batch, rng), self.cfg.window)
        exists = torch.cat([torch.ones(self.cfg.batch, 1), batch["valid"].float()], 1)
        core = self.view.dynamics
        assert isinstance(core, SpaceTimeDynamics)
        latents = (batch["latents"] - self.view.latent_mean) / self.view.latent_std
        tokens = self.model.action_tokens(batch["actions"], batch["embodiment"])
        lost = core.clip_loss(latents, tokens, exists, rng, telling(self.model, batch))
        return lost, {f"joint_{self.name}": float(lost.detach())}

    def score(self, seed: int) -> float:
        """PSNR in dB of what the tokenizer makes of frames that it has not seen."""
        starts, rng = self.test.starts(1), np.random.default_rng([seed, 7])
        where = starts[rng.choice(len(starts), size=min(SCORED, len(starts)), replace=False)]
        frames = np.stack([self.test.frames[row][t] for row, t in where])
        return float(psnr(self.view.recoded(frames), frames).mean())

    def _drawn(self, length: int, count: int, rng: torch.Generator) -> np.ndarray:
        starts = self.starts[length]
        return starts[torch.randint(len(starts), (count,), generator=rng).numpy()]


def opened(model: WorldModel, cfg: TrainConfig) -> list[Bucket]:
    """One for every store in ``cfg.sizes``."""
    return [Bucket(model, folder, cfg) for folder in cfg.sizes]


def encode(buckets: Sequence[Bucket], run: Run, seed: int) -> None:
    """Encode the frames of all, and report how well the tokenizer draws pictures of their sizes."""
    for bucket in buckets:
        bucket.encode()
        run.figure(f"psnr_full_{bucket.name}", bucket.score(seed), unit="dB")


def among(loss: Loss, lessons: Sequence[Lesson]) -> Loss:
    """``loss``, or with the same chance one of ``lessons``; just ``loss`` where there are none."""
    if not lessons:
        return loss

    def mixed(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        which = int(torch.randint(len(lessons) + 1, (), generator=rng))
        return lessons[which - 1](rng) if which else loss(step, rng)

    return mixed
