"""The course of the physical state over a whole clip, where nobody has said what was done, or only where it shall end.

What a film shows is a few numbers a frame where a log has sensors, and far easier to make up than its pictures: what is
known of it, some frames' states, actions or words, decides on those numbers first (flow matching on short vectors, one
token a frame), and the pictures follow (``SpaceTimeDynamics.generate``). Knows no picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videosim.dynamics import Telling
from videosim.flow import FlowPath
from videosim.missing import as_input
from videosim.model_config import FlowConfig, SpaceTimeConfig
from videosim.paths import Predict, guided
from videosim.text import build_text
from videosim.transformer import Left, SpaceTimeTransformer, View
from videosim.whole_clips import ends, heard, nearest

LEVEL_WAVES = 8  # numbers that describe a level
LAYERS, HEADS, FINEST = 4, 4, 32
PASSES, FROM_NOTHING = 2, 16  # more of them make up more, and where something is known every moment trembles


class Beside(nn.Module):
    """A convolution over time: what a moment is follows from those beside it, which attention is slow to find out."""

    leaves = False

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.moments = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, x: Tensor, view: View, past: Left | None) -> tuple[Tensor, None]:
        moments = F.silu(self.moments(self.norm(x[:, :, 0]).transpose(1, 2)))
        return moments.transpose(1, 2)[:, :, None], None


class Course(nn.Module):
    """``width``: numbers of a token. Actions that are not known are tokens of none (``ActionTokens``)."""

    waves: Tensor

    def __init__(self, config: SpaceTimeConfig, sensors: int, action_width: int) -> None:
        super().__init__()
        width = config.course
        self.path = FlowPath(FlowConfig(finest=FINEST), sensors)
        self.into = nn.Linear(2 * sensors + 1 + LEVEL_WAVES, width)
        self.size = nn.Embedding(self.path.sizes, width)
        self.action = nn.Linear(action_width, width)
        self.beginning = nn.Parameter(torch.zeros(action_width))  # led to the first frame
        self.text = build_text(config.text, width)
        self.transformer = SpaceTimeTransformer(width, LAYERS, HEADS, 1, lambda layer: {"beside": Beside(width)})
        self.out = nn.Linear(width, self.path.outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("waves", torch.pi * torch.arange(1, LEVEL_WAVES + 1), persistent=False)

    def _predict(self, given: Tensor, known: Tensor, actions: Tensor, texts: Sequence[str] | None) -> Predict:
        before, shown = nearest(given, known)
        first = self.beginning.expand(len(given), 1, -1)
        led = self.action(torch.cat([first, actions], 1))
        if self.text is not None:
            led = led + self.text(texts or [""] * len(given))[:, None]
        time = torch.arange(given.shape[1], dtype=torch.float32, device=given.device)
        places = torch.stack([time, torch.zeros_like(time), torch.zeros_like(time)], -1)[None, :, None]

        def predict(states: Tensor, level: Tensor, size: Tensor, rows: Tensor | None = None) -> Tensor:
            told, near, seen = (x if rows is None else x[rows] for x in (led, before, shown))
            # Of pure noise nothing is seen: a network of this size does not learn to look past it, and every moment
            # would tremble by itself.
            clear = near + level[..., None] * (states - near)
            numbers = torch.cat([clear, near, seen[..., None], (level[..., None] * self.waves).cos()], -1)
            tokens = self.into(numbers) + (told + self.size(size))[..., None, :]
            tokens, _ = self.transformer(tokens, places.expand(len(tokens), -1, -1, -1))
            return self.path.answer(self.out(tokens), clear, near, seen)

        return predict

    def loss(
        self, sensors: Tensor, actions: Tensor, valid: Tensor, rng: torch.Generator, telling: Telling | None = None
    ) -> Tensor:
        """Mean error of clips ``(B, T+1, S)`` standardised, NaN where a body has no such sensor, under action tokens
        ``(B, T, W)``; valid bool ``(B, T)``: which transitions there are. Some first and last states are known."""
        rows, frames = sensors.shape[:2]
        states = as_input(sensors)[:, :, None]
        known = ends(rows, frames, rng).float()[..., None]
        texts = None
        if self.text is not None:
            texts = [""] * rows if telling is None else telling(frames, rng)
            texts, alone = heard(texts, self.text.unsaid, self.text.alone, rng)
            known = known * ~alone
            actions = torch.where(alone, self.beginning, actions)
        lost = self.path.loss(self._predict(states, known, actions, texts), states, known, rng, together=True)
        exists = torch.cat([valid.new_ones(rows, 1), valid], 1).float()
        return (lost * exists).sum() / exists.sum()

    @torch.no_grad()
    def generate(
        self,
        given: Tensor,
        known: Tensor,
        actions: Tensor,
        rngs: Sequence[torch.Generator],
        texts: Sequence[str] | None = None,
        guidance: float = 0.0,
    ) -> Tensor:
        """States of all frames of clips ``(B, T, S)``; those that are ``known``, 1 or 0, ``(B, T)``, stay as they are
        ``given``. guidance: how far from what would be without the text."""
        states, kept = given[:, :, None], known[..., None]
        predict = self._predict(states, kept, actions, texts)
        if guidance and any(texts or ()):
            predict = guided(predict, self._predict(states, kept, actions, None), guidance)
        passes = PASSES if bool(known.any()) else FROM_NOTHING
        return self.path.sample(predict, states, kept, rngs, passes)[:, :, 0]
