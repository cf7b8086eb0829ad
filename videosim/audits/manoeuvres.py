"""A17, driving: does the future follow steering and pedal as the physics does?

The world is told MANOEUVRES from the same starts as the physics, on roads that no recording has met, and both are
judged twice: by the ``state`` that the world says its sensors have, against MuJoCo's, and by its ``picture``, off which
an instrument that knows physics alone reads speed and yaw rate; there the truth is what the same instrument reads off
the true frames, so that its errors are on both sides.

    accuracy      share of manoeuvres whose path is nearer to its own truth than to those of the other four from there;
                  the classes are those of ACT-Bench (arXiv 2412.05337), but the physics of each start says what each
                  looks like, and no threshold has to be chosen. Ties share; chance is 1/5
    …_gain        least squares of the world's effects on true ones; an effect is what a manoeuvre changes against going
                  straight on from the same start, so that knowing the start alone earns nothing
    …_r2          squared correlation with the truth over all frames
    ade_fraction  mean distance of the two paths, as a share of the true one's length; paths are the integrals of speed
                  and yaw rate over SECONDS
    latency       frames by which the effects are late, by the shift that makes them fit best
    …_error_floors  root mean square errors after a second, in those that the instrument makes on a true frame

Starts are the resampling unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.driving_instrument import r2
from videosim.audits.driving_reader import STRIDE
from videosim.audits.driving_truth import MANOEUVRES, Crossroads, Drive, answer, path
from videosim.audits.survival import shares
from videosim.audits.verdict import Result, Sample

FIRST_NUMBER = 100_000
LAG, LAG_STEP = 6.0, 0.25  # frames: latencies that are looked for
STRAIGHT = MANOEUVRES.index("straight")
KEPT = 3  # starts whose paths are kept for the plot


@dataclass(frozen=True)
class Asked:
    """All that was asked of a world: motions float64 (n, 2, 5, T, 2), the world's beside the truth's, of speed and yaw
    rate, ``state`` at every step and ``picture`` at every STRIDE-th; ``late`` (n, 2, 5, 18) speed, yaw rate and
    distances a second after the start, as sensors say them."""

    state: np.ndarray
    picture: np.ndarray
    late: np.ndarray


def draw_crossroads(bench: Bench) -> tuple[list[Crossroads], int]:
    """As many as the bars ask for, with the starts that were looked at for them."""
    return bench.truth.crossroads(FIRST_NUMBER, bench.bars.sizes["driving_starts"])


def ask(viewing: Viewing) -> Asked:
    """Give the world every manoeuvre at every start."""
    bench, world = viewing.bench, viewing.world
    state, picture, late = [], [], []
    for here in bench.once(draw_crossroads)[0]:
        answers = [answer(world, here.start, true.actions) for true in here.drives]
        both = (answers, here.drives)
        state.append([[bench.truth.motion(drive.sensors) for drive in drives] for drives in both])
        picture.append([[_read(bench, drive) for drive in drives] for drives in both])
        second = round(1.0 / world.spec.dt_s)
        late.append([[_sensed(bench, drive.sensors[second]) for drive in drives] for drives in both])
    return Asked(np.array(state), np.array(picture), np.array(late))


def audit_manoeuvres(viewing: Viewing) -> Result:
    """Judge what the world says, and what it shows."""
    bench, asked = viewing.bench, viewing.once(ask)
    _, looked_at = bench.once(draw_crossroads)
    dt_s, floors = viewing.world.spec.dt_s, bench.instrument.floors
    samples: dict[str, Sample] = {}
    details: dict[str, Any] = {"starts_looked_at": looked_at, "floors": floors}
    for source, motion, stride in (("state", asked.state, 1), ("picture", asked.picture, STRIDE)):
        paths = path(motion, stride * dt_s)
        right, apart = identified(paths), np.linalg.norm(paths[:, 0] - paths[:, 1], axis=-1)[..., 1:]
        length = np.linalg.norm(np.diff(paths[:, 1], axis=-2), axis=-1).sum(-1)
        effects = motion - motion[:, :, [STRAIGHT]]
        samples |= {
            f"{source}_accuracy": shares(right.mean(1)),
            f"{source}_speed_gain": Sample(effects[..., 0], gain),
            f"{source}_speed_r2": Sample(motion[..., 0], r2),
            f"{source}_yaw_rate_gain": Sample(effects[..., 1], gain),
            f"{source}_yaw_rate_r2": Sample(motion[..., 1], r2),
            f"{source}_ade_fraction": Sample((apart.mean(-1) / length).mean(-1)),
            f"{source}_latency_frames": Sample(effects, lambda rows, stride=stride: latency(rows, stride)),
        }
        details[source] = {
            "ade_m": float(apart.mean()),
            "fde_m": float(apart[..., -1].mean()),
            "fde_fraction": float((apart[..., -1] / length).mean()),
            "path_m": float(length.mean()),
            "accuracy_by_manoeuvre": dict(zip(MANOEUVRES, right.mean(0).tolist(), strict=True)),
            "paths": np.round(paths[:KEPT], 2).tolist(),
        }
    error = (asked.late[:, 0] - asked.late[:, 1]) ** 2
    for name, columns in (("speed", slice(0, 1)), ("yaw_rate", slice(1, 2)), ("lidar", slice(2, None))):
        square = error[..., columns].mean((1, 2))
        samples[f"{name}_error_floors"] = Sample(square, lambda rows, f=floors[name]: float(rows.mean()) ** 0.5 / f)
    return viewing.judge("A17", samples, details)


def _read(bench: Bench, drive: Drive) -> np.ndarray:
    return bench.reader.read(drive.frames)[:, :2]


def _sensed(bench: Bench, sensors: np.ndarray) -> np.ndarray:
    return np.concatenate([bench.truth.motion(sensors), bench.truth.lidar(sensors)])


def identified(paths: np.ndarray) -> np.ndarray:
    """Whether each path of the world is nearest to its own truth, of ``paths`` (n, 2, 5, T, 2): float64 (n, 5), ties
    sharing."""
    apart = np.linalg.norm(paths[:, 0, :, None] - paths[:, 1, None], axis=-1).mean(-1)  # (n, told, truth of)
    nearest = apart <= apart.min(-1, keepdims=True) + 1e-9
    return np.einsum("nkk->nk", nearest) / nearest.sum(-1)


def gain(effects: np.ndarray) -> float:
    """Of the world's effects on the true ones, through the origin, (n, 2, …)."""
    said, true = effects[:, 0].ravel(), effects[:, 1].ravel()
    return float(said @ true) / float(true @ true)


