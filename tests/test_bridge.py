"""Processes that wander, and what is known of them between known moments: against sums, draws and special cases."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.bridge import Bridge, tie, wander

TIED = torch.tensor([0.0, 0.5, 0.9, 0.999])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def processes(rows: int, moments: int) -> torch.Tensor:
    return wander(torch.randn(rows, moments, len(TIED), generator=rng()), TIED)


def bridge(values: torch.Tensor, known: torch.Tensor) -> Bridge:
    return Bridge.of(values, known, TIED, torch.ones(len(values), len(TIED)))


def test_every_moment_has_variance_1_and_shares_what_is_tied() -> None:
    made = processes(20_000, 8)
    torch.testing.assert_close(made.square().mean(0), torch.ones(8, 4), atol=0.05, rtol=0.0)
    for apart in (1, 3):
        shared = (made[:, apart:] * made[:, :-apart]).mean((0, 1))
        torch.testing.assert_close(shared, TIED**apart, atol=0.03, rtol=0.0)


def test_a_tie_is_that_of_a_process_that_moves_so_much_in_a_step() -> None:
    made = processes(20_000, 8)
    moved = (made[:, 1:] - made[:, :-1]).square().mean((0, 1)).sqrt()
    torch.testing.assert_close(tie(moved), TIED, atol=0.02, rtol=0.0)
    assert (tie(torch.tensor([0.0, 1.0, 9.0])) == torch.tensor([1.0 - 1e-5, 0.5, 0.0])).all()


def test_what_is_off_the_mean_has_nothing_to_do_with_what_is_known() -> None:
    """Which makes the mean the best guess, of all that are linear."""
    made, known = processes(20_000, 9), torch.zeros(1, 9)
    known[:, [0, 1, 6]] = 1.0
    found = bridge(made, known.expand(len(made), -1))
    off = made - found.mean
    for moment in (0, 1, 6):
        related = (off * made[:, moment : moment + 1]).mean(0)
        torch.testing.assert_close(related, torch.zeros_like(related), atol=0.03, rtol=0.0)
    torch.testing.assert_close(off.square().mean(0).sqrt(), found.spread[0], atol=0.02, rtol=0.0)
    torch.testing.assert_close(found.at(found.off(made)), made)


@settings(deadline=None, max_examples=40)
@given(known=st.lists(st.booleans(), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_means_go_through_what_is_known_and_mirror_with_time(known: list[bool], seed: int) -> None:
    sure = torch.tensor([known]).float()
    values = torch.randn(1, len(known), len(TIED), generator=rng(seed))
    mean = bridge(values, sure).mean
    torch.testing.assert_close(mean[sure == 1.0], values[sure == 1.0])
    others = 9.0 * values * (1.0 - sure[..., None]) + values * sure[..., None]
    assert torch.equal(bridge(others, sure).mean, mean)
    torch.testing.assert_close(bridge(values.flip(1), sure.flip(1)).mean, mean.flip(1), atol=1e-5, rtol=1e-4)
    if not any(known):
        assert not mean.any() and (bridge(values, sure).spread == 1.0).all()
    unfelt = Bridge.of(values, sure, TIED, torch.zeros(1, len(TIED)))
    assert not unfelt.mean.any() and not unfelt.spread.any() and not unfelt.off(values).any()


def test_between_moments_of_a_process_that_hardly_moves_lies_a_straight_line() -> None:
    values = torch.zeros(1, 5, 1)
    values[:, 4] = 1.0
    sure = torch.tensor([[1.0, 0.0, 0.0, 0.0, 1.0]])
    line = torch.linspace(0.0, 1.0, 5)[None, :, None]
    torch.testing.assert_close(
        Bridge.of(values, sure, torch.tensor([1.0 - 1e-5]), torch.ones(1, 1)).mean, line, atol=1e-4, rtol=0.0
    )
