"""A7, lasting changes: does what was moved stay where it was put, and what was not touched where it was?

In the journeys in the open the pusher takes the red ball to the goal and leaves it alone. A thing has changed when it
is further than BIT_M from where it began; nothing finer is asked, so that a world of other friction may pass.

    changed          share of journeys in which the ball is not where it began, a moment after the pusher has left it
    flips            share in which it is, at the end, further than BIT_M from where it was left, by itself
    wrong changes    share of the things that truth never moves which end further than BIT_M from where they began, by
                     themselves

By itself: the world shows nothing near it when it sets out. A slower pusher takes another way and may run into what
truth passes by; that is for A3 to find. What is not found has changed when it should have stayed, and has not when it
should have changed.
"""

from __future__ import annotations

import numpy as np

from videosim.audits.audit import Audit, Viewing
from videosim.audits.journeys import WHOLE, Journey, Travelled, travel
from videosim.audits.push_scene import NAMES
from videosim.audits.survival import share_of
from videosim.audits.verdict import Result
from videosim.envs.push import BALL_M, PUSHER_M

BIT_M = 0.1
STILL_M = 0.02  # what truth moves by less is untouched
NEAR_M = PUSHER_M + BALL_M + 0.04  # centres of what may touch: as far as a thing goes in a frame, and a bit
SETTLED = 4  # frames after the ball is left at which it is read: a world that is a little late is not a wrong one


def audit_lasting(viewing: Viewing) -> Result:
    """Look at the world's journeys in the open."""
    pairs = [pair for pair in travel(viewing) if not pair[0].screen]
    changed = np.array([_apart(journey, went, 0, journey.left + SETTLED) > BIT_M for journey, went in pairs])
    flipped = np.array([_strays(went.read.position[journey.left + SETTLED :], journey.ball) for journey, went in pairs])
    wrong = np.array([moved for journey, went in pairs for moved in _untouched(journey, went)])
    samples = {"changed": share_of(changed), "flips": share_of(flipped), "wrong_changes": share_of(wrong)}
    details = {"frames_left_alone": [len(journey.actions) - journey.left for journey, _ in pairs]}
    return viewing.judge("A7", samples, details)


def _apart(journey: Journey, went: Travelled, first: int, last: int) -> float:
    """Metres between the ball's places at two frames; NaN where it is not found, which is neither far nor near."""
    place = went.read.position[:, journey.ball]
    return float(np.linalg.norm(place[last] - place[first]))


def _untouched(journey: Journey, went: Travelled) -> list[bool]:
    """Of everything that truth leaves alone, in sight at both ends: whether it ends elsewhere, by itself."""
    rows = []
    for i in range(1, len(NAMES)):
        path = np.linalg.norm(journey.position[:, i] - journey.position[0, i], axis=-1)
        if path.max() < STILL_M and journey.share[[0, -1], i].min() >= WHOLE:
            rows.append(_strays(np.concatenate([journey.position[:1], went.read.position]), i))
    return rows


def _strays(shown: np.ndarray, thing: int) -> bool:
    """Whether, of the places ``shown`` (T, 4, 2), the ``thing`` is at the last not where it was at the first, and
    nothing had come to where it lay when it set out."""
    apart = np.linalg.norm(shown[:, thing] - shown[0, thing], axis=-1)
    still = np.flatnonzero(apart <= STILL_M)
    if apart[-1] <= BIT_M or np.isnan(apart[-1]) or not len(still):
        return not apart[-1] <= BIT_M
    others = np.delete(shown[still[-1] : still[-1] + 2], thing, 1)
    return not bool((np.linalg.norm(others - shown[still[-1], thing], axis=-1) < NEAR_M).any())


AUDIT = Audit(
    "A7",
    "lasting changes: does what was moved stay where it was put?",
    audit_lasting,
    level=4,
    gate=("A3",),
    figures=(("changed", "state_changed"), ("flips", "state_flips")),
)
