"""Whole clips: what of them is known, in training at random and in use as somebody has drawn it, and what stands
nearest to what is not known. Knows no network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from videosim.types import LatentLayout

IMAGE = 0.1  # share of the lessons about whole clips that are about a single frame
HOLE = 0.25  # share of the clips of which a region is to be made in every frame; of the others whole frames are
OPEN = 1 / 3  # share of the beginnings, and of the ends, of which nothing is known


def length(longest: int, rng: torch.Generator) -> int:
    """Frames of the clips of one lesson: 1, an image, or any number up to ``longest``."""
    if longest == 1 or float(torch.rand((), generator=rng)) < IMAGE:
        return 1
    return int(torch.randint(2, longest + 1, (), generator=rng))


def ends(rows: int, frames: int, rng: torch.Generator) -> Tensor:
    """Of clips the first frames and the last, each up to half of the clip, or nothing: bool ``(rows, frames)``."""
    shares = (torch.rand(rows, 2, 1, generator=rng) - OPEN).clamp(min=0.0) / (1.0 - OPEN) * 0.5 * frames
    at = torch.arange(frames)
    return (at + 1 <= shares[:, 0]) | (at >= frames - shares[:, 1])


def drawn(rows: int, frames: int, layout: LatentLayout, rng: torch.Generator) -> Tensor:
    """What is known of clips, 1 or 0, float32 ``(rows, frames, N)``: of some all but a rectangle, and what has no place
    in the picture; of the others the first frames and the last, each up to half of the clip, or nothing."""
    whole = ends(rows, frames, rng)[..., None]
    sides = torch.rand(rows, 2, 2, generator=rng).sort(-1).values  # of the rectangle: top and bottom, left and right
    inside = [
        (sides[:, side, :1] < (torch.arange(cells) + 0.5) / cells) & ((torch.arange(cells) + 0.5) / cells < far)
        for side, cells, far in ((0, layout.rows, sides[:, 0, 1:]), (1, layout.columns, sides[:, 1, 1:]))
    ]
    around = ~(inside[0][:, :, None] & inside[1][:, None]).flatten(1)
    region = torch.cat([around, around.new_zeros(rows, layout.extra)], 1)[:, None]
    return torch.where(torch.rand(rows, 1, 1, generator=rng) < HOLE, region, whole).float()


def heard(texts: Sequence[str], unsaid: float, alone: float, rng: torch.Generator) -> tuple[list[str], Tensor]:
    """``texts`` of clips, a share ``unsaid`` of them left out (""), and of which clips nothing is known but the text:
    of a share ``alone`` of those that have one, bool ``(B, 1, 1)``."""
    draw = torch.rand(2, len(texts), generator=rng)
    said = [text if kept else "" for text, kept in zip(texts, (draw[0] >= unsaid).tolist(), strict=True)]
    return said, ((draw[1] < alone) & torch.tensor([bool(text) for text in said]))[:, None, None]


def nearest(clip: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Of every token of clips ``(B, T, N, D)`` the one at its place in the nearest frame where that is ``known``
    ``(B, T, N)``, the earlier of two, and zeros where it never is; and whether it is, 1 or 0, ``(B, T, N)``."""
    frames = torch.arange(clip.shape[1], device=clip.device)
    away = (frames[:, None] - frames).abs().float()[None, :, :, None]  # (1, T, frame looked at, 1)
    away = torch.where(known[:, None] == 1.0, away, torch.inf)
    frame = away.argmin(2)
    found = (known == 1.0).any(1, keepdim=True).expand(known.shape).float()
    held = clip.gather(1, frame[..., None].expand(clip.shape))
    return torch.where(found[..., None] == 1.0, held, 0.0), found
