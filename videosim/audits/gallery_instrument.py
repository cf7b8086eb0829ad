"""A0 of the gallery: are balls seen where geometry says, not seen where they are not, and found in space?

On true frames:

    floor_px             mean |read - projected| over balls wholly in sight
    miss_rate            share of those that are not found
    false_presence_rate  share of balls out of sight that are found, in clean frames and in noisy ones
    triangulation_m      mean distance of a triangulated ball from where it is

Tours are the resampling unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videosim.audits.gallery_geometry import triangulate
from videosim.audits.gallery_reader import GalleryReader
from videosim.audits.gallery_truth import GalleryTruth, Tour
from videosim.audits.survival import shares
from videosim.audits.verdict import Bars, Result, Sample, judge

FIRST_NUMBER = 1000
LOST_M = 3.0  # off is a ball that cannot be placed
NOISE = 8.0  # grey levels, of the noisy frames


@dataclass(frozen=True)
class GalleryInstrument:
    """The reader that passed A0, with its floor ``floor_px`` in noisy frames."""

    reader: GalleryReader
    floor_px: float
    result: Result


def prepare_gallery(bars: Bars, rng: np.random.Generator) -> tuple[GalleryTruth, GalleryInstrument]:
    """MuJoCo's gallery and the reader of its frames, audited."""
    truth, reader = GalleryTruth(), GalleryReader()
    tours = truth.tours(FIRST_NUMBER, bars.sizes["instrument_tours"])
    clean, noisy = [], []
    for tour in tours:
        clean.append(reader.read(tour.frames))
        shaken = tour.frames + rng.normal(0.0, NOISE, tour.frames.shape) + 0.5
        noisy.append(reader.read(np.clip(shaken, 0, 255).astype(np.uint8)))
    found = [np.isfinite(read[..., 0]) for read in clean]
    ghosts = [np.isfinite(read[..., 0]) for read in noisy]
    errors = [np.linalg.norm(read - tour.place, axis=-1) for read, tour in zip(clean, tours, strict=True)]
    samples = {
        "floor_px": Sample(np.array([_mean(e, tour.seen) for e, tour in zip(errors, tours, strict=True)]), unit="px"),
        "miss_rate": shares(np.array([(~ok[tour.seen]).mean() for ok, tour in zip(found, tours, strict=True)])),
        "false_presence_rate": shares(
            np.array(
                [
                    np.concatenate([ok[tour.absent], ghost[tour.absent]]).mean()
                    for ok, ghost, tour in zip(found, ghosts, tours, strict=True)
                ]
            )
        ),
        "triangulation_m": Sample(
            np.concatenate(
                [placed(tour, read, side=truth.spec.frame.height) for tour, read in zip(tours, clean, strict=True)]
            ),
            unit="m",
        ),
    }
    estimates = {name: sample.estimate(rng, bars.sizes["resamples"]) for name, sample in samples.items()}
    floor = [
        _mean(np.linalg.norm(read - tour.place, axis=-1), tour.seen) for read, tour in zip(noisy, tours, strict=True)
    ]
    details = {
        "noisy_floor_px": float(np.mean(floor)),
        "in_sight": float(np.mean([tour.seen.mean() for tour in tours])),
    }
    result = judge("A0", "gallery", estimates, bars, details)
    return truth, GalleryInstrument(reader, float(np.mean(floor)), result)


def placed(tour: Tour, read: np.ndarray, side: int) -> np.ndarray:
    """Distances in metres of triangulated balls from where they are, (n,)."""
    found = []
    for i in tour.placed:
        place = triangulate(tour.pose, np.where(tour.seen[:, i, None], read[:, i], np.nan), tour.balls[i, 3], side)
        found.append(LOST_M if place is None else float(np.linalg.norm(place - tour.balls[i, :3])))
    return np.array(found)


def _mean(error: np.ndarray, seen: np.ndarray) -> float:
    return float(np.nanmean(error[seen]))
