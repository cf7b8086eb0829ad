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

import numpy as np

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.forks import FAN_FRAMES, LAGS, ONSET, Fork, draw_interventions
from videosim.audits.push_scene import ARENA_M
from videosim.audits.survival import shares
from videosim.audits.verdict import Result, Sample
from videosim.audits.world import film

EARLY = 4  # the frame of the early choice
RESPONDS = 0.2  # correlation below which there is no response, and so no latency: the largest lag is scored


def _choices(bench: Bench) -> Sequence[tuple[Fork, Fork | None]]:
    return bench.once(draw_interventions).choices


def _onsets(bench: Bench) -> Sequence[Fork]:
    return bench.once(draw_interventions).onsets


def _nulls(bench: Bench) -> Sequence[Fork]:
    return bench.once(draw_interventions).nulls


def _fans(bench: Bench) -> Sequence[Fork]:
    return bench.once(draw_interventions).fans


def _answers(viewing: Viewing, fork: Fork, at: Collection[int] | None = None) -> np.ndarray:
    """What is read of every branch, at all frames or ``at`` some: (K, frames, 4, 2)."""
    shown = [film(viewing.world, fork.start, branch, at) for branch in fork.actions]
    return np.stack([viewing.bench.reader.read(frames).position for frames in shown])


def _choose(viewing: Viewing, choice: tuple[Fork, Fork | None]) -> np.ndarray:
    near, far = choice
    steps, fork = viewing.bench.bars.sizes["intervention_frames"], far or near
    return _answers(viewing, fork, {*range(steps + 1), fork.actions.shape[1]})


def asked(viewing: Viewing) -> list[tuple[Fork, np.ndarray]]:
    """The forks of choice and effect, as far as the look goes, with what is read of the world: (K, T+1, 4, 2)."""
    steps = viewing.bench.bars.sizes["intervention_frames"]
    return [(fork, seen[:, : steps + 1]) for (fork, _), seen in viewing.each(_choices, _choose)]


def _fan_out(viewing: Viewing, fan: Fork) -> np.ndarray:
    return _answers(viewing, fan, (0, FAN_FRAMES))


def audit_intervention(viewing: Viewing) -> Result:
    """Ask the world for every branch of every fork."""
    bench, e0_m = viewing.bench, viewing.bench.e0_m
    chosen, steps = asked(viewing), bench.bars.sizes["intervention_frames"]
    late = [_identified(far, seen[:, [0, -1]]) for (_, far), seen in viewing.each(_choices, _choose) if far is not None]
    effects = np.array([_effects(fork, seen) for fork, seen in chosen])  # (n, pairs, 2)
    moves = np.array([_moves(fork, seen) for fork, seen in chosen])  # (n, lags, 3)
    onsets = np.array([_onset(fork, seen, e0_m) for fork, seen in viewing.each(_onsets, _answers)])
    nulls = np.array([_largest(*seen) / e0_m for _, seen in viewing.each(_nulls, _answers)])
    samples = {
        "cai4": shares(np.array([_identified(fork, seen) for fork, seen in chosen])),
        "cai4_far": shares(np.array(late)),
        "effect_ratio": Sample(effects[..., 0], lambda rows: float(np.median(rows))),
        "direction_cosine": Sample(effects[..., 1], lambda rows: float(np.median(rows))),
        "latency_frames": Sample(moves, _latency, "frames"),
        "onset_frames": Sample(onsets, unit="frames"),
        "null_effect_floors": Sample(nulls, unit="e0"),
    }
    fans = [_identified(fan, seen) for fan, seen in viewing.each(_fans, _fan_out)]
    details = {
        "states": len(chosen),
        "discarded": bench.once(draw_interventions).discarded,
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
