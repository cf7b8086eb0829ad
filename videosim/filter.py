"""The physical state that frames show, read off one after another, beside a network that moves it on.

Two frames in a row are read at once; where that differs from what was expected, a learned gain says how far to believe
it (predict-correct, as in a Kalman filter, with learned maps): a state that moves as it should is known far better than
two frames tell. Taught by itself, in runs through the windows, with the transition as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from videosim.layers import network, small
from videosim.missing import as_input
from videosim.transition import huber, mean

Move = Callable[[Tensor, Tensor], Tensor]  # sensors (B, S) and an action token (B, W) to those after it, which can be


class Filter(nn.Module):
    """``latents``: numbers of a frame; everything standardised; sensors that a body lacks count as 0."""

    def __init__(self, latents: int, sensors: int, hidden: int) -> None:
        super().__init__()
        self.reader = network(2 * latents, hidden, nn.Linear(hidden, sensors))
        last = small(nn.Linear(hidden, 2 * sensors))
        self.correction = network(2 * sensors + latents, hidden, last)

    def read(self, before: Tensor, seen: Tensor) -> Tensor:
        """Sensors ``(…, S)`` of the later of two frames ``(…, N, D)``; of a first frame, given twice."""
        return self.reader(torch.cat([before.flatten(-2), seen.flatten(-2)], -1))

    def correct(self, expected: Tensor, before: Tensor, seen: Tensor) -> Tensor:
        """What to believe ``(B, S)`` of the later of two frames where ``expected`` ``(B, S)`` was."""
        return self._mixed(expected, self.read(before, seen), seen)

    def _mixed(self, expected: Tensor, read: Tensor, seen: Tensor) -> Tensor:
        surprise = read - expected
        told = self.correction(torch.cat([expected, surprise, seen.flatten(-2)], -1))
        gain, remainder = told.chunk(2, -1)  # what one surprise says of another sensor is in the remainder
        return expected + (0.5 + gain) * surprise + remainder

    def loss(self, latents: Tensor, actions: Tensor, sensors: Tensor, valid: Tensor, move: Move) -> Tensor:
        """Mean error along windows, as for ``Dynamics.loss``, of what is read and of what is believed."""
        truth, steps = as_input(sensors), actions.shape[1]
        before = torch.cat([latents[:, :1], latents[:, :-1]], 1)
        read = self.read(before, latents)
        exists = torch.cat([valid[:, :1], valid], 1).float()
        # Any frame may be the first.
        alone = self.read(latents, latents)
        belief = alone[:, 0]
        errors = [huber(belief - truth[:, 0])]
        for t in range(steps):
            # What went before is as it is: the gradients of a long run through a chaotic world are noise.
            belief = self._mixed(move(belief.detach(), actions[:, t]), read[:, t + 1], latents[:, t + 1])
            errors.append(huber(belief - truth[:, t + 1]))
        reading = (exists * (huber(read - truth) + huber(alone - truth))).sum() / exists.sum()
        return mean(errors, exists) + reading
