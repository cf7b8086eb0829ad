"""Video compression: frames to a small grid of continuous tokens and back. Knows nothing of actions or time.

Small things are what every compressor of this kind loses first, so the reconstruction loss is weighted towards what
moves in an episode and what sets it apart from the others (a target that stands still), and, where a log has sensors,
the latents of two consecutive frames must let a small network read them (a still frame cannot show a velocity).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from videosim.config import ConvTokenizerConfig, TokenizerConfig
from videosim.errors import VideoSimError
from videosim.types import FrameSpec


@dataclass
class Latents:
    """``z`` float32 ``(…, N, D)``; ``ids`` int64 ``(…, N)`` for a discrete tokenizer, else None."""

    z: Tensor
    ids: Tensor | None = None


def to_unit(frames: Tensor) -> Tensor:
    """uint8 ``(…, H, W, 3)`` -> float32 ``(…, 3, H, W)`` in [-0.5, 0.5]."""
    return rearrange(frames, "... h w c -> ... c h w").float() / 255.0 - 0.5


def to_uint8(images: Tensor) -> Tensor:
    """float ``(…, 3, H, W)`` in [-0.5, 0.5] -> uint8 ``(…, H, W, 3)``."""
    return rearrange(((images + 0.5) * 255.0).round().clamp(0, 255).to(torch.uint8), "... c h w -> ... h w c")


class Tokenizer(nn.Module, ABC):
    """Interface of every tokenizer. ``tokens`` N and ``width`` D describe what ``encode`` returns for one frame."""

    tokens: int
    width: int

    @abstractmethod
    def encode(self, frames: Tensor) -> Latents:
        """uint8 ``(B, H, W, 3)`` -> latents of B frames."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """float32 ``(B, N, D)`` -> uint8 ``(B, H, W, 3)``."""

    @abstractmethod
    def loss(self, frames: Tensor, backgrounds: Tensor, sensors: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Training loss on pairs of consecutive frames.

        frames uint8 ``(B, 2, H, W, 3)``; backgrounds uint8 ``(B, K, H, W, 3)``, pictures that show nothing of interest;
        sensors float32 ``(B, S)`` standardised, of the second frame (S may be 0).
        """


class ConvTokenizer(Tokenizer):
    """Strided convolutions to an ``h × w`` grid of tanh-bounded tokens, mirrored by an upsampling decoder."""

    def __init__(self, config: ConvTokenizerConfig, frame: FrameSpec, sensors: int) -> None:
        super().__init__()
        stride = 2 ** len(config.widths)
        if frame.height % stride or frame.width % stride:
            raise VideoSimError(
                f"the conv tokenizer halves a frame {len(config.widths)} times, so height and width must be multiples "
                f"of {stride}; got {frame.height}x{frame.width}"
            )
        self.config = config
        self.rows, self.columns = frame.height // stride, frame.width // stride
        self.tokens, self.width = self.rows * self.columns, config.channels

        layers: list[nn.Module] = []
        previous = 3
        for width in config.widths:
            layers += [nn.Conv2d(previous, width, 4, stride=2, padding=1), nn.SiLU()]
            previous = width
        layers += [nn.Conv2d(previous, previous, 3, padding=1), nn.SiLU(), nn.Conv2d(previous, config.channels, 1)]
        self.encoder = nn.Sequential(*layers)

        layers = [nn.Conv2d(config.channels, previous, 3, padding=1), nn.SiLU()]
        for width in reversed(config.widths[:-1]):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(previous, width, 3, padding=1), nn.SiLU()]
            previous = width
        # Sub-pixel upsampling for the last step: a full-resolution convolution would cost as much as all the others.
        layers += [nn.Conv2d(previous, 3 * 2**2, 3, padding=1), nn.PixelShuffle(2)]
        self.decoder = nn.Sequential(*layers)
        self.probe = nn.Sequential(
            nn.Linear(2 * self.tokens * self.width, 256),
            nn.SiLU(),
            nn.Linear(256, 256),
            nn.SiLU(),
            nn.Linear(256, sensors),
        )

    def _encode(self, images: Tensor) -> Tensor:
        return torch.tanh(self.encoder(images))

    def encode(self, frames: Tensor) -> Latents:
        return Latents(rearrange(self._encode(to_unit(frames)), "b d h w -> b (h w) d"))

    def decode(self, z: Tensor) -> Tensor:
        grid = rearrange(z, "b (h w) d -> b d h w", h=self.rows)
        return to_uint8(self.decoder(grid))

    def loss(self, frames: Tensor, backgrounds: Tensor, sensors: Tensor) -> tuple[Tensor, dict[str, float]]:
        grid = self._encode(rearrange(to_unit(frames), "b two c h w -> (b two) c h w"))
        pair = rearrange(grid, "(b two) d h w -> b two d h w", two=2)
        # The first frame serves the sensors alone: decoding two frames as like as these would teach little more.
        image = to_unit(frames[:, 1])
        interest = (image[:, None] - to_unit(backgrounds)).abs().mean(2, keepdim=True).amax(1)
        weight = 1.0 + self.config.moving_weight * interest
        reconstruction = (weight * (self.decoder(pair[:, 1]) - image).square()).mean() / weight.mean()
        total = 100.0 * reconstruction
        terms = {"reconstruction": float(reconstruction.detach())}
        if sensors.shape[-1] and self.config.sensor_weight:
            reading = (self.probe(pair.flatten(1)) - sensors).square().mean()
            total = total + self.config.sensor_weight * reading
            terms["sensor_reading"] = float(reading.detach())
        return total, terms


def build_tokenizer(config: TokenizerConfig, frame: FrameSpec, sensors: int) -> Tokenizer:
    """The tokenizer that ``config.kind`` names."""
    if isinstance(config, ConvTokenizerConfig):
        return ConvTokenizer(config, frame, sensors)
    raise VideoSimError(f"unknown tokenizer kind {config.kind!r}; known: conv")
