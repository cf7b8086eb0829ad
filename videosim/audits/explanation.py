"""A11, explanative value: does the world say what an action touches, and what happens in which order?

Both are read from the same frames as A3 and the journeys; no world is asked anything more.

    attribution   F1, over pairs of action sequences from one state and over things, of being in another place under the
                  other sequence, by over AFFECTED e0: which things does the difference of the actions reach?
    events        mean over journeys of 1 - d / n, d the edit distance (Levenshtein) of the world's sequence of events
                  from the true one and n the longer one's length; an event is a thing, other than the pusher, that
                  begins to move

A thing that is not found is nowhere else, and does not begin to move. States and journeys are the resampling units.
What the latents of a model hold is not asked here: a control has none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from videosim.audits.audit import Audit, Viewing
from videosim.audits.forks import Fork
from videosim.audits.intervention import asked
from videosim.audits.journeys import travel
from videosim.audits.push_reader import Reading
from videosim.audits.push_scene import NAMES
from videosim.audits.verdict import Result, Sample

AFFECTED = 3.0  # e0
OVER_FRAMES = 4  # a move is looked for over
BEGINS, ENDS = 6.0, 2.0  # e0 in that time, from which a thing moves and below which it lies


def audit_explanation(viewing: Viewing) -> Result:
    """Look at the world's branches and journeys."""
    e0_m = viewing.bench.e0_m
    counts = np.array([_reached(fork, seen, e0_m) for fork, seen in asked(viewing)], np.float64)
    alike = np.array(
        [similarity(events(went.read, e0_m), events(journey.read, e0_m)) for journey, went in travel(viewing)]
    )
    samples = {"attribution": Sample(counts, f1), "events": Sample(alike)}
    return viewing.judge("A11", samples, {"affected": int(counts[:, [0, 2]].sum()), "told": int(counts[:, :2].sum())})


def _reached(fork: Fork, seen: np.ndarray, e0_m: float) -> list[int]:
    """Pairs and things that are rightly said to be reached, wrongly said to be, and wrongly not: three counts."""
    shown = fork.shown()[-1]
    ends = np.stack([seen[:, -1], fork.places()[:, -1]])[:, :, shown]
    counts = np.zeros(3, int)
    for a, b in itertools.combinations(range(len(seen)), 2):
        said, right = np.linalg.norm(ends[:, a] - ends[:, b], axis=-1) > AFFECTED * e0_m
        counts += [(said & right).sum(), (said & ~right).sum(), (~said & right).sum()]
    return counts.tolist()


def f1(counts: np.ndarray) -> float:
    """Of rows (hits, false alarms, misses); 1 where there was nothing to find and nothing was said."""
    hits, false, missed = counts.sum(0)
    return float(2.0 * hits / (2.0 * hits + false + missed)) if hits + false + missed else 1.0


def events(read: Reading, e0_m: float) -> list[int]:
    """The things that begin to move, in order: columns of NAMES from 1."""
    found = []
    for i in range(1, len(NAMES)):
        place = _carried(read.position[:, i])
        speed = np.linalg.norm(place[OVER_FRAMES:] - place[:-OVER_FRAMES], axis=-1) / e0_m
        moving = False
        for frame, moved in enumerate(speed):
            if not moving and moved > BEGINS:
                found.append((frame, i))
            moving = moved > (ENDS if moving else BEGINS)
    return [i for _, i in sorted(found)]


def _carried(place: np.ndarray) -> np.ndarray:
    """(T, 2) with the last known place where there is none; before the first one, that."""
    known = np.flatnonzero(np.isfinite(place[:, 0]))
    if not len(known):
        return np.zeros_like(place)
    return place[known[np.clip(np.searchsorted(known, np.arange(len(place)), "right") - 1, 0, None)]]


def similarity(said: Sequence[int], right: Sequence[int]) -> float:
    """1 less the edit distance over the longer length; of two empty sequences 1."""
    row = np.arange(len(right) + 1)
    for k, one in enumerate(said, 1):
        before, row = row, np.full(len(right) + 1, k)
        for j, other in enumerate(right, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (one != other))
    return 1.0 - float(row[-1]) / max(len(said), len(right), 1)


AUDIT = Audit(
    "A11",
    "explanation: does it say what an action reaches, and what happens in which order?",
    audit_explanation,
    level=3,
    gate=("A3",),
    figures=(("attribution", "attribution_f1"), ("events", "event_similarity")),
)
