"""The physical state from one moment to the next, without a look at the picture.

Where a log has sensors they are most of the state, and chaotic: the gradients of a long run of them are noise, and its
mean is no motion that can happen. So a network of its own moves them on, taught first and by short runs, and whatever
shows the picture is taught beside it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videosim.layers import Gated, Products, linear, network
from videosim.missing import as_input, filled

# Standard deviations, log-uniform, of how far off the states are that training moves on. A run must lead back from
# states that cannot be, a pole of the wrong length or a hand beside its arm: a policy finds any of them that pays.
FAR = 1e-3, 0.5
PRECISE = 0.02  # runs from farther off count less: what cannot be known drowns what can
# Typical steps: a larger error counts by its size and no longer by its square. What lies still or flies freely can be
# known exactly, and by squares a loss is about nothing but contacts.
SHARP = 0.1


class Transition(nn.Sequential):
    """``(…, S)`` standardised sensors and an action token ``(…, W)`` -> the sensors' increment ``(…, S)``, in units of
    a typical step.

    With ``products``, it is shown as many of them beside the inputs, and says of every sensor whether it moves apart
    from how far: what lies still in the recordings lies still in a dream."""

    def __init__(self, sensors: int, action_width: int, hidden: int, products: int) -> None:
        inputs = sensors + action_width
        if products:
            layers = network(inputs + products, hidden, Gated(hidden, sensors))
            super().__init__(Products(inputs, products), *layers)
        else:
            super().__init__(*network(inputs, hidden, linear(hidden, sensors)))

    def forward(self, sensors: Tensor, action: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(torch.cat([sensors, action], -1))

    def loss(self, sensors: Tensor, actions: Tensor, step: Tensor, weight: Tensor, rng: torch.Generator) -> Tensor:
        """Mean error along runs ``(B, T+1, S)`` of sensors, NaN where they are not known, each from a state a little
        off the truth; ``step`` ``(S,)``: a typical one; ``weight`` ``(B, T)``."""
        state, scale = off_by(FAR, as_input(sensors[:, 0]), rng)
        weight = weight / (1.0 + scale / PRECISE)
        errors = []
        for k in range(actions.shape[1]):
            state = state + step * self(state, actions[:, k])
            errors.append(huber((state - filled(sensors[:, k + 1], state)) / step, SHARP))
        return mean(errors, weight)


def off_by(noise: tuple[float, float], sensors: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """States ``(…, S)`` a little off, as those of a filter or a dream are, each by its own scale ``(…, 1)``."""
    low, high = (math.log(end) for end in noise)
    scale = (low + (high - low) * torch.rand(*sensors.shape[:-1], 1, generator=rng)).exp()
    return sensors + scale * torch.randn(sensors.shape, generator=rng), scale


def huber(error: Tensor, bend: float = 1.0) -> Tensor:
    """Mean loss of ``(…, S)``; Huber's, because a collision changes a velocity by many standard deviations at once.
    Errors above ``bend`` count by their size."""
    return F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=bend).mean(-1) / bend


def mean(errors: list[Tensor], weights: Tensor) -> Tensor:
    """Mean of one ``(B,)`` tensor a step under ``weights`` ``(B, steps)``."""
    return (torch.stack(errors, 1) * weights).sum() / weights.sum()
