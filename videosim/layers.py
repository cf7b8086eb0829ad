"""The small networks that cores and heads are made of."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

OPEN = 2.0  # of a gate to begin with, before the sigmoid


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A layer that may have no outputs, where a log has no sensors, without a word of torch's about it."""
    with warnings.catch_warnings():
        if not outputs:
            warnings.simplefilter("ignore", UserWarning)
        return nn.Linear(inputs, outputs)


class Products(nn.Module):
    """``(…, inputs)`` -> themselves and products of two learned sums of them, ``(…, inputs + count)``. What bodies do
    is quadratic, in their distance or their speed, and sums of bends would have to piece it together."""

    def __init__(self, inputs: int, count: int) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(inputs, count), nn.Linear(inputs, count)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.left(x) * self.right(x)], -1)


class Gated(nn.Module):
    """A layer that says of each output whether and how much: near zero is far easier to say than to sum up."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.amount, self.whether = linear(inputs, outputs), linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.amount(x) * torch.sigmoid(self.whether(x) + OPEN)


def network(inputs: int, hidden: int, last: nn.Module) -> nn.Sequential:
    """Two hidden layers of ``hidden`` units in front of ``last``."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


def small(layer: nn.Linear) -> nn.Linear:
    """``layer``, starting near zero: what it adds to something else is nothing until it has learned."""
    nn.init.normal_(layer.weight, std=1e-3)
    nn.init.zeros_(layer.bias)
    return layer
