"""A18, the successor test: under actions that the auditor injects, does everything stay itself and end as in physics?

A journey is passed up to frame h when, until then, no identity breaks; at every MILESTONE each thing that truth shows
whole is within 5 e0 of its true place or in the same of CELLS x CELLS cells; every pulse is identified, which means
that the pusher's move in it is nearest to the true move of this pulse among those of the four that it might have been;
and the task is done or not done as in physics. A world that says nothing of success is judged by its picture.

    successor rate        SR(T), the share passed up to the end; SR half, up to the middle
    kappa                 Cohen's, of success at the end, said and true; 0 where one of them never varies
    false success         share of the failures that the world reports as successes
    return error          mean |return said - return due|, a step
"""

from __future__ import annotations

import numpy as np

from videosim.audits.audit import Audit, Viewing
from videosim.audits.identity import first_break
from videosim.audits.journeys import PULSE_FRAMES, WHOLE, Journey, Travelled, travel
from videosim.audits.push_reader import Reading
from videosim.audits.push_scene import ARENA_M
from videosim.audits.survival import share_of
from videosim.audits.verdict import Result, Sample
from videosim.envs.push import GOAL_M

MILESTONES = 4
NEAR = 5.0  # e0
CELLS = 8


def audit_successor(viewing: Viewing) -> Result:
    """Judge the world's journeys."""
    bench = viewing.bench
    pairs = travel(viewing)
    frames = len(pairs[0][0].actions)
    failed = [[reason for reason, frame in _failures(*pair, bench.e0_m).items() if frame <= frames] for pair in pairs]
    first = np.array([min(_failures(*pair, bench.e0_m).values()) for pair in pairs])
    labels = np.array([(said_success(*pair), pair[0].success[-1]) for pair in pairs])
    unpaid = np.array([abs(went.rewards.mean() - journey.rewards.mean()) for journey, went in pairs])
    samples = {
        "successor_rate": share_of(first > frames),
        "successor_rate_half": share_of(first > frames // 2),
        "kappa": Sample(labels.astype(float), _kappa),
        "false_success": share_of(labels[~labels[:, 1], 0]),
        "return_error": Sample(unpaid),
    }
    details = {"failed": failed, "first_failure": [None if np.isinf(f) else int(f) for f in first]}
    return viewing.judge("A18", samples, details)


def said_success(journey: Journey, went: Travelled) -> bool:
    """Whether the world says, or else shows, that the task is done at the end."""
    if went.success is not None:
        return bool(went.success[-1])
    return bool(np.linalg.norm(went.read.position[-1, 1] - journey.goal) < GOAL_M)


def _failures(journey: Journey, went: Travelled, e0_m: float) -> dict[str, float]:
    """Reason -> the frame at which the journey fails for it; infinite where it does not."""
    found = first_break(went.read, journey.share, journey.position[0])
    end = len(journey.actions)
    return {
        "identity": np.inf if found is None else float(found.frame),
        "state": _astray(journey, went.read, e0_m),
        "pulse": _missed(journey, went.read),
        "outcome": np.inf if said_success(journey, went) == journey.success[-1] else float(end),
    }


def _astray(journey: Journey, read: Reading, e0_m: float) -> float:
    """The first milestone at which something is elsewhere."""
    for frame in np.linspace(0, len(journey.actions), MILESTONES + 1)[1:].astype(int):
        shown = journey.share[frame] >= WHOLE
        here, right = read.position[frame, shown], journey.position[frame, shown]
        near = np.linalg.norm(here - right, axis=-1) <= NEAR * e0_m
        if not (near | (_cell(here) == _cell(right)).all(-1)).all():
            return float(frame)
    return np.inf


def _cell(place: np.ndarray) -> np.ndarray:
    return np.floor((place / ARENA_M + 0.5) * CELLS)


def _missed(journey: Journey, read: Reading) -> float:
    """The end of the first pulse that is not identified."""
    for pulse in journey.pulses:
        end = pulse.frame + PULSE_FRAMES
        apart = np.linalg.norm(read.position[end, 0] - read.position[pulse.frame, 0] - pulse.moves, axis=-1)
        if not np.isfinite(apart).all() or int(apart.argmin()) != pulse.chosen:
            return float(end)
    return np.inf


def _kappa(labels: np.ndarray) -> float:
    """Cohen's kappa of two columns of 0 and 1."""
    said, true = labels.mean(0)
    chance = said * true + (1.0 - said) * (1.0 - true)
    agreed = float((labels[:, 0] == labels[:, 1]).mean())
    return (agreed - chance) / (1.0 - chance) if chance < 1.0 else 0.0


AUDIT = Audit(
    "A18",
    "successor: do injected actions end as they do in physics, everything being still itself?",
    audit_successor,
    level=5,
    gate=("A1", "A3"),
    figures=(("successor_rate", "successor_rate"), ("kappa", "outcome_kappa"), ("false_success", "false_success")),
)
