"""How a dream of a recorded drive goes beside the drive itself, where nobody knows the physical truth.

A model sees a few frames of a held-out window and dreams on under the recorded actions. The pictures are compared pixel
by pixel and in the model's own latents; and as a car that turns sees its surroundings move sideways, the motion of the
dreamed picture, measured as `videosim check` measures it, tells whether the dream turned as the drive did. The same
dream under the actions of another window tells whether actions matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from videosim.corpus import Corpus
from videosim.data.alignment import image_motion
from videosim.metrics import psnr
from videosim.statistics import Estimate, bootstrap, correlation
from videosim.world_model import WorldModel

CONTEXT = 8  # frames absorbed before the model is on its own
TURNING = 0.2  # of full steering, on average over a dream: less is no turn of which the sign could be wrong
STEERING = ("steer", "yaw_rate")


@dataclass
class Dreamed:
    """n windows of H dreamed steps: latent_error (standard deviations), psnr [dB], motion and recorded motion [pixels a
    step, to the right] ``(n, H)``; sensor_error ``(n, H, S)`` in the sensors' units, of those that the store has; steer
    ``(n, H)`` in [-1, 1], left positive, as recorded; stretch ``(n,)``, windows of one number show one stretch of a
    drive."""

    latent_error: np.ndarray
    psnr: np.ndarray
    motion: np.ndarray
    recorded: np.ndarray
    sensor_error: np.ndarray
    steer: np.ndarray
    stretch: np.ndarray


def windows_of(corpus: Corpus, horizon: int, count: int, seed: int) -> np.ndarray:
    """``(n, 2)``: at most ``count`` random windows for dreams of ``horizon`` steps."""
    starts = corpus.starts(CONTEXT - 1 + horizon)
    return starts[np.random.default_rng([seed, 17]).permutation(len(starts))[:count]]


@torch.no_grad()
def dreamed(model: WorldModel, corpus: Corpus, where: np.ndarray, horizon: int, swapped: bool = False) -> Dreamed:
    """Dream on from the windows at ``where`` of encoded data, under the recorded actions or, ``swapped``, each under
    those of the window whose steering is half the field away from its own."""
    batch = corpus.windows(where, CONTEXT - 1 + horizon)
    named = [corpus.spec.action.names.index(name) for name in STEERING if name in corpus.spec.action.names]
    actions = batch["actions"][:, CONTEXT - 1 :]
    steer = actions[..., named[0]] if named else torch.zeros(actions.shape[:2])
    if swapped:
        order = steer.mean(1).argsort()
        partner = torch.empty_like(order)
        partner[order] = order.roll(len(order) // 2)
        actions = actions[partner]
    state = model.start(batch["latents"][:, :CONTEXT], batch["actions"][:, : CONTEXT - 1])
    latents, sensors = [], []
    for t in range(horizon):
        state, out = model.step(state, actions[:, t])
        latents.append(model.latents(state))
        sensors.append(out.sensors)
    true = batch["latents"][:, CONTEXT:]
    off = ((torch.stack(latents, 1) - true) / model.latent_std).square().mean((2, 3)).sqrt()
    felt = (torch.stack(sensors, 1) - batch["sensors"][:, CONTEXT:])[..., corpus.measured].abs()
    pictures = model.decode(torch.stack(latents, 1)).cpu().numpy()
    likeness, motion, recorded = [], [], []
    for made, (row, t) in zip(pictures, where, strict=True):
        film = np.array(corpus.frames[row][t + CONTEXT - 1 : t + CONTEXT + horizon])
        begun = model.recoded(film[:1])  # as the model shows it: what the codec changes is no motion
        likeness.append(psnr(made, film[1:]))
        motion.append(image_motion(np.concatenate([begun, made])))
        recorded.append(image_motion(film))
    stretch = where[:, 0] * 10**6 + where[:, 1] // (CONTEXT + horizon)
    arrays = (np.stack(likeness), np.stack(motion), np.stack(recorded))
    return Dreamed(off.cpu().numpy(), *arrays, felt.cpu().numpy(), steer.cpu().numpy(), stretch)


def drive_scores(right: Dreamed, wrong: Dreamed, horizons: tuple[int, ...], seed: int = 0) -> dict[str, Estimate]:
    """Figures with intervals over stretches of the held-out drives.

    ``latent_error_h``, ``psnr_h`` after h steps; ``motion_r``, correlation of dreamed and recorded motion, of the mean
    over a dream; ``turn_sign``, the share of the dreams with more steering than TURNING whose picture moves as that of
    a car which steers so (left out where none does); and by how much swapped actions are worse,
    ``swapped_latent_error`` and ``swapped_psnr``, over all steps, and ``swapped_motion_r``.
    """
    rng = np.random.default_rng([seed, 19])

    def mean(values: np.ndarray, unit: str) -> Estimate:
        return bootstrap(values, lambda rows: float(rows.mean()), rng, right.stretch, unit=unit)

    scores = {}
    for h in (h for h in horizons if h <= right.psnr.shape[1]):
        scores[f"latent_error_{h}"] = mean(right.latent_error[:, h - 1], "standard deviations")
        scores[f"psnr_{h}"] = mean(right.psnr[:, h - 1], "dB")
    moved = np.stack([right.motion.mean(1), right.recorded.mean(1), wrong.motion.mean(1)], 1)
    scores["motion_r"] = bootstrap(moved[:, :2], correlation, rng, right.stretch, unit="Pearson r")
    turned = right.steer.mean(1)
    turns = np.abs(turned) > TURNING
    if turns.any():
        same = (np.sign(moved[:, 0]) == np.sign(turned)).astype(float)
        scores["turn_sign"] = bootstrap(same[turns], lambda rows: float(rows.mean()), rng, right.stretch[turns])
        scores["turn_sign"] = replace(scores["turn_sign"], unit=f"share of {int(turns.sum())} dreams")
    worse = (wrong.latent_error - right.latent_error).mean(1), (right.psnr - wrong.psnr).mean(1)
    scores["swapped_latent_error"] = mean(worse[0], "standard deviations worse")
    scores["swapped_psnr"] = mean(worse[1], "dB worse")

    def apart(rows: np.ndarray) -> float:
        return correlation(rows[:, :2]) - correlation(rows[:, [2, 1]])

    scores["swapped_motion_r"] = bootstrap(moved, apart, rng, right.stretch, unit="Pearson r worse")
    return scores
