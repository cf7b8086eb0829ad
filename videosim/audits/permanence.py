"""A2, permanence: does what the screen hides go on existing, and does what is done to it there count?

In every journey under the screen the pusher pushes a ball out of sight, lets it lie, and pushes it out again: at rest
while hidden, and acted on while hidden. The ball of truth is unseen from frame ``gone``; ``back`` is the first frame
after the middle of that time at which it is found, twice running.

    re-emergence     share of journeys in which the ball comes back at all
    time error       mean |back - back of truth|; the rest of the film where it does not come back
    correct state    share in which, when truth shows all of it again, it is there once, of its colour, and no further
                     than 3 e0 from where it truly is
    abandoned state  share of those that truly went on for 5 e0 unseen, the way they went in, in which it is then, along
                     that way, nearer to where it went out of sight than to where it truly is; a ball that is not there
                     has been abandoned too (WRBench, arXiv 2606.20545)

The ball is moved by the pusher alone, so a world that does not do what it is told fails here as well.
"""

from __future__ import annotations

import numpy as np

from videosim.audits.audit import Audit, Viewing
from videosim.audits.journeys import WHOLE, Journey, Travelled, travel
from videosim.audits.push_reader import Reading
from videosim.audits.survival import share_of
from videosim.audits.verdict import Result, Sample

CORRECT, WENT_ON = 3.0, 5.0  # e0
FADED = 0.6  # of the strength of its colour


def audit_permanence(viewing: Viewing) -> Result:
    """Look at the world's journeys under the screen."""
    bench = viewing.bench
    rows = [(journey, _return(journey, went, bench.e0_m)) for journey, went in travel(viewing) if journey.screen]
    came, late, right, left = (np.array(column) for column in zip(*(row for _, row in rows), strict=True))
    went_on = np.array([np.ptp(journey.position[list(journey.hidden), journey.ball, 0]) for journey, _ in rows])
    samples = {
        "reemergence": share_of(came),
        "time_error_frames": Sample(late, unit="frames"),
        "correct_state": share_of(right),
        "abandoned_state": share_of(left[went_on > WENT_ON * bench.e0_m]),
    }
    hidden = [first_to_last[1] - first_to_last[0] + 1 for first_to_last in (journey.hidden for journey, _ in rows)]
    details = {"hidden_frames": hidden, "correct": right.tolist(), "time_error": late.tolist()}
    return viewing.judge("A2", samples, details)


def _return(journey: Journey, went: Travelled, e0_m: float) -> tuple[bool, float, bool, bool]:
    """Of the hidden ball: whether it came back, frames too late or early, in the right state, or where it was left."""
    (gone, last), ball = journey.hidden, journey.ball
    middle, end = (gone + last) // 2, len(journey.actions)
    back, right_back = (_back(read, ball, middle) for read in (went.read, journey.read))
    whole = last + int(np.argmax(journey.share[last:, ball] >= WHOLE))
    place, truth = went.read.position[whole, ball], journey.position[:, ball]
    there = bool(np.isfinite(place).all())
    error = float(np.linalg.norm(place - truth[whole])) if there else np.inf
    itself = went.read.blobs[whole, ball] == 1 and went.read.strength[whole, ball] >= FADED
    abandoned = not there or abs(place[0] - truth[gone, 0]) < abs(place[0] - truth[whole, 0])
    return back < end, abs(back - right_back), bool(itself and error <= CORRECT * e0_m), abandoned


def _back(read: Reading, ball: int, middle: int) -> float:
    found = np.isfinite(read.position[middle:, ball, 0])
    twice = np.flatnonzero(found[:-1] & found[1:])
    return float(middle + twice[0]) if len(twice) else float(middle + len(found) - 1)


AUDIT = Audit(
    "A2",
    "permanence: does what is hidden go on existing, and being acted on?",
    audit_permanence,
    level=4,
    gate=("A3",),
    figures=tuple((name, name) for name in ("reemergence", "correct_state", "abandoned_state")),
)
