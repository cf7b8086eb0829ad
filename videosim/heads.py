"""Reward, termination and uncertainty. All see (state, action, next state), never the world they came from.

Where a log has sensors, reward and termination are read off them first; the features, picture and memory, add what the
sensors leave open. Read off the features alone they are whatever the picture seems to promise, and a policy finds the
pictures that promise most.

``uncertainty`` is the model's own estimate of its state error, or of its latents' where a log has no sensors: an
ensemble, each member predicting mean and variance of the error that was made (deep ensembles, Lakshminarayanan et al.
2017, eq. 1). Members share no weights and learn from different halves of every batch, so far from the data they
disagree.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videosim.layers import network, small
from videosim.model_config import HeadsConfig


class Ensemble(nn.Module):
    """``members`` two-layer networks evaluated in one batched product: ``(B, inputs)`` -> ``(M, B, outputs)``."""

    def __init__(self, members: int, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(members, inputs, hidden) / inputs**0.5)
        self.first_bias = nn.Parameter(torch.zeros(members, 1, hidden))
        self.second = nn.Parameter(0.1 * torch.randn(members, hidden, outputs) / hidden**0.5)
        self.second_bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(torch.matmul(x, self.first) + self.first_bias)
        return torch.matmul(h, self.second) + self.second_bias


class Heads(nn.Module):
    """Reads what happens in a transition from the features ``(B, F)`` on both sides of it."""

    def __init__(self, config: HeadsConfig, features: int, action_width: int, sensors: int) -> None:
        super().__init__()

        last = nn.Linear(config.hidden, 2)
        self.outcome = network(2 * features + action_width, config.hidden, last)
        self.known: nn.Sequential | None = None
        if sensors and config.state:
            self.known = network(2 * sensors + action_width, config.state, nn.Linear(config.state, 2))
            small(last)  # what the sensors leave open
        self.error = Ensemble(config.members, features + action_width + 1, config.hidden // 2, 2 * max(sensors, 1))

    def from_sensors(self, sensors: Tensor, action: Tensor, next_sensors: Tensor) -> Tensor:
        """What the standardised sensors ``(…, S)`` on both sides tell: reward and logit ``(…, 2)``."""
        if self.known is None:
            return sensors.new_zeros(*sensors.shape[:-1], 2)
        return self.known(torch.cat([sensors, action, next_sensors], -1))

    def forward(
        self, features: Tensor, action: Tensor, next_features: Tensor, sensors: Tensor, next_sensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Standardised reward ``(B,)`` and the logit of termination ``(B,)``."""
        remainder = self.outcome(torch.cat([features, action, next_features], -1))
        reward, logit = (self.from_sensors(sensors, action, next_sensors) + remainder).unbind(-1)
        return reward, logit

    def _members(self, action: Tensor, next_features: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([next_features, action, torch.log1p(age)[..., None]], -1).detach()
        mean, log_std = self.error(x).chunk(2, -1)  # (M, B, S)
        return mean, log_std.clamp(-7.0, 3.0)

    def error_std(self, action: Tensor, next_features: Tensor, age: Tensor) -> Tensor:
        """Expected standard error of each standardised sensor of the next state, ``(B, S)``; without sensors of the
        standardised latents, root mean square, ``(B, 1)``. It is the spread of the mixture, noise within members and
        disagreement between them."""
        mean, log_std = self._members(action, next_features, age)
        return ((2.0 * log_std).exp().mean(0) + mean.square().mean(0)).sqrt()

    def error_loss(
        self, action: Tensor, next_features: Tensor, age: Tensor, error: Tensor, rng: torch.Generator
    ) -> Tensor:
        """Gaussian negative log-likelihood of the true ``error`` ``(B, S)``; each member sees a random half of the
        rows."""
        mean, log_std = self._members(action, next_features, age)
        nll = log_std + 0.5 * ((error.detach() - mean) * (-log_std).exp()).square()
        half = (torch.rand(nll.shape[:2], generator=rng) < 0.5).float()
        return (nll.mean(-1) * half).sum() / half.sum().clamp(min=1.0)
