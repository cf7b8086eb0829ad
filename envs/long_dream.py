"""Dreams of a thousand steps under random actions: do they stay numbers, and in the states that can be?

What can be is asked of the physics in the same run: the span of every sensor over the recorded starts and over as many
steps from some of them under such actions. The declared range of a world is counted beside it, for it is a declaration:
a pole can turn faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gymnasium
import numpy as np

from videosim.config import WorldConfig
from videosim.envs.physics import PhysicsEnv
from videosim.run import Run
from videosim.statistics import bootstrap, quotient
from videosim.types import ActionSpec
from videosim.world_model import WorldModel

STEPS = 1000
NEVER = 10**9  # a horizon that no dream reaches
SMOOTHING = 0.9  # of random actions: neighbours in time are alike, as a policy's are
ROUNDING = 5e-4  # of a sensor's range: a cosine of 1.0004 is one, where a model's limits were stored in half precision
TRUE_ROWS = 64  # starts followed in physics


def long_dream(
    model: WorldModel, world: WorldConfig, rows: int, seed: int, run: Run, advance: Callable[[float], None]
) -> None:
    """Dream from up to ``rows`` of the model's clips and record the figures in ``run``; ``advance`` counts hundreds of
    steps. A row counts until the model itself ends the episode."""
    clips = model.contexts
    assert clips is not None
    rows, sensors = min(rows, len(clips)), model.spec.sensors
    states, alive, broken = _dreamed(model, rows, seed, advance)
    run.figure(f"nan_rows_{STEPS}", int(broken.sum()), n=rows, unit=f"rows with a NaN or infinity within {STEPS} steps")
    if not sensors.size:
        return
    room = ROUNDING * sensors.span
    declared = np.asarray(sensors.low) - room, np.asarray(sensors.high) + room
    unit = "of the steps of a dream with every decoded sensor in its declared range"
    dreams = [states[alive[:, row], row] for row in range(rows)]
    _share(run, "declared_range_fraction", dreams, declared, unit)
    known = clips.physics[: min(rows, TRUE_ROWS)].cpu().numpy()
    if not known.shape[1]:
        return
    physics = PhysicsEnv(world)
    ways = [_followed(physics, state, seed + row) for row, state in enumerate(known)]
    physics.close()
    _share(run, "declared_range_fraction", ways, declared, "the same of true runs and sensors", "_physics")
    begun = clips.sensors.cpu().numpy()
    unit = "of the steps of a dream with every decoded sensor where recordings and physics take it in the same run"
    _share(run, "physical_range_fraction", dreams, _span([begun, *ways], room), unit)
    halves = ways[::2], ways[1::2]
    if all(halves):
        inside = [
            _within(np.concatenate(ours), *_span([begun, *theirs], room))
            for ours, theirs in (halves, halves[::-1])
        ]  # fmt: skip
        unit = "the same of one half of the true runs, where the other half goes"
        name = f"physical_range_fraction_{STEPS}_physics"
        run.figure(name, float(np.concatenate(inside).mean()), n=len(ways), unit=unit)


def _span(parts: list[np.ndarray], room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest of every sensor in ``parts``, each ``(n, S)``, with ``room`` beyond."""
    rows = np.concatenate(parts)
    return rows.min(0) - room, rows.max(0) + room


def _share(
    run: Run, name: str, ways: list[np.ndarray], ends: tuple[np.ndarray, np.ndarray], unit: str, suffix: str = ""
) -> None:
    """Record which share of the states of ``ways``, each ``(steps, S)``, lies between ``ends``; ways are resampled."""
    counts = np.array([(_within(way, *ends).sum(), len(way)) for way in ways], float)
    share = bootstrap(counts, quotient, np.random.default_rng(0), unit=f"fraction {unit}")
    run.figures[f"{name}_{STEPS}{suffix}"] = share.to_dict()


def _within(states: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which of the ``states`` ``(n, S)`` lie between ``low`` and ``high``, both ``(S,)``; NaN lies nowhere."""
    return np.all((states >= low) & (states <= high), axis=1)


def _dreamed(
    model: WorldModel, rows: int, seed: int, advance: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States float32 (STEPS, rows, S), which of them count bool (STEPS, rows), and which rows broke bool (rows,)."""
    env = gymnasium.make_vec("VideoSim-v0", num_envs=rows, checkpoint=model, obs="state", horizon=NEVER)
    env.reset(seed=seed, options={"context": np.arange(rows)})
    running, broken = np.ones(rows, bool), np.zeros(rows, bool)
    states, alive = [], []
    for step, actions in enumerate(_wandering(model.spec.action, rows, seed)):
        seen, rewards, terminated, _, _ = env.step(actions)
        running &= ~terminated
        broken |= running & ~(np.isfinite(seen).all(1) & np.isfinite(rewards))
        states.append(seen)
        alive.append(running.copy())
        if step % 100 == 0:
            advance(1)
    return np.stack(states), np.stack(alive), broken


def _wandering(action: ActionSpec, rows: int, seed: int) -> Iterator[np.ndarray]:
    """``STEPS`` random actions ``(rows, A)`` in world units, alike from step to step."""
    rng = np.random.default_rng(seed)
    noise = np.zeros((rows, action.size))
    for _ in range(STEPS):
        noise = SMOOTHING * noise + (1.0 - SMOOTHING**2) ** 0.5 * rng.normal(size=noise.shape)
        yield action.denormalise(np.clip(noise, -1.0, 1.0))


def _followed(env: PhysicsEnv, state: np.ndarray, seed: int) -> np.ndarray:
    """Sensors ``(steps, S)`` of the physics from ``state`` on, until the task ends."""
    env.reset(seed=seed, options={"state": state})
    sensors = []
    for actions in _wandering(env.world_spec.action, 1, seed):
        terminated = env.step(actions[0])[2]
        sensors.append(env.sensors())
        if terminated:
            break
    return np.stack(sensors)
