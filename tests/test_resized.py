"""Films in another size of picture than that of the training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_generate import FRAMES, model_of, wish

from videosim.errors import VideoSimError
from videosim.footage import Footage
from videosim.generate import generate
from videosim.resized import drawn_to, resized
from videosim.types import FrameSpec, LatentLayout
from videosim.verbs import VERBS, find_verb

WIDE, HIGH = FrameSpec(48, 80), FrameSpec(80, 48)
WHOLE = ("flow", "masked")


def test_its_own_size_is_itself() -> None:
    model = model_of("flow")
    assert resized(model, model.spec.frame) is model


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("frame", [WIDE, HIGH])
def test_a_film_of_another_size(kind: str, frame: FrameSpec) -> None:
    model = model_of(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    source = Footage.of(FRAMES, frame)
    for name in ("image-to-video", "extend-backward", "connect", "image"):
        asked = replace(wish(source=source, other=source), frame=frame)
        made = generate(model, VERBS[name], asked, 0, passes=2)
        assert made.film.shape == (1 if name == "image" else 12, *frame.shape)
        known = made.outline.known[: len(made.film)]
        assert np.array_equal(made.film[known], made.outline.frames[: len(made.film)][known])
        assert np.array_equal(made.film, generate(model, VERBS[name], asked, 0, passes=2).film)
        assert not np.array_equal(made.film, generate(model, VERBS[name], asked, 1, passes=2).film)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("kind", WHOLE)
def test_a_cell_is_coded_by_what_is_around_it(kind: str) -> None:
    """Away from the edge a picture's cells have the latents that they have in a larger picture, and are drawn alike."""
    model = model_of(kind)
    small = torch.from_numpy(FRAMES[:2])
    large = torch.nn.functional.pad(small.movedim(-1, 1), (0, 32)).movedim(1, -1)  # more to the right
    one, two = model.encode(small), resized(model, WIDE).encode(large)
    cells = two[:, : 3 * 5].unflatten(1, (3, 5))[:, :, 0]
    torch.testing.assert_close(cells, one[:, : 3 * 3].unflatten(1, (3, 3))[:, :, 0])
    both = torch.cat([one[:, : 3 * 3].unflatten(1, (3, 3)), torch.zeros(2, 3, 2, one.shape[-1])], 2).flatten(1, 2)
    extra = one[:, 9:]
    drawn = resized(model, WIDE).decode(torch.cat([both, extra], 1))
    assert bool((drawn[:, :, :8] == model.decode(one)[:, :, :8]).all())


def test_scales_are_drawn_to_the_grid_and_back() -> None:
    small, large = LatentLayout(2, 2, 1, 3), LatentLayout(2, 4, 1, 3)
    values = torch.rand(5, 3)
    wide = drawn_to(values, small, large)
    assert wide.shape == (9, 3) and torch.equal(wide[8], values[4])
    torch.testing.assert_close(wide[0], values[0])
    torch.testing.assert_close(wide[1], 0.75 * values[0] + 0.25 * values[1])
    torch.testing.assert_close(drawn_to(torch.ones(5, 3), small, large), torch.ones(9, 3))


def test_what_cannot_be_done_in_another_size_is_said() -> None:
    model = model_of("flow")
    with pytest.raises(VideoSimError, match="multiples of 16"):
        resized(model, FrameSpec(48, 50))
    other = resized(model, WIDE)
    with pytest.raises(VideoSimError, match="whole clips"):
        other.start(other.encode(torch.zeros(1, 1, *WIDE.shape, dtype=torch.uint8)), torch.zeros(1, 0, 2))
    with pytest.raises(VideoSimError, match="joint"):
        generate(model_of("flow", joint=0.0), find_verb("image-to-video"), replace(wish(), frame=WIDE), 0)
    with pytest.raises(VideoSimError, match="recurrent"):
        generate(model_of("recurrent"), find_verb("image-to-video"), replace(wish(), frame=WIDE), 0)
