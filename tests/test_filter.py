"""What is believed of a state that frames show: read, expected, and mixed."""

from __future__ import annotations

import torch
from torch import Tensor

from videosim.filter import Filter
from videosim.model_config import RecurrentConfig
from videosim.recurrent import RecurrentDynamics


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


# --- a core that makes beliefs out of a memory ----------------------------------------------------------------------


def believed(core: RecurrentDynamics, latents: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    return core.sensors(core.start(latents, actions))


def test_beliefs_are_sharpened_with_all_else_as_it_was() -> None:
    """Rows of two latents of which the place is the difference, behind a screen now and then: nobody can know it there,
    and where it is seen it must be known finely all the same."""
    torch.manual_seed(0)
    core, rng = RecurrentDynamics(RecurrentConfig(memory=16, hidden=32, products=0), 2, 1, 1, 1), torch.Generator()
    parts = torch.nn.ModuleList(core.believers())
    others = {
        name: value.clone() for name, value in core.state_dict().items() if not name.startswith(("reader", "cor"))
    }
    optimizer = torch.optim.Adam(parts.parameters(), 3e-3)

    def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        latents = torch.randn(64, 7, 2, 1, generator=rng)
        place = (latents[:, :, 0] - latents[:, :, 1]) / 2**0.5
        hidden = torch.rand(64, 7, 1, generator=rng) < 0.1
        return latents, torch.zeros(64, 6, 1), torch.where(hidden, 4.0 * place.sign(), place)

    def off() -> float:
        latents, actions, place = batch()
        return float((believed(core, latents, actions) - place[:, -1]).detach().abs().median())

    before = off()
    for _ in range(400):
        latents, actions, place = batch()
        lost = core.belief_loss(latents, actions, place, torch.ones(64, 6).bool())
        optimizer.zero_grad()
        lost.backward()
        optimizer.step()
    assert off() < 0.15 * before
    for name, value in core.state_dict().items():
        assert name not in others or torch.equal(value, others[name]), name


def test_a_belief_of_what_is_not_known_is_not_asked_for() -> None:
    torch.manual_seed(0)
    core = RecurrentDynamics(RecurrentConfig(memory=16, hidden=32), 2, 1, 1, 2)
    latents, actions, valid = torch.randn(5, 4, 2, 1), torch.randn(5, 3, 1), torch.ones(5, 3).bool()
    place = torch.randn(5, 4, 2)
    place[..., 1] = torch.nan
    lost = core.belief_loss(latents, actions, place, valid)
    assert bool(torch.isfinite(lost))
    lost.backward()
    assert all(bool(torch.isfinite(p.grad).all()) for part in core.believers() for p in part.parameters())
