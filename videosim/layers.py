"""The small networks that cores and heads are made of."""

from __future__ import annotations

from torch import nn


def network(inputs: int, hidden: int, last: nn.Linear) -> nn.Sequential:
    """Two hidden layers of ``hidden`` units in front of ``last``."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


def small(layer: nn.Linear) -> nn.Linear:
    """``layer``, starting near zero: what it adds to something else is nothing until it has learned."""
    nn.init.normal_(layer.weight, std=1e-3)
    nn.init.zeros_(layer.bias)
    return layer
