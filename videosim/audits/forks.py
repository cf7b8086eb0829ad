"""Forks: one state, several action sequences from it, and what truly comes of each. A3 and A11 ask a world for them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videosim.audits.audit import Bench
from videosim.audits.truth import Moments, Truth, wander
from videosim.audits.world import Start
from videosim.errors import VideoSimError

FIRST_NUMBER, TRIES = 20_000, 4  # of the starts; how many are tried for each wanted state
BRANCHES = 4  # action sequences
FAN, FAN_FRAMES, FAN_RAD = 16, 10, np.deg2rad(4.0)  # the stress: headings, frames, angle between neighbours
WHOLE = 0.9  # share in sight, in all branches, from which an object enters: half hidden ones are read with a bias
APART = 10.0  # e0 between any two true futures
ONSET = 3.0  # e0 from which an effect is one
NULL = 1.0  # e0 that a no-op may move in truth
LAGS = 4  # frames to either side that a latency is looked for in
CHANGED_AT = 2  # the frame at which onset's single action is changed
PRESS_STEPS, LIGHTLY = 30, 0.4  # until the pusher is at a wall; the weaker of the two presses


@dataclass(frozen=True)
class Fork:
    """A start, action sequences (K, T, A) from it, and what truly comes of each."""

    start: Start
    actions: np.ndarray
    truths: Sequence[Moments]

    def shown(self) -> np.ndarray:
        """Whether truth shows all of an object at each frame of all branches: bool (T+1, 4)."""
        return np.min([truth.share for truth in self.truths], axis=0) >= WHOLE

    def places(self) -> np.ndarray:
        """True positions float64 (K, T+1, 4, 2)."""
        return np.stack([truth.position for truth in self.truths])


@dataclass(frozen=True)
class Interventions:
    """Forks for choice and effect, and the same to the far horizon, of which they show the last frame only, or None
    where its futures are not apart; for the stress, the onset and the null effect; the share that was discarded."""

    choices: Sequence[tuple[Fork, Fork | None]]
    fans: Sequence[Fork]
    onsets: Sequence[Fork]
    nulls: Sequence[Fork]
    discarded: float


def draw_interventions(bench: Bench) -> Interventions:
    """As many forks as the bars ask for, or as the starts that are tried yield.

    Raises VideoSimError where they yield none.
    """
    truth, bars, e0_m = bench.truth, bench.bars, bench.e0_m
    steps, far, wanted = (bars.sizes[f"intervention_{what}"] for what in ("frames", "far_frames", "states"))
    choices: list[tuple[Fork, Fork | None]] = []
    fans: list[Fork] = []
    onsets: list[Fork] = []
    nulls: list[Fork] = []
    tried = 0
    for number in range(FIRST_NUMBER, FIRST_NUMBER + TRIES * wanted):
        rng = np.random.default_rng([number, 2])
        if len(choices) < wanted:
            tried += 1
            start, asked = _branches(bench, number, rng)
            if _apart(_fork(truth, start, asked[:, :steps], stride=steps)) >= APART * e0_m:
                late = _fork(truth, start, asked, stride=far)
                told = _apart(late) >= APART * e0_m
                choices.append((_fork(truth, start, asked[:, :steps]), late if told else None))
                changed = asked[:1].repeat(2, 0)
                changed[1, CHANGED_AT] = np.where(asked[0, CHANGED_AT] > 0, -1.0, 1.0)
                onsets.append(_fork(truth, start, changed[:, : CHANGED_AT + 2 * LAGS]))
        if len(nulls) < bars.sizes["null_states"]:
            fan = _fan(truth, number, rng)
            if _apart(fan) >= ONSET * e0_m:
                fans.append(fan)
            fork = _null(truth, number, rng)
            if np.abs(fork.places()[1] - fork.places()[0]).max() <= NULL * e0_m:
                nulls.append(fork)
    if not choices or not nulls:
        raise VideoSimError(
            f"{len(choices)} states with futures that differ and {len(nulls)} with a no-op are too few for a verdict; "
            "ask for more intervention_states in the bar file"
        )
    return Interventions(choices, fans, onsets, nulls, 1.0 - len(choices) / max(tried, 1))


def first_fork(bench: Bench) -> Fork:
    """The first start whose futures are apart, as ``draw_interventions`` takes it, followed to the far horizon."""
    steps, wanted = (bench.bars.sizes[f"intervention_{what}"] for what in ("frames", "states"))
    for number in range(FIRST_NUMBER, FIRST_NUMBER + TRIES * wanted):
        start, asked = _branches(bench, number, np.random.default_rng([number, 2]))
        if _apart(_fork(bench.truth, start, asked[:, :steps], stride=steps)) >= APART * bench.e0_m:
            return _fork(bench.truth, start, asked)
    raise VideoSimError("no start's futures differ; ask for more intervention_states in the bar file")


def _branches(bench: Bench, number: int, rng: np.random.Generator) -> tuple[Start, np.ndarray]:
    """Start ``number`` and BRANCHES wanderings from it to the far horizon, (K, T, A)."""
    start, _ = bench.truth.start(number)
    policies = [wander(rng, bench.truth.env.world_spec.action.size) for _ in range(BRANCHES)]
    far = bench.bars.sizes["intervention_far_frames"]
    return start, np.stack([[policy(np.zeros(0)) for _ in range(far)] for policy in policies])


def _fork(truth: Truth, start: Start, actions: np.ndarray, stride: int = 1) -> Fork:
    return Fork(start, actions, [truth.follow(start, branch, stride) for branch in actions])


def _apart(fork: Fork) -> float:
    """Distance of the two true ends that are closest, in metres over all objects that truth shows in all branches."""
    ends, shown = fork.places()[:, -1], fork.shown()[-1]
    return min(float(np.linalg.norm((a - b)[shown])) for a, b in itertools.combinations(ends, 2))


def _null(truth: Truth, number: int, rng: np.random.Generator) -> Fork:
    """Drive the pusher to the east or south wall, away from the screen; then press hard or lightly."""
    start, _ = truth.start(number)
    push = np.array([(1.0, 0.0), (0.0, -1.0)][rng.integers(2)], np.float32)
    pressed = truth.go(start, np.tile(push, (PRESS_STEPS, 1)))
    return _fork(truth, pressed, np.stack([np.tile(force * push, (2 * LAGS, 1)) for force in (1.0, LIGHTLY)]))


def _fan(truth: Truth, number: int, rng: np.random.Generator) -> Fork:
    """Straight ahead at full speed, in headings that hardly differ."""
    start, _ = truth.start(number)
    headings = rng.uniform(-np.pi, np.pi) + FAN_RAD * np.arange(FAN)
    ways = np.stack([np.cos(headings), np.sin(headings)], axis=1).astype(np.float32)
    return _fork(truth, start, ways[:, None].repeat(FAN_FRAMES, 1), stride=FAN_FRAMES)
