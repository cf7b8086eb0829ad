"""A0 of the door scene: are the door's angle and its hinge read rightly, and is a door that is not there not found?

On true frames that did not calibrate the reader:

    floor_deg             e0 = mean |read - true| of the angle
    hinge_floor_fraction  mean |read - true| of the hinge, as a fraction of the arena
    miss_rate             share of doors that are not found
    false_presence_rate   share of frames without a door in which one is found, in clean frames and in noisy ones
    turn_slope            least squares of read on true turns, of doors turned by known TURNS_DEG

Starts are the resampling unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videosim.audits.door_reader import DoorReader, wrapped
from videosim.audits.door_truth import DoorTruth
from videosim.audits.survival import shares
from videosim.audits.verdict import Bars, Result, Sample, judge
from videosim.envs.door import ARENA_M
from videosim.statistics import quotient

CALIBRATING = range(100)  # numbers of starts
TESTED_FROM, TURNED_FROM, ABSENT_FROM = 1000, 3000, 4000  # number of the first start
TURNS_DEG = np.array([0.12, 0.25, 0.5, 1.25, 2.5])  # half an e0 to ten, about
NOISE = 8.0  # grey levels, of the noisy frames
ACROSS_M = 2.0 * ARENA_M


@dataclass(frozen=True)
class DoorInstrument:
    """A reader that passed through A0, with its floors in clean frames."""

    reader: DoorReader
    e0_deg: float
    hinge_e0_m: float
    result: Result


def prepare_door(bars: Bars, rng: np.random.Generator) -> tuple[DoorTruth, DoorInstrument]:
    """MuJoCo's door and the reader of its frames, audited."""
    truth, sizes = DoorTruth(), bars.sizes
    known = truth.moments(CALIBRATING)
    reader = DoorReader(known.frames, known.hinge)
    tested = truth.moments(range(TESTED_FROM, TESTED_FROM + sizes["instrument_frames"]))
    read, noisy = reader.read(tested.frames), reader.read(_shaken(tested.frames, rng))
    off = np.degrees(np.abs(wrapped(read.angle_rad - tested.angle_rad)))
    off_hinge = np.linalg.norm(read.hinge - tested.hinge, axis=-1)
    found = np.isfinite(off)
    empty = truth.without(range(ABSENT_FROM, ABSENT_FROM + sizes["absent_frames"]))
    ghosts = np.stack([np.isfinite(reader.read(f).angle_rad) for f in (empty, _shaken(empty, rng))], 1)
    samples = {
        "floor_deg": Sample(off[found], unit="deg"),
        "hinge_floor_fraction": Sample(off_hinge[found] / ACROSS_M),
        "miss_rate": shares((~found).astype(np.float64)),
        "false_presence_rate": shares(ghosts.mean(1)),
        "turn_slope": Sample(turned(truth, reader, sizes["turned_doors"]), quotient),
    }
    estimates = {name: sample.estimate(rng, sizes["resamples"]) for name, sample in samples.items()}
    details = {
        "p95_deg": float(np.quantile(off[found], 0.95)),
        "noisy_floor_deg": float(np.nanmean(np.degrees(np.abs(wrapped(noisy.angle_rad - tested.angle_rad))))),
        "frames": len(off),
        "absent": len(empty),
    }
    floors = estimates["floor_deg"].value, estimates["hinge_floor_fraction"].value * ACROSS_M
    return truth, DoorInstrument(reader, *floors, judge("A0", "door", estimates, bars, details))


def turned(truth: DoorTruth, reader: DoorReader, wanted: int) -> np.ndarray:
    """Doors turned by TURNS_DEG: of each, the sums of read times true and of true times true turns, (n, 2). A door that
    is not found has not turned."""
    rows = []
    for number in range(TURNED_FROM, TURNED_FROM + wanted):
        angle = reader.read(truth.turning(number, np.radians(np.append(0.0, TURNS_DEG)))).angle_rad
        said = np.nan_to_num(np.degrees(wrapped(angle[1:] - angle[0])))
        rows.append((said @ TURNS_DEG, TURNS_DEG @ TURNS_DEG))
    return np.array(rows)


def _shaken(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(frames + rng.normal(0.0, NOISE, frames.shape) + 0.5, 0, 255).astype(np.uint8)
