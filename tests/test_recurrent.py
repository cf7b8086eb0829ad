"""The recurrent core: start, observe and step are one filter; rows never touch; a dream looks at no frame."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from videosim import recurrent
from videosim.dynamics import Dynamics, build_dynamics
from videosim.errors import VideoSimError
from videosim.model_config import DynamicsConfig, RecurrentConfig

TOKENS, WIDTH, ACTION, SENSORS = 4, 3, 5, 2
CONFIG = RecurrentConfig(memory=8, hidden=16, input_noise=0.0)


@pytest.fixture
def core() -> Dynamics:
    torch.manual_seed(0)
    core = build_dynamics(CONFIG, TOKENS, WIDTH, ACTION, SENSORS).eval()
    with torch.no_grad():
        for layer in (core.latent_increment, core.sensor_increment, core.correction[-1]):
            layer.weight.normal_(std=0.3)  # untrained, it would stand still and hide every fault
    return core


@pytest.fixture
def clip() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 6, TOKENS, WIDTH, generator=generator), torch.randn(3, 5, ACTION, generator=generator)


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert set(left) == set(right)
    for name, value in left.items():
        torch.testing.assert_close(value, right[name], atol=1e-6, rtol=1e-5)


def dream(core: Dynamics, state: dict[str, torch.Tensor], actions: torch.Tensor) -> torch.Tensor:
    frames = []
    for k in range(actions.shape[1]):
        state, latents = core.step(state, actions[:, k])
        frames.append(torch.cat([latents.flatten(1), core.features(state), core.sensors(state)], -1))
    return torch.stack(frames, 1)


@torch.no_grad()
def test_starting_from_a_clip_is_starting_from_a_frame_and_observing_the_rest(core: Dynamics, clip) -> None:
    latents, actions = clip
    state = core.start(latents[:, :1], actions[:, :0])
    for k in range(5):
        state = core.observe(state, actions[:, k], latents[:, k + 1])
    same(core.start(latents, actions), state)


@torch.no_grad()
def test_a_row_of_a_batch_is_the_row_alone(core: Dynamics, clip) -> None:
    latents, actions = clip
    together = dream(core, core.start(latents[:, :2], actions[:, :1]), actions)
    for row in range(3):
        one = slice(row, row + 1)
        alone = dream(core, core.start(latents[one, :2], actions[one, :1]), actions[one])
        torch.testing.assert_close(together[one], alone, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_states_can_be_indexed_stacked_and_copied(core: Dynamics, clip) -> None:
    latents, actions = clip
    state = core.start(latents[:, :3], actions[:, :2])
    assert all(len(value) == 3 for value in state.values())
    turned = {name: value[[2, 0, 1]] for name, value in state.items()}
    before = {name: value.clone() for name, value in state.items()}
    torch.testing.assert_close(dream(core, turned, actions[[2, 0, 1]]), dream(core, state, actions)[[2, 0, 1]])
    same(state, before)  # nothing is written in place


@torch.no_grad()
def test_a_real_frame_counts_and_resets_the_age(core: Dynamics, clip) -> None:
    latents, actions = clip
    state = core.start(latents[:, :2], actions[:, :1])
    assert torch.equal(core.latents(state), latents[:, 1])
    for _ in range(3):
        state, imagined = core.step(state, actions[:, 2])
        assert torch.equal(core.latents(state), imagined)
    assert state["age"].tolist() == [3.0] * 3
    seen = core.observe(state, actions[:, 3], latents[:, 4])
    other = core.observe(state, actions[:, 3], latents[:, 5])
    assert seen["age"].tolist() == [0.0] * 3 and torch.equal(core.latents(seen), latents[:, 4])
    assert not torch.allclose(core.sensors(seen), core.sensors(other))  # the picture corrects the state


@torch.no_grad()
def test_every_action_changes_the_next_frame_and_none_before(core: Dynamics, clip) -> None:
    latents, actions = clip
    state = core.start(latents[:, :1], actions[:, :0])
    changed = actions.clone()
    changed[:, 3] += 1.0
    first, second = dream(core, state, actions), dream(core, state, changed)
    assert torch.equal(first[:, :3], second[:, :3])
    assert bool((first[:, 3] != second[:, 3]).any(-1).all())


def test_the_open_loop_part_of_the_loss_never_looks_at_frames(core: Dynamics, clip) -> None:
    latents, actions = clip
    sensors = torch.randn(3, 6, SENSORS, generator=torch.Generator().manual_seed(2))
    valid = torch.ones(3, 5, dtype=torch.bool)

    def states(seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        out = core.loss(seen, actions, sensors, valid, torch.Generator().manual_seed(0))
        assert len(out.dreamt.features) == 1  # of three rows
        return torch.cat([out.features, out.dreamt.features]), out.dreamt.age, out.total

    changed = latents.clone()
    changed[:, 2:] += 1.0
    features, age, total = states(latents)
    others, _, total_of_others = states(changed)
    assert age[0].tolist() == [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]  # this seed draws two frames of context
    assert torch.equal(features, others) and not torch.equal(total, total_of_others)
    changed = latents.clone()
    changed[:, 1] += 1.0
    assert not torch.allclose(features[:, 1:], states(changed)[0][:, 1:])


@torch.no_grad()
def test_what_is_dreamt_in_training_is_what_is_dreamt_in_use(core: Dynamics, clip) -> None:
    latents, actions = clip
    sensors = torch.randn(3, 6, SENSORS, generator=torch.Generator().manual_seed(2))
    valid = torch.ones(3, 5, dtype=torch.bool)
    dreamt = core.loss(latents, actions, sensors, valid, torch.Generator().manual_seed(0)).dreamt
    state = core.start(latents[:1, :2], actions[:1, :1])  # this seed draws two frames of context
    torch.testing.assert_close(dreamt.sensors[:, 1], core.sensors(state))
    for k in range(1, 5):
        state, _ = core.step(state, actions[:1, k])
        torch.testing.assert_close(dreamt.features[:, k + 1], core.features(state))
        torch.testing.assert_close(dreamt.sensors[:, k + 1], core.sensors(state))


def test_the_loss_leaves_out_what_is_not_valid(core: Dynamics, clip) -> None:
    latents, actions = clip
    sensors = torch.zeros(3, 6, SENSORS)
    valid = torch.ones(3, 5, dtype=torch.bool)
    valid[:, 3:] = False
    spoilt = latents.clone()
    spoilt[:, 4:] = 1e3
    one, two = (
        core.loss(z, actions, sensors, valid, torch.Generator().manual_seed(0)).total for z in (latents, spoilt)
    )
    assert torch.equal(one, two)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(VideoSimError, match="recurrent"):
        build_dynamics(DynamicsConfig("dream"), TOKENS, WIDTH, ACTION, SENSORS)


def test_the_physical_state_moves_as_it_was_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "FAR", (1e-3, 1e-2))
    torch.manual_seed(0)
    core = build_dynamics(replace(CONFIG, hidden=64), TOKENS, WIDTH, ACTION, SENSORS)
    core.sensor_step.fill_(0.1)
    generator, valid = torch.Generator().manual_seed(3), torch.ones(32, 5, dtype=torch.bool)
    optimizer = torch.optim.Adam(core.transition.parameters(), lr=3e-3)
    errors = []
    for _ in range(200):
        pushes = torch.randn(32, 5, ACTION, generator=generator)
        moves = 0.1 * torch.stack([pushes[..., 0], -pushes[..., 1]], -1)
        sensors = torch.cat([torch.zeros(32, 1, SENSORS), moves.cumsum(1)], 1)
        error = core.transition_loss(sensors, pushes, valid, generator)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert sum(errors[-10:]) < 0.1 * sum(errors[:10])


def test_runs_from_impossible_states_lead_back() -> None:
    """The second sensor repeats the first: a state in which they differ cannot be, and must not last in a dream."""
    torch.manual_seed(0)
    core = build_dynamics(replace(CONFIG, hidden=64), TOKENS, WIDTH, ACTION, SENSORS)
    core.sensor_step.fill_(0.1)
    generator, valid = torch.Generator().manual_seed(3), torch.ones(128, 5, dtype=torch.bool)
    optimizer = torch.optim.Adam(core.transition.parameters(), lr=1e-2)
    for _ in range(600):
        pushes = torch.randn(128, 5, ACTION, generator=generator)
        place = torch.randn(128, 1, generator=generator) + 0.1 * pushes[..., 0].cumsum(1)
        sensors = torch.cat([place[:, :1] - 0.1 * pushes[:, :1, 0], place], 1)[..., None].expand(-1, -1, SENSORS)
        optimizer.zero_grad()
        core.transition_loss(sensors, pushes, valid, generator).backward()
        optimizer.step()
    state = torch.tensor([[0.5, -0.1]])
    with torch.no_grad():
        for _ in range(10):
            state = state + core.sensor_step * core._move(state, torch.zeros(1, ACTION))
    assert abs(float(state[0, 0] - state[0, 1])) < 0.15 and 0.0 < float(state.mean()) < 0.4


def test_steps_that_do_not_exist_teach_nothing() -> None:
    core = build_dynamics(CONFIG, TOKENS, WIDTH, ACTION, SENSORS)
    sensors, actions = torch.randn(4, 6, SENSORS), torch.randn(4, 5, ACTION)
    valid = torch.ones(4, 5, dtype=torch.bool)
    valid[:, 3:] = False
    rng = torch.Generator()
    one = core.transition_loss(sensors, actions, valid, rng.manual_seed(1))
    two = core.transition_loss(torch.cat([sensors[:, :4], 9 + sensors[:, 4:]], 1), actions, valid, rng.manual_seed(1))
    assert torch.equal(one, two)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_log_without_sensors_trains_and_dreams(clip) -> None:
    latents, actions = clip
    torch.manual_seed(0)
    core = build_dynamics(CONFIG, TOKENS, WIDTH, ACTION, 0)
    valid = torch.ones(3, 5, dtype=torch.bool)
    loss = core.loss(latents, actions, torch.zeros(3, 6, 0), valid, torch.Generator().manual_seed(0))
    loss.total.backward()
    assert float(core.latent_increment.weight.grad.abs().max()) > 0.0 and bool(torch.isfinite(loss.total))
    assert bool(torch.isfinite(dream(core, core.start(latents, actions), actions)).all())


def test_no_dream_leaves_the_box_of_the_data(clip) -> None:
    latents, actions = clip
    torch.manual_seed(0)
    core = build_dynamics(CONFIG, TOKENS, WIDTH, ACTION, SENSORS)
    core.sensor_step.fill_(50.0)  # a transition gone wild
    core.sensor_low.fill_(-2.0), core.sensor_high.fill_(1.5)
    with torch.no_grad():
        state = core.start(latents, actions)
        for t in range(50):
            state, _ = core.step(state, actions[:, t % actions.shape[1]])
    seen = core.sensors(state)
    assert bool(((seen == -2.0) | (seen == 1.5)).any()) and bool(((seen >= -2.0) & (seen <= 1.5)).all())
