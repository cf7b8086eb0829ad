"""Spacetime patches: the latents of a frame as the tokens of a transformer, and back.

Neighbouring cells of the latents' grid join into one token; what has no place in the picture (keypoints) fills one
more. Beside the latents a token holds how much of them is data and what the frame before showed there. Knows no time.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from videosim.errors import VideoSimError
from videosim.layers import small
from videosim.types import LatentLayout

OCTAVES = 3  # of the waves that tell a token where in the picture it lies
LEVEL_WAVES = 4  # numbers that describe a level


class Patches(nn.Module):
    """``embed`` takes latents to ``count`` tokens a frame, ``read`` takes tokens to ``outputs`` numbers a latent token;
    ``cells`` ``(count, 2)`` are the rows and columns of the tokens."""

    cells: Tensor
    waves: Tensor

    def __init__(self, layout: LatentLayout, patch: int, width: int, outputs: int) -> None:
        super().__init__()
        rows, columns = layout.rows, layout.columns
        if rows % patch or columns % patch:
            raise VideoSimError(
                f"patches of {patch}x{patch} do not cut the {rows}x{columns} grid of the tokenizer; "
                "choose another model.dynamics.patch"
            )
        self.layout, self.patch = layout, patch
        self.high, self.wide = rows // patch, columns // patch
        self.count = self.high * self.wide + bool(layout.extra)
        inputs = 2 * layout.width + LEVEL_WAVES
        self.into = nn.Linear(patch * patch * inputs, width)
        self.out = small(nn.Linear(width, patch * patch * outputs))
        self.place = nn.Linear(4 * OCTAVES, width)
        if layout.extra:
            self.extra_into = nn.Linear(layout.extra * inputs, width)
            self.extra_out = small(nn.Linear(width, layout.extra * outputs))
        at = torch.stack(torch.meshgrid(torch.arange(self.high), torch.arange(self.wide), indexing="ij"), -1)
        at = at.reshape(-1, 2).float()
        share = (at + 0.5) / torch.tensor([self.high, self.wide])  # of the picture, whatever its size
        angles = math.pi * share[..., None] * 2.0 ** torch.arange(OCTAVES)
        self.register_buffer("waves", torch.cat([angles.sin(), angles.cos()], -1).flatten(1), persistent=False)
        middle = at.mean(0, keepdim=True) if layout.extra else at[:0]
        self.register_buffer("cells", torch.cat([at, middle]), persistent=False)

    def embed(self, latents: Tensor, level: Tensor, before: Tensor) -> Tensor:
        """Latents ``(B, T, N, D)``, of which a share ``level`` ``(B, T, N)`` in [0, 1] is data, after a frame
        ``before`` ``(B, T, N, D)`` (zeros: none) -> ``(B, T, count, width)``."""
        angle = math.pi * level[..., None]
        known = torch.cat([level[..., None], angle.cos(), (2 * angle).cos(), (2 * angle).sin()], -1)
        numbers = torch.cat([latents, before, known], -1)
        grid, extra = numbers.split([self.layout.rows * self.layout.columns, self.layout.extra], -2)
        cut = rearrange(
            grid, "b t (r p c q) d -> b t (r c) (p q d)", p=self.patch, q=self.patch, r=self.high, c=self.wide
        )
        tokens = self.into(cut) + self.place(self.waves)
        if not self.layout.extra:
            return tokens
        return torch.cat([tokens, self.extra_into(extra.flatten(-2))[..., None, :]], -2)

    def read(self, tokens: Tensor) -> Tensor:
        """``(B, T, count, width)`` -> ``(B, T, N, outputs)``."""
        grid = rearrange(
            self.out(tokens[..., : self.high * self.wide, :]),
            "b t (r c) (p q d) -> b t (r p c q) d", p=self.patch, q=self.patch, r=self.high, c=self.wide,
        )  # fmt: skip
        if not self.layout.extra:
            return grid
        extra = self.extra_out(tokens[..., -1, :])
        return torch.cat([grid, extra.unflatten(-1, (self.layout.extra, -1))], -2)
