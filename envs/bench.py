"""``videosim bench``: what a step costs, in imagination and in rendered physics, measured in one run as a user would.

All arms are measured in turn, several times over, so that a busy moment of the machine falls on all of them.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import gymnasium
import numpy as np
import torch

from videosim.config import BenchConfig, WorldConfig
from videosim.envs.dream import as_model
from videosim.envs.physics import PhysicsEnv
from videosim.envs.rendering import DefaultRenderer, FastRenderer
from videosim.envs.twin import world_of
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.types import ActionSpec, SensorSpec
from videosim.world_model import WorldModel

NEVER = 10**9  # a horizon that no benchmark reaches
LONG_ROWS, EARLY, WINDOW = 64, 10, 20  # rows, the early step, and how many steps around a step are timed
LONG_DREAM = 1000
SMOOTHING = 0.9  # of random actions: neighbours in time are alike, as a policy's are
ROUNDING = 1e-5  # of a sensor's range: a cosine of 1.000001 is a cosine
WIDENED = 0.05  # of a sensor's range, on each side
TRUE_ROWS = 32  # of the same, in physics

Arm = tuple[str, int, Callable[[], object]]  # figure, steps of one call, one call


def main(cfg: BenchConfig, run: Run) -> None:
    """Measure ``cfg.checkpoint`` and record the figures in ``run``."""
    _check(cfg)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    model = as_model(cfg.checkpoint, cfg.device)
    world = world_of(model.spec, cfg.world or None)
    physics = {
        "physics_default_steps_per_s": PhysicsEnv(world, "pixels", renderer=DefaultRenderer),
        "physics_fast_steps_per_s": PhysicsEnv(world, "pixels", renderer=FastRenderer),
    }
    arms = [_dream_arm(model, obs, n, cfg.seed) for obs in ("latent", "pixel") for n in cfg.envs]
    arms += [_physics_arm(name, env, cfg.seed) for name, env in physics.items()]
    parts = cfg.repeats * len(arms) + cfg.repeats + cfg.steps / 100 + (LONG_DREAM / 100 if cfg.contexts else 0)
    with run.progress(parts, f"measuring {model.spec.name}") as bar:
        _speeds(cfg, run, arms, bar.advance)
        _latency(cfg, run, model)
        bar.advance(cfg.repeats)
        _long_run(cfg, run, model, bar.advance)
        if cfg.contexts and model.contexts is not None:
            _long_dream(cfg, run, model, world, bar.advance)
    for env in physics.values():
        env.close()
    title = f"{model.spec.name}: what a step costs ({torch.get_num_threads()} thread(s) on {cfg.device})"
    rows = [(name, *(figure[key] for key in ("value", "low", "high"))) for name, figure in run.figures.items()]
    run.table(title, ("figure", "median", "lowest", "highest"), rows)


def _check(cfg: BenchConfig) -> None:
    if cfg.repeats < 1 or cfg.seconds <= 0 or cfg.steps <= EARLY or min(cfg.contexts, cfg.threads) < 0:
        raise VideoSimError(
            f"bench needs repeats of 1 or more, seconds above 0, steps above {EARLY}, and contexts and threads from 0"
        )
    if any(n < 1 for n in cfg.envs):
        raise VideoSimError(f"envs lists numbers of environments, each 1 or more; got {list(cfg.envs)}")


def _dream_arm(model: WorldModel, obs: str, n: int, seed: int) -> Arm:
    env = gymnasium.make_vec("VideoSim-v0", num_envs=n, checkpoint=model, obs="pixels" if obs == "pixel" else obs)
    env.reset(seed=seed)
    env.action_space.seed(seed)
    actions = [env.action_space.sample() for _ in range(8)]
    count = iter(range(NEVER))
    return f"{obs}_steps_per_s_{n}", n, lambda: env.step(actions[next(count) % len(actions)])


def _physics_arm(name: str, env: PhysicsEnv, seed: int) -> Arm:
    env.reset(seed=seed)
    env.action_space.seed(seed)

    def step() -> None:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()

    return name, 1, step


def _speeds(cfg: BenchConfig, run: Run, arms: list[Arm], advance: Callable[[], None]) -> None:
    rates: dict[str, list[float]] = {name: [] for name, _, _ in arms}
    for _, _, call in arms:
        call()  # memory, caches and renderers are made before the clock starts
    for _ in range(cfg.repeats):
        for name, steps, call in arms:
            calls, start = 0, time.perf_counter()
            while (passed := time.perf_counter() - start) < cfg.seconds:
                call()
                calls += 1
            rates[name].append(calls * steps / passed)
            advance()
    for name, values in rates.items():
        run.figure(name, median(values), min(values), max(values), len(values), "env-step/s")


def _latency(cfg: BenchConfig, run: Run, model: WorldModel) -> None:
    """Milliseconds of one step of one environment, as a control loop meets it."""
    env = gymnasium.make("VideoSim-v0", checkpoint=model, obs="latent", horizon=NEVER).unwrapped
    env.reset(seed=cfg.seed)
    medians = []
    for _ in range(cfg.repeats):
        times, start = [], time.perf_counter()
        while time.perf_counter() - start < cfg.seconds:
            times.append(_timed(lambda: env.step(env.action_space.sample())))
        medians.append(1e3 * median(times))
    run.figure("latent_ms_1", median(medians), min(medians), max(medians), len(medians), "ms, median step")


def _long_run(cfg: BenchConfig, run: Run, model: WorldModel, advance: Callable[[float], None]) -> None:
    """Does a step cost more, and the process hold more, after ``cfg.steps`` steps? An old and a young environment are
    timed in turn."""

    def make() -> gymnasium.vector.VectorEnv:
        env = gymnasium.make_vec("VideoSim-v0", num_envs=LONG_ROWS, checkpoint=model, obs="latent", horizon=NEVER)
        env.reset(seed=cfg.seed)
        env.action_space.seed(cfg.seed)
        return env

    old, young = make(), make()
    actions = old.action_space.sample()
    for _ in range(EARLY):
        old.step(actions)
    before = _resident_mb()
    for step in range(EARLY, cfg.steps):
        old.step(actions)
        if step % 100 == 0:
            advance(1)
    after = _resident_mb()
    growth = None if before is None or after is None else after - before
    run.figure("memory_growth_mb", growth, n=cfg.steps, unit=f"MB from step {EARLY} to step {cfg.steps}")
    ratios = []
    for _ in range(cfg.repeats):
        young.reset()
        for _ in range(EARLY - WINDOW // 4):
            young.step(actions)
        pairs = [(_timed(lambda: old.step(actions)), _timed(lambda: young.step(actions))) for _ in range(WINDOW)]
        ratios.append(median(late for late, _ in pairs) / median(early for _, early in pairs))
    name = f"step_cost_ratio_{cfg.steps}_to_{EARLY}"
    run.figure(name, median(ratios), min(ratios), max(ratios), len(ratios), f"ratio at {LONG_ROWS} environments")


def _long_dream(
    cfg: BenchConfig, run: Run, model: WorldModel, world: WorldConfig, advance: Callable[[float], None]
) -> None:
    """1,000 steps from every clip (up to ``cfg.contexts``) under smoothed random actions: NaN, and states outside the
    declared range. A row counts until the model itself ends the episode. What the physics does from the same places
    under such actions is counted beside it: a range is a declaration, and a pole can turn faster."""
    assert model.contexts is not None
    rows = min(cfg.contexts, len(model.contexts))
    env = gymnasium.make_vec("VideoSim-v0", num_envs=rows, checkpoint=model, obs="state", horizon=NEVER)
    env.reset(seed=cfg.seed, options={"context": np.arange(rows)})
    spec = model.spec
    alive, broken = np.ones(rows, bool), np.zeros(rows, bool)
    counted = inside = nearly = 0
    for step, actions in enumerate(_wandering(spec.action, rows, cfg.seed)):
        states, rewards, terminated, _, _ = env.step(actions)
        alive &= ~terminated
        finite = np.isfinite(states).all(1) & np.isfinite(rewards)
        broken |= alive & ~finite
        counted += int(alive.sum())
        inside += int((alive & _within(states, spec.sensors, ROUNDING)).sum())
        nearly += int((alive & _within(states, spec.sensors, WIDENED)).sum())
        if step % 100 == 0:
            advance(1)
    run.figure("nan_rows_1000", int(broken.sum()), n=rows, unit="rows with a NaN or infinity within 1,000 steps")
    unit = "fraction of (row, step) pairs with every decoded sensor in its declared range"
    run.figure("physical_range_fraction_1000", inside / max(counted, 1), n=counted, unit=unit)
    widened = f"{unit} widened by {WIDENED:.0%} of its span"
    run.figure("physical_range_fraction_1000_widened", nearly / max(counted, 1), n=counted, unit=widened)
    known = model.contexts.physics[: min(rows, TRUE_ROWS)].cpu().numpy()
    if known.shape[1]:
        physics = PhysicsEnv(world)
        ways = [_wandered(physics, state, cfg.seed + row) for row, state in enumerate(known)]
        physics.close()
        kept = np.concatenate([_within(way, spec.sensors, ROUNDING) for way in ways])
        unit = unit.replace("decoded", "true")
        run.figure("physical_range_fraction_1000_physics", float(kept.mean()), n=len(kept), unit=unit)


def _wandering(action: ActionSpec, rows: int, seed: int) -> Iterator[np.ndarray]:
    """``LONG_DREAM`` random actions ``(rows, A)`` in world units, alike from step to step."""
    rng = np.random.default_rng(seed)
    noise = np.zeros((rows, action.size))
    for _ in range(LONG_DREAM):
        noise = SMOOTHING * noise + (1.0 - SMOOTHING**2) ** 0.5 * rng.normal(size=noise.shape)
        yield action.denormalise(np.clip(noise, -1.0, 1.0))


def _wandered(env: PhysicsEnv, state: np.ndarray, seed: int) -> np.ndarray:
    """Sensors ``(steps, S)`` of the physics from ``state`` on, until the task ends."""
    env.reset(seed=seed, options={"state": state})
    sensors = []
    for actions in _wandering(env.world_spec.action, 1, seed):
        terminated = env.step(actions[0])[2]
        sensors.append(env.sensors())
        if terminated:
            break
    return np.stack(sensors)


def _within(states: np.ndarray, sensors: SensorSpec, slack: float) -> np.ndarray:
    """Which of the ``states`` ``(n, S)`` lie in the declared range, widened by ``slack`` of its span on each side."""
    room = slack * sensors.span
    low, high = np.asarray(sensors.low) - room, np.asarray(sensors.high) + room
    return np.all((states >= low) & (states <= high), axis=1)


def _timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _resident_mb() -> float | None:
    """Memory the process holds, in MB; None where the system does not say."""
    gc.collect()
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if status.exists() else None
