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

    def forward(self, actions: Tensor, embodiment: int = 0, labelled: Tensor | None = None) -> Tensor:
        """``labelled`` bool ``(…)`` marks actions that are known; None means all of them.

        Raises VideoSimError when ``A`` exceeds the model's maximum.
        """
        size = actions.shape[-1]
        if size > self.max_size:
            raise VideoSimError(
                f"this model takes at most {self.max_size} action numbers and got {size}; raise max_action_size"
            )
        padded = F.pad(actions, (0, self.max_size - size))
        mask = F.pad(torch.ones_like(actions), (0, self.max_size - size))
        tokens = self.embed(torch.cat([padded, mask], -1)) + self.embodiment.weight[embodiment]
        if labelled is not None:
            tokens = torch.where(labelled[..., None], tokens, self.no_action)
        return tokens
