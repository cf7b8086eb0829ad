"""``videosim bench``: what a step costs, in imagination and in rendered physics, measured in one run as a user would.

All arms are measured in turn, several times over, so that a busy moment of the machine falls on all of them.
"""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium
import torch

from videosim.config import BenchConfig
from videosim.envs.dream import as_model
from videosim.envs.long_dream import NEVER, STEPS, long_dream
from videosim.envs.physics import PhysicsEnv
from videosim.envs.rendering import DefaultRenderer, FastRenderer
from videosim.envs.twin import world_of
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.world_model import WorldModel

LONG_ROWS, EARLY, WINDOW = 64, 10, 20  # rows, the early step, and how many steps around a step are timed

Arm = tuple[str, int, Callable[[], object]]  # figure, steps of one call, one call

LABELS = {  # figures by name, at the default settings
    "latent_steps_per_s_256": "Imagined latent steps a second, 256 environments",
    "pixel_steps_per_s_256": "Imagined pixel steps a second, 256 environments",
    "physics_fast_steps_per_s": "MuJoCo with fast rendering, one environment",
    "physics_default_steps_per_s": "MuJoCo rendered by default settings, one environment",
    "latent_ms_1": "One latent step of one environment",
    "step_cost_ratio_10000_to_10": "Cost of step 10,000 over that of step 10",
    "memory_growth_mb": "Memory gained by then",
    f"nan_rows_{STEPS}": f"Dreams of {STEPS:,} steps with a NaN",
    f"physical_range_fraction_{STEPS}": "Steps of them where recordings and physics go",
    f"physical_range_fraction_{STEPS}_physics": "The same of physics beside physics",
}
BARS = {  # the least and the most that is asked of a figure
    "latent_steps_per_s_256": (15_000.0, math.inf),
    "pixel_steps_per_s_256": (2_000.0, math.inf),
    "latent_ms_1": (0.0, 2.0),
    f"nan_rows_{STEPS}": (0.0, 0.0),
    f"physical_range_fraction_{STEPS}": (0.99, math.inf),
}


def asked(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Figure -> its bar and PASS, FAIL or INCONCLUSIVE: whether all that was measured lies within the bar, nothing, or
    some."""
    found = {}
    for name, (least, most) in BARS.items():
        if figures.get(name, {}).get("value") is not None:
            value, *ends = (figures[name][key] for key in ("value", "low", "high"))
            low, high = (value if end is None else end for end in ends)
            said = "PASS" if least <= low and high <= most else "FAIL" if high < least or low > most else "INCONCLUSIVE"
            found[name] = f"{f'≥ {least:g}' if math.isinf(most) else f'≤ {most:g}'}: {said}"
    return found


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
    parts = cfg.repeats * len(arms) + cfg.repeats + cfg.steps / 100 + (STEPS / 100 if cfg.contexts else 0)
    with run.progress(parts, f"measuring {model.spec.name}") as bar:
        _speeds(cfg, run, arms, bar.advance)
        _latency(cfg, run, model)
        bar.advance(cfg.repeats)
        _long_run(cfg, run, model, bar.advance)
        if cfg.contexts and model.contexts is not None:
            long_dream(model, world, cfg.contexts, cfg.seed, run, bar.advance)
    for env in physics.values():
        env.close()
    title = f"{model.spec.name}: what a step costs ({torch.get_num_threads()} thread(s) on {cfg.device})"
    bars = asked(run.figures)
    ends = ("value", "low", "high")
    rows = [(name, *(figure[end] for end in ends), bars.get(name)) for name, figure in run.figures.items()]
    run.table(title, ("figure", "median or share", "low", "high", "bar"), rows)


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
