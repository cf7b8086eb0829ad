"""Which lesson a step of training is."""

from __future__ import annotations

import pytest
import torch

from videosim.lessons import one_of


def test_every_lesson_has_its_share_of_the_steps_whatever_else_is_drawn() -> None:
    given: list[int] = []

    def lesson(number: int):  # type: ignore[no-untyped-def]
        return lambda step, rng: given.append(number) or (torch.zeros(()), {})

    drawn = one_of([(1.0, lesson(0)), (0.0, lesson(1)), (3.0, lesson(2))])
    for step in range(2000):
        drawn(step, torch.Generator().manual_seed(step))
    assert given.count(0) / 2000 == pytest.approx(0.25, abs=0.03)  # three of its deviations
    assert given.count(1) == 0
    before, after = given.copy(), given.clear()
    for step in range(2000):
        drawn(step, torch.Generator())  # another process, with another part of the batch
    assert after is None and given == before


def test_the_lesson_gets_the_step_and_the_generator_of_its_part() -> None:
    rng = torch.Generator()
    seen = one_of([(1.0, lambda step, rng: ((step, rng), {}))])(7, rng)  # type: ignore[arg-type, return-value]
    assert seen[0] == (7, rng)
