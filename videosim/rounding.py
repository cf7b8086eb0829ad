"""Weights in fewer bits on the disk: 16 change nothing that could be measured, 8 next to nothing, but for the sharpest
of filters (cart-pole's, off by 0.2 % of range: 0.0098 becomes 0.0104 after 15 steps).

Of 8 bits each row of a matrix has a scale of its own. Heads and the filter of a transformer keep 16: they were not
measured in 8.
"""

from __future__ import annotations

from collections.abc import Set

import torch
from torch import Tensor

from videosim.errors import VideoSimError

SCALE = ":scale"  # ends the name of the scales of a tensor in 8 bits
SMALL = 2048  # numbers; fewer are not worth a scale
PRECISE = ("dynamics.filter.", "heads.")


def rounded(tensors: dict[str, Tensor], bits: int, exact: Set[str] = frozenset()) -> dict[str, Tensor]:
    """``tensors`` as they are to be stored, but for the ``exact``; ``bits``: 32, 16 or 8. Raises VideoSimError on
    others."""
    if bits not in (32, 16, 8):
        raise VideoSimError(f"a weight is stored in 32, 16 or 8 bits; got {bits}")
    stored: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if bits == 32 or name in exact:
            stored[name] = value.contiguous()
        elif bits == 16 or value.ndim < 2 or value.numel() < SMALL or name.startswith(PRECISE):
            stored[name] = value.half().contiguous()
        else:
            largest = value.flatten(1).abs().amax(1).clamp(min=1e-12)
            scale = (largest / 127.0).reshape(-1, *[1] * (value.ndim - 1))
            stored[name] = (value / scale).round().to(torch.int8).contiguous()
            stored[name + SCALE] = scale.float().contiguous()
    return stored


def restored(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What ``rounded`` stored, as float32. Raises VideoSimError where the scales do not belong to a tensor."""
    values = {name: value.float() for name, value in tensors.items() if not name.endswith(SCALE)}
    for name, scale in tensors.items():
        if name.endswith(SCALE):
            of = name.removesuffix(SCALE)
            if of not in values or scale.shape != (len(values[of]), *[1] * (values[of].ndim - 1)):
                raise VideoSimError(f"the scales of {of!r} do not fit; restore the file")
            values[of] = values[of] * scale.float()
    return values
