"""A19, a driving log: does the picture turn where the recorded one did, and because of the actions?

What A17 asks of driving, asked of recordings, which know no state and no second future. From clips that training has
not seen the world is given the recorded actions, and then those of another clip, which steers otherwise:

    turn_sign           share of clips that turn (|steering| > TURN on average) in which the picture turns to the side
                        of the steering
    swap_motion_excess  by how much worse the world does under the other clip's actions than under its own: the error of
    swap_latent_excess  the picture's sideways motion a step, and that of the frames' principal components, each as a
    swap_psnr_loss      share of its own; and the PSNR in dB. A world that heeds no action has 0

Its instrument (A0) is that motion on the recorded frames: where the log's own picture does not turn with the steering,
the labels do not belong to the frames. Clips are the resampling unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.log_truth import TURN, Clip, LogTruth
from videosim.audits.survival import share_of
from videosim.audits.verdict import Bars, Result, Sample, judge
from videosim.audits.world import film
from videosim.data.alignment import image_motion
from videosim.metrics import psnr


@dataclass(frozen=True)
class TurnInstrument:
    """That the picture's motion tells turns, on recorded frames."""

    result: Result


def prepare_log(truth: LogTruth, bars: Bars, rng: np.random.Generator) -> tuple[LogTruth, TurnInstrument]:
    """The log's clips, and whether its own picture turns with the steering."""
    hits = _signs(truth, truth.clips, [image_motion(clip.frames) for clip in truth.clips])
    estimate = share_of(hits).estimate(rng, bars.sizes["resamples"])
    details = {"clips": len(truth.clips), "turning": len(hits), "lag_frames": truth.lag, "gain_px": truth.gain}
    return truth, TurnInstrument(judge("A0", "log", {"turn_sign": estimate}, bars, details))


def draw_pairs(bench: Bench) -> list[tuple[Clip, Clip]]:
    """Clips, each with one that steers otherwise: in order of their steering, the one half of all places further on."""
    clips = bench.truth.clips
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(len(clips), bench.bars.sizes["log_clips"])).astype(int))
    order = sorted((clips[i] for i in chosen), key=lambda clip: float(clip.actions[:, bench.truth.column].mean()))
    return [(clip, order[(i + len(order) // 2) % len(order)]) for i, clip in enumerate(order)]


def audit_turns(viewing: Viewing) -> Result:
    """Let the world dream every clip, told the truth and told otherwise."""
    bench, rows, motions = viewing.bench, [], []
    pairs = bench.once(draw_pairs)
    for clip, other in pairs:
        shown = [film(viewing.world, clip.start, actions) for actions in (clip.actions, other.actions)]
        motions.append(image_motion(shown[0]))
        rows.append([_errors(bench.truth, clip, frames) for frames in shown])
    errors = np.array(rows)  # (n, told the truth or otherwise, measure)
    samples = {
        "turn_sign": share_of(_signs(bench.truth, [clip for clip, _ in pairs], motions)),
        "swap_motion_excess": Sample(errors[..., 0], _excess),
        "swap_latent_excess": Sample(errors[..., 1], _excess),
        "swap_psnr_loss": Sample(errors[..., 2], lambda part: float((part[:, 0] - part[:, 1]).mean())),
    }
    own = errors.mean(0)
    measures = ("motion_error_px", "latent_error", "psnr_db")
    return viewing.judge("A19", samples, {name: own[:, i].tolist() for i, name in enumerate(measures)})


def _errors(log: LogTruth, clip: Clip, shown: np.ndarray) -> list[float]:
    """Of motion (pixels a step), of latents, and the PSNR (dB)."""
    return [
        float(np.abs(image_motion(shown) - image_motion(clip.frames)).mean()),
        float(np.sqrt(((log.latents(shown[1:]) - log.latents(clip.frames[1:])) ** 2).mean())),
        float(np.mean(psnr(shown[1:], clip.frames[1:]))),
    ]


def _excess(errors: np.ndarray) -> float:
    """Of errors (n, 2): the second column's mean over the first's, less 1; nothing to exceed is no excess."""
    own, swapped = errors.mean(0)
    return float(swapped / own - 1.0) if own > 0 else 0.0


def _signs(log: LogTruth, clips: list[Clip], motions: list[np.ndarray]) -> np.ndarray:
    """Of the clips that turn, whether the picture does so to the right side, bool (m,). The picture answers steering
    ``lag`` frames later, so a clip's first frames still answer what came before."""
    hits = []
    for clip, motion in zip(clips, motions, strict=True):
        told = np.concatenate([clip.start.actions, clip.actions])[:, log.column]
        steer = float(told[-len(motion) - log.lag : len(told) - log.lag].mean())
        if abs(steer) > TURN:
            hits.append(float(motion.mean()) * steer > 0.0)
    return np.array(hits, bool)


AUDIT = Audit(
    "A19",
    "a driving log: does the picture turn with the steering?",
    audit_turns,
    level=4,
    figures=(("turn_sign", "log_turn_sign"), ("swap_motion_excess", "log_swap_motion_excess")),
)
