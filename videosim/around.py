"""What a transformer over spacetime patches is told beside the frames themselves: what led to them, and what stands
nearest. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from videosim.transformer import Past


@dataclass
class Around:
    """What frames are asked for with: the embedded actions ``led`` ``(B, T, width)`` that led to them, to which
    is added what is said of a whole clip; their ``time`` ``(B or 1, T)``; what stands nearest to them, ``before``
    ``(B, T, N, D)``, and where anything does, ``shown`` ``(B, T, N)``, 1 or 0: of a frame that follows others the one
    before it, of a whole clip the nearest that is known; which frames may look at which (see the transformer; None: all
    at all) and the clean ``past`` (None: there is none)."""

    led: Tensor
    time: Tensor
    before: Tensor
    shown: Tensor
    mask: Tensor | None = None
    past: Past | None = None

    def of(self, rows: Tensor) -> Around:
        """The same for some rows; for a mask and a time that all rows share."""
        past = None if self.past is None else self.past.of(rows)
        return replace(self, led=self.led[rows], before=self.before[rows], shown=self.shown[rows], past=past)
