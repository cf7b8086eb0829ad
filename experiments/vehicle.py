"""The car of the driving worlds as a vehicle, and its worlds as sources of pictures: `python experiments/vehicle.py`.

Prints a table of what it measures: turning circles and braking distances beside their textbook values, energy while
coasting, how often the scripted driver and random actions keep their place over 50 roads that no training sees, and
rendered frames a second of one core's time beside the push scene, all in turn.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy import stats

from videosim.envs.physics import PhysicsEnv
from videosim.envs.proving_ground import braking_distance, coasting, skidding, turning_radius

WORLDS = ("driving", "driving-obstacles")
ROADS, FIRST_ROAD = 50, 1_000_000
CIRCLES = ((0.05, 10.0), (0.1, 10.0), (0.25, 8.0), (0.5, 5.0), (1.0, 4.0))  # steering, m/s
BRAKED = ((5.0, 0.3), (10.0, 0.3), (15.0, 0.3), (10.0, 0.6), (15.0, 0.6), (5.0, 0.9), (10.0, 0.9), (15.0, 0.9))
FRAMES, ROUNDS = 60, 7  # of one measurement of speed; rounds of all


def turning() -> list[tuple[str, str]]:
    rows = []
    for steer, speed in CIRCLES:
        radius, bicycle, _ = turning_radius(steer, speed)
        share = 100 * (radius / bicycle - 1)
        rows.append((f"Turning radius, steering {steer:g}, {speed:g} m/s", _beside(radius, bicycle, share)))
    return rows


def braking() -> list[tuple[str, str]]:
    rows = []
    for speed, grip in BRAKED:
        distance, ideal = braking_distance(speed, grip)
        share = 100 * (distance / ideal - 1)
        rows.append((f"Braking distance from {speed:g} m/s, friction {grip:g}", _beside(distance, ideal, share)))
    return rows


def sliding() -> list[tuple[str, str]]:
    rows = []
    for grip in (0.3, 0.6, 0.9):
        felt, ideal = skidding(12.0, grip)
        said = f"{felt:.2f} m/s²; textbook {ideal:.2f} m/s² ({100 * (felt / ideal - 1):+.1f} %)"
        rows.append((f"Acceleration in a skid at 12 m/s, friction {grip:g}", said))
    return rows


def rolling() -> list[tuple[str, str]]:
    rows = []
    for steer in (0.0, 0.3):
        energy = coasting(8.0, steer)
        lost, gain = 100 * (1 - energy[-1] / energy[0]), max(0.0, float(np.diff(energy).max()))
        said = f"{lost:.0f} % lost, largest gain in a time step {gain:.2g} J of {energy[0] / 1e3:.1f} kJ"
        rows.append((f"Energy, coasting 10 s from 8 m/s, steering {steer:g}", said))
    return rows


def keeping(world: str, skill: float | None) -> list[bool]:
    """Whether each episode was on the road, in its lane where that is the task, and moving to its last step."""
    env, kept = PhysicsEnv(world), []
    for seed in range(FIRST_ROAD, FIRST_ROAD + ROADS):
        sensors, _ = env.reset(seed=seed)
        rng = np.random.default_rng(seed)
        act = None if skill is None else env.scripted(rng, skill)
        good, over = True, False
        while good and not over:
            action = rng.uniform(-1.0, 1.0, 2) if act is None else act(sensors)
            sensors, _, terminated, over, info = env.step(action)
            good = bool(info["success"]) and not terminated
        kept.append(good)
    env.close()
    return kept


def drivers() -> list[tuple[str, str]]:
    rows = []
    for world in WORLDS:
        for name, skill in (("script, skill 1", 1.0), ("script, skill 0.5", 0.5), ("random actions", None)):
            kept = keeping(world, skill)
            low, high = stats.binomtest(sum(kept), len(kept)).proportion_ci()
            rows.append((f"{world}, {name}: whole episode", f"{np.mean(kept):.2f} [{low:.2f}, {high:.2f}]"))
    return rows


def speeds() -> list[tuple[str, str]]:
    """Steps with a frame and sensors, per second of one core's own time; medians."""
    envs = {world: PhysicsEnv(world) for world in ("push", *WORLDS)}
    taken: dict[str, list[float]] = {world: [] for world in envs}
    for seed in range(ROUNDS + 1):
        for world, env in envs.items():
            env.reset(seed=seed)
            env.render()
            start = time.process_time()
            for _ in range(FRAMES):
                env.step(np.array([0.0, 0.2]))
                env.render()
            taken[world].append(time.process_time() - start)
    rate = {world: FRAMES / float(np.median(seconds[1:])) for world, seconds in taken.items()}  # the first warms up
    for env in envs.values():
        env.close()
    return [
        (f"{world}: frames/s at 64×64, one core", f"{rate[world]:.0f} ({rate[world] / rate['push']:.2f} of push)")
        for world in WORLDS
    ]


def _beside(value: float, ideal: float, percent: float) -> str:
    return f"{value:.2f} m; textbook {ideal:.2f} m ({percent:+.1f} %)"


PARTS = {
    "turning": turning,
    "braking": braking,
    "skidding": sliding,
    "coasting": rolling,
    "drivers": drivers,
    "speed": speeds,
}


def main() -> None:
    """Print the parts named on the command line, or all of them, as one table in Markdown."""
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := sorted(set(chosen) - set(PARTS)):
        raise SystemExit(f"there is no part {unknown[0]!r}; choose of {', '.join(PARTS)}")
    print("| what | measured |\n|---|---|")
    for part in chosen:
        for what, said in PARTS[part]():
            print(f"| {what} | {said} |", flush=True)


if __name__ == "__main__":
    main()
