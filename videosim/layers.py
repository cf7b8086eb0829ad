"""The small networks that cores and heads are made of."""

from __future__ import annotations

import warnings

from torch import nn


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A layer that may have no outputs, where a log has no sensors, without a word of torch's about it."""
    with warnings.catch_warnings():
        if not outputs:
            warnings.simplefilter("ignore", UserWarning)
        return nn.Linear(inputs, outputs)


def network(inputs: int, hidden: int, last: nn.Linear) -> nn.Sequential:
    """Two hidden layers of ``hidden`` units in front of ``last``."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


def small(layer: nn.Linear) -> nn.Linear:
    """``layer``, starting near zero: what it adds to something else is nothing until it has learned."""
    nn.init.normal_(layer.weight, std=1e-3)
    nn.init.zeros_(layer.bias)
    return layer
