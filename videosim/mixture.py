"""Batches from several stores: every store has the same share of every batch, however large it is.

So a step teaches a model as much of 800 real frames as of 100,000 simulated ones, and what it costs a store to share
the model can be told from training on it alone with as many rows. Rows of the stores take turns in a batch: whoever
takes the first of them takes of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from videosim.corpus import Corpus
from videosim.errors import VideoSimError


def shares(count: int, stores: int) -> list[int]:
    """How many of ``count`` rows come from each of ``stores``, one at least; no two differ by more than 1."""
    if count < stores:
        raise VideoSimError(f"a batch of {count} cannot hold a row of each of {stores} stores; make it larger")
    return [count // stores + (number < count % stores) for number in range(stores)]


def drawn(starts: np.ndarray, count: int, rng: torch.Generator) -> np.ndarray:
    """``count`` random rows of ``starts`` ``(n, 2)``."""
    return starts[torch.randint(len(starts), (count,), generator=rng).numpy()]


def pairs(corpora: Sequence[Corpus], where: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
    """As ``Corpus.pairs``, at ``where`` ``(n, 2)`` in each of ``corpora``."""
    parts = [corpus.pairs(rows) for corpus, rows in zip(corpora, where, strict=True)]
    return tuple(_in_turn(tensors) for tensors in zip(*parts, strict=True))


def windows(corpora: Sequence[Corpus], where: Sequence[np.ndarray], length: int) -> dict[str, Tensor]:
    """As ``Corpus.windows``, at ``where`` ``(n, 2)`` in each of ``corpora``."""
    parts = [corpus.windows(rows, length) for corpus, rows in zip(corpora, where, strict=True)]
    return {name: _in_turn([part[name] for part in parts]) for name in parts[0]}


def alike(tensors: Sequence[Tensor]) -> Tensor:
    """All rows together, those of a shorter tensor repeated until it weighs as much as the longest."""
    longest = max(map(len, tensors))
    return torch.cat([t if len(t) == longest else t[torch.arange(longest) * len(t) // longest] for t in tensors])


def _in_turn(parts: Sequence[Tensor]) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    place = torch.cat([(torch.arange(len(part)) + 0.5) / len(part) for part in parts])
    return torch.cat(list(parts))[place.argsort(stable=True)]
