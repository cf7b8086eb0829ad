"""What acts while data is collected. A world model learns the consequences of the actions it has seen, so episodes mix
jitter, slow pushes, full force, hands off, a script that nearly solves the task, and given policies.

A behaviour maps (frame uint8 (H, W, 3), sensors float32 (S,)) to an action float32 (A,) in world units, and is made
anew for every episode. Inside this file actions are normalised to [-1, 1]; 0 is the middle of the bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from videosim.errors import VideoSimError
from videosim.types import ActionSpec

Behaviour = Callable[[np.ndarray, np.ndarray], np.ndarray]

TIME_SCALES = (2.0, 8.0, 32.0)  # steps over which smoothed noise forgets


def held_uniform(action: ActionSpec, rng: np.random.Generator) -> Behaviour:
    """Uniform actions, each held for 1 to 8 steps."""
    current, left = np.zeros(action.size), 0

    def act(frame: np.ndarray, sensors: np.ndarray) -> np.ndarray:
        nonlocal current, left
        if left == 0:
            current, left = rng.uniform(-1.0, 1.0, action.size), int(rng.integers(1, 9))
        left -= 1
        return action.denormalise(current)

    return act


def smoothed_noise(action: ActionSpec, rng: np.random.Generator) -> Behaviour:
    """A sum of Ornstein-Uhlenbeck processes of several time scales, mixed anew for every episode."""
    keep = np.exp(-1.0 / np.asarray(TIME_SCALES))[:, None]  # (scales, 1)
    share = np.sqrt(rng.dirichlet(np.ones(len(TIME_SCALES)), action.size)).T  # (scales, A), squares sum to one
    scale = rng.uniform(0.3, 1.0)  # stationary standard deviation
    noise = rng.standard_normal((len(TIME_SCALES), action.size))

    def act(frame: np.ndarray, sensors: np.ndarray) -> np.ndarray:
        nonlocal noise
        noise = keep * noise + np.sqrt(1.0 - keep**2) * rng.standard_normal(noise.shape)
        return action.denormalise(scale * (share * noise).sum(0))

    return act


def bang_bang(action: ActionSpec, rng: np.random.Generator) -> Behaviour:
    """Every number at one of its bounds, switching at random; how often differs from episode to episode."""
    current = rng.choice([-1.0, 1.0], action.size)
    switch = 1.0 / rng.uniform(2.0, 25.0)

    def act(frame: np.ndarray, sensors: np.ndarray) -> np.ndarray:
        nonlocal current
        current = np.where(rng.random(action.size) < switch, -current, current)
        return action.denormalise(current)

    return act


def coasting(action: ActionSpec, rng: np.random.Generator) -> Behaviour:
    """Next to nothing: what the world does by itself."""
    scale = rng.uniform(0.0, 0.1)
    return lambda frame, sensors: action.denormalise(scale * rng.standard_normal(action.size))


BASIC: dict[str, Callable[[ActionSpec, np.random.Generator], Behaviour]] = {
    "random": held_uniform,
    "noise": smoothed_noise,
    "extreme": bang_bang,
    "coast": coasting,
}


def scripted(env: Any, action: ActionSpec, rng: np.random.Generator) -> Behaviour | None:
    """The world's own script with a random skill, or None where it has none."""
    script = env.scripted(rng, float(rng.uniform())) if hasattr(env, "scripted") else None
    if script is None:
        return None
    low, high = np.asarray(action.low, np.float32), np.asarray(action.high, np.float32)
    return lambda frame, sensors: np.clip(np.asarray(script(sensors), np.float32), low, high)


def noisy_policy(policy: Any, noise: float, action: ActionSpec, rng: np.random.Generator) -> Behaviour:
    """``policy(frame, sensors) -> action`` in world units plus Gaussian noise of deviation ``noise`` (normalised).

    A policy with a memory has a ``reset()``, which is called here, once an episode, and an ``executed(action)``, told
    what was really done (world units), noise included.
    """
    if hasattr(policy, "reset"):
        policy.reset()

    def act(frame: np.ndarray, sensors: np.ndarray) -> np.ndarray:
        chosen = action.normalise(np.asarray(policy(frame, sensors), np.float32).reshape(action.size))
        done = action.denormalise(chosen + noise * rng.standard_normal(action.size))
        if hasattr(policy, "executed"):
            policy.executed(done)
        return done

    return act


def check_mixture(mixture: Mapping[str, float], policies: Mapping[str, Any]) -> None:
    """Raise VideoSimError on an unknown behaviour, a negative weight, or no weight at all."""
    known = [*BASIC, "scripted", *(f"policy:{name}" for name in policies)]
    for name, weight in mixture.items():
        if name not in known:
            raise VideoSimError(f"there is no behaviour {name!r}; the mixture can name {', '.join(known)}")
        if not 0.0 <= weight < float("inf"):
            raise VideoSimError(f"the weight of behaviour {name!r} is {weight}; give 0 or more")
    if not sum(mixture.values()) > 0.0:
        raise VideoSimError("every behaviour has weight 0; give one of them more")


def draw_behaviour(
    env: Any,
    action: ActionSpec,
    rng: np.random.Generator,
    mixture: Mapping[str, float],
    policies: Mapping[str, Any],
    policy_noise: float,
) -> tuple[str, Behaviour]:
    """Draw a behaviour from ``mixture`` (name -> weight) and make it: (its name, the behaviour).

    Where the world has no script, the weight of "scripted" goes to the other behaviours.
    """
    script = scripted(env, action, rng) if mixture.get("scripted", 0.0) > 0.0 else None
    names = [name for name, weight in mixture.items() if weight > 0.0 and (name != "scripted" or script is not None)]
    if not names:
        raise VideoSimError("this world has no script; add another behaviour to the mixture")
    weights = np.asarray([mixture[name] for name in names], np.float64)
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    if name == "scripted" and script is not None:
        return name, script
    if name in BASIC:
        return name, BASIC[name](action, rng)
    return name, noisy_policy(policies[name.removeprefix("policy:")], policy_noise, action, rng)
