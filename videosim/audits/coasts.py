"""A4, physical laws: how far does a ball coast that was pushed and let go, and does what lies at rest stay there?

The pusher pushes a ball and stops; from the frame at which it stops on, nothing is done. Both worlds are read by the
same reader from the same moment, so that its bias cancels.

    coast ratio   way the ball coasts, along the true way, summed over coasts, over that of truth: what drag and dry
                  friction leave of a speed. Half the dry friction gives 1.1, three times the mass 1.5
    rest drift    largest way, in e0, of anything that truth leaves lying, a mean over coasts

A ball that is not found has not coasted, and what lay still and is not found has moved an arena.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.push_scene import ARENA_M, NAMES, may_be_hidden, positions
from videosim.audits.truth import FIRST_SEED
from videosim.audits.verdict import Result, Sample
from videosim.audits.world import Start, film
from videosim.envs.push import ARENA_M as WALL_M
from videosim.errors import VideoSimError

FIRST_NUMBER, TRIES = 40_000, 400  # of the starts; how many are tried for a coast
PUSHED, COASTING = 16, 14  # frames of pushing at most, and of coasting
FAST_MPS, FAR_M, STILL_M = 0.5, 0.025, 0.001  # of the ball when it is let go; of its coast; of what lies still
NEAR_M, WALLS_M = 0.22, 0.1  # of the pusher to the ball when it begins; of the ball's end to a wall
WHOLE = 0.9  # share in sight from which a place is compared


@dataclass(frozen=True)
class Coast:
    """A start at which the pusher has just stopped; ``ball`` its column in NAMES; ``way`` (2,) m, that truth was read
    to coast; ``still`` the columns of what truth leaves lying."""

    start: Start
    ball: int
    way: np.ndarray
    still: Sequence[int]


def draw_coasts(bench: Bench) -> list[Coast]:
    """As many as the bars ask for."""
    coasts: list[Coast] = []
    wanted = bench.bars.sizes["coasts"]
    for number in range(FIRST_NUMBER, FIRST_NUMBER + wanted * TRIES):
        coast = _coast(bench, number, 1 + len(coasts) % 2)
        if coast is not None:
            coasts.append(coast)
        if len(coasts) == wanted:
            return coasts
    raise VideoSimError(
        f"{len(coasts)} coasts are all that {wanted * TRIES} starts gave; ask for fewer in the bar file"
    )


def _coast(bench: Bench, number: int, ball: int) -> Coast | None:
    env, seed = bench.truth.env, FIRST_SEED + number
    env.reset(seed=seed, options={"wide": True})
    place = positions(env.sensors())
    apart = place[ball] - place[0]
    if np.linalg.norm(apart) > NEAR_M or may_be_hidden(place[1:], 0.0).any():
        return None
    begin = Start(env.save(), env.render()[None], np.zeros((0, env.world_spec.action.size), np.float32), seed)
    way = (apart / np.linalg.norm(apart)).astype(np.float32)
    actions: list[np.ndarray] = []
    speed = 0.0
    while speed < FAST_MPS and len(actions) < PUSHED:
        actions.append(way)
        before = positions(env.sensors())[ball]
        env.step(way)
        speed = float(np.linalg.norm(positions(env.sensors())[ball] - before)) / env.world_spec.dt_s
    if speed < FAST_MPS:
        return None
    start = bench.truth.go(begin, np.stack(actions))
    truth = bench.truth.follow(start, _nothing(bench))
    moved = np.linalg.norm(truth.position[-1] - truth.position[0], axis=-1)
    still = [i for i in range(1, len(NAMES)) if i != ball and moved[i] < STILL_M]
    seen = (truth.share[:, [ball, *still]] >= WHOLE).all()
    if moved[ball] < FAR_M or len(still) < 2 or not seen or np.abs(truth.position[-1, ball]).max() > WALL_M - WALLS_M:
        return None
    read = bench.reader.read(truth.frames[[0, -1]]).position[:, ball]
    return Coast(start, ball, read[1] - read[0], still)


def _nothing(bench: Bench) -> np.ndarray:
    return np.zeros((COASTING, bench.truth.env.world_spec.action.size), np.float32)


def audit_coasts(viewing: Viewing) -> Result:
    """Let every ball coast in the world."""
    bench = viewing.bench
    ways, drifts = [], []
    for coast, moved in viewing.each(draw_coasts, _let_go):
        length = float(np.linalg.norm(coast.way))
        along = float(moved[coast.ball] @ coast.way) / length
        ways.append((along if np.isfinite(along) else 0.0, length))
        still = np.linalg.norm(moved[coast.still], axis=-1)
        drifts.append(np.where(np.isfinite(still), still, ARENA_M).max() / bench.e0_m)
    samples = {
        "coast_ratio": Sample(np.array(ways), lambda rows: float(rows[:, 0].sum() / rows[:, 1].sum())),
        "rest_drift_floors": Sample(np.array(drifts), unit="e0"),
    }
    return viewing.judge("A4", samples, {"true_way_m": [way[1] for way in ways]})


def _let_go(viewing: Viewing, coast: Coast) -> np.ndarray:
    """Metres by which each thing is read to move, (4, 2)."""
    bench = viewing.bench
    read = bench.reader.read(film(viewing.world, coast.start, _nothing(bench), at=(0, COASTING))).position
    return read[1] - read[0]


AUDIT = Audit(
    "A4",
    "laws: does a ball that was let go coast as far, and what lies stay?",
    audit_coasts,
    level=2,
    gate=("A3",),
    figures=(("coast_ratio", "coast_ratio"),),
)
