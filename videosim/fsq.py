"""Finite scalar quantisation (Mentzer et al. 2023): every number of a token is rounded to one of a few values.

Nothing is learned here, so no code can die. A value's index and the value itself are each other's inverse.
"""

from __future__ import annotations

import torch
from torch import Tensor


def indices(values: Tensor, levels: int) -> Tensor:
    """Numbers in [-1, 1] -> int64 in [0, levels): of the nearest of ``levels`` evenly spaced values."""
    return ((values.clamp(-1.0, 1.0) + 1.0) * (0.5 * (levels - 1))).round().long()


def codes(index: Tensor, levels: int) -> Tensor:
    """Inverse of ``indices``: float32 in [-1, 1]."""
    return index.float() * (2.0 / (levels - 1)) - 1.0


def quantise(values: Tensor, levels: int) -> Tensor:
    """The nearest codes, with the gradient of ``values`` (straight through; section 3.1)."""
    return values + (codes(indices(values, levels), levels) - values).detach()


def to_ids(index: Tensor, levels: int) -> Tensor:
    """The indices ``(…, D)`` of a token as one number ``(…)``, the first the least: int64 in [0, levels**D)."""
    return (index * levels ** torch.arange(index.shape[-1], device=index.device)).sum(-1)


def from_ids(ids: Tensor, levels: int, width: int) -> Tensor:
    """Inverse of ``to_ids``."""
    return ids[..., None] // levels ** torch.arange(width, device=ids.device) % levels
