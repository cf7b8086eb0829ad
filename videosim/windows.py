"""Attention inside spatial-temporal windows, after a 3-D convolution: what may stand in a block in place of attention
inside the frame.

The idea is that of WorldDreamer's spatial-temporal patchwise transformer (Wang et al., "WorldDreamer: towards general
world models for video generation via predicting masked tokens", 2024): what a place will show depends most on what was
near it, in space and time. A window is a square of cells in a frame and the few before it; in every other block the
squares begin half a window earlier, so that what one of them knows reaches the next (Liu et al., "Swin transformer",
2021, section 3.2). The tokens without a cell, the action and the registers among them, are seen from every window and
see all of these frames.

Both parts look back only, at what earlier frames left them. Where the caller lets every frame look at all, a window
reaches as far ahead as back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from videosim.errors import VideoSimError
from videosim.model_config import SpaceTimeConfig
from videosim.transformer import Attention, FrameAttention, Left, Parts, View, after

JOINED = 3  # cells of a row, of a column, and frames that the convolution joins


@dataclass(frozen=True)
class Grid:
    """The cells of a frame among its tokens: ``high`` times ``wide``, with ``extra`` others behind and any before."""

    high: int
    wide: int
    extra: int

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, M, …)`` -> that of the cells, row by row, and that of all others, the ``extra`` last."""
        count = self.high * self.wide
        first, cells, last = x.split([x.shape[2] - count - self.extra, count, self.extra], 2)
        return cells, torch.cat([first, last], 2)

    def join(self, cells: Tensor, others: Tensor) -> Tensor:
        """Inverse of ``split``."""
        first, last = others.split([others.shape[2] - self.extra, self.extra], 2)
        return torch.cat([first, cells, last], 2)

    def windows(self, size: int, shift: int) -> list[list[int]]:
        """The numbers of the cells of each square of ``size`` cells a side, the first ones short of ``shift`` rows and
        columns; all lists of one length, filled up with -1."""
        squares: dict[tuple[int, int], list[int]] = {}
        for cell in range(self.high * self.wide):
            row, column = divmod(cell, self.wide)
            squares.setdefault(((row + shift) // size, (column + shift) // size), []).append(cell)
        most = max(map(len, squares.values()))
        return [cells + [-1] * (most - len(cells)) for cells in squares.values()]


class CausalConvolution(nn.Module):
    """Every cell with those around it, in its frame and the two before: first each number by itself, then all numbers
    of the cell (Chollet, "Xception: deep learning with depthwise separable convolutions", 2017).

    What a frame adds to the next one and to the one after that is known when the frame is; this is what it leaves.
    """

    leaves = True

    def __init__(self, width: int, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.norm = nn.RMSNorm(width)
        self.around = nn.Conv2d(width, JOINED * width, JOINED, padding=JOINED // 2, groups=width)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, view: View, past: Left | None) -> tuple[Tensor, Left]:
        cells, others = self.grid.split(self.norm(x))
        frames = self.around(rearrange(cells, "b t (r c) d -> (b t) d r c", r=self.grid.high))
        parts = rearrange(frames, "(b t) (d k) r c -> k b t (r c) d", b=len(x), k=JOINED)
        now, soon, later = (self.grid.join(part, torch.zeros_like(others)) for part in parts)
        for distance, told in enumerate(after(past, (soon, later)), 1):
            now = now + torch.einsum("bts,bsmd->btmd", view.where(view.back == distance).to(told.dtype), told)
        return self.output(F.silu(now)), (soon, later)


class WindowAttention(Attention):
    """Every cell looks at the cells of its window and at all other tokens, these at everything, each in its own frame
    and the ``span - 1`` before."""

    leaves = True
    windows: Tensor
    places: Tensor

    def __init__(self, width: int, heads: int, grid: Grid, window: int, span: int, shift: int) -> None:
        super().__init__(width, heads)
        self.grid, self.span = grid, span
        windows = grid.windows(window, shift)
        cells = [cell for square in windows for cell in square]
        places = [cells.index(cell) for cell in range(grid.high * grid.wide)]
        self.register_buffer("windows", torch.tensor(windows), persistent=False)
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def forward(self, x: Tensor, view: View, past: Left | None) -> tuple[Tensor, Left]:
        query, key, value = self._project(x, view.turn)
        fresh = key.flatten(-2), value.flatten(-2)
        key, value = (part.unflatten(-1, (self.heads, -1)) for part in after(past, fresh))
        near = view.where(view.back.abs() < self.span)
        cells, others = self.grid.split(query)
        seen = self.grid.join(self._from_cells(cells, key, value, near), self._from_others(others, key, value, near))
        return self.output(seen.flatten(-2)), fresh

    def _from_cells(self, query: Tensor, key: Tensor, value: Tensor, near: Tensor) -> Tensor:
        count, most = self.windows.shape
        query = rearrange(query[:, :, self.windows], "b t g q h d -> b (g h) (t q) d")
        key, value = (rearrange(self._seen(part), "b s g l h d -> b (g h) (s l) d") for part in (key, value))
        others = key.shape[2] // near.shape[2] - most
        there = F.pad(self.windows >= 0, (0, others), value=True)
        mask = repeat(near, "b t s -> b g t s l", g=count, l=most + others) & there[:, None, None]
        mask = repeat(mask, "b g t s l -> b (g h) (t q) (s l)", h=self.heads, q=most)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return rearrange(seen, "b (g h) (t q) d -> b t (g q) h d", g=count, q=most)[:, :, self.places]

    def _seen(self, part: Tensor) -> Tensor:
        """``(B, S, M, heads, size)`` -> ``(B, S, G, L, heads, size)``: what each window sees of a frame."""
        cells, others = self.grid.split(part)
        others = repeat(others, "b s m h d -> b s g m h d", g=len(self.windows))
        return torch.cat([cells[:, :, self.windows], others], 3)

    @staticmethod
    def _from_others(query: Tensor, key: Tensor, value: Tensor, near: Tensor) -> Tensor:
        count, tokens = query.shape[2], key.shape[2]
        query, key, value = (rearrange(part, "b t m h d -> b h (t m) d") for part in (query, key, value))
        mask = repeat(near, "b t s -> b 1 (t q) (s m)", q=count, m=tokens)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return rearrange(seen, "b h (t m) d -> b t m h d", m=count)


def inside(config: SpaceTimeConfig, grid: Grid) -> Callable[[int], Parts]:
    """The parts of block n that ``config.attention`` names, for the transformer of frames with such a ``grid``.

    Raises VideoSimError on an unknown name, and on a window without cells or frames.
    """
    if min(config.window, config.span) < 1:
        raise VideoSimError(
            "model.dynamics.window is cells and span frames, whole numbers from 1; "
            f"got {config.window} and {config.span}"
        )
    width, heads = config.width, config.heads

    def frame(n: int) -> Parts:
        return {"frame": FrameAttention(width, heads)}

    def windows(n: int) -> Parts:
        shift = n % 2 * (config.window // 2)
        attention = WindowAttention(width, heads, grid, config.window, config.span, shift)
        return {"convolution": CausalConvolution(width, grid), "window": attention}

    kinds = {"frame": frame, "windows": windows}
    if config.attention not in kinds:
        raise VideoSimError(f"model.dynamics.attention is one of {', '.join(kinds)}; got {config.attention!r}")
    return kinds[config.attention]
