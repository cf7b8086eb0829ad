"""A6, precision, on the push scene: is the answer to an action proportional to it, dose by dose?

From one state the pusher is driven along a free lane with DOSES strengths for HELD frames and then stopped; the answer
is how far it went, read from the picture. Over all doses of one state, against truth: slope, R^2 and staircase
(``responses.py``). States are the resampling unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.push_scene import may_be_hidden, positions
from videosim.audits.responses import DOSES, samples
from videosim.audits.truth import FIRST_SEED
from videosim.audits.verdict import Result
from videosim.audits.world import Start, film
from videosim.errors import VideoSimError

FIRST_NUMBER, TRIES = 60_000, 500  # of the starts; how many are tried for one
HELD, STOPPED = 10, 6  # frames: a world that is a little late has answered too, by then
LANE_M, CLEAR_M = 0.4, 0.16
CONTEXT = 7  # steps at rest before
WAYS = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)])


@dataclass(frozen=True)
class Lane:
    """A start with nothing in the pusher's ``way`` (2,), and how far it truly goes with each dose, (DOSES,) m."""

    start: Start
    way: np.ndarray
    moved: np.ndarray


def draw_lanes(bench: Bench) -> list[Lane]:
    """As many as the bars ask for, in each of WAYS by turns."""
    wanted, env = bench.bars.sizes["dose_starts"], bench.truth.env
    lanes: list[Lane] = []
    size = env.world_spec.action.size
    for number in range(FIRST_NUMBER, FIRST_NUMBER + wanted * TRIES):
        way = WAYS[len(lanes) % len(WAYS)]
        env.reset(seed=FIRST_SEED + number, options={"wide": True})
        if not _free(positions(env.sensors()), way):
            continue
        begin = Start(env.save(), env.render()[None], np.zeros((0, size), np.float32), FIRST_SEED + number)
        start = bench.truth.go(begin, np.zeros((CONTEXT, size), np.float32))
        moved = []
        for dose in DOSES:
            place = bench.truth.follow(start, _actions(way, dose), stride=HELD + STOPPED).position[:, 0]
            moved.append(float((place[-1] - place[0]) @ way))
        lanes.append(Lane(start, way, np.array(moved)))
        if len(lanes) == wanted:
            return lanes
    raise VideoSimError(f"{len(lanes)} free lanes are all that {wanted * TRIES} starts gave; ask for fewer dose_starts")


def _free(place: np.ndarray, way: np.ndarray) -> bool:
    ahead = place[1:] - place[0]
    along = np.clip(ahead @ way, -0.1, LANE_M)
    clear = np.linalg.norm(ahead - along[:, None] * way, axis=-1).min() > CLEAR_M
    ends = np.stack([place[0] - 0.05 * way, place[0] + LANE_M * way])
    return bool(clear and np.abs(ends).max() < 0.43 and not may_be_hidden(ends, 0.0).any())


def _actions(way: np.ndarray, dose: float) -> np.ndarray:
    actions = np.zeros((HELD + STOPPED, len(way)), np.float32)
    actions[:HELD] = dose * way
    return actions


def audit_doses(viewing: Viewing) -> Result:
    """Give the world every dose in every lane."""
    pairs = viewing.each(draw_lanes, _answers)
    answered = np.stack([np.stack([np.nan_to_num(answers), lane.moved]) for lane, answers in pairs])  # (n, 2, DOSES)
    details = {"answers_m": answered[:, 0].tolist(), "true_m": answered[:, 1].tolist()}
    return viewing.judge("A6", samples(answered), details)


def _answers(viewing: Viewing, lane: Lane) -> list[float]:
    """Metres that the pusher is read to go along the lane, by dose."""
    answers = []
    for dose in DOSES:
        shown = film(viewing.world, lane.start, _actions(lane.way, dose), at=(0, HELD + STOPPED))
        place = viewing.bench.reader.read(shown).position[:, 0]
        answers.append(float((place[1] - place[0]) @ lane.way))
    return answers


AUDIT = Audit(
    "A6",
    "precision: is the answer proportional to the action?",
    audit_doses,
    level=3,
    figures=(("slope", "dose_slope"), ("r2", "dose_r2"), ("staircase", "dose_staircase")),
)
