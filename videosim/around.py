"""What a transformer over spacetime patches is told beside the frames themselves: what led to them, and what stands
nearest. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from videosim.transformer import Past


@dataclass
class Around:
    """What frames are asked for with: the embedded actions ``led`` ``(B, T, width)`` that led to them, to which
    is added what is said of a whole clip; their ``time`` ``(B or 1, T)``; what stands nearest to them, ``before``
    ``(B, T, N, D)``, and where anything does, ``shown`` ``(B, T, N)``, 1 or 0: of a frame that follows others the one
    before it, of a whole clip the nearest that is known, or what somebody takes them for (``beginning``); which frames
    may look at which (see the transformer; None: all at all) and the clean ``past`` (None: there is none)."""

    led: Tensor
    time: Tensor
    before: Tensor
    shown: Tensor
    mask: Tensor | None = None
    past: Past | None = None

    def beginning(self, guess: Tensor, where: Tensor | None = None) -> Around:
        """The same, beside a ``guess`` ``(B, T, N, D)`` of what the frames look like in place of what stands nearest,
        in those rows, bool ``(B, 1, 1)``, ``where`` there is one; None: in all."""
        if where is None:
            return replace(self, before=guess, shown=torch.ones_like(guess[..., 0]))
        before = torch.where(where[..., None], guess, self.before)
        return replace(self, before=before, shown=torch.where(where, 1.0, self.shown))

    def of(self, rows: Tensor) -> Around:
        """The same for some rows; for a mask and a time that all rows share."""
        past = None if self.past is None else self.past.of(rows)
        return replace(self, led=self.led[rows], before=self.before[rows], shown=self.shown[rows], past=past)
