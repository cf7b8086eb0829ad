"""A1, object identity: is every object still there, once, itself and where it can be, and at which frame does that end?

A break is one of, and counts when it lasts two frames:

    vanish     absent although truth shows at least a quarter of it, and not last seen where the screen may hide it
    duplicate  a second thing of its colour
    morph      in the open, its area leaves [0.5, 1.6] of what it has at that place, or its colour fades
    teleport   further away than 1.5 v_max dt a frame since it was last seen, and it stays there
    swap       two objects teleport to each other's places

What is under the screen is hidden in the world that is audited, not where truth has it: a ball that the model pushed
elsewhere may be hidden rightly. A colour that changes altogether reads as a vanished object. The episode's first break
B is that of its first object; S(h) = P(B > h) by Kaplan-Meier.

The motion gate comes first, for a frozen world keeps every identity: path length per seen frame, world over truth, both
read by the same reader, pooled over the episodes of random actions in which truth moved. (A script's actions, played
in a world that answers otherwise, end at a wall: inverted, they make 0.7 of the path.)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.push_reader import Reading
from videosim.audits.push_scene import NAMES, STEP_M, may_be_hidden
from videosim.audits.survival import kaplan_meier
from videosim.audits.truth import Case
from videosim.audits.verdict import FAIL, Result, Sample
from videosim.audits.world import film

VISIBLE = 0.25  # truth's share in sight from which an object must be seen
AREA, FADED = (0.5, 1.6), 0.6  # of an object's area and of the strength of its colour
LEAP = 1.5 * STEP_M  # metres a frame
SLACK_M = 0.01  # of a reading, when it is judged a leap
MOVED_M = 0.1  # an episode whose true paths are shorter does not enter the motion gate
FIRST_NUMBER = 10_000  # of the starts
UNMOVED = "the motion gate failed: it does not move as truth does, so that identities prove nothing"
STRIDE = 4  # frames between the points of a path: pixel noise would lengthen a finer one


@dataclass(frozen=True)
class Break:
    """The first break of an episode."""

    frame: int
    kind: str
    name: str


def first_break(read: Reading, share: np.ndarray, place: np.ndarray) -> Break | None:
    """read   of the T+1 frames of one episode
    share  float64 (T+1, 4), of truth
    place  float64 (4, 2), true positions at the start: where an object is that the start does not show
    """
    found = [b for i in range(len(NAMES)) if (b := _first_of(i, read, share, place[i])) is not None]
    if not found:
        return None
    first = min(found, key=lambda b: b.frame)
    return Break(first.frame, "swap", first.name) if _swapped(first, found, read) else first


def _first_of(i: int, read: Reading, share: np.ndarray, last: np.ndarray) -> Break | None:
    """The first break of object ``i``; the loop walks along its sightings."""
    seen = np.isfinite(read.position[:, i, 0])
    since, steps = 0, len(seen)
    for t in range(steps):
        at, pair = read.position[t, i], slice(t, t + 2)
        lasts = t + 1 < steps
        hidden = bool(may_be_hidden(last, t - since))
        if not seen[t]:
            if lasts and not hidden and not seen[pair].any() and (share[pair, i] >= VISIBLE).all():
                return Break(t, "vanish", NAMES[i])
            continue
        if lasts and (read.blobs[pair, i] > 1).all():
            return Break(t, "duplicate", NAMES[i])
        odd = (read.area[pair, i] < AREA[0]) | (read.area[pair, i] > AREA[1]) | (read.strength[pair, i] < FADED)
        if lasts and not may_be_hidden(at, 2) and odd.all():
            return Break(t, "morph", NAMES[i])
        leap = np.linalg.norm(at - last)
        if t and lasts and leap > LEAP * (t - since) + SLACK_M and not hidden:
            after = read.position[t + 1, i]
            if not np.isfinite(after).all() or np.linalg.norm(after - at) < np.linalg.norm(after - last):
                return Break(t, "teleport", NAMES[i])
        last, since = at, t
    return None


def _swapped(first: Break, found: Sequence[Break], read: Reading) -> bool:
    """Whether another object teleported at the same frame to where this one was, and this one to its place."""
    if first.kind != "teleport":
        return False
    before, after = read.position[first.frame - 1], read.position[first.frame]
    i = NAMES.index(first.name)
    for other in found:
        j = NAMES.index(other.name)
        if j != i and (other.frame, other.kind) == (first.frame, "teleport"):
            apart = np.linalg.norm(after[[i, j]] - before[[j, i]], axis=-1)
            if (apart < LEAP).all():
                return True
    return False


def _path(read: Reading) -> tuple[float, int]:
    """Metres travelled by all objects over the strides in which they were seen, and the number of those."""
    steps = np.linalg.norm(np.diff(read.position[::STRIDE], axis=0), axis=-1)
    seen = np.isfinite(steps)
    return float(steps[seen].sum()), int(seen.sum())


def draw_cases(bench: Bench) -> list[Case]:
    """Episodes of random and of scripted actions."""
    return [draw_case(bench, episode) for episode in range(bench.bars.sizes["identity_episodes"])]


def draw_case(bench: Bench, episode: int) -> Case:
    """One of them, from 0."""
    return bench.truth.case(FIRST_NUMBER + episode, bench.bars.sizes["identity_frames"])


def true_paths(bench: Bench) -> np.ndarray:
    """Path and strides of truth in each case, float64 (n, 2); zeros where it does not enter the motion gate."""
    cases = bench.once(draw_cases)
    paths = [_path(bench.reader.read(case.truth.frames)) if case.random else (0.0, 0) for case in cases]
    return np.array([path if path[0] > MOVED_M else (0.0, 0) for path in paths], np.float64)


def _follow(viewing: Viewing, case: Case) -> Reading:
    return viewing.bench.reader.read(film(viewing.world, case.start, case.actions))


def audit_identity(viewing: Viewing) -> Result:
    """Follow the world through the cases, all of one length, and look for breaks."""
    pairs = viewing.each(draw_cases, _follow)
    horizon = len(pairs[0][0].actions)
    breaks: list[Break | None] = []
    travelled = []
    for (case, read), path in zip(pairs, viewing.bench.once(true_paths), strict=False):  # as far as the look goes
        breaks.append(first_break(read, case.truth.share, case.truth.position[0]))
        if path[1]:
            travelled.append((*_path(read), *path))
    first = np.array([math.inf if b is None else b.frame for b in breaks])
    survival = kaplan_meier(first, np.full(len(pairs), horizon), horizon, viewing.look.confidence)
    survivors = (first > horizon).astype(np.float64)
    samples = {
        "motion_ratio": Sample(np.array(travelled), _ratio),
        "survival": Sample(survivors, by=lambda *how: survival.at(horizon)),
    }
    details = {
        "median_first_break": float(np.median(first)),
        "half_life": survival.half_life,
        "mean_survival": survival.mean,
        "kinds": dict(Counter(b.kind for b in breaks if b is not None)),
        "curve": survival.curve.tolist(),
        "curve_low": survival.low.tolist(),
        "curve_high": survival.high.tolist(),
        "breaks": [None if b is None else asdict(b) for b in breaks],  # of each episode
    }
    result = viewing.judge("A1", samples, details)
    return replace(result, note=UNMOVED) if result.findings["motion_ratio"].verdict == FAIL else result


def _ratio(rows: np.ndarray) -> float:
    """Path a stride of the world over that of truth; rows of (path, strides) of both. A world in which nothing was
    seen has not moved."""
    path, strides, true_path, true_strides = rows.sum(0)
    return float(path / max(strides, 1.0) / (true_path / true_strides))


AUDIT = Audit(
    "A1",
    "identity: is everything still there, once, and itself?",
    audit_identity,
    level=1,
    gate=("A3",),
    figures=(("survival", "identity_survival_{identity_frames}"), ("motion_ratio", "motion_ratio")),
)
