"""A0, the instrument: is the state probe accurate, and can it say "absent"? Runs first and blocks every other audit.

Protocol, on true frames that did not calibrate the reader:

    floor            e0 = mean |read - true| over objects at least a quarter in sight, as a fraction of the arena
    miss             share of those objects that were not found
    false presence   share of wholly hidden objects that were found, in clean frames and in noisy ones
    slope            least squares of read on true displacement, of objects displaced by known 0.5 to 10 e0

Missed objects do not enter the floor, because the miss rate has a bar of its own. The resampling unit is the episode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from videosim.audits.push_reader import PushReader
from videosim.audits.push_scene import ARENA_M, NAMES, may_be_hidden, positions
from videosim.audits.survival import wilson
from videosim.audits.truth import Truth
from videosim.audits.verdict import Bars, Result, judge
from videosim.audits.world import PhysicsWorld, see
from videosim.statistics import Estimate, bootstrap

TESTED_FROM = 1000  # number of the first start that is measured on; calibration has those from 0
EACH = 8  # moments of an episode
VISIBLE = 0.25  # share in sight from which an object must be found
NOISE = 8.0  # grey levels, of the noisy frames
INJECTED_MPS = 0.025  # a millimetre a frame: half of e0, about
INJECTED_FRAMES = 20


@dataclass(frozen=True)
class Instrument:
    """A reader that passed through A0, with its floor ``e0_m`` in metres."""

    reader: PushReader
    e0_m: float
    result: Result


def prepare_push(bars: Bars, rng: np.random.Generator) -> tuple[Truth, Instrument]:
    """MuJoCo's push and the reader of its frames, audited."""
    truth = Truth()
    return truth, audit_instrument(truth, bars, rng)


def audit_instrument(truth: Truth, bars: Bars, rng: np.random.Generator) -> Instrument:
    """Calibrate on one set of starts, measure on the episodes of another."""
    tested = range(TESTED_FROM, TESTED_FROM + bars.sizes["instrument_episodes"])
    known = truth.scattered
    reader = PushReader(known.frames, known.position, known.share)
    held_out = truth.moments(tested, EACH)
    read = reader.read(held_out.frames).position
    error = np.linalg.norm(read - held_out.position, axis=-1)
    found, visible = np.isfinite(error), held_out.share >= VISIBLE
    absent = held_out.share == 0.0
    noisy = np.clip(held_out.frames + rng.normal(0.0, NOISE, held_out.frames.shape), 0, 255).astype(np.uint8)
    ghosts = np.isfinite(reader.read(noisy).position[..., 0])
    moved, episodes = injected(truth, reader, range(tested.stop, tested.stop + bars.sizes["injected_episodes"]))
    repeats = bars.sizes["resamples"]
    floor = _pooled(error / ARENA_M, visible & found, rng, repeats)
    both = np.concatenate([absent, absent])  # the clean frames, then the noisy ones
    estimates = {
        "floor_fraction": floor,
        "miss_rate": _rate(~found, visible, rng, repeats),
        "false_presence_rate": _rate(np.concatenate([found, ghosts]), both, rng, repeats),
        "displacement_slope": bootstrap(moved, _slope, rng, episodes, repeats),
    }
    seen = error[visible & found] / ARENA_M
    details = {
        "p95_fraction": float(np.quantile(seen, 0.95)),
        "floor_by_object": {n: float(error[(visible & found)[:, i], i].mean()) for i, n in enumerate(NAMES)},
        "frames": len(held_out.frames),
        "absent": int(absent.sum()),
    }
    return Instrument(reader, floor.value * ARENA_M, judge("A0", "push", estimates, bars, details))


def injected(truth: Truth, reader: PushReader, numbers: range) -> tuple[np.ndarray, np.ndarray]:
    """Objects displaced by known amounts: read and true displacement in metres, (n, 2), and their episodes (n,).

    The physics of ``control:drift`` moves what is in the open half an e0 a frame, along x.
    """
    world = PhysicsWorld(f"control:drift{INJECTED_MPS}")
    rows, episodes = [], []
    still = np.zeros(world.spec.action.size, np.float32)
    for number in numbers:
        world.reset(truth.start(number)[0])
        frames, places = [see(world)], [positions(world.state)]
        for _ in range(INJECTED_FRAMES):
            world.step(still)
            frames.append(see(world))
            places.append(positions(world.state))
        true, read = np.stack(places), reader.read(np.stack(frames)).position
        for i in range(1, len(NAMES)):
            if np.isfinite(read[:, i]).all() and not may_be_hidden(true[:, i]).any():
                rows.append(np.stack([read[:, i, 0] - read[0, i, 0], true[:, i, 0] - true[0, i, 0]], 1)[1:])
                episodes += [number] * INJECTED_FRAMES
    world.close()
    return np.concatenate(rows), np.array(episodes)


def _slope(rows: np.ndarray) -> float:
    """Of the first column on the second, through the origin."""
    return float(rows[:, 0] @ rows[:, 1] / (rows[:, 1] @ rows[:, 1]))


def _pooled(values: np.ndarray, counted: np.ndarray, rng: np.random.Generator, repeats: int) -> Estimate:
    """Mean of ``values`` over what is ``counted``, both (frames, 4), resampling episodes of EACH frames."""
    sums = np.stack([np.where(counted, values, 0.0).sum(1), counted.sum(1)], 1).reshape(-1, EACH, 2).sum(1)
    return bootstrap(sums, lambda rows: float(rows[:, 0].sum() / max(rows[:, 1].sum(), 1.0)), rng, repeats=repeats)


def _rate(wrong: np.ndarray, counted: np.ndarray, rng: np.random.Generator, repeats: int) -> Estimate:
    """Share of ``wrong`` among ``counted``, both (frames, 4), with the wider of the bootstrap over episodes and
    Wilson's interval; nothing counted is no number."""
    n = int(counted.sum())
    if not n:
        return Estimate(math.nan, 0.0, 1.0, 0)
    pooled = _pooled(wrong, counted, rng, repeats)
    low, high = wilson(pooled.value, n)
    return replace(pooled, low=min(low, pooled.low), high=max(high, pooled.high))
