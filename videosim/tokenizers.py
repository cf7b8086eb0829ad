"""Video compression: frames to a small grid of continuous tokens and back. Knows nothing of actions or time.

Small things are what every compressor of this kind loses first, so the reconstruction loss is weighted towards what
moves in an episode and what sets it apart from the others (a target that stands still), and, where a log has sensors,
the latents of two consecutive frames must let a small network read them (a still frame cannot show a velocity).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from videosim.errors import VideoSimError
from videosim.fsq import codes, indices, quantise, to_ids
from videosim.layers import linear
from videosim.missing import filled
from videosim.model_config import ConvTokenizerConfig, FsqTokenizerConfig, KlTokenizerConfig, TokenizerConfig
from videosim.types import FrameSpec, LatentLayout


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
    """Interface of every tokenizer. ``layout`` describes what ``encode`` returns for one frame."""

    layout: LatentLayout

    @property
    def tokens(self) -> int:
        """N, tokens of a frame."""
        return self.layout.tokens

    @property
    def width(self) -> int:
        """D, numbers of a token."""
        return self.layout.width

    @abstractmethod
    def encode(self, frames: Tensor) -> Latents:
        """uint8 ``(B, H, W, 3)`` -> latents of B frames."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """float32 ``(B, N, D)`` -> uint8 ``(B, H, W, 3)``."""

    @abstractmethod
    def loss(
        self, frames: Tensor, backgrounds: Tensor, sensors: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Training loss on pairs of consecutive frames.

        frames uint8 ``(B, 2, H, W, 3)``; backgrounds uint8 ``(B, K, H, W, 3)``, pictures that show nothing of interest;
        sensors float32 ``(B, S)`` standardised, of the second frame (S may be 0; NaN where they are not known).
        """


KEYPOINT_STRIDE = 2  # halvings of the frame before keypoints are looked for
KEYPOINT_WIDTH = 48
LOG_VARIANCE, START = (-12.0, 4.0), -4.0  # of a posterior: its limits, and where it begins


