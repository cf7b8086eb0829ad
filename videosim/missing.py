"""What a log does not say is NaN, and teaches nothing: neither as a target nor through what is made of it.

Every target is filled in with the guess itself, so that its error and the gradient of it are zero, and a row counts in
the mean of a batch whatever it says: a store without sensors takes nothing away from those of another store.
"""

from __future__ import annotations

import torch
from torch import Tensor


def filled(truth: Tensor, guess: Tensor) -> Tensor:
    """``truth``, and where it is not known the ``guess``, as a constant; both of one shape."""
    return torch.where(truth.isnan(), guess.detach(), truth)


def as_input(values: Tensor) -> Tensor:
    """``values`` with 0, the mean of what is standardised, where they are not known."""
    return torch.where(values.isnan(), 0.0, values)
