"""What whole clips are taught with: what is known of them, what stands nearest, and who is told what."""

from __future__ import annotations

import pytest
import torch
from cores import LAYOUT, clip_of, unfelt, untrained
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.flow import FlowPath
from videosim.model_config import FlowConfig
from videosim.spacetime import Around, SpaceTimeDynamics
from videosim.types import LatentLayout
from videosim.whole_clips import drawn, length, nearest


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(frames=st.integers(1, 9), rows=st.integers(1, 5), columns=st.integers(1, 5), extra=st.integers(0, 2))
@settings(max_examples=25, deadline=None)
def test_known_are_whole_frames_at_the_ends_or_all_but_a_rectangle(
    frames: int, rows: int, columns: int, extra: int
) -> None:
    layout = LatentLayout(rows, columns, extra, 3)
    known = drawn(200, frames, layout, rng())
    assert known.shape == (200, frames, layout.tokens) and bool(((known == 0) | (known == 1)).all())
    for clip in known:
        whole = clip.all(1)
        if (clip.any(1) == whole).all():  # whole frames: what is open is one stretch
            gap = (~whole).nonzero().flatten()
            assert not len(gap) or int(gap[-1] - gap[0]) == len(gap) - 1
        else:
            assert bool((clip == clip[0]).all()) and not clip[0, rows * columns :].any()
            hole = clip[0, : rows * columns].view(rows, columns) == 0
            assert torch.equal(hole, hole.any(1)[:, None] & hole.any(0)[None])


def test_every_verb_s_kind_of_knowledge_is_taught() -> None:
    known = drawn(2000, 8, LatentLayout(4, 4, 1, 3), rng())
    whole = known.all(2)
    share = {
        "nothing": (~known.flatten(1).bool()).all(1),
        "beginning": whole[:, 0] & ~whole[:, -1],
        "end": whole[:, -1] & ~whole[:, 0],
        "both": whole[:, 0] & whole[:, -1] & ~whole.all(1),
        "region": known.flatten(1).any(1) & ~whole.any(1) & (known[:, :, :16] == 0).flatten(1).any(1),
    }
    assert all(float(rows.float().mean()) > 0.05 for rows in share.values()), share
    lengths = [length(8, generator) for generator in [rng()] for _ in range(500)]
    assert set(lengths) == set(range(1, 9)) and lengths.count(1) > 25 and length(1, rng()) == 1


def test_the_nearest_known_token_of_its_place_stands_in() -> None:
    clip = torch.arange(5.0)[None, :, None, None].expand(1, 5, 2, 1) + 1.0
    known = torch.zeros(1, 5, 2)
    known[0, [0, 4], 0] = 1.0
    held, found = nearest(clip, known)
    assert held[0, :, 0, 0].tolist() == [1.0, 1.0, 1.0, 5.0, 5.0] and held[0, :, 1, 0].tolist() == [0.0] * 5
    assert found[0, 0].tolist() == [1.0, 0.0] and bool((found == found[:, :1]).all())


@torch.no_grad()
@pytest.mark.parametrize("kind", ["flow", "masked"])
def test_a_core_that_has_learned_nothing_holds_what_is_known(kind: str) -> None:
    """Before any training the answer is the nearest known frame, with one pass, whatever the core."""
    torch.manual_seed(0)
    core = untrained(kind, joint=1.0, temperature=0.0) if kind == "masked" else untrained(kind, joint=1.0)
    assert isinstance(core, SpaceTimeDynamics)
    for name, weight in core.named_parameters():
        if name.startswith(("patches.out", "patches.extra_out")):
            weight.zero_()
    latents, _ = clip_of(2, 5)
    kept = torch.zeros_like(latents[..., 0])
    kept[:, [0, 5]] = 1.0
    made = core.generate(latents, kept, None, [rng(0), rng(1)], 1)
    torch.testing.assert_close(made, latents[:, [0, 0, 0, 5, 5, 5]])


def test_the_actions_of_a_clip_are_all_told_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    core = untrained("flow", joint=1.0, dropped=0.0, untold=0.5)
    assert isinstance(core, SpaceTimeDynamics)
    latents, actions = clip_of(40, 5)
    seen: list[torch.Tensor] = []

    def watch(around: Around) -> object:
        seen.append((around.led != core.no_action).any(-1)[:, 1:])
        return lambda z, level, size, rows=None: z

    monkeypatch.setattr(core, "_predict", watch)
    core.clip_loss(latents, actions, unfelt(latents), torch.ones(40, 5).bool(), rng(1))
    (told,) = seen
    assert told.shape[1] and bool((told.all(1) | ~told.any(1)).all())
    assert 8 < int(told.all(1).sum()) < 32


def test_the_frames_of_a_clip_are_on_their_way_together() -> None:
    truth, levels = clip_of(16)[0], []

    def predict(latents, level, size, rows=None):  # type: ignore[no-untyped-def]
        levels.append(level)
        assert bool((size == size[:, :1]).all())
        return truth if rows is None else truth[rows]

    path, nothing = FlowPath(FlowConfig(finest=8), LAYOUT.width), torch.zeros_like(truth[..., 0])
    path.loss(predict, truth, nothing, rng(), together=True)
    assert all(bool((level == level[:, :1]).all()) for level in levels)
    levels.clear()
    with pytest.raises(AssertionError):
        path.loss(predict, truth, nothing, rng())


def test_a_lesson_about_an_image_is_finite() -> None:
    core = untrained("flow", joint=1.0)
    image, actions = clip_of(2, 0)
    assert bool(torch.isfinite(core.clip_loss(image, actions, unfelt(image), torch.ones(2, 0).bool(), rng())))
