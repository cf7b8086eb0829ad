"""The generative cores: what must hold of paths, solvers and the cache, whatever has been learned."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from cores import ACTION, LAYOUT, LEVELS, SENSORS, SMALL, clip_of, untrained
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim import fsq
from videosim.dynamics import build_dynamics
from videosim.errors import VideoSimError
from videosim.flow import FlowPath, mix
from videosim.masked import MaskedPath
from videosim.model_config import FlowConfig, MaskedConfig
from videosim.patches import Patches
from videosim.paths import Path, normal
from videosim.spacetime import Around, SpaceTimeDynamics
from videosim.transformer import TURN, Rotary, SpaceTimeTransformer, causal
from videosim.types import LatentLayout

GENERATIVE = ("flow", "masked")
PATHS: dict[str, Path] = {
    "flow": FlowPath(FlowConfig(finest=8), LAYOUT.width),
    "masked": MaskedPath(MaskedConfig(temperature=1.0), LAYOUT.width, LEVELS),
}


def seeded(rows: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + row) for row in range(rows)]


def telling(truth: torch.Tensor, kind: str):  # type: ignore[no-untyped-def]
    """A network that knows: it answers with ``truth`` ``(B, T, N, D)``."""
    if kind == "flow":
        return lambda latents, level, size, rows=None: truth if rows is None else truth[rows]
    logits = 50.0 * torch.nn.functional.one_hot(fsq.indices(truth, LEVELS), LEVELS).float().flatten(-2)
    return lambda latents, level, size, rows=None: logits if rows is None else logits[rows]


# --- paths and solvers -----------------------------------------------------------------------------------------------


def test_level_one_is_the_data_and_level_zero_the_source() -> None:
    noise, data = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    assert torch.equal(mix(noise, data, torch.ones(2, 3)), data)
    assert torch.equal(mix(noise, data, torch.zeros(2, 3)), noise)


@pytest.mark.parametrize("kind", GENERATIVE)
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_a_network_that_knows_is_reproduced_by_one_run_of_the_solver(kind: str, steps: int) -> None:
    truth = clip_of()[0]
    nothing = torch.zeros_like(truth)
    made = PATHS[kind].sample(telling(truth, kind), nothing, nothing[..., 0], seeded(3), steps)
    assert torch.equal(made, truth)


@pytest.mark.parametrize("kind", GENERATIVE)
def test_what_is_kept_stays_bit_for_bit_whatever_the_network_says(kind: str) -> None:
    given_clip, other = clip_of()[0], clip_of()[0].flip(0)
    kept = (torch.rand(given_clip.shape[:-1], generator=torch.Generator().manual_seed(0)) < 0.5).float()
    made = PATHS[kind].sample(telling(other, kind), given_clip, kept, seeded(3), 4)
    assert torch.equal(made[kept == 1.0], given_clip[kept == 1.0])
    assert torch.equal(made[kept == 0.0], other[kept == 0.0])


def test_a_partial_level_keeps_more_the_higher_it_is() -> None:
    """A network that answers with what it sees: the flow's start is all there is."""
    clip = clip_of()[0]
    for kind, predict in (("flow", lambda latents, level, size: latents), ("masked", telling(clip.flip(0), "masked"))):
        far = [
            float(
                (PATHS[kind].sample(predict, clip, torch.full_like(clip[..., 0], s), seeded(3), 2) - clip).abs().mean()
            )
            for s in (0.0, 0.4, 0.8, 1.0)
        ]
        assert far[0] > far[1] > far[2] > far[3] == 0.0, kind