class Keypoints(nn.Module):
    """Where in the picture something is: the mean place under each of K learned maps, in [-1, 1] (the spatial softmax
    of Levine et al., "End-to-end training of deep visuomotor policies", 2016, section 5.1).

    A grid of coarse tokens tells where a small thing is only through the pattern of its numbers; a place is a number
    that moves as the thing does.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(width, KEYPOINT_WIDTH, 3, padding=1), nn.SiLU(), nn.Conv2d(KEYPOINT_WIDTH, count, 3, padding=1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """``(B, width, h, w)`` -> ``(B, K, 2)``: x to the right, y down."""
        maps = self.maps(features)
        rows, columns = maps.shape[-2:]
        share = maps.flatten(2).softmax(-1).unflatten(-1, (rows, columns))
        x = share.sum(-2) @ torch.linspace(-1, 1, columns, device=maps.device)
        y = share.sum(-1) @ torch.linspace(-1, 1, rows, device=maps.device)
        return torch.stack([x, y], -1)


class ConvTokenizer(Tokenizer):
    """Strided convolutions to an ``h × w`` grid of tanh-bounded tokens, mirrored by an upsampling decoder, and to the
    places of keypoints, which fill further tokens and are not decoded."""

    def __init__(self, config: ConvTokenizerConfig, frame: FrameSpec, sensors: int) -> None:
        super().__init__()
        stride = 2 ** len(config.widths)
        if frame.height % stride or frame.width % stride:
            raise VideoSimError(
                f"the conv tokenizer halves a frame {len(config.widths)} times, so height and width must be multiples "
                f"of {stride}; got {frame.height}x{frame.width}"
            )
        fits = (2 * config.keypoints) % config.channels == 0 and len(config.widths) > KEYPOINT_STRIDE
        if config.keypoints and not fits:
            raise VideoSimError(
                f"keypoints need more than {KEYPOINT_STRIDE} widths, and to be so many that their numbers fill "
                f"tokens of {config.channels} channels; got {config.keypoints} keypoints, widths {list(config.widths)}"
            )
        self.config = config
        extra = 2 * config.keypoints // config.channels
        self.layout = LatentLayout(frame.height // stride, frame.width // stride, extra, config.channels)
        self.cells = self.layout.rows * self.layout.columns

        layers: list[nn.Module] = []
        previous = 3
        for width in config.widths:
            layers += [nn.Conv2d(previous, width, 4, stride=2, padding=1), nn.SiLU()]
            previous = width
        self.keypoints = Keypoints(config.widths[KEYPOINT_STRIDE - 1], config.keypoints) if config.keypoints else None
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
            linear(256, sensors),
        )

    def _encode(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` -> ``(B, N, D)``: the cells of the grid, row by row, then the keypoints."""
        fine = self.encoder[: 2 * KEYPOINT_STRIDE](images)
        return self._joined(torch.tanh(self.encoder[2 * KEYPOINT_STRIDE :](fine)), fine)

    def _joined(self, grid: Tensor, fine: Tensor) -> Tensor:
        tokens = rearrange(grid, "b d h w -> b (h w) d")
        if self.keypoints is None:
            return tokens
        return torch.cat([tokens, self.keypoints(fine).reshape(len(grid), -1, self.width)], 1)

    def _taught(self, images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, dict[str, float]]:
        """The tokens that training decodes, what they cost beside, and the terms of that."""
        return self._encode(images), images.new_zeros(()), {}

    def _decode(self, z: Tensor) -> Tensor:
        grid = rearrange(z[:, : self.cells], "b (h w) d -> b d h w", h=self.layout.rows)
        # However the tokens lie in memory: with channels last a CPU decodes twice as fast.
        return self.decoder(grid.contiguous(memory_format=torch.channels_last))

    def encode(self, frames: Tensor) -> Latents:
        return Latents(self._encode(to_unit(frames)))

    def decode(self, z: Tensor) -> Tensor:
        return to_uint8(self._decode(z))

    def loss(
        self, frames: Tensor, backgrounds: Tensor, sensors: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        z, cost, terms = self._taught(rearrange(to_unit(frames), "b two c h w -> (b two) c h w"), rng)
        pair = rearrange(z, "(b two) n d -> b two n d", two=2)
        # The first frame serves the sensors alone: decoding two frames as like as these would teach little more.
        image = to_unit(frames[:, 1])
        interest = (image[:, None] - to_unit(backgrounds)).abs().mean(2, keepdim=True).amax(1)
        weight = 1.0 + self.config.moving_weight * interest
        reconstruction = (weight * (self._decode(pair[:, 1]) - image).square()).mean() / weight.mean()
        total = 100.0 * reconstruction + cost
        terms = {"reconstruction": float(reconstruction.detach()), **terms}
        if sensors.shape[-1] and self.config.sensor_weight:
            # Huber's, because a collision is a velocity many standard deviations away.
            read = self.probe(pair.flatten(1))
            reading = 2.0 * F.huber_loss(read, filled(sensors, read))
            total = total + self.config.sensor_weight * reading
            terms["sensor_reading"] = float(reading.detach())
        return total, terms


class FsqTokenizer(ConvTokenizer):
    """The conv tokenizer with every number rounded to one of ``levels`` values.

    In training half of the rows go unrounded: from the start rounded tokens teach a decoder that knows nothing yet
    hardly anything.
    """

    def __init__(self, config: FsqTokenizerConfig, frame: FrameSpec, sensors: int) -> None:
        super().__init__(config, frame, sensors)
        if config.levels < 2 or config.levels**config.channels >= 2**63:
            raise VideoSimError(
                f"a number takes 2 values or more, and a token fewer than 2**63; got {config.levels} levels and "
                f"{config.channels} channels"
            )
        self.layout = replace(self.layout, levels=config.levels)

    def encode(self, frames: Tensor) -> Latents:
        index = indices(super().encode(frames).z, self.layout.levels)
        return Latents(codes(index, self.layout.levels), to_ids(index, self.layout.levels))

    def _taught(self, images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, dict[str, float]]:
        z, cost, terms = super()._taught(images, rng)
        whole = len(z) // 2
        return torch.cat([z[:whole], quantise(z[whole:], self.layout.levels)]), cost, terms


class KlTokenizer(ConvTokenizer):
    """The conv tokenizer with a Gaussian posterior in every cell of the grid, not bounded: its mean is the token.

    Training draws the token from the posterior and pays ``kl_weight`` for each nat, of a number on average, between it
    and the unit Gaussian (Kingma & Welling, "Auto-encoding variational Bayes", 2014, appendix B; with a small weight,
    Rombach et al., "High-resolution image synthesis with latent diffusion models", 2022, section 3.1). So near tokens
    mean near pictures, and a core may be off by as much as the posterior is wide.
    """

    def __init__(self, config: KlTokenizerConfig, frame: FrameSpec, sensors: int) -> None:
        super().__init__(config, frame, sensors)
        self.kl_weight = config.kl_weight
        self.log_variance = nn.Conv2d(config.widths[-1], config.channels, 1)
        nn.init.constant_(self.log_variance.bias, START)  # type: ignore[arg-type]

    def _encode(self, images: Tensor) -> Tensor:
        fine = self.encoder[: 2 * KEYPOINT_STRIDE](images)
        return self._joined(self.encoder[2 * KEYPOINT_STRIDE :](fine), fine)

    def _taught(self, images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, dict[str, float]]:
        fine = self.encoder[: 2 * KEYPOINT_STRIDE](images)
        features = self.encoder[2 * KEYPOINT_STRIDE : -1](fine)
        mean, log_variance = self.encoder[-1](features), self.log_variance(features).clamp(*LOG_VARIANCE)
        drawn = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=rng)
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).mean()
        return self._joined(drawn, fine), self.kl_weight * kl, {"kl": float(kl.detach())}


KINDS: dict[type[TokenizerConfig], Callable[[Any, FrameSpec, int], Tokenizer]] = {
    ConvTokenizerConfig: ConvTokenizer,
    FsqTokenizerConfig: FsqTokenizer,
    KlTokenizerConfig: KlTokenizer,
}


def build_tokenizer(config: TokenizerConfig, frame: FrameSpec, sensors: int) -> Tokenizer:
    """The tokenizer that ``config.kind`` names."""
    if type(config) not in KINDS:
        known = ", ".join(kind.kind for kind in KINDS)
        raise VideoSimError(f"unknown tokenizer kind {config.kind!r}; known: {known}")
    return KINDS[type(config)](config, frame, sensors)
