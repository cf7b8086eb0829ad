"""When an audit may stop early: at looks that the bar file fixes, with intervals that pay for looking.

Whoever looks at a growing sample again and again, each time with a 95 % interval, is misled more often than once in
twenty. So the interval of a look is wider: its confidence is such that a Brownian motion, which is what a sum of many
independent terms is like, leaves the intervals of the looks up to the share t of the sample with probability a t^p, and
with a = 5 % by the end (error spending: Lan and DeMets 1983; its power family: Kim and DeMets 1987). The intervals of
all looks then hold together with 95 % (repeated confidence intervals: Jennison and Turnbull 1989), so that a bar is
judged at each of them as at the end, and an audit stops at the first at which its verdict is PASS or FAIL.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from videosim.errors import VideoSimError
from videosim.statistics import CONFIDENCE

POINTS, FAR = 801, 9.0  # of the numerical integral; standard deviations beyond which nothing lies


@dataclass(frozen=True)
class Look:
    """``share`` in (0, 1] of the episodes, in the order in which they are drawn, and the ``confidence`` of the
    intervals that are made of them."""

    share: float = 1.0
    confidence: float = CONFIDENCE


END = Look()  # everything, and the interval of one look


def looks(shares: Sequence[float], power: float) -> tuple[Look, ...]:
    """A look at each of ``shares``, which rise to 1. VideoSimError where they do not, or ``power`` is not positive."""
    if list(shares) != sorted(set(shares)) or not shares or shares[0] <= 0.0 or shares[-1] != 1.0:
        raise VideoSimError(f"the looks of a bar file are shares that rise to 1, as in [0.5, 1]; got {list(shares)}")
    if not power > 0.0:
        raise VideoSimError(f"the power by which a bar file spends its error is positive; got {power}")
    if len(shares) == 1:
        return (END,)
    told = confidences(shares, lambda share: (1.0 - CONFIDENCE) * share**power)
    return tuple(Look(share, confidence) for share, confidence in zip(shares, told, strict=True))


def confidences(shares: Sequence[float], spent: Callable[[float], float]) -> list[float]:
    """Of the two-sided intervals at ``shares``, so that by share t the error ``spent(t)`` has been made.

    The density of the motion that has not left an interval yet is followed from look to look on a grid (Armitage,
    McPherson and Rowe 1969).
    """
    found: list[float] = []
    places, mass, before, made = np.zeros(1), np.ones(1), 0.0, 0.0
    for share in shares:
        spread, error = math.sqrt(share - before), spent(share) - made
        edge = float(brentq(_beyond, 0.0, FAR, args=(places, mass, spread, error)))
        found.append(float(1.0 - 2.0 * norm.sf(edge / math.sqrt(share))))
        grid = np.linspace(-edge, edge, POINTS)
        weight = np.full(POINTS, grid[1] - grid[0])
        weight[[0, -1]] /= 2.0
        mass = weight * (norm.pdf((grid[:, None] - places) / spread) @ mass) / spread
        places, before, made = grid, share, made + error
    return found


def _beyond(edge: float, places: np.ndarray, mass: np.ndarray, spread: float, error: float) -> float:
    """By how much the probability of being beyond ``edge`` now, and within all edges until now, exceeds ``error``."""
    return float(mass @ (norm.sf((edge - places) / spread) + norm.cdf((-edge - places) / spread))) - error
