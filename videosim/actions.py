"""The action-token channel: any action vector, of any world, becomes one token of fixed width.

Actions are normalised to [-1, 1] by their ``ActionSpec``, padded to a common size with a validity mask, and given an
embodiment id, so one model can take worlds with different actions. A learned "no action" token stands for video without
labels. This file knows nothing of frames.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videosim.errors import VideoSimError


class ActionTokens(nn.Module):
    """Embeds actions: ``(…, A)`` float32 in [-1, 1] -> ``(…, width)``."""

    def __init__(self, max_size: int, width: int, embodiments: int) -> None:
        super().__init__()
        self.max_size = max_size
        self.width = width
        self.embed = nn.Linear(2 * max_size, width)
        self.embodiment = nn.Embedding(embodiments, width)
        self.no_action = nn.Parameter(torch.zeros(width))
        self.register_buffer("has", torch.ones(embodiments, max_size), persistent=False)

    has: Tensor  # (embodiments, max_size): 1 where a body has that action number

    def forward(self, actions: Tensor, embodiment: int | Tensor = 0, labelled: Tensor | None = None) -> Tensor:
        """``embodiment``, one for all or int64 and broadcastable to ``(…)``, says which body acts; numbers that it does
        not have count for nothing. ``labelled`` bool ``(…)`` marks actions that are known; None means all of them.
        Those of a body without any are never known.

        Raises VideoSimError when ``A`` exceeds the model's maximum.
        """
        size = actions.shape[-1]
        if size > self.max_size:
            raise VideoSimError(
                f"this model takes at most {self.max_size} action numbers and got {size}; raise max_action_size"
            )
        # A single row is not looked up: gradients of a look-up are summed in another order, and so rounded.
        body = embodiment if len(self.has) > 1 else 0
        padded = F.pad(actions, (0, self.max_size - size)) * self.has[body]
        mask = F.pad(torch.ones_like(actions), (0, self.max_size - size)) * self.has[body]
        tokens = self.embed(torch.cat([padded, mask], -1)) + self.embodiment.weight[body]
        known = self.steered(body) if labelled is None else labelled & self.steered(body)
        return torch.where(known[..., None], tokens, self.no_action)

    def steered(self, embodiment: int | Tensor) -> Tensor:
        """Whether a body has any action, bool of the shape of ``embodiment``."""
        return self.has[embodiment].any(-1)
