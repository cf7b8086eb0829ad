"""What every dynamics core promises: start, observe and step are one filter; rows never touch; a dream looks at no
frame."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from cores import ACTION, CONFIGS, LAYOUT, SENSORS, clip_of, untrained

from videosim.dynamics import Dynamics, build_dynamics
from videosim.errors import VideoSimError
from videosim.model_config import DynamicsConfig

STEPS = 5


@pytest.fixture(params=CONFIGS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def core(kind: str) -> Dynamics:
    return untrained(kind)


@pytest.fixture
def clip() -> tuple[torch.Tensor, torch.Tensor]:
    return clip_of(3, STEPS)


@pytest.fixture
def exact() -> Iterator[None]:
    """Everything in double precision, so that what differs is no rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert set(left) == set(right)
    for name, value in left.items():
        torch.testing.assert_close(value, right[name], atol=1e-6, rtol=1e-5)


def seeded(rows: range) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(row) for row in rows]


def dream(
    core: Dynamics, state: dict[str, torch.Tensor], actions: torch.Tensor, rngs: list[torch.Generator] | None = None
) -> torch.Tensor:
    frames = []
    for k in range(actions.shape[1]):
        state, latents = core.step(state, actions[:, k], rngs)
        frames.append(torch.cat([latents.flatten(1), core.features(state), core.sensors(state)], -1))
    return torch.stack(frames, 1)


@torch.no_grad()
def test_starting_from_a_clip_is_starting_from_a_frame_and_observing_the_rest(core: Dynamics, clip) -> None:
    latents, actions = clip
    state = core.start(latents[:, :1], actions[:, :0])
    for k in range(STEPS):
        state = core.observe(state, actions[:, k], latents[:, k + 1])
    same(core.start(latents, actions), state)


@torch.no_grad()
def test_a_row_of_a_batch_is_the_row_alone(core: Dynamics, clip) -> None:
    latents, actions = clip
    together = dream(core, core.start(latents[:, :2], actions[:, :1]), actions, seeded(range(3)))
    for row in range(3):
        one = slice(row, row + 1)
        alone = dream(core, core.start(latents[one, :2], actions[one, :1]), actions[one], seeded(range(row, row + 1)))
        torch.testing.assert_close(together[one], alone, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_a_dream_is_its_seed_and_its_state(core: Dynamics, kind: str, clip) -> None:
    latents, actions = clip
    state = core.start(latents[:, :2], actions[:, :1])
    first, again, other = (dream(core, state, actions, seeded(range(s, s + 3))) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (kind == "recurrent")
    assert torch.equal(dream(core, state, actions), dream(core, state, actions))  # with no generators at all


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
def test_rows_of_different_age_share_a_batch(kind: str, exact: None) -> None:
    core, (latents, actions) = untrained(kind), clip_of(3, STEPS)
    young = core.start(latents[:1, :1], actions[:1, :0])
    old = core.start(latents[1:2], actions[1:2])
    both = {name: torch.cat([young[name], old[name]]) for name in young}
    together = dream(core, both, actions[:2])
    torch.testing.assert_close(together[:1], dream(core, young, actions[:1]), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(together[1:], dream(core, old, actions[1:2]), atol=1e-6, rtol=1e-5)


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


@torch.no_grad()
def test_actions_changed_over_between_rows_change_the_dreams_over(core: Dynamics, clip) -> None:
    latents, actions = clip
    state = core.start(latents[:1, :1].expand(3, -1, -1, -1), actions[:, :0])
    order = [2, 0, 1]
    torch.testing.assert_close(dream(core, state, actions[order]), dream(core, state, actions)[order])


def losses(core: Dynamics, latents: torch.Tensor, actions: torch.Tensor, valid: torch.Tensor):  # type: ignore[no-untyped-def]
    sensors = torch.randn(len(latents), STEPS + 1, SENSORS, generator=torch.Generator().manual_seed(2))
    return core.loss(latents, actions, sensors, valid, torch.Generator().manual_seed(0))


def test_what_is_dreamt_in_training_is_what_is_dreamt_in_use(core: Dynamics, clip) -> None:
    latents, actions = clip
    dreamt = losses(core, latents, actions, torch.ones(3, STEPS, dtype=torch.bool)).dreamt
    context = int((dreamt.age[0] == 0.0).sum())
    assert dreamt.age[0].tolist() == [0.0] * context + [k + 1.0 for k in range(STEPS + 1 - context)]
    with torch.no_grad():
        state = core.start(latents[:1, :context], actions[:1, : context - 1])
        for k in range(context - 1, STEPS):
            state, imagined = core.step(state, actions[:1, k])
            torch.testing.assert_close(dreamt.features[:, k + 1], core.features(state))
            torch.testing.assert_close(dreamt.sensors[:, k + 1], core.sensors(state))
            torch.testing.assert_close(dreamt.latents[:, k + 1], imagined.flatten(1))


def test_the_features_that_teach_belong_to_the_frames(core: Dynamics, clip) -> None:
    """Shapes as promised, and no gradient through what is dreamt."""
    latents, actions = clip
    out = losses(core, latents, actions, torch.ones(3, STEPS, dtype=torch.bool))
    assert out.features.shape == (3, STEPS + 1, core.feature_size)
    assert len(out.dreamt.features) == 1 and not out.dreamt.features.requires_grad  # of three rows
    assert bool(torch.isfinite(out.total)) and out.total.requires_grad


def test_the_loss_leaves_out_what_is_not_valid(core: Dynamics, clip) -> None:
    latents, actions = clip
    valid = torch.ones(3, STEPS, dtype=torch.bool)
    valid[:, 3:] = False
    spoilt = latents.clone()
    spoilt[:, 4:] = 1e3
    one, two = (losses(core, z, actions, valid).total for z in (latents, spoilt))
    assert torch.equal(one, two)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_log_without_sensors_trains_and_dreams(kind: str, clip) -> None:
    latents, actions = clip
    core = untrained(kind, sensors=0)
    valid = torch.ones(3, STEPS, dtype=torch.bool)
    loss = core.loss(latents, actions, torch.zeros(3, STEPS + 1, 0), valid, torch.Generator().manual_seed(0))
    loss.total.backward()
    assert bool(torch.isfinite(loss.total))
    assert any(p.grad is not None and float(p.grad.abs().sum()) > 0.0 for p in core.parameters())
    assert bool(torch.isfinite(dream(core, core.start(latents, actions), actions)).all())


@torch.no_grad()
def test_no_belief_leaves_the_box_of_the_data(core: Dynamics, clip) -> None:
    latents, actions = clip
    core.sensor_step.fill_(50.0)  # a transition gone wild
    core.sensor_low.fill_(-0.01), core.sensor_high.fill_(0.005)
    state = core.start(latents, actions)
    for t in range(20):
        state, _ = core.step(state, actions[:, t % STEPS])
    seen = core.sensors(state)
    assert bool(((seen == -0.01) | (seen == 0.005)).any()) and bool(((seen >= -0.01) & (seen <= 0.005)).all())


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(VideoSimError, match="recurrent"):
        build_dynamics(DynamicsConfig("dream"), LAYOUT, ACTION, SENSORS)
