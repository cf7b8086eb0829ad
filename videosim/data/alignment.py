"""``videosim check``: does a store hang together? Its clock, its ranges, and whether the picture turns when the wheel
does.

A car that steers left sees its surroundings move to the right. How far the upper part of the picture, where things are
far, moved sideways between two frames is found by phase correlation (Kuglin and Hines 1975); its correlation with the
steering at every lag tells wrong pairs, wrong signs and late commands apart, before anything is trained.
"""

from __future__ import annotations

import numpy as np

from videosim.config import CheckConfig
from videosim.data.layout import MEND
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.run import Run

BAND = (0.15, 0.6)  # of the picture's height: above it sky, below it the road that rushes by
ALIGNED = 0.3  # least correlation at the best lag of frames and actions that belong together
MAX_LAG_S = 1.0
SHORTEST = 10  # transitions of an episode that counts
JITTER = 0.2  # of the nominal interval: more at a step is told


def image_motion(frames: np.ndarray) -> np.ndarray:
    """Sideways motion between successive frames: uint8 ``(T+1, H, W, 3)`` -> float64 ``(T,)``, pixels to the right."""
    height, width = frames.shape[1:3]
    band = frames[:, int(BAND[0] * height) : int(BAND[1] * height)].astype(np.float64).mean(-1)
    band = (band - band.mean(2, keepdims=True)) * np.hanning(width)
    spectrum = np.fft.rfft(band, axis=2)
    cross = spectrum[1:] * spectrum[:-1].conj()
    # Whitened over the rows together: single rows of a smooth picture have no phase worth the name.
    whole = cross.sum(1)
    surface = np.fft.irfft(whole / np.maximum(np.abs(cross).sum(1), 1e-9), width, axis=1)
    peak = surface.argmax(1)
    row = np.arange(len(surface))
    before, at, after = (surface[row, (peak + k) % width] for k in (-1, 0, 1))
    curve = before - 2.0 * at + after
    fine = np.where(np.abs(curve) > 1e-12, 0.5 * (before - after) / np.where(curve == 0, 1.0, curve), 0.0)
    shift = peak + fine
    return np.where(shift > width / 2, shift - width, shift)


def lag_correlation(steer: list[np.ndarray], motion: list[np.ndarray], most: int) -> np.ndarray:
    """Pearson correlation of ``steer[t]`` with ``motion[t + lag]`` over all episodes, for lags 0 to ``most``:
    ``(most+1,)``, NaN where one of them does not vary."""
    result = np.full(most + 1, np.nan)
    for lag in range(most + 1):
        pairs = [(s[: len(s) - lag], m[lag:]) for s, m in zip(steer, motion, strict=True) if len(s) > lag + 1]
        if pairs:
            s, m = (np.concatenate(part) for part in zip(*pairs, strict=True))
            if s.std() > 1e-9 and m.std() > 1e-9:
                result[lag] = np.corrcoef(s, m)[0, 1]
    return result


def main(cfg: CheckConfig, run: Run) -> None:
    """Check the store ``cfg.data``, print what was found and whether the actions belong to the frames."""
    if not cfg.data:
        raise VideoSimError("there is nothing to check; give data=FOLDER of an episode store")
    store = EpisodeStore.open(cfg.data)
    world = store.world
    if not len(store):
        raise VideoSimError(f"{cfg.data} holds no episode yet; {MEND}")
    steer, motion, uneven, intervals = [], [], 0, 0
    turning = [name for name in ("steer", "yaw_rate") if name in world.action.names]
    column = world.action.names.index(turning[0]) if turning else None
    with run.progress(len(store), "checking", "episodes") as bar:
        for number in range(len(store)):
            steps = np.diff(store.column("time", number))
            uneven += int((np.abs(steps - world.dt_s) > JITTER * world.dt_s).sum())
            intervals += len(steps)
            if column is not None and len(steps) >= SHORTEST:
                steer.append(np.asarray(store.column("actions", number)[:, column], np.float64))
                motion.append(image_motion(store.frames(number)))
            bar.advance()
    rows = [
        ("episodes", str(len(store))),
        ("frames", str(store.frames_total)),
        ("frames a second", f"{1.0 / world.dt_s:.3g}"),
        (f"intervals more than {JITTER:.0%} off", f"{uneven} of {intervals}"),
    ]
    run.figure("uneven_intervals", uneven, n=intervals, unit="intervals")
    actions = np.concatenate([store.column("actions", number) for number in range(len(store))])
    for name, values in zip(world.action.names, actions.T, strict=True):
        run.figure(f"range_{name}", float(np.median(values)), float(values.min()), float(values.max()), len(values))
        rows.append((name, f"{values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"))
    verdict = "no steering to check"
    if steer:
        verdict = _verdict(run, rows, lag_correlation(steer, motion, round(MAX_LAG_S / world.dt_s)), world.dt_s)
    run.table(cfg.data, ("what", "found"), [*rows, ("verdict", verdict)])


def _verdict(run: Run, rows: list[tuple[str, str]], correlation: np.ndarray, dt_s: float) -> str:
    """One sentence, with its figures added to ``rows`` and ``run``."""
    if np.isnan(correlation).all():
        return "REJECTED: neither the steering nor the picture varies"
    lag = int(np.nanargmax(np.abs(correlation)))
    best = float(correlation[lag])
    run.figure("steer_motion_correlation", best, n=len(correlation), unit=f"Pearson r at a lag of {lag} frames")
    run.figure("steer_motion_lag_s", lag * dt_s, unit="s")
    run.figure("accepted", float(best >= ALIGNED), unit="1: the actions belong to the frames")
    rows.append(("steering and image motion", f"r = {best:+.2f} at +{lag * dt_s:.2f} s, {correlation[0]:+.2f} at 0 s"))
    if abs(best) < ALIGNED:
        return (
            "REJECTED: the picture does not turn with the steering at any lag; do these labels belong to these frames?"
        )
    if best < 0:
        return "REJECTED: the picture turns against the steering; is its sign, left positive, the right one?"
    late = (
        f"; the picture follows {lag * dt_s:.2f} s late, which action_offset_s of `videosim import` makes up for"
        if lag
        else ""
    )
    return f"ACCEPTED{late}"