def latency(effects: np.ndarray, stride: int) -> float:
    """Frames by which the world's ``effects`` (n, 2, 5, T, 2), ``stride`` frames apart, are late: the shift of the true
    ones that leaves least of them unexplained, each of speed and yaw rate having a gain of its own. LAG where none
    explains a tenth of them, which is no answer at all."""
    at = stride * np.arange(effects.shape[-2])
    judged = at <= at[-1] - LAG
    left: dict[float, float] = {}
    for lag in np.arange(-LAG, LAG + LAG_STEP, LAG_STEP):
        unexplained = 0.0
        for quantity in range(2):
            true = effects[:, 1, ..., quantity].reshape(-1, len(at))
            said = effects[:, 0, ..., quantity].reshape(-1, len(at))[:, judged].ravel()
            shifted = _shifted(true, at, float(lag))[:, judged].ravel()
            explained = max(0.0, float(said @ shifted)) ** 2 / max(float(shifted @ shifted), 1e-12)
            unexplained += 0.5 * (1.0 - explained / float(said @ said)) if said.any() else 0.5
        left[float(lag)] = unexplained
    best = min(left, key=lambda lag: (left[lag], abs(lag)))
    return best if left[best] < 0.9 else LAG


def _shifted(rows: np.ndarray, at: np.ndarray, lag: float) -> np.ndarray:
    """Rows (m, T), known at ``at``, ``lag`` later; before the start there is no effect."""
    place = np.clip((at - lag) / (at[1] - at[0]), 0.0, len(at) - 1.0)
    left = np.minimum(place.astype(int), len(at) - 2)
    part = place - left
    return rows[:, left] * (1.0 - part) + rows[:, left + 1] * part


AUDIT = Audit(
    "A17",
    "driving: does the future follow steering and pedal?",
    audit_manoeuvres,
    level=4,
    figures=(
        *((f"{source}_accuracy", f"manoeuvre_accuracy_{source}") for source in ("state", "picture")),
        *((f"{source}_ade_fraction", f"ade_fraction_{source}") for source in ("state", "picture")),
    ),
)