def test_every_pass_decides_more_tokens_and_never_changes_its_mind() -> None:
    truth, seen = torch.zeros(2, 1, 16, 3), []
    path = MaskedPath(MaskedConfig(), 3, LEVELS)

    def predict(latents: torch.Tensor, level: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        seen.append(level.clone())
        return torch.randn(*latents.shape[:-1], path.outputs, generator=torch.Generator().manual_seed(len(seen)))

    path.sample(predict, truth, truth[..., 0], seeded(2), 8)
    counts = [int(level[0, 0].sum()) for level in seen]
    expected = [16 - math.floor(16 * math.cos(0.5 * math.pi * k / 8)) for k in range(8)]
    assert counts == expected
    assert all(bool((after >= before).all()) for before, after in pairwise(seen))


def test_as_many_passes_as_tokens_decode_one_after_another() -> None:
    path, counts = MaskedPath(MaskedConfig(), 3, LEVELS), []
    kept = torch.zeros(1, 1, 9)
    kept[..., :2] = 1.0

    def predict(latents: torch.Tensor, level: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        counts.append(int(level.sum()))
        return torch.randn(*latents.shape[:-1], path.outputs, generator=torch.Generator().manual_seed(len(counts)))

    path.sample(predict, torch.zeros(1, 1, 9, 3), kept, seeded(1), 7)
    assert counts == [2, 3, 4, 5, 6, 7, 8]


def test_the_surest_token_is_decided_first() -> None:
    path, seen = MaskedPath(MaskedConfig(), 1, LEVELS), []

    def predict(latents: torch.Tensor, level: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        seen.append(level[0, 0].tolist())
        return (
            torch.tensor([1.0, 9.0, 3.0])[:, None]
            * torch.nn.functional.one_hot(torch.tensor([2] * 3), LEVELS)[None, None]
        )

    path.sample(predict, torch.zeros(1, 1, 3, 1), torch.zeros(1, 1, 3), seeded(1), 3)
    assert seen == [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]


def test_one_step_learns_to_arrive_where_two_arrive() -> None:
    """The target of a long step, from a network whose answer is a known function of where it stands."""
    start, level = torch.randn(2, 1, 3, 2), torch.tensor([0.0, 0.5])[:, None, None].expand(2, 1, 3)
    size = torch.tensor([[0], [1]])  # the whole way, and half of it
    predict = lambda latents, level, size, rows=None: 0.3 * latents + 1.0  # noqa: E731
    end = FlowPath._two_steps(predict, start, level, size, torch.arange(2))
    step = torch.tensor([1.0, 0.5])[:, None, None, None]
    left = 1.0 - level[..., None]
    once = start + step * (end - start) / left
    middle = start + 0.5 * step * (predict(start, level, size) - start) / left
    twice = middle + 0.5 * step * (predict(middle, level, size) - middle) / (left - 0.5 * step)
    torch.testing.assert_close(once, twice)


@pytest.mark.parametrize("kind", GENERATIVE)
def test_a_network_that_knows_has_nothing_to_lose(kind: str) -> None:
    truth = clip_of(8)[0]
    path, rng = PATHS[kind], torch.Generator().manual_seed(0)
    assert float(path.loss(telling(truth, kind), truth, torch.zeros_like(truth[..., 0]), rng).max()) < 1e-10
    assert float(path.loss(telling(truth.flip(0), kind), truth, torch.zeros_like(truth[..., 0]), rng).mean()) > 0.1


def test_an_error_of_a_clip_counts_the_more_the_less_of_the_way_is_left() -> None:
    truth, off = clip_of(64)[0], 0.5

    def predict(latents, level, size, rows=None):  # type: ignore[no-untyped-def]
        return truth + off * (1.0 - level)[..., None].clamp(min=0.1).sqrt()

    path, nothing = FlowPath(FlowConfig(finest=32, shortcut=0.0), LAYOUT.width), torch.zeros_like(truth[..., 0])
    lost = path.loss(predict, truth, nothing, torch.Generator().manual_seed(0), together=True)
    torch.testing.assert_close(lost, torch.full_like(lost, off**2 / (1.0 + math.log(10.0))))
    assert float(path.loss(predict, truth, nothing, torch.Generator().manual_seed(0)).std()) > 0.01


def test_noise_comes_from_the_row_s_own_generator() -> None:
    together = normal(seeded(3), (2, 2), torch.device("cpu"))
    assert torch.equal(together[1:2], normal(seeded(1, 1), (2, 2), torch.device("cpu")))


# --- codes -----------------------------------------------------------------------------------------------------------


@given(levels=st.integers(2, 64), width=st.integers(1, 8), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_codes_and_ids_are_their_indices(levels: int, width: int, seed: int) -> None:
    index = torch.randint(levels, (5, width), generator=torch.Generator().manual_seed(seed))
    assert torch.equal(fsq.indices(fsq.codes(index, levels), levels), index)
    assert torch.equal(fsq.indices(fsq.codes(index, levels).half().float(), levels), index)
    ids = fsq.to_ids(index, levels)
    assert torch.equal(fsq.from_ids(ids, levels, width), index) and int(ids.max()) < levels**width


def test_rounding_lets_the_gradient_through() -> None:
    values = torch.tensor([-0.9, 0.1, 0.6], requires_grad=True)
    fsq.quantise(values, 3).sum().backward()
    assert values.grad.tolist() == [1.0, 1.0, 1.0]
    torch.testing.assert_close(fsq.quantise(values, 3).detach(), torch.tensor([-1.0, 0.0, 1.0]))


# --- the transformer and its cache -----------------------------------------------------------------------------------


@torch.no_grad()
def test_a_frame_after_a_past_is_the_frame_in_one_pass() -> None:
    torch.manual_seed(0)
    network = SpaceTimeTransformer(16, 4, 2, 2)
    x, places = torch.randn(2, 6, 3, 16), torch.randint(9, (1, 6, 3, 3)).float()
    mask = causal(6, 9, x.device)
    whole, _ = network(x, places, mask)
    _, past = network(x[:, :4], places[:, :4], mask[:4, :4])
    rest, _ = network(x[:, 4:], places[:, 4:], mask[4:], past)
    torch.testing.assert_close(rest, whole[:, 4:])


@torch.no_grad()
def test_the_caller_decides_who_looks_at_whom() -> None:
    torch.manual_seed(0)
    network = SpaceTimeTransformer(16, 2, 2, 1)
    x, places = torch.randn(1, 5, 3, 16), torch.randint(9, (1, 5, 3, 3)).float()
    changed = x.clone()
    changed[:, 3] += 1.0

    def touched(mask: torch.Tensor | None) -> list[bool]:
        return (network(x, places, mask)[0] != network(changed, places, mask)[0]).any(-1).any(-1)[0].tolist()

    assert touched(causal(5, 9, x.device)) == [False, False, False, True, True]
    assert touched(None) == [True] * 5
    changed = x.clone()
    changed[:, 0] += 1.0
    assert touched(causal(5, 1, x.device)) == [True, True, True, False, False]  # one frame a layer


def test_only_distances_count_and_time_comes_round() -> None:
    rotary = Rotary(32)
    place = torch.tensor([3.0, 1.0, 2.0])
    later = torch.tensor([TURN * 5_001.0, 0.0, 0.0])
    for a, b in zip(rotary(place), rotary(place + later), strict=True):
        assert torch.equal(a, b)
    angles = [
        torch.atan2(*reversed(rotary(place + shift))) for shift in (torch.zeros(3), torch.tensor([1.0, 1.0, 1.0]))
    ]
    assert float((angles[0] - angles[1]).abs().min()) > 0.0  # every axis turns something


@torch.no_grad()
@pytest.mark.parametrize("kind", [*GENERATIVE, "windows"])
def test_a_cached_step_is_the_pass_of_training(kind: str) -> None:
    """Step by step, through a ring that forgets, against the whole window at once."""
    steps = 9
    core = untrained(kind)
    assert isinstance(core, SpaceTimeDynamics) and core.config.past < steps
    latents, actions = clip_of(2, steps)
    states = [core.start(latents[:, :1], actions[:, :0])]
    for t in range(steps):
        states.append(core.observe(states[-1], actions[:, t], latents[:, t + 1]))
    read = torch.stack([core.sensors(state) for state in states], 1)
    out = core.loss(latents, actions, read, torch.ones(2, steps).bool(), torch.Generator())
    for t, state in enumerate(states):
        torch.testing.assert_close(core.features(state), out.features[:, t], atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", [*GENERATIVE, "windows"])
def test_training_asks_what_a_step_asks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network that training corrects and the one that a step follows give the same answer to the same question,
    whatever frame they are to begin with."""
    core, steps = untrained(kind, dropped=0.0), 7
    assert isinstance(core, SpaceTimeDynamics) and core.guess is not None
    monkeypatch.setattr(core.guess, "forward", lambda sensors, looks: torch.full_like(looks, 0.5))
    latents, actions = clip_of(2, steps)
    asked = torch.randn(2, steps + 1, LAYOUT.tokens, LAYOUT.width, generator=torch.Generator().manual_seed(3))
    level, size = torch.full(asked.shape[:-1], 0.5), torch.zeros(2, steps + 1, dtype=torch.int64)
    answers: list[torch.Tensor] = []

    def ask_all(predict, *rest):  # type: ignore[no-untyped-def]
        answers.append(predict(asked, level, size))
        return torch.zeros(2, steps + 1)

    def ask_one(predict, *rest):  # type: ignore[no-untyped-def]
        answers.append(predict(asked[:, frame : frame + 1], level[:, :1], size[:, :1]))
        return asked[:, :1]

    monkeypatch.setattr(core, "_dreamt", lambda *rest: None)
    monkeypatch.setattr(core.path, "loss", ask_all)
    core.loss(latents, actions, torch.zeros(2, steps + 1, SENSORS), torch.ones(2, steps).bool(), torch.Generator())
    monkeypatch.setattr(core.path, "sample", ask_one)
    for frame in range(1, steps + 1):
        core.step(core.start(latents[:, :frame], actions[:, : frame - 1]), actions[:, frame - 1])
        torch.testing.assert_close(answers[-1][:, 0], answers[0][:, frame], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_guidance_of_zero_is_none_and_more_moves_away() -> None:
    latents, actions = clip_of()
    made = []
    for guidance in (0.0, 1.0, 2.0):
        core = untrained("flow", guidance=guidance, steps=1)
        made.append(core.step(core.start(latents[:, :2], actions[:, :1]), actions[:, 1])[1])
    assert not torch.equal(made[0], made[1])
    torch.testing.assert_close(made[1] - made[0], made[2] - made[1], atol=1e-5, rtol=1e-4)


# --- whole clips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GENERATIVE)
def test_what_is_known_is_shown_as_it_is_and_asked_of_nobody(kind: str) -> None:
    truth = clip_of(8)[0]
    known = torch.zeros_like(truth[..., 0])
    known[:, :2], known[:, :, 3] = 1.0, 1.0
    shown: list[torch.Tensor] = []

    def predict(latents, level, size, rows=None):  # type: ignore[no-untyped-def]
        at = slice(None) if rows is None else rows
        assert torch.equal(latents[known[at] == 1.0], truth[at][known[at] == 1.0])
        assert bool((level[known[at] == 1.0] == 1.0).all()) and bool((level <= 1.0).all())
        shown.append(level)
        answer = telling(truth, kind)(latents, level, size, rows)
        return torch.where(known[at][..., None] == 1.0, torch.full_like(answer, 1e3), answer)

    lost = PATHS[kind].loss(predict, truth, known, torch.Generator().manual_seed(0))
    assert float(lost.max()) < 1e-6 and len(shown) == (3 if kind == "flow" else 1)


@torch.no_grad()
@pytest.mark.parametrize("kind", GENERATIVE)
def test_a_clip_is_made_as_one_around_what_is_known(kind: str) -> None:
    core = untrained(kind, joint=1.0)
    assert isinstance(core, SpaceTimeDynamics)
    latents, actions = clip_of(2, 5)
    kept = torch.zeros_like(latents[..., 0])
    kept[:, [0, 5]] = 1.0  # connect two frames

    def made(given: torch.Tensor, actions: torch.Tensor | None = actions, seed: int = 0) -> torch.Tensor:
        return core.generate(given, kept, actions, seeded(2, seed), 2)

    clip = made(latents)
    assert torch.equal(clip[:, [0, 5]], latents[:, [0, 5]]) and torch.equal(clip, made(latents))
    hidden = latents.clone()
    hidden[:, 1:5] = 0.5  # what is not kept is not seen
    assert torch.equal(clip, made(hidden))
    assert not torch.equal(clip, made(latents, seed=5))
    alone = core.generate(latents[1:], kept[1:], actions[1:], seeded(1, 1), 2)
    torch.testing.assert_close(alone, clip[1:], atol=1e-6, rtol=1e-5)
    if kind == "flow":  # every frame looks at the last, and at every action
        ended = latents.clone()
        ended[:, 5] *= -1.0
        assert bool((made(ended) != clip)[:, 1:5].flatten(2).any(2).all())
        pushed = actions.clone()
        pushed[:, 4] += 1.0
        assert bool((made(latents, pushed) != clip)[:, 1:5].flatten(2).any(2).all())
        assert not torch.equal(made(latents, None), clip)


@torch.no_grad()
@pytest.mark.parametrize("kind", GENERATIVE)
def test_an_image_is_a_clip_of_one_frame(kind: str) -> None:
    """Looking at all frames or only back is the same where there is one; its loss is that of a first frame."""
    core = untrained(kind, joint=1.0)
    assert isinstance(core, SpaceTimeDynamics)
    image, no_actions = clip_of(2, 5)[0][:, :1], clip_of(2, 5)[1][:, :0]
    nothing = torch.zeros_like(image[..., 0])
    made = core.generate(image, nothing, no_actions, seeded(2), 2)
    around = Around(core._led(image, no_actions), core._times(image), torch.zeros_like(image), nothing)
    around.mask = causal(1, 4, image.device)
    assert torch.equal(made, core.path.sample(core._guided(around, core.no_action), image, nothing, seeded(2), 2))
    state = core.start(image, no_actions)
    out = core.loss(image, no_actions, core.sensors(state)[:, None], torch.ones(2, 0).bool(), torch.Generator())
    assert bool(torch.isfinite(out.total))
    torch.testing.assert_close(out.features[:, 0], core.features(state))


def test_whole_clips_need_their_training() -> None:
    latents, actions = clip_of(1)
    with pytest.raises(VideoSimError, match="joint"):
        untrained("flow").generate(latents, torch.zeros_like(latents[..., 0]), actions, seeded(1), 1)  # type: ignore[operator]


# --- patches ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("patch", [1, 2])
def test_a_token_holds_neighbours_and_answers_for_them(patch: int) -> None:
    torch.manual_seed(0)
    patches = Patches(LatentLayout(4, 6, 2, 3), patch, 16, 3)
    latents, level = torch.randn(1, 1, 26, 3), torch.ones(1, 1, 26)
    nothing = torch.zeros_like(latents)
    assert patches.embed(latents, level, nothing).shape == (1, 1, patches.count, 16)
    moved = latents.clone()
    moved[..., 8, :] += 1.0  # row 1, column 2
    changed = (patches.embed(moved, level, nothing) != patches.embed(latents, level, nothing)).any(-1)[0, 0]
    token = int(changed.nonzero())
    assert int(changed.sum()) == 1 and patches.cells[token].tolist() == [1 // patch, 2 // patch]
    tokens = torch.zeros(1, 1, patches.count, 16)
    tokens[..., token, :] = torch.randn(16)
    answered = (patches.read(tokens) != patches.read(torch.zeros_like(tokens))).any(-1)[0, 0].nonzero().flatten()
    assert 8 in answered and len(answered) == patch**2


# --- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "layout", "says"),
    [
        (MaskedConfig(patch=1), LatentLayout(2, 2, 0, 3), "tokenizer.kind=fsq"),
        (FlowConfig(patch=2), LatentLayout(3, 3, 0, 3), "patch"),
        (FlowConfig(width=30, heads=4), LAYOUT, "heads"),
        (FlowConfig(finest=12), LAYOUT, "power of two"),
        (FlowConfig(steps=0), LAYOUT, "from 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(config: FlowConfig, layout: LatentLayout, says: str) -> None:
    with pytest.raises(VideoSimError, match=says):
        build_dynamics(config, layout, ACTION, SENSORS)


# --- learning --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", GENERATIVE)
def test_a_clip_can_be_learnt_by_heart(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    shape = {**SMALL, "width": 48, "patch": 1, "dropped": 0.0}
    config = FlowConfig(**shape, finest=4) if kind == "flow" else MaskedConfig(**shape)
    core = build_dynamics(config, LAYOUT, ACTION, 0)  # whoever has sensors learns to read them elsewhere
    monkeypatch.setattr(core, "_dreamt", lambda *rest: None)  # takes time and teaches the core nothing
    latents, actions = clip_of(4, 4)
    sensors, valid = torch.zeros(4, 5, 0), torch.ones(4, 4, dtype=torch.bool)
    rng = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(core.parameters(), lr=4e-3)
    for _ in range(150):
        loss = core.loss(latents, actions, sensors, valid, rng)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    for steps in (1, 2, 4):
        core.config.steps = steps
        with torch.no_grad():
            state = core.start(latents[:, :1], actions[:, :0])
            for k in range(4):
                state, made = core.step(state, actions[:, k])
                assert float((made - latents[:, k + 1]).square().mean()) < 0.2 * float(latents.square().mean())
