"""Keypoints say where a thing is, more finely than the grid they are found on; discrete tokens are their ids."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.errors import VideoSimError
from videosim.fsq import codes, from_ids
from videosim.model_config import ConvTokenizerConfig, FsqTokenizerConfig
from videosim.tokenizers import ConvTokenizer, Keypoints, build_tokenizer, to_unit
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
        loss, _ = tokenizer.loss(frames, torch.zeros_like(frames), (places - 16.0) / 7.0)
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
    trained, smooth = tokenizer._training_tokens(images), tokenizer._encode(images)
    assert torch.equal(trained[:3], smooth[:3])  # half of the rows go unrounded
    torch.testing.assert_close(trained[3:], latents.z[3:])


@pytest.mark.parametrize("changed", [{"levels": 1}, {"levels": 300, "channels": 8}])
def test_tokens_without_a_number_are_refused(changed: dict) -> None:
    with pytest.raises(VideoSimError, match="2 values or more"):
        build_tokenizer(FsqTokenizerConfig(**changed), FrameSpec(64, 64), 0)
