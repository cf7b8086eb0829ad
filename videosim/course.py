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

from videosim.bridge import Bridge, wander
from videosim.dynamics import Telling
from videosim.flow import FlowPath
from videosim.missing import as_input
from videosim.model_config import FlowConfig, SpaceTimeConfig
from videosim.paths import Predict, guided, normal
from videosim.text import build_text
from videosim.transformer import Left, SpaceTimeTransformer, View
from videosim.whole_clips import ends, heard

LEVEL_WAVES = 8  # numbers that describe a level
LAYERS, HEADS, FINEST = 4, 4, 32
PASSES = 16


def _variance(level: Tensor) -> Tensor:
    """Of what lies at a ``level`` between independent numbers of variance 1."""
    return level.square() + (1.0 - level).square()


def _weight(level: Tensor) -> Tensor:
    """By which the errors of the network's own numbers, not of what is made of them, count the same at all levels."""
    return _variance(level) / (1.0 - level).clamp(min=1.0 / FINEST).square()


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
    """Actions that are not known are tokens of none (``ActionTokens``).

    Set from the data before training: ``tied`` ``(S,)``, what each number shares with itself a moment before (``tie``).
    """

    tied: Tensor
    waves: Tensor

    def __init__(self, config: SpaceTimeConfig, sensors: int, action_width: int) -> None:
        super().__init__()
        width = config.course
        self.path = FlowPath(FlowConfig(finest=FINEST, shortcut=0.0), sensors)
        self.into = nn.Linear(2 * sensors + 1 + LEVEL_WAVES, width)
        self.action = nn.Linear(action_width, width)
        self.beginning = nn.Parameter(torch.zeros(action_width))  # led to the first frame
        self.text = build_text(config.text, width)
        self.transformer = SpaceTimeTransformer(width, LAYERS, HEADS, 1, lambda layer: {"beside": Beside(width)})
        self.out = nn.Linear(width, self.path.outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("tied", torch.zeros(sensors))
        self.register_buffer("waves", torch.pi * torch.arange(1, LEVEL_WAVES + 1), persistent=False)

    def _predict(self, bridge: Bridge, known: Tensor, actions: Tensor, texts: Sequence[str] | None) -> Predict:
        """What the network answers of how far states are off what is ``known`` of them."""
        first = self.beginning.expand(len(known), 1, -1)
        led = self.action(torch.cat([first, actions], 1))
        if self.text is not None:
            led = led + self.text(texts or [""] * len(known))[:, None]
        time = torch.arange(known.shape[1], dtype=torch.float32, device=known.device)
        places = torch.stack([time, torch.zeros_like(time), torch.zeros_like(time)], -1)[None, :, None]

        # Neither the size of a step nor a part of the rows is ever asked for: no shortcuts are learned.
        def predict(off: Tensor, level: Tensor, size: Tensor, rows: Tensor | None = None) -> Tensor:
            # The best guess of whoever knows no more than the bridge; the network's own numbers are what is wrong with
            # it, in its standard deviations (Karras et al. 2022, section 5, for this path).
            clear = (level / _variance(level))[..., None] * off
            states = bridge.at(clear[:, :, 0])[:, :, None]
            tokens = self.into(torch.cat([clear, states, known, (level[..., None] * self.waves).cos()], -1))
            tokens, _ = self.transformer(tokens + led[:, :, None], places.expand(len(tokens), -1, -1, -1))
            answer = self.path.answer(self.out(tokens), clear, torch.zeros_like(clear), level)
            return clear + ((1.0 - level) / _variance(level).sqrt())[..., None] * answer

        return predict

    def _noise(self, fresh: Tensor, known: Tensor, felt: Tensor) -> Tensor:
        """Where a course sets out from, ``(B, T, 1, S)``, of ``fresh`` normal numbers ``(B, T, S)``: off the mean as
        anything is that goes through what is ``known``."""
        wandered = wander(fresh, self.tied)
        return Bridge.of(wandered, known, self.tied, felt).off(wandered)[:, :, None]

    def loss(
        self, sensors: Tensor, actions: Tensor, valid: Tensor, rng: torch.Generator, telling: Telling | None = None
    ) -> Tensor:
        """Mean error of clips ``(B, T+1, S)`` standardised, NaN where a body has no such sensor, under action tokens
        ``(B, T, W)``; valid bool ``(B, T)``: which transitions there are. Some first and last states are known."""
        rows, frames = sensors.shape[:2]
        states, felt = as_input(sensors), 1.0 - sensors[:, 0].isnan().float()
        known = ends(rows, frames, rng).float()
        texts = None
        if self.text is not None:
            texts = [""] * rows if telling is None else telling(frames, rng)
            texts, alone = heard(texts, self.text.unsaid, self.text.alone, rng)
            known = known * ~alone[..., 0]
        bridge = Bridge.of(states, known, self.tied, felt)
        noise = self._noise(torch.randn(states.shape, generator=rng), known, felt)
        kept = known[..., None]
        predict = self._predict(bridge, kept[..., None], actions, texts)
        lost = self.path.loss_from(noise, predict, bridge.off(states)[:, :, None], kept, rng, _weight)
        exists = torch.cat([valid.new_ones(rows, 1), valid], 1).float()
        own = felt.shape[1] / felt.sum(1, keepdim=True)  # what a body does not have is right of itself
        return (lost * own * exists).sum() / exists.sum()

    @torch.no_grad()
    def generate(
        self,
        given: Tensor,
        known: Tensor,
        actions: Tensor,
        rngs: Sequence[torch.Generator],
        texts: Sequence[str] | None = None,
        guidance: float = 0.0,
        felt: Tensor | None = None,
    ) -> Tensor:
        """States of all frames of clips ``(B, T, S)``; those that are ``known``, 1 or 0, ``(B, T)``, stay as they are
        ``given``. guidance: how far from what would be without the text. felt ``(B, S)``, 1 or 0: the numbers that each
        body has; None: all."""
        felt = torch.ones_like(given[:, 0]) if felt is None else felt
        bridge = Bridge.of(given, known, self.tied, felt)
        noise = self._noise(normal(rngs, given.shape[1:], given.device), known, felt)
        kept = known[..., None]
        predict = self._predict(bridge, kept[..., None], actions, texts)
        if guidance and any(texts or ()):
            predict = guided(predict, self._predict(bridge, kept[..., None], actions, None), guidance)
        off = self.path.sample_from(noise, predict, torch.zeros_like(noise), kept, PASSES)
        return torch.where(kept == 1.0, given, bridge.at(off[:, :, 0]))
