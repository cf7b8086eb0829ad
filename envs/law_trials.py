"""Laws of motion, what varies in each, and which part of it recordings show.

Each law has two factors. Recordings hold either within its range (``id``). Two kinds of trial are held out, after the
design of phyworld (arXiv 2411.02385): ``pairs``, in which both factors are in the lowest or both in the highest third
of their ranges, so that either value is known and their combination is not; and ``ood``, beyond both ranges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SPLITS = ("id", "pairs", "ood")
CORNER = 1 / 3  # of a range: how far a held-out pair reaches
EDGE = 1e-6  # beyond rounding


@dataclass(frozen=True)
class Factor:
    """What varies, with its unit in its name: from ``low`` to ``high`` in recordings, ``beyond`` in trials that are
    held out."""

    name: str
    low: float
    high: float
    beyond: tuple[float, float]

    def at(self, share: float) -> float:
        """The value at ``share`` of the range."""
        return self.low + share * (self.high - self.low)

    def share(self, value: float) -> float:
        """Where in the range ``value`` lies: 0 to 1, or above."""
        return (value - self.low) / (self.high - self.low)


RADIUS = Factor("radius_m", 0.18, 0.30, (0.33, 0.40))
FACTORS: dict[str, tuple[Factor, Factor]] = {
    "uniform": (Factor("speed_mps", 0.6, 1.8, (2.1, 2.7)), RADIUS),
    "fall": (Factor("upward_mps", 0.0, 1.5, (1.8, 2.4)), RADIUS),
    "projectile": (Factor("speed_mps", 1.6, 3.0, (3.3, 4.0)), RADIUS),
    "pendulum": (Factor("length_m", 0.8, 1.5, (1.6, 1.8)), Factor("amplitude_rad", 0.35, 0.80, (0.88, 1.05))),
    "elastic": (Factor("speed_mps", 0.8, 1.8, (2.1, 2.6)), Factor("other_radius_m", 0.18, 0.30, (0.33, 0.38))),
    "inelastic": (Factor("speed_mps", 0.8, 1.8, (2.1, 2.6)), Factor("other_half_m", 0.15, 0.26, (0.28, 0.33))),
    "incline": (Factor("tilt_rad", 0.45, 0.65, (0.70, 0.80)), Factor("friction", 0.08, 0.20, (0.22, 0.26))),
    "stack": (Factor("bottom_half_m", 0.26, 0.34, (0.36, 0.41)), Factor("top_half_m", 0.15, 0.24, (0.25, 0.28))),
}
LAWS = tuple(FACTORS)


@dataclass(frozen=True)
class Trial:
    """One episode of ``law``: the values of its two ``factors``, and the ``seed`` of all else (places, directions)."""

    law: str
    factors: tuple[float, float]
    seed: int

    @property
    def shares(self) -> tuple[float, float]:
        """Where the factors lie in their ranges."""
        first, second = FACTORS[self.law]
        return first.share(self.factors[0]), second.share(self.factors[1])

    @property
    def split(self) -> str:
        """Of SPLITS; a trial that is beyond one range alone is "ood" too."""
        low, high = min(self.shares), max(self.shares)
        if low < -EDGE or high > 1.0 + EDGE:
            return "ood"
        return "pairs" if high < CORNER or low > 1.0 - CORNER else "id"


def draw_trial(rng: np.random.Generator, split: str = "id") -> Trial:
    """Any law, with factors of ``split``."""
    law, seed = LAWS[rng.integers(len(LAWS))], int(rng.integers(2**31))
    while True:
        if split == "ood":
            values = [float(rng.uniform(*factor.beyond)) for factor in FACTORS[law]]
        else:
            values = [factor.at(float(rng.random())) for factor in FACTORS[law]]
        trial = Trial(law, (values[0], values[1]), seed)
        if trial.split == split:
            return trial


def nearest_seen(trial: Trial) -> Trial:
    """The trial among those that recordings show that is most like ``trial``: the same one, or at the edge."""
    at = np.clip(trial.shares, 0.0, 1.0)
    low, high = int(np.argmin(at)), int(np.argmax(at))
    if at[high] < CORNER:
        at[high] = CORNER + EDGE
    elif at[low] > 1.0 - CORNER:
        at[low] = 1.0 - CORNER - EDGE
    elif trial.split == "id":
        return trial
    first, second = FACTORS[trial.law]
    return replace(trial, factors=(first.at(float(at[0])), second.at(float(at[1]))))
