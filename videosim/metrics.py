"""How far a dream is from the truth: PSNR and SSIM of frames, state error against horizon. Pure numpy, no model.

The target is always the *raw* recorded frame or sensor row, never a decoded one: the codec's own error counts. Pixel
figures describe; state errors decide (a frozen video can beat an exact but blurred one on PSNR).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from videosim.errors import VideoSimError
from videosim.statistics import REPEATS, Estimate, bootstrap

PSNR_CAP_DB = 100.0  # identical frames: a finite ceiling keeps means and medians defined
STATE_ERROR_LIMIT = 0.10  # of the sensors' range: a dream that is further off counts as lost
MOVING_THRESHOLD = 16  # grey levels away from the background before a pixel counts as moving; sensor noise stays below


def psnr(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of uint8 frames (…, H, W, 3), one number a frame: float64 (…).

    mask  bool (…, H, W): count these pixels only; NaN for a frame where none is set
    """
    _same_frames(prediction, target)
    squared = ((prediction.astype(np.float32) - target.astype(np.float32)) ** 2).mean(-1, dtype=np.float64)
    if mask is None:
        error = squared.mean((-2, -1))
    else:
        count = mask.sum((-2, -1))
        total = np.where(mask, squared, 0.0).sum((-2, -1))
        error = np.divide(total, count, out=np.full(np.shape(count), np.nan), where=count > 0)
    floor = 255.0**2 * 10 ** (-PSNR_CAP_DB / 10)
    return 10 * np.log10(255.0**2 / np.maximum(error, floor))


def background(frames: np.ndarray, samples: int = 64) -> np.ndarray:
    """The median image uint8 (H, W, 3) of an episode's frames (T+1, H, W, 3), from at most ``samples`` of them."""
    picks = np.unique(np.linspace(0, len(frames) - 1, min(samples, len(frames))).astype(int))
    return np.median(np.asarray(frames)[picks], axis=0).astype(np.uint8)


def moving_mask(frames: np.ndarray, still: np.ndarray, threshold: int = MOVING_THRESHOLD) -> np.ndarray:
    """bool (…, H, W): where a channel of ``frames`` (…, H, W, 3) is over ``threshold`` grey levels off ``still``."""
    return np.any(np.abs(np.asarray(frames).astype(np.int16) - still.astype(np.int16)) > threshold, axis=-1)


def ssim(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Structural similarity of uint8 frames (…, H, W, 3), one number a frame: float64 (…) in [-1, 1].

    Wang et al. 2004: Gaussian window of sigma 1.5 and 11 pixels, K1 = 0.01, K2 = 0.03, mean over channels and over the
    pixels whose window lies inside the frame.
    """
    _same_frames(prediction, target)
    if min(target.shape[-3:-1]) < 11:
        raise VideoSimError(
            f"SSIM needs frames of at least 11 by 11 pixels; got {target.shape[-3]} by {target.shape[-2]}"
        )
    x, y = prediction.astype(np.float64), target.astype(np.float64)
    sigma = [0.0] * (x.ndim - 3) + [1.5, 1.5, 0.0]

    def smooth(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, sigma, radius=[0] * (x.ndim - 3) + [5, 5, 0])

    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
    covariance = smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    return similarity[..., 5:-5, 5:-5, :].mean((-3, -2, -1))


def normalised_error(predicted: np.ndarray, true: np.ndarray, span: np.ndarray) -> np.ndarray:
    """|predicted - true| / span, float64 (…, S), for sensors (…, S) and ``SensorSpec.span`` (S,).

    A prediction that is NaN or infinite has an infinite error: a vanished value is the worst one, not one to skip.
    """
    if np.shape(predicted) != np.shape(true):
        raise VideoSimError(f"sensors must match the truth in shape; got {np.shape(predicted)} and {np.shape(true)}")
    if not (np.asarray(span) > 0).all():
        raise VideoSimError("every sensor needs a range above zero; correct low and high in the world's SensorSpec")
    predicted = np.asarray(predicted, np.float64)
    with np.errstate(invalid="ignore"):
        error = np.abs(predicted - np.asarray(true, np.float64)) / np.asarray(span, np.float64)
    return np.where(np.isfinite(predicted), error, np.inf)


def state_error(normalised: np.ndarray) -> np.ndarray:
    """Root mean square over sensors of normalised errors (…, S): (…), as a fraction of the range."""
    return np.sqrt((normalised**2).mean(-1))


@dataclass(frozen=True)
class FirstPassage:
    """When each of n error curves first passed a threshold.

    steps     int (n,), the step; ``horizon`` where it never did
    censored  bool (n,), True where it never did: all that is known is "later than horizon"
    horizon   last step that was looked at
    """

    steps: np.ndarray
    censored: np.ndarray
    horizon: int


def first_passage(error: np.ndarray, threshold: float) -> FirstPassage:
    """First step at which error (n, H+1), step 0 included, is above ``threshold``."""
    above: np.ndarray = ~(np.asarray(error) <= threshold)  # NaN counts as passed
    horizon = above.shape[1] - 1
    passed = np.any(above, axis=1)
    return FirstPassage(np.where(passed, above.argmax(1), horizon), ~passed, horizon)


def median_passage(
    passage: FirstPassage, rng: np.random.Generator, clusters: np.ndarray | None = None, repeats: int = REPEATS
) -> Estimate:
    """Kaplan-Meier median of first passage, in frames, with a (cluster) bootstrap interval.

    With every curve followed to the same horizon it is the first step by which half of them have passed. When fewer
    than half have, the value is the horizon and the flag says that it is a lower bound; an upper end beyond the horizon
    is infinite.
    """

    def median(steps: np.ndarray) -> float:
        return float(np.quantile(steps, 0.5, method="inverted_cdf"))

    # one past the horizon stands for "later" while resampling, so that a pass in the last step stays distinguishable
    later = passage.horizon + 1
    estimate = bootstrap(np.where(passage.censored, later, passage.steps), median, rng, clusters, repeats, "frames")
    flag = ""
    if estimate.value == later:
        flag = f"lower bound: fewer than half passed within {passage.horizon} frames"
    elif estimate.high == later:
        flag = f"no upper end: followed for {passage.horizon} frames only"
    last = passage.horizon
    return replace(
        estimate,
        value=min(estimate.value, last),
        low=min(estimate.low, last),
        high=estimate.high if estimate.high <= last else math.inf,
        flag=flag,
    )


def _same_frames(prediction: np.ndarray, target: np.ndarray) -> None:
    for frames in (prediction, target):
        if frames.dtype != np.uint8 or frames.ndim < 3 or frames.shape[-1] != 3:
            raise VideoSimError(f"frames are uint8 (…, H, W, 3); got {frames.dtype} {frames.shape}")
    if prediction.shape != target.shape:
        raise VideoSimError(f"frames must match the truth in shape; got {prediction.shape} and {target.shape}")
