"""A5, variance: is the same question answered alike? The physics of this scene draws nothing.

From one state the same actions are asked for AGAIN times, each time with another seed of whatever the world draws, and
with the frames that lead to the state shaken by a grey level, which no encoder may mind. sigma(h) is the root mean
square distance, over answers and over the things that truth shows whole, of a thing's place at frame h from its mean
place over the answers.

    spread near, far   mean over states of sigma at frames NEAR and FAR, in e0
    spread share       mean sigma at FAR over the mean error of the same answers, which counts as FLOOR e0 at least: a
                       world that is wrong because it guesses is told from one that is sure and wrong

A thing that some answers do not show is an arena away from the others; where none shows it, for it has gone under the
screen or lies outside, they agree. States are the resampling unit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.push_scene import ARENA_M
from videosim.audits.truth import Case
from videosim.audits.verdict import Result, Sample
from videosim.audits.world import film

FIRST_NUMBER = 5_000_000  # of the starts
AGAIN, NEAR, FAR = 8, 16, 64
FLOOR = 5.0  # e0
WHOLE = 0.9  # share in sight from which a place is compared


def draw_questions(bench: Bench) -> list[Case]:
    """As many as the bars ask for; of their moments, those at 0, NEAR, … FAR."""
    states = bench.bars.sizes["variance_states"]
    return [bench.truth.case(FIRST_NUMBER + i, FAR, stride=NEAR) for i in range(states)]


def audit_resampling(viewing: Viewing) -> Result:
    """Ask the world every question again and again."""
    e0_m = viewing.bench.e0_m
    rows = np.array([_spread(case, places) for case, places in viewing.each(draw_questions, _ask)]) / e0_m
    samples = {
        "spread_near_floors": Sample(rows[:, 0], unit="e0"),
        "spread_far_floors": Sample(rows[:, 1], unit="e0"),
        "spread_share": Sample(rows[:, 1:], lambda part: float(part[:, 0].mean() / max(part[:, 1].mean(), FLOOR))),
    }
    return viewing.judge("A5", samples, {"error_far_floors": rows[:, 2].tolist()})


def _ask(viewing: Viewing, case: Case) -> np.ndarray:
    """Places read at NEAR and FAR, float64 (AGAIN, 2, 4, 2) metres."""
    rng = np.random.default_rng([case.start.seed, 5])
    found = []
    for again in range(AGAIN):
        shaken = case.start.frames + rng.integers(-1, 2, case.start.frames.shape)
        start = replace(case.start, frames=np.clip(shaken, 0, 255).astype(np.uint8), seed=case.start.seed + again)
        shown = film(viewing.world, start, case.actions, at=(NEAR, FAR))
        found.append(viewing.bench.reader.read(shown).position)
    return np.stack(found)


def _spread(case: Case, places: np.ndarray) -> tuple[float, float, float]:
    """sigma at NEAR and at FAR, and the mean error at FAR, in metres."""
    moments = (1, FAR // NEAR)
    sigma = []
    for column, moment in enumerate(moments):
        here = places[:, column, case.truth.share[moment] >= WHOLE]
        found = np.isfinite(here).all(-1)
        apart = np.where(found.all(0), np.linalg.norm(here - here.mean(0), axis=-1), ARENA_M)
        apart[:, ~found.any(0)] = 0.0
        sigma.append(float(np.sqrt((apart**2).mean())) if apart.size else 0.0)
    shown = case.truth.share[moments[1]] >= WHOLE
    error = np.linalg.norm(places[:, 1, shown] - case.truth.position[moments[1], shown], axis=-1)
    error = np.where(np.isfinite(error), error, ARENA_M)
    return sigma[0], sigma[1], float(error.mean()) if error.size else 0.0


AUDIT = Audit(
    "A5",
    "variance: is the same question answered alike?",
    audit_resampling,
    level=2,
    gate=("A3",),
    figures=(("spread_far_floors", "spread_far_floors"),),
)
