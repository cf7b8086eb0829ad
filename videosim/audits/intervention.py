"""A3, counterfactual intervention: from one state, K action sequences; is each of the K futures the right one?

With s*_k(t) the true positions of all objects under sequence k, s_k(t) what the reader finds in the world's frames, h
the horizon, and ds = s_k - s_l for a pair of sequences:

    CAI@K             mean over states and k of 1[argmin_j |s_k(h) - s*_j(h)| = k], ties sharing; chance is 1/K. At two
                      horizons: ``intervention_frames``, as all that follows, and the far one
    effect ratio      median over pairs of <ds, ds*> / <ds*, ds*>, at h
    direction cosine  median over pairs of <ds, ds*> / |ds| |ds*|, at h; 0 where the world shows no effect
    latency           the lag tau at which sum ds'(t) ds*'(t - tau), normalised, is largest, ' being the difference of
                      neighbouring frames; between frames by the parabola through the three largest
    onset             when one single action is changed: first frame at which an object has moved by over 3 e0, minus
                      the same for truth
    null effect       largest displacement of an object, in e0, when the change is a no-op: pressing a wall harder

States whose true futures differ by less than 10 e0 are discarded, and their share is reported. An object that truth
shows and the reader does not find is an arena away from anything and shows no effect. States are the resampling unit.
Without a bar, among the details: CAI@4 after EARLY frames, and CAI@16 of a fan of headings 4 degrees apart, whose true
futures differ by 3 e0 and more.
(CAI and the effect ratio: this project's; the pairs follow What-If World, arXiv 2605.27589.)
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.push_scene import ARENA_M
from videosim.audits.survival import shares
from videosim.audits.truth import Moments, Truth, wander
from videosim.audits.verdict import Result, Sample
from videosim.audits.world import Start, film
from videosim.errors import VideoSimError

FIRST_NUMBER, TRIES = 20_000, 4  # of the starts; how many are tried for each wanted state
BRANCHES, EARLY = 4, 4  # action sequences; the frame of the early choice
FAN, FAN_FRAMES, FAN_RAD = 16, 10, np.deg2rad(4.0)  # the stress: headings, frames, angle between neighbours
WHOLE = 0.9  # share in sight, in all branches, from which an object enters: half hidden ones are read with a bias
APART = 10.0  # e0 between any two true futures
ONSET = 3.0  # e0
NULL = 1.0  # e0 that a no-op may move in truth
LAGS = 4  # frames to either side that the latency is looked for in
RESPONDS = 0.2  # correlation below which there is no response, and so no latency: the largest lag is scored
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


def audit_intervention(viewing: Viewing) -> Result:
    """Ask the world for every branch of every fork."""
    world, bench = viewing.world, viewing.bench
    interventions, e0_m = bench.once(draw_interventions), bench.e0_m

    def answers(fork: Fork, at: Collection[int] | None = None) -> np.ndarray:
        shown = [film(world, fork.start, branch, at) for branch in fork.actions]
        return np.stack([bench.reader.read(frames).position for frames in shown])

    chosen, late, steps = [], [], bench.bars.sizes["intervention_frames"]
    for fork, far in interventions.choices:
        seen = answers(far or fork, {*range(steps + 1), (far or fork).actions.shape[1]})
        chosen.append((fork, seen[:, : steps + 1]))
        if far is not None:
            late.append(_identified(far, seen[:, [0, -1]]))
    effects = np.array([_effects(fork, seen) for fork, seen in chosen])  # (n, pairs, 2)
    moves = np.array([_moves(fork, seen) for fork, seen in chosen])  # (n, lags, 3)
    onsets = np.array([_onset(fork, answers(fork), e0_m) for fork in interventions.onsets])
    nulls = np.array([_largest(*answers(fork)) / e0_m for fork in interventions.nulls])
    samples = {
        "cai4": shares(np.array([_identified(fork, seen) for fork, seen in chosen])),
        "cai4_far": shares(np.array(late)),
        "effect_ratio": Sample(effects[..., 0], lambda rows: float(np.median(rows))),
        "direction_cosine": Sample(effects[..., 1], lambda rows: float(np.median(rows))),
        "latency_frames": Sample(moves, _latency, "frames"),
        "onset_frames": Sample(onsets, unit="frames"),
        "null_effect_floors": Sample(nulls, unit="e0"),
    }
    fans = [_identified(fan, answers(fan, (0, FAN_FRAMES))) for fan in interventions.fans]
    details = {
        "states": len(chosen),
        "discarded": interventions.discarded,
        "far_states": len(late),
        "cai4_by_frame": [
            float(np.mean([_identified(fork, seen, frame) for fork, seen in chosen])) for frame in range(steps + 1)
        ],
        "cai4_early": float(np.mean([_identified(fork, seen, EARLY) for fork, seen in chosen])),
        "cai16_stress": float(np.mean(fans)) if fans else None,
    }
    return viewing.judge("A3", samples, details)


def _identified(fork: Fork, seen: np.ndarray, frame: int = -1) -> float:
    """Share of the branches whose place at ``frame`` is nearest to its own true one."""
    return float(identified(fork, seen, frame).mean())


def identified(fork: Fork, seen: np.ndarray, frame: int = -1) -> np.ndarray:
    """Whether the place of each branch at ``frame`` is nearest to its own true one: float64 (K,) of 0 and 1, ties
    sharing; ``seen`` (K, T+1, 4, 2)."""
    shown, right = fork.shown()[frame], fork.places()[:, frame]
    apart = np.linalg.norm(seen[:, None, frame] - right[None], axis=-1)  # (K, K, 4)
    distance = np.sqrt((np.where(np.isfinite(apart), apart, ARENA_M)[..., shown] ** 2).sum(-1))
    nearest = np.isclose(distance, distance.min(1, keepdims=True), atol=1e-9)
    return np.diag(nearest) / nearest.sum(1)


def _pairs(fork: Fork, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ds and ds* of every pair of branches, float64 (pairs, T+1, 4, 2); both NaN where truth does not show the object,
    and ds NaN where the reader does not find it."""
    first, second = np.array(list(itertools.combinations(range(len(seen)), 2))).T
    hidden = np.where(fork.shown(), 0.0, np.nan)[..., None]
    return seen[first] - seen[second] + hidden, fork.places()[first] - fork.places()[second] + hidden


