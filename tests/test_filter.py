"""What is believed of a state that frames show: read, expected, and mixed."""

from __future__ import annotations

import torch
from torch import Tensor

from videosim.filter import Filter


def film(rows: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Places that actions move, shown with noise: latents ``(rows, 9, 1, 2)``, actions, sensors ``(rows, 9, 1)``."""
    actions = torch.randn(rows, 8, 1, generator=rng)
    place = torch.cat([torch.randn(rows, 1, generator=rng), 0.5 * actions[..., 0]], 1).cumsum(1)[..., None]
    noise = 0.5 * torch.randn(rows, 9, 1, generator=rng)
    return torch.cat([place + noise, torch.ones_like(place)], -1)[:, :, None], actions, place


def move(sensors: Tensor, action: Tensor) -> Tensor:
    return sensors + 0.5 * action


def test_a_state_that_moves_as_expected_is_known_better_than_frames_tell() -> None:
    torch.manual_seed(0)
    filter, rng = Filter(2, 1, 24), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(filter.parameters(), 3e-3)
    for _ in range(250):
        latents, actions, place = film(64, rng)
        lost = filter.loss(latents, actions, place, torch.ones(64, 8).bool(), move)
        optimizer.zero_grad()
        lost.backward()
        optimizer.step()
    latents, actions, place = film(500, rng)
    with torch.no_grad():
        belief = filter.read(latents[:, 0], latents[:, 0])
        for t in range(8):
            belief = filter.correct(move(belief, actions[:, t]), latents[:, t], latents[:, t + 1])
        believed = (belief - place[:, -1]).abs().mean()
        read = (filter.read(latents[:, -2], latents[:, -1]) - place[:, -1]).abs().mean()
    assert believed < 0.75 * read < 0.75 * 0.45


def test_what_a_body_lacks_counts_as_nothing_and_what_never_was_does_not_count() -> None:
    torch.manual_seed(0)
    filter, rng = Filter(2, 1, 8), torch.Generator().manual_seed(1)
    latents, actions, place = film(4, rng)
    unknown, valid = torch.full_like(place, torch.nan), torch.ones(4, 8).bool()
    assert filter.loss(latents, actions, unknown, valid, move) == filter.loss(
        latents, actions, torch.zeros_like(place), valid, move
    )
    valid[:, 5:] = False
    longer = filter.loss(latents, actions, place, valid, move)
    torch.testing.assert_close(longer, filter.loss(latents[:, :6], actions[:, :5], place[:, :6], valid[:, :5], move))
