"""How a clip is taken apart and put together again: what a generative core leaves to its kind.

A path leads every token from a source, level 0, to the data, level 1. Training puts tokens somewhere on the way and
asks a network what lies at its end; a solver starts from the source and follows the answers. Continuous and discrete
paths share this interface (Lipman et al., "Flow matching guide and code", 2024, sections 4 and 7); masked generation is
the path whose source is one and the same mask. Knows no network: that is a function, ``Predict``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Predict(Protocol):
    """What is answered of corrupted clips ``(b, T, N, D)`` of a ``level`` ``(b, T, N)`` in [0, 1], asked for a step of
    ``size`` ``(b, T)`` int64: ``(b, T, N, …)``, see ``Path.answer``. ``rows`` int64 ``(b,)``: which of those whose past
    it knows; None: all."""

    def __call__(self, latents: Tensor, level: Tensor, size: Tensor, rows: Tensor | None = None, /) -> Tensor: ...


class Path(ABC):
    """outputs: numbers that the network gives for a token of latents (see ``answer``); sizes: how many sizes of steps
    it is told."""

    outputs: int
    sizes: int

    @abstractmethod
    def answer(self, numbers: Tensor, corrupted: Tensor, before: Tensor, shown: Tensor) -> Tensor:
        """What lies at the end ``(B, T, N, outputs)``, of a network's ``numbers`` ``(B, T, N, outputs of it)`` about
        ``corrupted`` clips: zeros say that every frame is as what stands nearest to it, ``before``, where anything is
        ``shown`` ``(B, T, N)``, 1 or 0 (elsewhere it is zeros). So it need only learn what differs."""

    @abstractmethod
    def loss(
        self, predict: Predict, latents: Tensor, known: Tensor, rng: torch.Generator, together: bool = False
    ) -> Tensor:
        """Error ``(B, T)`` of each frame of clips ``(B, T, N, D)``, each corrupted by a random amount but for the
        tokens that are ``known`` ``(B, T, N)``, 1 or 0: they are given as they are, and nothing is asked of them.

        together: the frames of a clip are as far on their way as one another, as a solver of whole clips has them."""

    @abstractmethod
    def sample(
        self, predict: Predict, given: Tensor, kept: Tensor, rngs: Sequence[torch.Generator], steps: int
    ) -> Tensor:
        """Clips ``(B, T, N, D)`` by ``steps`` passes, one generator a row.

        kept ``(B, T, N)``: the level that each token of ``given`` starts from. 1 returns it, 0 asks nothing of it; in
        between its coarse features stay (SDEdit, Meng et al. 2022, section 3)."""


def guided(told: Predict, untold: Predict, weight: float) -> Predict:
    """``told``, moved away from what is answered ``untold`` (classifier-free guidance, Ho & Salimans 2022, eq. 6)."""

    def predict(latents: Tensor, level: Tensor, size: Tensor, rows: Tensor | None = None) -> Tensor:
        without, towards = untold(latents, level, size, rows), told(latents, level, size, rows)
        return torch.lerp(without, towards, 1.0 + weight)

    return predict


def normal(rngs: Sequence[torch.Generator], shape: Sequence[int], device: torch.device) -> Tensor:
    """Standard normal numbers ``(B, *shape)``, each row from its own generator."""
    return torch.stack([torch.randn(tuple(shape), generator=rng) for rng in rngs]).to(device)


def uniform(rngs: Sequence[torch.Generator], shape: Sequence[int], device: torch.device) -> Tensor:
    """Uniform numbers in [0, 1) ``(B, *shape)``, each row from its own generator."""
    return torch.stack([torch.rand(tuple(shape), generator=rng) for rng in rngs]).to(device)
