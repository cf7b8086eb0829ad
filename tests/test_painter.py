"""The painter: a thing looks alike wherever it stands, and a dream shows the state that is dreamed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from videosim.checkpoint import load_checkpoint
from videosim.painter import Painter
from videosim.types import LatentLayout


def layout(rows: int = 4, columns: int = 4, extra: int = 0) -> LatentLayout:
    return LatentLayout(rows, columns, extra, 3)


def lit(places: Tensor, rows: int, columns: int) -> Tensor:
    """Latents ``(B, rows*columns, 3)`` of two blobs at ``places`` ``(B, 2, 2)``, x to the right and y down."""
    down, across = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    x, y = (places[..., i, None, None] for i in (0, 1))
    blobs = torch.exp(-4.0 * ((across - x) ** 2 + (down - y) ** 2))
    return torch.stack([blobs[:, 0], blobs[:, 1], blobs[:, 0] - blobs[:, 1]], -1).flatten(1, 2)


def test_it_learns_arrangements_that_it_has_not_seen() -> None:
    torch.manual_seed(0)
    painter, nothing = Painter(12, layout(), 4), torch.zeros(64, 16, 3)
    places = 2.0 * torch.rand(300, 2, 2) - 1.0
    seen, unseen = places[:200], places[200:264]
    optimizer = torch.optim.Adam(painter.parameters(), 5e-3)
    for _ in range(250):
        some = seen[torch.randint(len(seen), (64,))]
        loss = (painter(some.flatten(1), nothing) - lit(some, 4, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = (painter(unseen.flatten(1), nothing) - lit(unseen, 4, 4)).square().mean()
    assert error < 0.1 * lit(unseen, 4, 4).var()


@pytest.mark.parametrize(("rows", "columns", "extra"), [(4, 4, 0), (4, 6, 2), (6, 4, 1)])
def test_a_batch_is_its_rows_for_frames_of_any_shape(rows: int, columns: int, extra: int) -> None:
    painter = Painter(12, layout(rows, columns, extra), 5).eval()
    tokens = rows * columns + extra
    sensors, seen = torch.randn(3, 5), torch.randn(3, tokens, 3)
    with torch.no_grad():
        whole = painter(sensors, seen)
        assert whole.shape == (3, tokens, 3)
        for i in range(3):
            alone = painter(sensors[i : i + 1], seen[i : i + 1])
            torch.testing.assert_close(alone[0], whole[i], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_dream_shows_what_is_painted_and_a_real_frame_itself() -> None:
    model = load_checkpoint("push")
    assert model.painter is not None and model.contexts is not None
    clips = model.contexts.latents[:2]
    state = model.start(clips, model.contexts.actions[:2])
    torch.testing.assert_close(model.latents(state), clips[:, -1], atol=1e-4, rtol=0)
    action = torch.zeros(2, model.spec.action.size)
    ahead, _ = model.step(state, action)
    assert torch.equal(ahead["seen"], state["seen"])
    moved = {**ahead, "sensors": ahead["sensors"].roll(1, 0)}  # another's state, and nothing else of it
    assert not torch.equal(model.latents(moved), model.latents(ahead))
    back = model.observe(ahead, action, clips[:, -1])
    torch.testing.assert_close(model.latents(back), clips[:, -1], atol=1e-4, rtol=0)
