"""Masked generation of discrete latents: some tokens are hidden, the network says what they are.

Training hides one random set of places in every frame of a clip, its share drawn by the cosine schedule; a solver
starts from nothing but masks and keeps, pass by pass, what the network is surest of (MaskGIT, Chang et al. 2022,
section 3; over video as in WorldDreamer, Wang et al. 2024). A token is as many numbers as the tokenizer gives it, each
with a distribution over its values: a table of all their combinations would be far too large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from videosim.errors import VideoSimError
from videosim.fsq import codes, indices
from videosim.model_config import MaskedConfig
from videosim.paths import Path, Predict, uniform


class MaskedPath(Path):
    """``levels`` values for each of the ``width`` numbers of a token. The level of a token is 0 or 1; it has no size of
    step."""

    sizes = 1

    def __init__(self, config: MaskedConfig, width: int, levels: int) -> None:
        if not levels:
            raise VideoSimError("the masked dynamics needs a discrete tokenizer; add model.tokenizer.kind=fsq")
        self.levels, self.temperature = levels, config.temperature
        self.outputs = width * levels

    def answer(self, numbers: Tensor, corrupted: Tensor, before: Tensor, shown: Tensor) -> Tensor:
        """Logits, which fall off with the square of the distance from what stands nearest, in levels."""
        values = torch.arange(self.levels, device=before.device)
        near = -(values - indices(before, self.levels)[..., None]).square().float().flatten(-2)
        return numbers + near * shown[..., None]

    def loss(
        self, predict: Predict, latents: Tensor, known: Tensor, rng: torch.Generator, together: bool = False
    ) -> Tensor:
        """The frames of a clip are always hidden together."""
        rows, frames, tokens, _ = latents.shape
        share = (0.5 * math.pi * torch.rand(rows, 1, generator=rng)).cos()
        place = torch.rand(rows, tokens, generator=rng).argsort(-1)
        hidden = (place < (share * tokens).ceil().clamp(min=1.0)).float()[:, None] * (1.0 - known)
        size = torch.zeros(rows, frames, dtype=torch.int64)
        logits = predict(latents * (1.0 - hidden)[..., None], 1.0 - hidden, size).unflatten(-1, (-1, self.levels))
        truth = indices(latents, self.levels)
        surprise = F.cross_entropy(logits.flatten(0, -2), truth.flatten(), reduction="none").view(truth.shape)
        return (surprise.mean(-1) * hidden).sum(-1) / hidden.sum(-1).clamp(min=1.0)

    def sample(
        self, predict: Predict, given: Tensor, kept: Tensor, rngs: Sequence[torch.Generator], steps: int
    ) -> Tensor:
        """A level between 0 and 1 is the chance that a token is kept. Every pass decides one token or more, so that as
        many passes as there are tokens decode one after another."""
        tokens = given.shape[2]
        known = uniform(rngs, kept.shape[1:], given.device) < kept
        hidden = (~known).sum(-1, keepdim=True)
        x = given * known[..., None]
        size = torch.zeros(given.shape[:2], dtype=torch.int64, device=given.device)
        for k in range(steps):
            logits = predict(x, known.float(), size).unflatten(-1, (-1, self.levels))
            chosen = (logits + self._spread(rngs, logits)).argmax(-1, keepdim=True)
            sure = logits.log_softmax(-1).gather(-1, chosen)[..., 0].sum(-1).masked_fill(known, math.inf)
            x = torch.where(known[..., None], x, codes(chosen[..., 0], self.levels))
            # The surest stay; after the last pass all do.
            left = (hidden * math.cos(0.5 * math.pi * (k + 1) / steps)).floor()
            wanted = tokens - torch.minimum(left, (hidden - k - 1).clamp(min=0))
            rank = sure.argsort(dim=-1, descending=True, stable=True).argsort(-1)
            known = rank < (wanted if k + 1 < steps else tokens)
            x = x * known[..., None]
        return x

    def _spread(self, rngs: Sequence[torch.Generator], logits: Tensor) -> Tensor | float:
        """Gumbel noise, with which the largest logit is a sample; none at temperature 0."""
        if not self.temperature:
            return 0.0
        drawn = uniform(rngs, logits.shape[1:], logits.device).clamp(1e-6, 1.0 - 1e-6)
        return -self.temperature * (-drawn.log()).log()
