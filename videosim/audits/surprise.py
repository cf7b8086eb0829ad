"""A10, surprise: does the world tell what can happen from what cannot, by what it expects?

From a start the world is told the actions of HIDDEN frames in which nobody looks; then one frame is shown. Its surprise
is how far that frame is from the one that it imagined itself: the largest mean squared difference in a window of the
size of a thing, both pictures being blurred by a pixel. In each category something has happened in that time that
cannot, and each such clip is paired with a possible one whose last frame differs from its first by as much, within
MATCHED, by turns a little more and a little less: whoever only sees how much has changed is right in half of the pairs.

    permanence    the red ball is gone         immutability  it has another colour
    number        there is a second one        continuity    it has changed places with the green one
    solidity      the pusher went through it   wrong action  what is shown came of other actions

    accuracy          of each category: share of the pairs in which the impossible clip surprises more, ties half
    frame difference  the same of whoever goes by the change alone, over all pairs: more than a half and the set is bad

(Matched pairs: IntPhys 2, arXiv 2506.09849.) An event behind the screen, which a frame later shows nothing of, is A2's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.survival import shares
from videosim.audits.truth import Case, wander
from videosim.audits.verdict import Result, Sample
from videosim.audits.world import PhysicsWorld, film
from videosim.errors import VideoSimError

FIRST_NUMBER, POOL = 5_100_000, 6  # of the starts; how many of them there are for each wanted pair
HIDDEN, AT = 8, 4  # frames in which nobody looks; the frame at which it happens
MATCHED = 0.25  # by how much the change may differ, as a fraction
WINDOW_PX = 9  # about the size of a thing
VISIBLE = 100.0  # squared grey levels of a surprise: less shows nothing
IMPOSSIBLE = {
    "permanence": f"control:vanish{AT}",
    "number": f"control:duplicate{AT}",
    "immutability": f"control:recolour{AT}",
    "continuity": f"control:swap{AT}",
    "solidity": "control:ghost",
}
WRONG = "wrong_action"


@dataclass(frozen=True)
class Pairs:
    """``cases`` with the true last frame of each, uint8 (n, H, W, 3); by category, the pairs (impossible, possible) of
    numbers of cases, and the impossible last frame of each case, which is not used of those in no pair."""

    cases: Sequence[Case]
    possible: np.ndarray
    impossible: Mapping[str, np.ndarray]
    pairs: Mapping[str, Sequence[tuple[int, int]]]


def draw_pairs(bench: Bench) -> Pairs:
    """As many pairs of each category as the bars ask for, or as the starts yield. VideoSimError where that is none."""
    wanted = bench.bars.sizes["surprise_pairs"]
    cases = [bench.truth.case(FIRST_NUMBER + i, HIDDEN, stride=HIDDEN) for i in range(POOL * wanted)]
    first, possible = (np.stack([case.truth.frames[at] for case in cases]) for at in (0, -1))
    impossible = {name: _filmed(cases, world) for name, world in IMPOSSIBLE.items()}
    impossible[WRONG] = np.stack([_otherwise(bench, case) for case in cases])
    change = _change(first, possible)
    pairs = {
        name: matched(_change(first, frames), change, _seen(frames, possible), wanted)
        for name, frames in impossible.items()
    }
    lacking = [name for name, found in pairs.items() if not found]
    if lacking:
        raise VideoSimError(f"no pairs of {lacking[0]} could be matched; ask for more surprise_pairs in the bar file")
    return Pairs(cases, possible, impossible, pairs)


def _filmed(cases: Sequence[Case], name: str) -> np.ndarray:
    """The last frame of every case in the world ``name``."""
    world = PhysicsWorld(name)
    frames = [film(world, case.start, case.actions, at=(HIDDEN,))[0] for case in cases]
    world.close()
    return np.stack(frames)


def _otherwise(bench: Bench, case: Case) -> np.ndarray:
    """The last frame after other actions."""
    rng = np.random.default_rng([case.start.seed, 10])
    policy = wander(rng, case.actions.shape[1])
    actions = np.stack([policy(np.zeros(0)) for _ in range(HIDDEN)])
    return bench.truth.follow(case.start, actions, stride=HIDDEN).frames[-1]


def _change(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Mean squared difference of frames uint8 (n, H, W, 3): (n,)."""
    return ((last.astype(np.float64) - first) ** 2).mean((1, 2, 3))


def _seen(impossible: np.ndarray, possible: np.ndarray) -> np.ndarray:
    """Whether what happened shows at all, bool (n,): a ghost that met nothing, or a ball that was hidden, does not."""
    return np.array([surprise(a, b) > VISIBLE for a, b in zip(impossible, possible, strict=True)])