def _flat(effects: np.ndarray) -> np.ndarray:
    """(…, 4, 2) as vectors (…, 8); what is not there is no effect."""
    return np.nan_to_num(effects).reshape(*effects.shape[:-2], -1)


def _effects(fork: Fork, seen: np.ndarray) -> np.ndarray:
    """Effect ratio and direction cosine of every pair at the last frame: (pairs, 2)."""
    ours, right = (_flat(part[:, -1]) for part in _pairs(fork, seen))
    product, length = (ours * right).sum(-1), np.linalg.norm(right, axis=-1)
    scale = np.linalg.norm(ours, axis=-1) * length
    cosine = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
    return np.stack([product / length**2, cosine], axis=-1)


def _moves(fork: Fork, seen: np.ndarray) -> np.ndarray:
    """For each lag -LAGS .. LAGS: <ds'(t), ds*'(t - lag)> and the two squared lengths, summed: (lags, 3)."""
    # differences first: an object that comes into sight has not leapt there
    ours, right = (_flat(np.diff(part, axis=1)) for part in _pairs(fork, seen))
    frames, rows = ours.shape[1], []
    for lag in range(-LAGS, LAGS + 1):
        late = ours[:, max(0, lag) : frames + min(0, lag)]
        early = right[:, max(0, -lag) : frames - max(0, lag)]
        rows.append([(late * early).sum(), (late * late).sum(), (early * early).sum()])
    return np.array(rows)


def _latency(rows: np.ndarray) -> float:
    """Frames by which the world is late, from ``_moves`` of several states (n, lags, 3)."""
    product, ours, right = rows.sum(0).T
    scale = np.sqrt(ours * right)
    curve = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
    peak = int(curve.argmax())
    if curve[peak] < RESPONDS or peak in (0, 2 * LAGS):
        return float(LAGS)
    before, top, after = curve[peak - 1 : peak + 2]
    return peak - LAGS + 0.5 * float((before - after) / (before - 2 * top + after))


def _onset(fork: Fork, seen: np.ndarray, e0_m: float) -> float:
    """Frames by which the effect of the one changed action shows later than in truth; never is the last frame."""
    return _first(seen[1] - seen[0], e0_m) - _first(fork.places()[1] - fork.places()[0], e0_m)


def _first(apart: np.ndarray, e0_m: float) -> float:
    """First frame from which an object is over ONSET e0 away, twice running; ``apart`` (T+1, 4, 2)."""
    moved = np.nan_to_num(np.linalg.norm(apart, axis=-1)).max(-1) > ONSET * e0_m
    twice = np.flatnonzero(moved[:-1] & moved[1:])
    return float(twice[0]) if len(twice) else float(len(moved))


def _largest(first: np.ndarray, second: np.ndarray) -> float:
    """How far apart two films' last frames have any object, in metres; an object in only one of them: an arena."""
    apart = np.linalg.norm(second[-1] - first[-1], axis=-1)
    one = np.isfinite(first[-1, :, 0]) != np.isfinite(second[-1, :, 0])
    return float(np.where(one, ARENA_M, np.nan_to_num(apart)).max())


AUDIT = Audit(
    "A3",
    "interventions: does another action give another, and the right, future?",
    audit_intervention,
    level=4,
    figures=(
        ("cai4", "cai4_h{intervention_frames}"),
        ("cai4_far", "cai4_h{intervention_far_frames}"),
        *((name, name) for name in ("effect_ratio", "direction_cosine", "latency_frames", "onset_frames")),
        ("null_effect_floors", "null_effect_floors"),
    ),
)
