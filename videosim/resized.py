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
from videosim.one_body import OneBody, one_body
from videosim.spacetime import SpaceTimeDynamics
from videosim.types import FrameSpec, LatentLayout
from videosim.world_model import WorldModel

LEFT_BEHIND = {"tokenizer": "probe", "dynamics": "filter", "": "heads"}  # of which module which part
OF_THE_GRID = ("latent_mean", "latent_std")


class _OfAnotherSize(nn.Module):
    def forward(self, *inputs: Tensor) -> Tensor:
        raise VideoSimError("in another size than that of its training a model makes whole clips, no frame by frame")

    read = correct = forward


def resized(model: WorldModel, frame: FrameSpec) -> WorldModel:
    """``model`` for pictures of size ``frame``, of the same weights: who trains one trains both. Itself where that is
    its size.

    Raises VideoSimError where the tokenizer or the patches do not divide that size, and where the core has no patches.
    """
    if frame == model.spec.frame:
        return model
    if isinstance(model, OneBody):
        return one_body(resized(model.whole, frame))
    if not isinstance(model.dynamics, SpaceTimeDynamics):
        raise VideoSimError(
            f"the {model.config.dynamics.kind} core has one size of picture, {model.spec.frame.shape[:2]}"
        )
    with torch.random.fork_rng(devices=[]):  # what is drawn here is not used
        other = WorldModel(model.config, replace(model.spec, frame=frame), model.embodiments)
    other = other.to(model.device).train(model.training).embodied(model.body)
    other.dynamics.guess = other.dynamics.course = None  # nobody reads the state that they would show
    for owner, part in LEFT_BEHIND.items():
        other.get_submodule(owner).add_module(part, _OfAnotherSize())
    for owner, module in other.named_modules():
        for name in list(module._parameters):
            setattr(module, name, getattr(model.get_submodule(owner), name))
    own = model.state_dict()
    for name in OF_THE_GRID:
        own[name] = drawn_to(own[name], model.tokenizer.layout, other.tokenizer.layout)
    other.load_state_dict({name: own[name] for name in other.state_dict()})
    other.card = model.card
    return other


def drawn_to(values: Tensor, layout: LatentLayout, other: LatentLayout) -> Tensor:
    """Numbers of the tokens of one layout ``(N, D)`` at the places of ``other``'s; those without a place stay."""
    grid, extra = values.split([layout.rows * layout.columns, layout.extra])
    grid = grid.T.unflatten(1, (layout.rows, layout.columns))[None]
    grid = F.interpolate(grid, (other.rows, other.columns), mode="bilinear", align_corners=False)
    return torch.cat([grid[0].flatten(1).T, extra])
