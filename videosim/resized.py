"""A model of video in another size of picture than that of its training: 96x64, 64x96.

Convolutions, patches and attention have no size of their own: each cell is coded by what is around it, and a token
knows where it lies in cells and as a share of the picture. So these weights serve as they are, and the scales of the
latents are drawn to the new grid. What reads a whole picture at once, the physical state and with it reward and
termination, has a size and stays behind: such a model makes whole clips, no dreams.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videosim.errors import VideoSimError
from videosim.types import FrameSpec, LatentLayout
from videosim.world_model import WorldModel

OF_THE_GRID = ("latent_mean", "latent_std")


class _OfAnotherSize(nn.Module):
    def forward(self, *inputs: Tensor) -> Tensor:
        raise VideoSimError("in another size than that of its training a model makes whole clips, no frame by frame")


def resized(model: WorldModel, frame: FrameSpec) -> WorldModel:
    """``model`` for pictures of size ``frame``, in evaluation mode; itself where that is its size.

    Raises VideoSimError where the tokenizer or the patches do not divide that size.
    """
    if frame == model.spec.frame:
        return model
    with torch.random.fork_rng(devices=[]):  # what is drawn here is written over
        other = WorldModel(model.config, replace(model.spec, frame=frame)).to(model.device).eval()
    other.tokenizer.probe = _OfAnotherSize()
    other.dynamics.reader = _OfAnotherSize()
    own = {name: value for name, value in model.state_dict().items() if not name.startswith("heads.")}
    weights = {name: value for name, value in own.items() if name in other.state_dict()}
    for name in OF_THE_GRID:
        weights[name] = drawn_to(own[name], model.tokenizer.layout, other.tokenizer.layout)
    heads = {f"heads.{name}": value for name, value in other.heads.state_dict().items()}
    other.load_state_dict(weights | heads)
    other.card = model.card
    return other


def drawn_to(values: Tensor, layout: LatentLayout, other: LatentLayout) -> Tensor:
    """Numbers of the tokens of one layout ``(N, D)`` at the places of ``other``'s; those without a place stay."""
    grid, extra = values.split([layout.rows * layout.columns, layout.extra])
    grid = grid.T.unflatten(1, (layout.rows, layout.columns))[None]
    grid = F.interpolate(grid, (other.rows, other.columns), mode="bilinear", align_corners=False)
    return torch.cat([grid[0].flatten(1).T, extra])
