"""What the recurrent core alone promises: its dream in training, and the transition of the physical state."""

from __future__ import annotations

import pytest
import torch
from cores import ACTION, SENSORS, clip_of, untrained

from videosim import transition


def test_the_open_loop_part_of_the_loss_never_looks_at_frames() -> None:
    core = untrained("recurrent")
    latents, actions = clip_of()
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


def test_the_physical_state_moves_as_it_was_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transition, "FAR", (1e-3, 1e-2))
    core = untrained("recurrent", hidden=64)
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
    core = untrained("recurrent", hidden=64)
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
            state = state + core.sensor_step * core.transition(state, torch.zeros(1, ACTION))
    assert abs(float(state[0, 0] - state[0, 1])) < 0.15 and 0.0 < float(state.mean()) < 0.4


def learned(products: int, steps: int = 400) -> transition.Transition:
    """A transition that was shown how the second of two discs is shoved by the first, wherever they overlap."""
    torch.manual_seed(0)
    mover = transition.Transition(4, 1, 64, products)
    optimizer, rng = torch.optim.Adam(mover.parameters(), lr=3e-3), torch.Generator().manual_seed(1)
    for _ in range(steps):
        places, shoved = discs(256, rng)
        optimizer.zero_grad()
        (mover(places, torch.zeros(256, 1)) - shoved).square().mean().backward()
        optimizer.step()
    return mover


def discs(count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = 2 * torch.rand(2, count, 2, generator=rng) - 1
    apart = second - first
    reach = (0.8 - apart.norm(dim=-1, keepdim=True)).clamp(min=0)
    return torch.cat([first, second], -1), torch.cat([torch.zeros_like(first), reach * apart], -1)


def test_with_products_contacts_are_learnt_better_and_what_lies_still_lies_stiller() -> None:
    places, shoved = discs(2000, torch.Generator().manual_seed(2))
    still = shoved.abs().amax(-1) == 0
    found = []
    for products in (0, 16):
        mover = learned(products)
        with torch.no_grad():
            off = (mover(places, torch.zeros(2000, 1)) - shoved).square()
        found.append((float(off[~still].mean()), float(off[still].mean())))
    (plain, drift), (quadratic, stillness) = found
    assert quadratic < 0.2 * plain and stillness < 0.2 * drift


def test_steps_that_do_not_exist_teach_nothing() -> None:
    core = untrained("recurrent")
    sensors, actions = torch.randn(4, 6, SENSORS), torch.randn(4, 5, ACTION)
    valid = torch.ones(4, 5, dtype=torch.bool)
    valid[:, 3:] = False
    rng = torch.Generator()
    one = core.transition_loss(sensors, actions, valid, rng.manual_seed(1))
    two = core.transition_loss(torch.cat([sensors[:, :4], 9 + sensors[:, 4:]], 1), actions, valid, rng.manual_seed(1))
    assert torch.equal(one, two)
