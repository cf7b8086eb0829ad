"""The physical state decides first: in a dream by the transition, of a whole clip by the course; pictures follow."""

from __future__ import annotations

import pytest
import torch
from cores import ACTION, LAYOUT, SENSORS, clip_of, untrained

from videosim import spacetime
from videosim.course import Course
from videosim.model_config import FlowConfig
from videosim.spacetime import SpaceTimeDynamics
from videosim.storyline import storyline, watched

KINDS = ("flow", "masked")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def core_of(kind: str) -> SpaceTimeDynamics:
    """A core that answers with its guess: its transformer has nothing to add."""
    core = untrained(kind, joint=1.0, temperature=0.0) if kind == "masked" else untrained(kind, joint=1.0)
    assert isinstance(core, SpaceTimeDynamics) and isinstance(core.course, Course)
    with torch.no_grad():
        for name, weight in core.named_parameters():
            if name.startswith(("patches.out", "patches.extra_out")):
                weight.zero_()
        core.course.out.weight.normal_(std=0.1)
    return core


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_dream_goes_where_the_transition_leads_and_looks_as_that_is_painted(kind: str) -> None:
    core, (latents, actions) = core_of(kind), clip_of(3, 5)
    state = core.start(latents[:, :3], actions[:, :2])
    assert core.transition is not None and core.guess is not None
    for t in range(2, 5):
        moved = state["sensors"] + core.sensor_step * core.transition(state["sensors"], actions[:, t])
        state, made = core.step(state, actions[:, t])
        torch.testing.assert_close(state["sensors"], moved)
        painted = core.guess(moved, latents[:, 2])
        if kind == "flow":
            torch.testing.assert_close(made, painted)
        else:  # the value of a code that lies nearest
            assert (made - painted.clamp(-1.0, 1.0)).abs().max() <= 0.25 + 1e-5


@torch.no_grad()
@pytest.mark.parametrize("told", [True, False])
def test_a_whole_clip_looks_as_its_states_are_painted(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    core, (latents, actions) = core_of("flow"), clip_of(2, 5)
    kept = torch.zeros_like(latents[..., 0])
    kept[:, :2] = 1.0
    outlined: list[torch.Tensor] = []
    monkeypatch.setattr(spacetime, "storyline", lambda *told: outlined.append(storyline(*told)) or outlined[-1])
    nobody = torch.zeros_like(actions)
    made = core.generate(latents, kept, actions if told else None, [rng(1), rng(2)], 4, unsteered=nobody)
    (states,) = outlined
    torch.testing.assert_close(made[:, 2:], core._painted(states, latents[:, 0])[:, 2:])
    assert torch.equal(made[:, :2], latents[:, :2])
    if told:  # nothing later is known: they follow
        torch.testing.assert_close(states[:, 3], core.moved(states[:, 2], actions[:, 2]))
    alone = core.generate(latents[1:], kept[1:], actions[1:] if told else None, [rng(2)], 4, unsteered=nobody[1:])
    torch.testing.assert_close(alone, made[1:])


@torch.no_grad()
def test_of_frames_known_in_part_no_state_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    core, (latents, _) = core_of("flow"), clip_of(2, 5)
    monkeypatch.setattr(spacetime, "storyline", lambda *told: pytest.fail("states of frames that nobody knows"))
    kept = torch.ones_like(latents[..., 0])
    kept[..., :2] = 0.0
    made = core.generate(latents, kept, None, [rng(), rng()], 2, unsteered=torch.zeros(2, 5, ACTION))
    assert torch.equal(made[..., 2:, :], latents[..., 2:, :])


@torch.no_grad()
def test_a_lone_beginning_does_not_tell_how_things_move() -> None:
    core, (latents, actions) = core_of("flow"), clip_of(1, 5)
    known = torch.tensor([True, True, True, False, False, True])
    assert watched(core, latents, known, actions)[1].tolist() == [False, True, True, False, False, True]


@torch.no_grad()
def test_known_states_stay_and_seeds_decide_on_the_others() -> None:
    course = core_of("flow").course
    assert isinstance(course, Course)
    given, actions = torch.randn(2, 6, SENSORS, generator=rng(1)), torch.randn(2, 5, ACTION, generator=rng(2))
    known = torch.tensor([[1.0, 0, 0, 0, 0, 1], [1, 1, 0, 0, 0, 0]])
    first, again, other = (course.generate(given, known, actions, [rng(s), rng(s)]) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.allclose(first, other)
    assert torch.equal(first[known == 1], given[known == 1])


@torch.no_grad()
def test_what_has_learned_nothing_makes_up_anything_that_could_be() -> None:
    """Its states vary as those of data do, and what a body does not have stays 0."""
    core = core_of("flow")
    course = core.course
    assert isinstance(course, Course)
    course.out.weight.zero_()
    course.tied.fill_(0.9)
    nothing, felt = torch.zeros(400, 6, SENSORS), torch.ones(400, SENSORS)
    felt[:, -1] = 0.0
    rngs = [rng(n) for n in range(400)]
    made = course.generate(nothing, nothing[..., 0], torch.zeros(400, 5, ACTION), rngs, felt=felt)
    assert not made[..., -1].any()
    torch.testing.assert_close(made[..., :-1].std((0, 1)), torch.ones(SENSORS - 1), atol=0.15, rtol=0.0)
    shared = (made[:, 1:, 0] * made[:, :-1, 0]).mean() / made[..., 0].square().mean()
    torch.testing.assert_close(shared, torch.tensor(0.9), atol=0.05, rtol=0.0)


def test_a_course_learns_where_actions_lead() -> None:
    """The state adds the actions up: from its beginning and the actions a course knows the rest, without them not."""
    torch.manual_seed(0)
    course = Course(FlowConfig(width=12, heads=2, layers=2, course=48), 1, ACTION)
    optimizer, draw = torch.optim.Adam(course.parameters(), 3e-3), rng(3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, 400)

    def clips(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        actions = torch.randn(rows, 5, ACTION, generator=draw)
        moved = torch.cat([torch.randn(rows, 1, generator=draw), 0.5 * actions[..., 0]], 1)
        return moved.cumsum(1)[..., None], actions

    for _ in range(400):
        states, actions = clips(64)
        lost = course.loss(states, actions, torch.ones(64, 5).bool(), draw)
        optimizer.zero_grad()
        lost.backward()
        optimizer.step()
        schedule.step()
    states, actions = clips(64)
    known = torch.zeros(64, 6)
    known[:, 0] = 1.0
    rngs = [rng(n) for n in range(64)]
    error, blind = (
        (course.generate(states, known, told, rngs) - states)[:, 1:].abs().mean()
        for told in (actions, actions[torch.randperm(64, generator=rng())])
    )
    still = (states[:, :1] - states[:, 1:]).abs().mean()
    assert error < 0.5 * still < 0.5 * blind


@torch.no_grad()
def test_paths_begin_with_what_stands_nearest() -> None:
    """Whatever the layout, an answer of zeros is what stands nearest."""
    core, (latents, _) = core_of("flow"), clip_of(2, 5)
    zeros = torch.zeros(*latents.shape[:-1], core.path.outputs)
    noise = torch.randn(latents.shape, generator=rng())
    assert torch.equal(core.path.answer(zeros, noise, latents, torch.ones_like(latents[..., 0])), latents)
    assert core.path.outputs == 2 * LAYOUT.width
