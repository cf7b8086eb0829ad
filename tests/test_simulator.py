"""The identities that every dynamics core must keep, and long dreams."""

from __future__ import annotations

import pytest
import torch
from cores import CONFIGS

from videosim.errors import VideoSimError
from videosim.simulator import Simulator
from videosim.world_model import WorldModel


@pytest.fixture(params=CONFIGS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every test here holds for every kind of dynamics."""
    return request.param


def started(model: WorldModel, rows: int) -> Simulator:
    simulator = Simulator(model, rows)
    clips = model.contexts
    simulator.reset(range(rows), range(rows), clips.latents[:rows], clips.actions[:rows])
    return simulator


def actions(model: WorldModel, rows: int, steps: int) -> torch.Tensor:
    return torch.rand(steps, rows, model.spec.action.size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_a_clip_absorbed_at_once_equals_one_frame_at_a_time(tiny_model: WorldModel) -> None:
    clips = tiny_model.contexts
    whole = tiny_model.start(clips.latents, clips.actions)
    state = tiny_model.start(clips.latents[:, :1], clips.actions[:, :0])
    for k in range(clips.actions.shape[1]):
        state = tiny_model.observe(state, clips.actions[:, k], clips.latents[:, k + 1])
    assert set(state) == set(whole)
    for name in whole:
        torch.testing.assert_close(state[name], whole[name])


def test_a_cached_step_equals_running_again_from_the_start(tiny_model: WorldModel) -> None:
    moves = actions(tiny_model, 4, 6)
    kept = started(tiny_model, 4)
    for length in range(1, len(moves) + 1):
        cached = kept.step(moves[length - 1])
        again = started(tiny_model, 4)
        for action in moves[:length]:
            anew = again.step(action)
        for name, value in vars(cached).items():
            torch.testing.assert_close(value, getattr(anew, name), rtol=0, atol=0, msg=name)


def test_the_actions_of_a_row_move_that_row_only(tiny_model: WorldModel) -> None:
    moves = actions(tiny_model, 4, 1)[0]
    other = moves.clone()
    other[2] = -other[2]
    plain, changed = started(tiny_model, 4), started(tiny_model, 4)
    plain.step(moves), changed.step(other)
    moved = (plain.policy_input("latent") != changed.policy_input("latent")).any(1)
    assert moved.tolist() == [False, False, True, False]


def test_resetting_one_row_leaves_the_rest_and_earlier_snapshots(tiny_model: WorldModel) -> None:
    simulator = started(tiny_model, 3)
    simulator.step(actions(tiny_model, 3, 1)[0])
    snapshot = simulator.snapshot()
    kept = {name: value.clone() for name, value in snapshot.items()}
    clips = tiny_model.contexts
    simulator.reset([1], [7], clips.latents[5:], clips.actions[5:])
    for name, value in simulator.state.items():
        assert torch.equal(value[[0, 2]], kept[name][[0, 2]])
    assert not torch.equal(simulator.state["latents"][1], kept["latents"][1])
    assert all(torch.equal(snapshot[name], kept[name]) for name in kept)
    assert torch.equal(simulator.decode([1]), simulator.decode()[1:2])


def test_generators_travel_with_snapshots_and_branches(tiny_model: WorldModel) -> None:
    simulator = started(tiny_model, 3)
    snapshot = simulator.snapshot()
    drawn = [torch.rand(2, generator=rng) for rng in simulator.rngs]
    assert not torch.equal(drawn[0], drawn[1])
    simulator.restore(snapshot)
    branched = simulator.branch(1, 2)
    for rng in branched.rngs:
        assert torch.equal(torch.rand(2, generator=rng), drawn[1])
    assert all(
        torch.equal(torch.rand(2, generator=rng), expected) for rng, expected in zip(simulator.rngs, drawn, strict=True)
    )


def test_long_dreams_stay_numbers(tiny_model: WorldModel, kind: str) -> None:
    simulator = started(tiny_model, 6)
    for action in actions(tiny_model, 6, 1000 if kind == "recurrent" else 120):  # 40 times round the ring of the past
        out = simulator.step(action)
    assert all(torch.isfinite(value).all() for value in vars(out).values())
    assert simulator.decode().dtype == torch.uint8


def test_misuse_is_said(tiny_model: WorldModel) -> None:
    simulator = Simulator(tiny_model, 2)
    with pytest.raises(VideoSimError, match="reset before"):
        simulator.step(torch.zeros(2, 2))
    with pytest.raises(VideoSimError, match="every row"):
        simulator.reset([0], [0], tiny_model.contexts.latents[:1], tiny_model.contexts.actions[:1])
    with pytest.raises(VideoSimError, match="rows"):
        simulator.restore(started(tiny_model, 3).snapshot())
