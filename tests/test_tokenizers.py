"""Keypoints say where a thing is, more finely than the grid they are found on; discrete tokens are their ids."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.errors import VideoSimError
from videosim.fsq import codes, from_ids
from videosim.model_config import ConvTokenizerConfig, FsqTokenizerConfig, KlTokenizerConfig, TokenizerConfig
from videosim.tokenizers import ConvTokenizer, Keypoints, KlTokenizer, build_tokenizer, to_unit
from videosim.types import FrameSpec, LatentLayout


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), count=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_a_place_is_in_the_picture(rows: int, columns: int, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    places = Keypoints(3, count)(9.0 * torch.randn(2, 3, rows, columns))
    assert places.shape == (2, count, 2)
    assert bool((places.abs() <= 1.0 + 1e-6).all())


def test_a_turned_picture_turns_the_places() -> None:
    """Swapping the picture's axes, and those of the kernels, swaps x and y."""
    torch.manual_seed(0)
    points, features = Keypoints(3, 4), torch.randn(2, 3, 8, 8)
    straight = points(features)
    with torch.no_grad():
        for layer in points.maps[::2]:
            layer.weight.copy_(layer.weight.transpose(-1, -2).clone())
    assert torch.allclose(points(features.transpose(-1, -2)), straight.flip(-1), atol=1e-5)


def dots(places: torch.Tensor) -> torch.Tensor:
    """Pictures ``(B, 32, 32, 3)`` of a soft white dot, two pixels wide, at ``places`` ``(B, 2)`` in pixels."""
    axis = torch.arange(32.0)
    away = (axis - places[:, :1, None]).square() + (axis[:, None] - places[:, 1:, None]).square()
    return (255.0 * torch.exp(-away / 4.0)).to(torch.uint8)[..., None].expand(-1, -1, -1, 3)


def test_places_are_finer_than_the_grid() -> None:
    """The latents of one frame tell where a dot is to a third of a pixel, though a token is eight pixels wide."""
    torch.manual_seed(0)
    tokenizer = ConvTokenizer(ConvTokenizerConfig(keypoints=4, widths=[16, 16, 16]), FrameSpec(32, 32), 2)
    optimizer = torch.optim.Adam(tokenizer.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(300):
        places = 4.0 + 24.0 * torch.rand(64, 2, generator=generator)
        frames = dots(places)[:, None].expand(-1, 2, -1, -1, -1)
        loss, _ = tokenizer.loss(frames, torch.zeros_like(frames), (places - 16.0) / 7.0, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    places = 4.0 + 24.0 * torch.rand(256, 2, generator=generator)
    with torch.no_grad():
        z = tokenizer.encode(dots(places)).z[:, tokenizer.cells :].flatten(1)
    design = torch.cat([z, torch.ones(len(z), 1)], 1)
    read = design @ torch.linalg.lstsq(design[:128], places[:128]).solution
    assert float((read - places)[128:].abs().median()) < 0.33


@pytest.mark.parametrize("changed", [{"keypoints": 3}, {"widths": [8, 8]}])
def test_keypoints_that_fill_no_tokens_are_refused(changed: dict) -> None:
    with pytest.raises(VideoSimError, match="keypoints need"):
        ConvTokenizer(ConvTokenizerConfig(**changed), FrameSpec(32, 32), 0)


@torch.no_grad()
def test_discrete_tokens_are_codes_and_ids_that_decode_alike() -> None:
    torch.manual_seed(0)
    config = FsqTokenizerConfig(channels=3, widths=[8, 8, 8], levels=5)
    tokenizer = build_tokenizer(config, FrameSpec(32, 48), 2)
    assert tokenizer.layout == LatentLayout(rows=4, columns=6, extra=0, width=3, levels=5)
    tokenizer.encoder[-1].weight *= 100.0  # untrained, it would say the same of every picture
    frames = torch.randint(256, (6, 32, 48, 3), dtype=torch.uint8)
    latents = tokenizer.encode(frames)
    assert latents.ids is not None and latents.ids.shape == (6, 24) and len(latents.ids.unique()) > 1
    assert torch.equal(codes(from_ids(latents.ids, 5, 3), 5), latents.z)
    images = to_unit(frames)
    trained, smooth = tokenizer._taught(images, torch.Generator())[0], tokenizer._encode(images)
    assert torch.equal(trained[:3], smooth[:3])  # half of the rows go unrounded
    torch.testing.assert_close(trained[3:], latents.z[3:])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian() -> KlTokenizer:
    torch.manual_seed(0)
    config = KlTokenizerConfig(channels=3, keypoints=3, widths=[8, 8, 8])
    return KlTokenizer(config, FrameSpec(32, 48), 2)


@torch.no_grad()
def test_training_draws_from_the_posterior_whose_mean_is_the_token() -> None:
    tokenizer = gaussian()
    frames = torch.randint(256, (40, 32, 48, 3), dtype=torch.uint8)
    images = to_unit(frames)
    mean = tokenizer.encode(frames).z
    assert tokenizer.encode(frames).ids is None and tokenizer.layout.levels == 0 and mean.shape == (40, 26, 3)
    drawn = torch.stack([tokenizer._taught(images, seeded(n))[0] for n in range(60)])
    assert torch.equal(drawn[0], tokenizer._taught(images, seeded(0))[0]) and not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0][:, 24:], mean[:, 24:])  # places are no Gaussian
    features = tokenizer.encoder[:-1](images)
    std = (0.5 * tokenizer.log_variance(features)).exp().flatten(2).transpose(1, 2)
    off = (drawn[:, :, :24] - mean[:, :24]) / std
    assert abs(float(off.mean())) < 0.01 and float(off.std()) == pytest.approx(1.0, abs=0.01)
    posterior = torch.distributions.Normal(mean[:, :24], std)
    nats = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).mean()
    _, cost, terms = tokenizer._taught(images, seeded())
    assert terms["kl"] == pytest.approx(float(nats), rel=1e-4) and float(cost) == pytest.approx(1e-3 * float(nats))


def test_the_more_a_nat_costs_the_fewer_are_told() -> None:
    told, missed = [], []
    for weight in (1e-3, 1.0, 10.0):
        torch.manual_seed(0)
        config = KlTokenizerConfig(channels=3, keypoints=0, widths=[8, 8, 8], kl_weight=weight)
        tokenizer, generator = build_tokenizer(config, FrameSpec(32, 32), 0), seeded(1)
        optimizer = torch.optim.Adam(tokenizer.parameters(), lr=5e-3)
        for _ in range(100):
            frames = dots(4.0 + 24.0 * torch.rand(32, 2, generator=generator))[:, None].expand(-1, 2, -1, -1, -1)
            loss, terms = tokenizer.loss(frames, torch.zeros_like(frames), torch.zeros(32, 0), generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        told.append(terms["kl"])
        missed.append(terms["reconstruction"])
    assert told[0] > 3.0 * told[1] > 9.0 * told[2] and missed[0] < 0.75 * missed[2]


def test_unknown_kinds_are_named_with_those_that_are() -> None:
    with pytest.raises(VideoSimError, match="conv, fsq, kl"):
        build_tokenizer(TokenizerConfig("jpeg"), FrameSpec(64, 64), 0)


@pytest.mark.parametrize("changed", [{"levels": 1}, {"levels": 300, "channels": 8}])
def test_tokens_without_a_number_are_refused(changed: dict) -> None:
    with pytest.raises(VideoSimError, match="2 values or more"):
        build_tokenizer(FsqTokenizerConfig(**changed), FrameSpec(64, 64), 0)
