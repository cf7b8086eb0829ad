"""The physical states of a whole clip: read where its frames are known, followed where actions lead on from there, and
drawn where neither says anything. The pictures come later. Knows no picture but to read it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from videosim.course import Course
from videosim.dynamics import Dynamics, State


def storyline(
    core: Dynamics,
    given: Tensor,
    known: Tensor,
    actions: Tensor | None,
    unsteered: Tensor,
    rngs: Sequence[torch.Generator],
    texts: Sequence[str] | None,
    guidance: float,
    felt: Tensor | None = None,
) -> Tensor:
    """Standardised states ``(B, T, S)`` of clips whose frames ``given`` ``(B, T, N, D)`` are ``known`` bool ``(T,)``;
    the rest as for ``SpaceTimeDynamics.generate``. Where actions are told and nothing later is known they follow from
    what is."""
    states, read = watched(core, given, known, unsteered if actions is None else actions)
    last = int(known.nonzero().max()) if known.any() else -1
    if actions is not None and last >= 0 and bool(known[: last + 1].all()):
        for t in range(last + 1, len(known)):
            states[:, t] = core.moved(states[:, t - 1], actions[:, t - 1])
        return states
    assert isinstance(core.course, Course)
    tokens = unsteered if actions is None else actions
    kept = read.float().expand(len(states), -1)
    return core.bounded(core.course.generate(states, kept, tokens, rngs, texts, guidance, felt))


def watched(core: Dynamics, given: Tensor, known: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """The states ``(B, T, S)`` that the ``known`` frames show, under action tokens ``(B, T-1, W)``, and of which frames
    they are, bool ``(T,)``: one with none before it, but one after it, does not tell how things move."""
    states = given.new_zeros(*given.shape[:2], len(core.sensor_step))
    state: State | None = None
    for t in range(len(known)):
        if not known[t]:
            state = None
        elif state is None:
            state = core.start(given[:, t : t + 1], actions[:, :0])
        else:
            state = core.observe(state, actions[:, t - 1], given[:, t])
        if state is not None:
            states[:, t] = core.sensors(state)
    follows, followed = known.roll(1), known.roll(-1)
    follows[0] = followed[-1] = False
    return states, known & (follows | ~followed)
