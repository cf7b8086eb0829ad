"""Flow matching on latents, with a noise level for each frame and steps of any size.

The path is the straight line from noise to data. The network answers with the data at its end (x-prediction), and every
frame of a clip is noised by itself (diffusion forcing, Chen et al. 2024). A share of each batch teaches steps of twice
the size to arrive where two steps arrive (shortcut models, Frans et al. 2024, section 3; in x-prediction and with a
level per frame as in Dreamer 4, Hafner et al. 2025, section 3.2), so that few passes are enough. Of whole clips, which
take many passes, an error of the data counts by the inverse of what is left of the way: if not, a solver of many steps
ends in the noise that the last of them left. By its square, which makes it the error of the velocity (Li & He, "Back to
basics: let denoising generative models denoise", 2025, section 4), what noise hides altogether is learned late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from videosim.errors import VideoSimError
from videosim.model_config import FlowConfig
from videosim.paths import Path, Predict, normal


def mix(noise: Tensor, data: Tensor, level: Tensor) -> Tensor:
    """The place at ``level`` ``(…)`` between ``noise`` and ``data``, both ``(…, D)``: exactly one or the other at its
    ends."""
    return torch.lerp(noise, data, level[..., None].expand_as(data))


NEAREST = 0.1  # to the data, as a part of the way; any nearer, an error counts no more than here


def by_what_is_left(level: Tensor) -> Tensor:
    """Weights of 1 in the mean over levels, inverse to what is left of the way."""
    return 1.0 / (1.0 - level).clamp(min=NEAREST) / (1.0 - math.log(NEAREST))


class FlowPath(Path):
    """A step of size index k covers 1 / 2**k of the way; ``finest`` is the number of smallest steps."""

    def __init__(self, config: FlowConfig, width: int) -> None:
        if config.finest < 1 or config.finest & (config.finest - 1):
            raise VideoSimError(f"model.dynamics.finest is a power of two; got {config.finest}")
        self.finest, self.shortcut = config.finest.bit_length() - 1, config.shortcut
        self.outputs, self.sizes = 2 * width, self.finest + 1

    def answer(self, numbers: Tensor, corrupted: Tensor, before: Tensor, shown: Tensor) -> Tensor:
        """Half of the numbers are what differs, the others how much of what the noise leaves to be seen is let past
        the network: to pass it on through a width of a hundred numbers is learned late or never."""
        differs, passed = numbers.chunk(2, -1)
        return before + differs + passed * (corrupted - before)

    def loss(
        self, predict: Predict, latents: Tensor, known: Tensor, rng: torch.Generator, together: bool = False
    ) -> Tensor:
        noise = torch.randn(latents.shape, generator=rng)
        return self.loss_from(noise, predict, latents, known, rng, by_what_is_left if together else None)

    def loss_from(
        self,
        noise: Tensor,
        predict: Predict,
        latents: Tensor,
        known: Tensor,
        rng: torch.Generator,
        weigh: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """``loss`` of paths that set out from ``noise``, of the shape of ``latents``. weigh: what an error counts at a
        level, of clips whose frames go together; None: each frame goes by itself, and all count the same."""
        rows, frames = latents.shape[:2]
        apart = frames if weigh is None else 1
        size = torch.full((rows, apart), self.finest)
        long = torch.randperm(rows, generator=rng)[: round(self.shortcut * rows) if self.finest else 0]
        size[long] = torch.randint(self.finest, (len(long), apart), generator=rng)
        # A step begins at a multiple of its own length: those are the levels that a solver visits.
        parts = 2.0**size
        level = ((torch.rand(rows, apart, generator=rng) * parts).floor() / parts).expand(rows, frames)
        size = size.expand(rows, frames)
        level = torch.maximum(level[..., None], known)
        corrupted = mix(noise, latents, level)
        target = latents.clone()
        if len(long):
            with torch.no_grad():
                target[long] = self._two_steps(predict, corrupted[long], level[long], size[long], long)
        missed = (predict(corrupted, level, size) - target).square().mean(-1) * (1.0 - known)
        if weigh is not None:
            missed = missed * weigh(level)
        return missed.sum(-1) / (1.0 - known).sum(-1).clamp(min=1.0)

    @staticmethod
    def _two_steps(predict: Predict, start: Tensor, level: Tensor, size: Tensor, rows: Tensor) -> Tensor:
        """The end of the way for which one step of ``size`` arrives where two of half the size arrive."""
        half = torch.where(level < 1.0, (0.5 / 2.0**size)[..., None], 0.0)[..., None]  # what is known stays
        left = (1.0 - level)[..., None]
        first = (predict(start, level, size + 1, rows) - start) / left.clamp(min=1e-6)
        middle = start + half * first
        second = (predict(middle, level + half[..., 0], size + 1, rows) - middle) / (left - half).clamp(min=1e-6)
        return start + left * 0.5 * (first + second)

    def sample(
        self, predict: Predict, given: Tensor, kept: Tensor, rngs: Sequence[torch.Generator], steps: int
    ) -> Tensor:
        noise = normal(rngs, given.shape[1:], given.device)
        return self.sample_from(noise, predict, given, kept, steps)

    def sample_from(self, noise: Tensor, predict: Predict, given: Tensor, kept: Tensor, steps: int) -> Tensor:
        """``sample`` along paths that set out from ``noise``, of the shape of ``given``."""
        x = mix(noise, given, kept)
        taught = min(round(math.log2(steps)), self.finest) if self.shortcut else self.finest
        size = torch.full(given.shape[:2], taught, device=given.device)
        for k in range(steps):
            end = predict(x, kept + (1.0 - kept) * (k / steps), size)
            x = torch.where(kept[..., None] < 1.0, torch.lerp(x, end, 1.0 / (steps - k)), given)
        return x
