"""Actions by name, for people who direct a film: held still, drawn at random, to a side, or numbers of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from videosim.errors import VideoSimError
from videosim.types import ActionSpec

HELD = 8  # steps for which a random action stays
# What turns or moves to a side, in the worlds that come with the package, and the sign that is its left or its front.
LEFT = {"steer": 1.0, "pusher_x": -1.0}
AHEAD = {"throttle": 1.0, "pusher_y": 1.0}


def _still(spec: ActionSpec, steps: int, rng: np.random.Generator) -> np.ndarray:
    nearest = np.clip(np.zeros(spec.size, np.float32), spec.low, spec.high)
    return np.tile(nearest, (steps, 1)).astype(np.float32)


def _random(spec: ActionSpec, steps: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.uniform(spec.low, spec.high, (steps // HELD + 1, spec.size))
    return drawn.repeat(HELD, 0)[:steps].astype(np.float32)


def _towards(signs: dict[str, float], sign: float, what: str) -> Callable[..., np.ndarray]:
    def preset(spec: ActionSpec, steps: int, rng: np.random.Generator) -> np.ndarray:
        actions = _still(spec, steps, rng)
        found = [name for name in spec.names if name in signs]
        if not found:
            raise VideoSimError(f"no action of this world ({', '.join(spec.names)}) goes {what}; {numbers(spec)}")
        at = spec.names.index(found[0])
        actions[:, at] = spec.high[at] if signs[found[0]] * sign > 0.0 else spec.low[at]
        return actions

    return preset


PRESETS: dict[str, Callable[[ActionSpec, int, np.random.Generator], np.ndarray]] = {
    "still": _still,
    "random": _random,
    "left": _towards(LEFT, 1.0, "left"),
    "right": _towards(LEFT, -1.0, "right"),
    "ahead": _towards(AHEAD, 1.0, "ahead"),
    "back": _towards(AHEAD, -1.0, "back"),
}


def numbers(spec: ActionSpec) -> str:
    """How actions are given by number in a world."""
    return f"give numbers, e.g. actions={spec.names[0]}:{spec.high[0]:g}"


def scripted(text: str, spec: ActionSpec, steps: int, seed: int) -> np.ndarray:
    """Actions float32 ``(steps, A)`` in world units: a name in ``PRESETS``, or ``name:value/name:value``, held for all
    steps while what is not named is still.

    Raises VideoSimError on another text, or a number out of its bounds.
    """
    rng = np.random.default_rng([seed, 17])
    if text in PRESETS:
        return PRESETS[text](spec, steps, rng)
    actions = _still(spec, steps, rng)
    for part in text.split("/"):
        name, _, value = part.partition(":")
        try:
            actions[:, spec.names.index(name)] = float(value)
        except ValueError as fault:
            raise VideoSimError(
                f"actions={text} names neither a preset ({', '.join(PRESETS)}, recorded) nor actions of this world "
                f"({', '.join(spec.names)}); {numbers(spec)}"
            ) from fault
    return spec.check(actions)