def matched(impossible: np.ndarray, possible: np.ndarray, usable: np.ndarray, wanted: int) -> list[tuple[int, int]]:
    """Pairs (i, j), i != j, of a ``usable`` impossible change (n,) and a possible one that is larger and smaller by
    turns, by no more than MATCHED; no number is used twice on one side. Always as many of either kind, so an even
    number."""
    found: list[list[tuple[int, int]]] = [[], []]
    taken: set[int] = set()
    for i in np.flatnonzero(usable):
        side = int(len(found[1]) < len(found[0]))
        ratio = possible / max(float(impossible[i]), 1e-9)
        near = (ratio > 1.0) & (ratio < 1.0 + MATCHED) if side else (ratio < 1.0) & (ratio > 1.0 - MATCHED)
        fitting = [int(j) for j in np.flatnonzero(near) if j != i and j not in taken]
        if fitting:
            best = min(fitting, key=lambda j: abs(ratio[j] - 1.0))
            taken.add(best)
            found[side].append((int(i), best))
        if len(found[1]) * 2 >= wanted:
            break
    both = min(len(found[0]), len(found[1]))
    return [pair for pairs in zip(found[0][:both], found[1][:both], strict=True) for pair in pairs]


def surprise(expected: np.ndarray, shown: np.ndarray) -> float:
    """At a frame, when another one was expected; both uint8 (H, W, 3). Squared grey levels."""
    soft = [gaussian_filter(frame.astype(np.float64), (1.0, 1.0, 0.0)) for frame in (expected, shown)]
    return float(uniform_filter(((soft[0] - soft[1]) ** 2).mean(-1), WINDOW_PX).max())


def audit_surprise(viewing: Viewing) -> Result:
    """Let the world expect, and show it both members of every pair."""
    drawn = viewing.bench.once(draw_pairs)
    expected = dict(viewing.each(_needed, _expect))
    samples: dict[str, Sample] = {}
    impossible: list[float] = []
    possible: list[float] = []
    for name, pairs in drawn.pairs.items():
        told = [pair for pair in pairs if set(pair) <= set(expected)]
        scores = np.array(
            [
                (surprise(expected[i], drawn.impossible[name][i]), surprise(expected[j], drawn.possible[j]))
                for i, j in told
            ]
        ).reshape(-1, 2)
        samples[name] = shares(_right(scores))
        impossible, possible = [*impossible, *scores[:, 0]], [*possible, *scores[:, 1]]
    samples["frame_difference"] = shares(_right(_changes(drawn)))
    details = {"pairs": {name: len(pairs) for name, pairs in drawn.pairs.items()}, "auroc": auroc(impossible, possible)}
    return viewing.judge("A10", samples, details)


def _changes(drawn: Pairs) -> np.ndarray:
    """How much changes in both members of every pair, (pairs, 2)."""
    first = np.stack([case.truth.frames[0] for case in drawn.cases])
    possible = _change(first, drawn.possible)
    rows = []
    for name, pairs in drawn.pairs.items():
        impossible = _change(first, drawn.impossible[name])
        rows += [(impossible[i], possible[j]) for i, j in pairs]
    return np.array(rows)


def _needed(bench: Bench) -> list[int]:
    """The numbers of the cases that are in a pair, those of each category's first pairs first."""
    pairs = bench.once(draw_pairs).pairs
    longest = max(len(found) for found in pairs.values())
    order = [number for k in range(longest) for found in pairs.values() for number in found[k : k + 1]]
    return list(dict.fromkeys(number for pair in order for number in pair))


def _expect(viewing: Viewing, number: int) -> np.ndarray:
    case = viewing.bench.once(draw_pairs).cases[number]
    return film(viewing.world, case.start, case.actions, at=(HIDDEN,))[0]


def _right(scores: np.ndarray) -> np.ndarray:
    """1 where the first column is the larger, a half where they are equal: (n,)."""
    return 0.5 * ((scores[:, 0] > scores[:, 1]) + (scores[:, 0] >= scores[:, 1]).astype(np.float64))


def auroc(positive: Sequence[float] | np.ndarray, negative: Sequence[float] | np.ndarray) -> float:
    """Share of the pairs (positive, negative) in which the positive is the larger, ties half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.mean() / (2.0 * len(ordered)))


AUDIT = Audit(
    "A10",
    "surprise: does it tell the possible from the impossible?",
    audit_surprise,
    level=2,
    gate=("A3",),
    figures=tuple((name, f"surprise_{name}") for name in (*IMPOSSIBLE, WRONG)),
)
