"""Windows and the convolution before them: who sees whom, from which frames, and that a step sees what a pass sees."""

from __future__ import annotations

import pytest
import torch
from cores import CONFIGS, LAYOUT, SENSORS, untrained

from videosim.dynamics import build_dynamics
from videosim.errors import VideoSimError
from videosim.model_config import DynamicsConfig, FlowConfig, from_dict, to_dict
from videosim.spacetime import SpaceTimeDynamics
from videosim.transformer import SpaceTimeTransformer, View, causal
from videosim.types import LatentLayout
from videosim.windows import Grid, inside

GRID = Grid(3, 4, 1)
LEAD = 2
TOKENS = LEAD + 12 + 1
CAUSAL = causal(7, 9, torch.device("cpu"))


def network(layers: int = 2, time_every: int = 2, window: int = 2, span: int = 3) -> SpaceTimeTransformer:
    torch.manual_seed(0)
    config = FlowConfig(width=12, heads=2, attention="windows", window=window, span=span)
    return SpaceTimeTransformer(12, layers, 2, time_every, inside(config, GRID)).eval()


def tokens(frames: int, first: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    cells = torch.cartesian_prod(torch.arange(3), torch.arange(4))
    where = torch.cat([torch.ones(LEAD, 2), cells, torch.ones(1, 2)])[None].expand(frames, -1, -1)
    time = (first + torch.arange(frames))[:, None, None].expand(-1, TOKENS, 1)
    return torch.randn(2, frames, TOKENS, 12, generator=rng), torch.cat([time, where], -1).float()[None]


@torch.no_grad()
def touched(model: SpaceTimeTransformer, frame: int, token: int, mask: torch.Tensor | None) -> torch.Tensor:
    """bool (frames, tokens): what changes with one token."""
    x, places = tokens(7)
    changed = x.clone()
    changed[:, frame, token] += 1.0
    return (model(x, places, mask)[0] != model(changed, places, mask)[0]).any(-1).any(0)


def test_windows_are_all_cells_once_and_squares_that_may_begin_earlier() -> None:
    whole = Grid(4, 4, 0).windows(2, 0)
    assert whole == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    early = Grid(4, 4, 0).windows(2, 1)
    assert early[0] == [0, -1, -1, -1] and early[4] == [5, 6, 9, 10]
    for high, wide, size, shift in ((3, 4, 2, 0), (3, 4, 2, 1), (1, 1, 2, 1), (5, 2, 3, 1), (2, 2, 9, 4)):
        windows = Grid(high, wide, 1).windows(size, shift)
        assert sorted(cell for cells in windows for cell in cells if cell >= 0) == list(range(high * wide))


@torch.no_grad()
@pytest.mark.parametrize(("known", "shift"), [(1, 0), (4, 3)])
def test_a_frame_after_a_past_is_the_frame_in_one_pass(known: int, shift: int) -> None:
    """In whatever order the past is kept."""
    model, mask = network(4), CAUSAL
    x, places = tokens(7)
    whole, _ = model(x, places, mask)
    _, past = model(x[:, :known], places[:, :known], mask[:known, :known])
    order = torch.arange(known).roll(shift)
    past = past._replace(keys=past.keys[:, :, order], values=past.values[:, :, order], times=past.times[:, order])
    rest, _ = model(x[:, known:], places[:, known:], mask[known:], past)
    torch.testing.assert_close(rest, whole[:, known:], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def reached(name: str, token: int, frame: int = 2, mask: torch.Tensor | None = CAUSAL, **settings: int) -> torch.Tensor:
    """bool (frames, tokens): what one part tells otherwise when one token is changed."""
    model = network(1, 1, **settings)
    x, places = tokens(7)
    times = places[:, :, 0, 0]
    view, part = View(model.rotary(places), times[:, :, None] - times[:, None], mask), model.blocks[0][name]
    changed = x.clone()
    changed[:, frame, token] += torch.randn(12, generator=torch.Generator().manual_seed(2))
    return (part(x, view, None)[0] != part(changed, view, None)[0]).any(-1).any(0)


def test_the_convolution_takes_a_cell_to_those_around_it_and_two_frames_on() -> None:
    seen = reached("convolution", LEAD + 3)  # row 0, column 3
    expected = torch.zeros(7, TOKENS, dtype=torch.bool)
    expected[2:5, [LEAD + 2, LEAD + 3, LEAD + 6, LEAD + 7]] = True
    assert torch.equal(seen, expected)
    assert not reached("convolution", 0).any() and not reached("convolution", TOKENS - 1).any()
    assert torch.equal(reached("convolution", LEAD + 3, mask=None), expected)


def test_a_cell_is_seen_in_its_window_and_by_all_that_has_no_cell() -> None:
    expected = torch.zeros(7, TOKENS, dtype=torch.bool)
    expected[2:4, [0, 1, LEAD + 2, LEAD + 3, LEAD + 6, LEAD + 7, TOKENS - 1]] = True
    assert torch.equal(reached("window", LEAD + 3, span=2), expected)
    expected[2:4] = True
    assert torch.equal(reached("window", 0, span=2), expected)  # the action, say
    expected[1] = True
    assert torch.equal(reached("window", 0, span=2, mask=None), expected)  # a whole clip looks ahead too


def test_blocks_shift_their_windows_and_nobody_looks_ahead() -> None:
    one, two = (network(layers, 1).blocks[layers - 1]["window"].windows.tolist() for layers in (1, 2))
    assert one == GRID.windows(2, 0) and two == GRID.windows(2, 1) != one
    seen = touched(network(4), 3, LEAD, CAUSAL)
    assert not seen[:3].any() and bool(seen[3:].all()) and bool(touched(network(4), 3, LEAD, None).all())


@torch.no_grad()
def test_stepping_is_the_pass_of_training_on_a_grid_with_edges() -> None:
    torch.manual_seed(0)
    config = FlowConfig(
        width=12, layers=2, heads=2, past=4, time_every=2, input_noise=0.0, patch=1, attention="windows", span=2
    )
    core = build_dynamics(config, LatentLayout(3, 5, 1, 3), 5, SENSORS).eval()
    assert isinstance(core, SpaceTimeDynamics)
    latents, actions = torch.randn(2, 10, 16, 3), torch.randn(2, 9, 5)
    states = [core.start(latents[:, :1], actions[:, :0])]
    for t in range(9):
        states.append(core.observe(states[-1], actions[:, t], latents[:, t + 1]))
    read = torch.stack([core.sensors(state) for state in states], 1)
    out = core.loss(latents, actions, read, torch.ones(2, 9).bool(), torch.Generator())
    for t, state in enumerate(states):
        torch.testing.assert_close(core.features(state), out.features[:, t], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("wrong", "says"), [({"attention": "full"}, "frame, windows"), ({"span": 0}, "from 1")])
def test_what_cannot_be_is_named(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(VideoSimError, match=says):
        untrained("windows", **wrong)


def test_models_made_before_have_the_names_they_had() -> None:
    """Their config knows no windows, and their weights lie where those of attention inside the frame always lay."""
    stored = to_dict(CONFIGS["flow"])
    for name in ("attention", "window", "span"):
        del stored[name]
    core = build_dynamics(from_dict(DynamicsConfig, stored), LAYOUT, 5, SENSORS)
    assert isinstance(core, SpaceTimeDynamics)
    projections = ["norm.weight", "inputs.weight", "query_norm.weight", "key_norm.weight", "output.weight"]
    token = [f"token.{layer}" for layer in ("0.weight", "1.weight", "1.bias", "3.weight", "3.bias")]
    block = [*(f"frame.{name}" for name in projections), *(f"time.{name}" for name in projections), *token]
    expected = [*(f"blocks.{n}.{name}" for n in range(2) for name in block), "norm.weight"]
    assert list(core.transformer.state_dict()) == expected
