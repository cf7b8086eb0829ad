"""What laws say, as figures of places that were read: pure functions of places (T+1, 3, 2), x and z in metres, one
frame every ``dt_s``, and of the true trial, which says which things there are and when they meet.

    velocities   differences over SPAN frames, which takes most of the reader's error out of them
    gravity      -2 c of the least-squares parabola z = a + b t + c t^2
    friction     (g sin tilt - a) / (g cos tilt), with the acceleration a of the parabola down the ramp
    restitution  speed with which two things part, over that with which they met, by straight lines through their places
    momentum     sum of mass times velocity along x, before and after; mass goes with the square of the size
    energy       of the pendulum, v^2 / 2 + g z, as a share of what it swings with

A thing that is not found has no figure, NaN, but the largest error of velocity.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from videosim.audits.law_truth import Trial
from videosim.envs.laws import DENSITY_KG_PER_M2, GRAVITY_MPS2, PIVOT_M

SPAN = 4  # frames
BESIDE = 1  # frames next to a collision that count for neither side
LOST_MPS = 7.0  # nothing is faster here
MEET_MPS = 0.05  # slower things do not meet


def velocities(place: np.ndarray, dt_s: float) -> np.ndarray:
    """float64 (T+1-SPAN, 3, 2), in m/s."""
    return (place[SPAN:] - place[:-SPAN]) / (SPAN * dt_s)


def velocity_error(trial: Trial, place: np.ndarray, dt_s: float) -> float:
    """Mean distance (m/s) from the true velocity, over things and frames; LOST_MPS for what is not found."""
    true, said = (velocities(rows, dt_s)[:, trial.there] for rows in (trial.place, place))
    error = np.linalg.norm(said - true, axis=-1)
    return float(np.where(np.isfinite(error), error, LOST_MPS).mean())


def gravity(trial: Trial, place: np.ndarray, dt_s: float) -> float:
    """Of the red thing, downwards, in m/s^2."""
    return -_curvature(place[:, 0, 1], dt_s)


def friction(trial: Trial, place: np.ndarray, dt_s: float) -> float:
    """Between block and ramp."""
    down = np.array([np.cos(trial.tilt), -np.sin(trial.tilt)]) * np.sign(trial.tilt)
    steep = abs(trial.tilt)
    pull = GRAVITY_MPS2 * np.sin(steep) - _curvature(place[:, 0] @ down, dt_s)
    return float(pull / (GRAVITY_MPS2 * np.cos(steep)))


def restitution(trial: Trial, place: np.ndarray, dt_s: float) -> float:
    """Of red and green, along x."""
    apart = place[:, 1, 0] - place[:, 0, 0]
    before, after = (_slope(apart[frames], dt_s) for frames in _sides(trial))
    return -after / before if abs(before) > MEET_MPS else np.nan


def momentum(trial: Trial, place: np.ndarray, dt_s: float) -> tuple[float, float]:
    """Along x before and after the collision, in kg m/s."""
    masses = DENSITY_KG_PER_M2 * trial.half[:2] ** 2
    before, after = (
        sum(float(mass) * _slope(place[frames, i, 0], dt_s) for i, mass in enumerate(masses))
        for frames in _sides(trial)
    )
    return before, after


def energy_change(trial: Trial, place: np.ndarray, dt_s: float) -> float:
    """By which the pendulum's energy grows from the first third of the frames to the last, as a share of that with
    which it truly swings."""
    swing = GRAVITY_MPS2 * (trial.place[:, 0, 1].max() - (PIVOT_M - trial.length))
    moving = (np.linalg.norm(velocities(place, dt_s)[:, 0], axis=-1) ** 2) / 2.0
    energy = moving + GRAVITY_MPS2 * place[SPAN // 2 : -(SPAN // 2), 0, 1]
    third = len(energy) // 3
    return float((energy[-third:].mean() - energy[:third].mean()) / swing)


def overlap(trial: Trial, place: np.ndarray) -> float:
    """The deepest that things are in one another, or in the ramp, over means of SPAN frames; 0 where they never are."""
    smooth = np.stack([place[i : len(place) - SPAN + 1 + i] for i in range(SPAN)]).mean(0)
    gaps = []
    if trial.law == "incline":
        up = np.array([np.sin(trial.tilt), np.cos(trial.tilt)])
        gaps.append((smooth[:, 0] - smooth[0, 0]) @ up)
    axis = 1 if trial.law == "stack" else 0
    order = trial.there[np.argsort(trial.place[0, trial.there, axis])]
    for low, high in pairwise(order):
        gaps.append(smooth[:, high, axis] - smooth[:, low, axis] - trial.half[low] - trial.half[high])
    if trial.law == "stack":
        gaps.append(smooth[:, order[0], 1] - trial.half[order[0]])
    return max(0.0, -float(np.min(gaps))) if gaps else 0.0


def _sides(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Frames before and after the true collision."""
    apart = np.abs(trial.place[:, 1, 0] - trial.place[:, 0, 0])
    least = int(np.argmin(apart))
    frames = np.arange(len(apart))
    return frames[frames < least - BESIDE], frames[frames > least + BESIDE]


def _slope(values: np.ndarray, dt_s: float) -> float:
    return float(_fit(values, dt_s, 1)[0])


def _curvature(values: np.ndarray, dt_s: float) -> float:
    """The acceleration of the least-squares parabola."""
    return 2.0 * float(_fit(values, dt_s, 2)[0])


def _fit(values: np.ndarray, dt_s: float, degree: int) -> np.ndarray:
    if not np.isfinite(values).all():
        return np.full(degree + 1, np.nan)
    return np.polyfit(dt_s * np.arange(len(values)), values, degree)
