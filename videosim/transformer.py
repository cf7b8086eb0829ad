"""A transformer over the tokens of a video: attention inside each frame, and over time between the tokens of one place.

It takes ``(B, T, M, width)``, M tokens a frame, whatever they stand for; the caller says where each lies and which
frames may look at which. Other parts may stand before the attention over time (``windows``). Places enter as rotations
of queries and keys (Su et al., "RoFormer", 2021, section 3.2), a third of each head for time, row and column; queries
and keys are normalised (Henry et al., "Query-key normalization for transformers", 2020). Keys and values come back to
the caller, who may give them again as the ``past``: a frame after a past is what it would have been in one pass over
all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from videosim.errors import VideoSimError

TURN = 1024  # frames after which every angle of time has made whole turns: a dream may go on for ever
SHORTEST = 6.0  # frames or cells of the fastest turn
FARTHEST = 64.0  # cells of the slowest turn of rows and columns

Left = tuple[Tensor, Tensor]  # by one layer for later frames: keys and values, each (B, frames, M, width)


class Past(NamedTuple):
    """What the frames of some ``times`` ``(B or 1, frames)`` have left to later ones: ``keys`` and ``values`` of every
    layer over time, each ``(B, layers over time, frames, M, width)``."""

    keys: Tensor
    values: Tensor
    times: Tensor

    def of(self, rows: Tensor) -> Past:
        """The same for some rows; for times that all rows share."""
        return Past(self.keys[rows], self.values[rows], self.times)


@dataclass
class View:
    """What the parts of a block look with: the ``turn`` of the tokens (``Rotary``), how many frames ``back`` ``(B or 1,
    T, S)`` each of the S frames, those of the past first, lies behind each of T, and which of them may be looked at:
    ``mask``, bool ``(T, S)`` or ``(B, T, S)``; None: all."""

    turn: tuple[Tensor, Tensor]
    back: Tensor
    mask: Tensor | None

    def where(self, found: Tensor) -> Tensor:
        """bool ``(B or 1, T, S)``: those ``found`` that may be looked at."""
        return found if self.mask is None else found & self.mask


class Rotary(nn.Module):
    """Angles of ``(…, 3)`` places, time in frames, row and column in cells: cosines and sines ``(…, pairs)``."""

    turns: Tensor
    cells: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        pairs = size // 2
        here = pairs // 3
        # A whole number of turns in TURN frames, so that the frame's number may be taken modulo TURN.
        turns = torch.logspace(0, math.log10(TURN / SHORTEST), pairs - 2 * here).round()
        cells = torch.logspace(math.log10(SHORTEST), math.log10(FARTHEST), here)
        self.register_buffer("turns", 2 * math.pi * turns / TURN, persistent=False)
        self.register_buffer("cells", 2 * math.pi / cells, persistent=False)

    def forward(self, places: Tensor) -> tuple[Tensor, Tensor]:
        time, row, column = places.unbind(-1)
        angles = torch.cat(
            [(time % TURN)[..., None] * self.turns, row[..., None] * self.cells, column[..., None] * self.cells], -1
        )
        return angles.cos(), angles.sin()


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """``(B, T, M, heads, size)`` turned by angles ``(B, T, M, size / 2)``."""
    cosine, sine = (part[..., None, :] for part in turn)
    left, right = x.chunk(2, -1)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], -1)


class Attention(nn.Module):
    """What attention inside a frame and over time share: projections, norms and heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(width)
        self.inputs = nn.Linear(width, 3 * width, bias=False)
        self.query_norm, self.key_norm = nn.RMSNorm(width // heads), nn.RMSNorm(width // heads)
        self.output = nn.Linear(width, width, bias=False)

    def _project(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        parts = rearrange(self.inputs(self.norm(x)), "b t m (three h d) -> three b t m h d", three=3, h=self.heads)
        query, key, value = parts.unbind(0)
        return _turned(self.query_norm(query), turn), _turned(self.key_norm(key), turn), value


class FrameAttention(Attention):
    """Every token of a frame looks at every token of that frame."""

    leaves = False

    def forward(self, x: Tensor, view: View, past: Left | None) -> tuple[Tensor, None]:
        query, key, value = (rearrange(part, "b t m h d -> (b t) h m d") for part in self._project(x, view.turn))
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.output(rearrange(seen, "(b t) h m d -> b t m (h d)", b=len(x))), None


class TimeAttention(Attention):
    """Every token looks at the tokens of its own place in the ``past`` and in those frames that ``mask`` allows."""

    leaves = True

    def forward(self, x: Tensor, view: View, past: Left | None) -> tuple[Tensor, Left]:
        query, key, value = self._project(x, view.turn)
        fresh, mask = (key.flatten(-2), value.flatten(-2)), view.mask
        whole = after(past, fresh)
        query = rearrange(query, "b t m h d -> (b m) h t d")
        key, value = (rearrange(part, "b t m (h d) -> (b m) h t d", h=self.heads) for part in whole)
        if mask is not None and mask.ndim == 3:
            mask = mask.repeat_interleave(x.shape[2], 0)[:, None]
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.output(rearrange(seen, "(b m) h t d -> b t m (h d)", b=len(x))), fresh


def after(past: Left | None, fresh: Left) -> Left:
    """What the frames of the past have left, and these after them."""
    return fresh if past is None else (torch.cat([past[0], fresh[0]], 1), torch.cat([past[1], fresh[1]], 1))


class TokenNetwork(nn.Sequential):
    """A network for each token by itself."""

    leaves = False

    def __init__(self, width: int) -> None:
        super().__init__(nn.RMSNorm(width), nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, view: View, past: Left | None) -> tuple[Tensor, None]:  # type: ignore[override]
        return super().forward(x), None


Parts = dict[str, nn.Module]


class SpaceTimeTransformer(nn.Module):
    """``layers`` blocks, every ``time_every``-th with attention over time, the last among them.

    inside: of a block's number, what mixes the tokens of a frame and of those near it, by name; None: attention inside
    the frame. Each part has ``forward(x, view, past)``, what it adds to ``x`` ``(B, T, M, width)`` and what it leaves
    to later frames; ``leaves``: whether anything, which then is its ``past``.
    """

    def __init__(
        self, width: int, layers: int, heads: int, time_every: int, inside: Callable[[int], Parts] | None = None
    ) -> None:
        super().__init__()
        if width % heads or (width // heads) % 2 or width // heads < 6 or layers % time_every:
            raise VideoSimError(
                "a transformer's width is its heads times an even number from 6, and its layers a multiple of "
                f"time_every; got width {width}, {heads} heads, {layers} layers, time_every {time_every}"
            )
        self.rotary = Rotary(width // heads)
        self.blocks = nn.ModuleList()
        for n in range(layers):
            block = nn.ModuleDict({"frame": FrameAttention(width, heads)} if inside is None else inside(n))
            if (n + 1) % time_every == 0:
                block["time"] = TimeAttention(width, heads)
            block["token"] = TokenNetwork(width)
            self.blocks.append(block)
        self.norm = nn.RMSNorm(width)
        self.timed = sum(part.leaves for part in self._parts())  # layers over time

    def _parts(self) -> list[Any]:
        return [part for block in self.blocks for part in block.values()]  # type: ignore[operator]

    def forward(
        self, x: Tensor, places: Tensor, mask: Tensor | None = None, past: Past | None = None
    ) -> tuple[Tensor, Past]:
        """Tokens ``(B, T, M, width)`` at ``places`` ``(B or 1, T, M, 3)`` (time, row, column) and what the frames of
        this pass leave to later ones.

        mask: bool ``(T, S)`` or ``(B, T, S)``, which of the S frames, those of the past first, each frame may look at
        over time; None: all of them.
        """
        times = places[:, :, 0, 0]
        seen_at = times if past is None else torch.cat([past.times.expand(len(times), -1), times], 1)
        view = View(self.rotary(places), times[:, :, None] - seen_at[:, None], mask)
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for part in self._parts():
            before = None
            if part.leaves and past is not None:
                before = past.keys[:, len(keys)], past.values[:, len(keys)]
            seen, left = part(x, view, before)
            x = x + seen
            if part.leaves:
                keys.append(left[0])
                values.append(left[1])
        return self.norm(x), Past(torch.stack(keys, 1), torch.stack(values, 1), times)


def causal(frames: int, reach: int, device: torch.device) -> Tensor:
    """bool ``(frames, frames)``: each frame looks at itself and at the ``reach`` frames before it."""
    back = torch.arange(frames, device=device)[:, None] - torch.arange(frames, device=device)
    return (back >= 0) & (back <= reach)
