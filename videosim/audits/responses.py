"""Doses and responses: what an action of growing strength does, in a world and in truth. Knows no scene.

``answered`` is float64 (…, 2, DOSES): how far something went at each of DOSES, as the world shows it and as it truly
goes. What is not found has not moved.
"""

from __future__ import annotations

import numpy as np

from videosim.audits.verdict import Sample

DOSES = np.linspace(1.0 / 15.0, 1.0, 15)  # strengths of an action, of 1


def samples(answered: np.ndarray) -> dict[str, Sample]:
    """What every dose-response is judged by; the first axis of ``answered`` is that of the resampling units.

    slope      of the world's answers on truth's, by least squares with an intercept
    r2         of that regression: a world that is merely too weak fails by the slope alone
    staircase  share of neighbouring doses between which the world's answer rises by less than half of truth's rise: a
               world that looks up the nearest case it remembers answers in steps
    """
    return {
        "slope": Sample(answered, lambda part: line(part)[0]),
        "r2": Sample(answered, lambda part: line(part)[2]),
        "staircase": Sample(answered, staircase),
    }


def line(answered: np.ndarray) -> tuple[float, float, float]:
    """Slope of the world's answers on truth's, intercept, and R^2; zeros where no truth is to be seen at all."""
    said, true = (side.ravel() for side in _sides(answered))
    if not np.ptp(true) > 0.0:
        return 0.0, 0.0, 0.0
    slope, offset = np.polyfit(true, said, 1)
    varied = float(((said - said.mean()) ** 2).sum())
    left = float(((said - slope * true - offset) ** 2).sum())
    return float(slope), float(offset), 1.0 - left / varied if varied > 0 else 0.0


def staircase(answered: np.ndarray) -> float:
    said, true = (np.diff(side) for side in _sides(answered))
    return float((said < 0.5 * true).mean())


def falls(answered: np.ndarray, floor: float) -> float:
    """Share of neighbouring doses between which the world's answer falls by more than ``floor``."""
    return float((np.diff(_sides(answered)[0]) < -floor).mean())


def error(answered: np.ndarray) -> float:
    """Mean distance of the world's answers from truth's."""
    said, true = _sides(answered)
    return float(np.abs(said - true).mean())


def slope_within(answered: np.ndarray) -> float:
    """Slope of the world's answers on truth's, each row of doses about its own mean: how answers grow over these doses,
    whatever they are."""
    said, true = (side - side.mean(-1, keepdims=True) for side in _sides(answered))
    return float((said * true).sum() / (true * true).sum())


def _sides(answered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return answered[..., 0, :], answered[..., 1, :]
