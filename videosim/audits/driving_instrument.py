"""A0 of driving: how well is motion read off true frames, on roads that did not teach the reader?

    speed_r2, yaw_rate_r2   squared correlation of what is read with what MuJoCo knows, over all frames
    speed_slope, yaw_rate_slope  of what is read on what is true: a reader that shrinks everything measures nothing

What is left of the truth when a line tells it from what is read is the floor, root mean square: no world's sensors need
be better than a glance at its dash camera. The resampling unit is the episode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videosim.audits.driving_reader import NAMES, MotionReader
from videosim.audits.driving_truth import DrivingTruth, thinned
from videosim.audits.verdict import Bars, Result, Sample, judge

FIRST_NUMBER = 1000  # of the episodes that are read
READ = ("speed", "yaw_rate")


@dataclass(frozen=True)
class MotionInstrument:
    """The reader that passed A0. ``floors``: what it leaves open of speed (m/s), yaw rate (rad/s) and distance (m)."""

    reader: MotionReader
    floors: dict[str, float]
    result: Result


def prepare_driving(bars: Bars, rng: np.random.Generator) -> tuple[DrivingTruth, MotionInstrument]:
    """MuJoCo's driving and the reader of its frames, audited."""
    truth, reader = DrivingTruth(), MotionReader()
    columns = [truth.spec.sensors.names.index(name) for name in NAMES]
    rows = []
    for episode in truth.episodes(FIRST_NUMBER, bars.sizes["instrument_episodes"]):
        true = thinned(episode.sensors)[: len(episode.frames) - 4, columns]
        rows.append(np.stack([reader.read(episode.frames), true]))
    read = np.stack(rows)  # (episodes, 2, frames, 18)
    errors = np.array([left_open(read[..., i]) for i in range(len(NAMES))])
    floors = {"speed": errors[0], "yaw_rate": errors[1], "lidar": np.sqrt((errors[2:] ** 2).mean())}
    samples = {
        f"{name}_{figure}": Sample(read[..., i], statistic)
        for i, name in enumerate(READ)
        for figure, statistic in (("r2", r2), ("slope", slope))
    }
    estimates = {name: sample.estimate(rng, bars.sizes["resamples"]) for name, sample in samples.items()}
    known = {name: float(error) for name, error in floors.items()}
    details = {"floors": known, "frames": int(read.shape[0] * read.shape[2])}
    result = judge("A0", "driving", estimates, bars, details)
    return truth, MotionInstrument(reader, known, result)


def left_open(pairs: np.ndarray) -> float:
    """Root mean square of what the best line from said to true values leaves of the true ones."""
    return float(pairs[:, 1].std() * (1.0 - r2(pairs)) ** 0.5)


def slope(pairs: np.ndarray) -> float:
    """Of said on true values by least squares with an intercept; ``pairs`` (n, 2, …), said and true."""
    said, true = (pairs[:, side].ravel() - pairs[:, side].mean() for side in (0, 1))
    spread = float(true @ true)
    return float(said @ true) / spread if spread > 0 else 0.0


def r2(pairs: np.ndarray) -> float:
    """Squared correlation of said and true values, 0 where one of them does not vary; ``pairs`` (n, 2, …)."""
    said, true = (pairs[:, side].ravel() - pairs[:, side].mean() for side in (0, 1))
    spread = float(said @ said) * float(true @ true)
    return float(said @ true) ** 2 / spread if spread > 1e-12 else 0.0
