"""Paths of no particular purpose, through what is known of them: where the course of a physical state sets out from.

Each number of a state is taken for an Ornstein-Uhlenbeck process of mean 0 and variance 1, of which all that data tell
is how much a moment shares with the one before it (``tied``). Between known moments it is a bridge (Barczy & Kern,
"Representations of multidimensional linear process bridges", 2013, section 2); far from them, anything that could be.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def tie(step: Tensor) -> Tensor:
    """What a moment shares with the one before it, ``(S,)`` in [0, 1), of numbers of variance 1 whose change in a step
    has the standard deviation ``step``."""
    return (1.0 - 0.5 * step.square()).clamp(0.0, 1.0 - 1e-5)


def wander(fresh: Tensor, tied: Tensor) -> Tensor:
    """Processes ``(B, T, S)``, of independent normal numbers ``fresh`` of that shape."""
    moments = [fresh[:, 0]]
    for t in range(1, fresh.shape[1]):
        moments.append(tied * moments[-1] + (1.0 - tied.square()).sqrt() * fresh[:, t])
    return torch.stack(moments, 1)


@dataclass(frozen=True)
class Bridge:
    """What is known of states ``(B, T, S)``: the mean of all processes that go through it, and their standard
    deviation, 0 where a state is known, or does not exist, and 1 where nothing is known."""

    mean: Tensor
    spread: Tensor

    @staticmethod
    def of(states: Tensor, known: Tensor, tied: Tensor, felt: Tensor) -> Bridge:
        """Through ``states`` ``(B, T, S)`` where they are ``known``, 1 or 0, ``(B, T)``; numbers that are not ``felt``,
        1 or 0, ``(B, S)``, do not exist: they are 0."""
        moments = torch.arange(known.shape[1], device=known.device)
        before, after = moments[:, None] - moments, moments - moments[:, None]
        yes, far = known[:, None] == 1.0, torch.tensor(torch.inf, device=known.device)
        ago, last = torch.where(yes & (before >= 0), before.float(), far).min(-1, keepdim=True)
        ahead, following = torch.where(yes & (after > 0), after.float(), far).min(-1, keepdim=True)
        rate = -tied.clamp(min=1e-6).log()

        def lost(moments: Tensor) -> Tensor:
            """Of the variance, on the way over so many ``moments`` and back."""
            return -(-2.0 * rate * moments).expm1()

        def at(where: Tensor) -> Tensor:
            return states.gather(1, where.expand(states.shape))

        through = (-rate * ago).exp() * lost(ahead) * at(last) + (-rate * ahead).exp() * lost(ago) * at(following)
        both, own = lost(ago + ahead), felt[:, None]
        return Bridge(own * through / both, own * (lost(ago) * lost(ahead) / both).sqrt())

    def off(self, states: Tensor) -> Tensor:
        """How many standard deviations ``states`` ``(B, T, S)`` are off the mean; 0 where there are none."""
        return torch.where(self.spread > 0.0, (states - self.mean) / self.spread.clamp(min=1e-6), 0.0)

    def at(self, off: Tensor) -> Tensor:
        """The states that are so far ``off``."""
        return self.mean + self.spread * off
