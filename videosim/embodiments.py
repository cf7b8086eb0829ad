"""Several worlds in one model: what they have in common, and what each of them has of it. Knows no torch.

The numbers of an action, and the sensors, are the same where they have the same name. The model's world has all of
them, in the order in which the stores bring them; its name, rate and horizon are those of the first store. Each store
is an *embodiment*: a body with some of these actions and some of these sensors, and an embedding of its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from videosim.errors import VideoSimError
from videosim.types import ActionSpec, SensorSpec, WorldSpec

SAME_RATE = 1.05  # ratio of two rates that are one


@dataclass(frozen=True)
class Embodiment:
    """A body: its name, and which of the world's actions and sensors it has, by their names. One without actions is
    video without labels."""

    name: str
    actions: tuple[str, ...]
    sensors: tuple[str, ...]

    @classmethod
    def of(cls, world: WorldSpec, name: str = "") -> Embodiment:
        """The body that has all of ``world``."""
        return cls(name or world.name, world.action.names, world.sensors.names)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Embodiment:
        """Inverse of ``dataclasses.asdict``, also after a JSON round trip."""
        return cls(data["name"], tuple(data["actions"]), tuple(data["sensors"]))

    def steers(self, world: WorldSpec) -> np.ndarray:
        """Which of the world's actions it has: bool ``(A,)``."""
        return has(world.action.names, self.actions)

    def measures(self, world: WorldSpec) -> np.ndarray:
        """Which of the world's sensors it has: bool ``(S,)``."""
        return has(world.sensors.names, self.sensors)

    def world(self, world: WorldSpec) -> WorldSpec:
        """What it has of ``world``, under its own name and in its own order."""
        action, sensors = world.action, world.sensors
        acts, feels = places(action.names, self.actions), places(sensors.names, self.sensors)
        return replace(
            world,
            name=self.name,
            action=ActionSpec(tuple(action.low[i] for i in acts), tuple(action.high[i] for i in acts), self.actions),
            sensors=SensorSpec(
                self.sensors,
                tuple(sensors.units[i] for i in feels),
                tuple(sensors.low[i] for i in feels),
                tuple(sensors.high[i] for i in feels),
            ),
        )


def body_of(checkpoint: str) -> tuple[str, str]:
    """CHECKPOINT:BODY apart; without a body where none is named, a colon may also stand in the name of a folder."""
    folder, colon, body = checkpoint.rpartition(":")
    if not colon or os.sep in body or os.path.exists(checkpoint):
        return checkpoint, ""
    return folder, body


def places(names: Sequence[str], own: Sequence[str]) -> list[int]:
    """Where each of ``own`` stands among ``names``."""
    return [names.index(name) for name in own]


def has(names: Sequence[str], own: Sequence[str]) -> np.ndarray:
    """Which of ``names`` are among ``own``: bool ``(len(names),)``."""
    return np.array([name in own for name in names], bool)


def number_of(embodiments: Sequence[Embodiment], wanted: str | int) -> int:
    """The number of the body that is called ``wanted`` or has this number; VideoSimError where there is none."""
    names = [body.name for body in embodiments]
    if isinstance(wanted, str) and wanted in names:
        return names.index(wanted)
    if not isinstance(wanted, (str, bool)) and isinstance(wanted, (int, np.integer)) and 0 <= wanted < len(names):
        return int(wanted)
    raise VideoSimError(
        f"this model has no embodiment {wanted!r}; it has {', '.join(names)} (or 0 to {len(names) - 1})"
    )


def joined(worlds: Sequence[WorldSpec], names: Sequence[str]) -> tuple[WorldSpec, list[Embodiment]]:
    """One world that has every action and every sensor of ``worlds``, and the body that each of them is.

    Raises VideoSimError where frames, rates or units differ, where two have one name, and where none can be steered.
    """
    first = worlds[0]
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise VideoSimError(f"two stores are called {twice!r}; rename the folder of one: it names the embodiment")
    for world, name in zip(worlds, names, strict=True):
        if world.frame != first.frame:
            raise VideoSimError(
                f"frames of {names[0]} are {first.frame.height}x{first.frame.width} and those of {name} "
                f"{world.frame.height}x{world.frame.width}; collect or import both in one size"
            )
        if not 1.0 / SAME_RATE <= world.dt_s / first.dt_s <= SAME_RATE:
            raise VideoSimError(
                f"{names[0]} has {1.0 / first.dt_s:.3g} frames/s and {name} {1.0 / world.dt_s:.3g}; one model has one "
                "rate, so collect or import both at the same"
            )
    steered = _all([(w.action.names, w.action.low, w.action.high, ("",) * w.action.size) for w in worlds], names)
    felt = _all([(w.sensors.names, w.sensors.low, w.sensors.high, w.sensors.units) for w in worlds], names)
    if not steered:
        raise VideoSimError(
            f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} no recorded actions, and a simulator must "
            "know what one does; add a store with actions to data=[…]"
        )
    world = replace(first, action=ActionSpec(*_bounds(steered), tuple(steered)), sensors=_sensors(felt))
    return world, [Embodiment.of(own, name) for own, name in zip(worlds, names, strict=True)]


class _Number(NamedTuple):
    low: float
    high: float
    unit: str


def _all(parts: Sequence[tuple[Sequence[Any], ...]], stores: Sequence[str]) -> dict[str, _Number]:
    """The numbers of all ``parts`` by their names, in the order in which they come; of one that several have, the
    widest bounds."""
    found: dict[str, _Number] = {}
    for part, store in zip(parts, stores, strict=True):
        for name, low, high, unit in zip(*part, strict=True):
            before = found.get(name, _Number(low, high, unit))
            if before.unit != unit:
                raise VideoSimError(
                    f"{name} is in {before.unit} elsewhere and in {unit} in {store}; convert one of them"
                )
            found[name] = _Number(min(low, before.low), max(high, before.high), unit)
    return found


def _bounds(numbers: dict[str, _Number]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(n.low for n in numbers.values()), tuple(n.high for n in numbers.values())


def _sensors(numbers: dict[str, _Number]) -> SensorSpec:
    return SensorSpec(tuple(numbers), tuple(n.unit for n in numbers.values()), *_bounds(numbers))
