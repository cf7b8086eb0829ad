"""Frame metrics and error-against-horizon on cases whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from videosim.errors import VideoSimError
from videosim.metrics import (
    PSNR_CAP_DB,
    background,
    first_passage,
    median_passage,
    moving_mask,
    normalised_error,
    psnr,
    ssim,
    state_error,
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_psnr_of_a_known_offset_and_of_equal_frames() -> None:
    target = np.full((5, 16, 16, 3), 100, np.uint8)
    assert psnr(target + np.uint8(10), target) == pytest.approx(np.full(5, 10 * np.log10(255**2 / 100)))
    assert psnr(target, target) == pytest.approx(np.full(5, PSNR_CAP_DB))
    black = np.zeros((16, 16, 3), np.uint8)
    assert psnr(black, black + np.uint8(255)) == pytest.approx(0.0)  # no wrap-around of uint8


def test_masked_psnr_counts_only_the_mask() -> None:
    target = np.zeros((2, 8, 8, 3), np.uint8)
    prediction = target.copy()
    prediction[:, :2] = 50
    mask = np.zeros((2, 8, 8), bool)
    mask[0, :2] = True
    values = psnr(prediction, target, mask)
    assert values[0] == pytest.approx(10 * np.log10(255**2 / 2500))
    assert np.isnan(values[1])  # nothing to look at
    mask[:] = True
    assert psnr(prediction, target, mask) == pytest.approx(psnr(prediction, target))


def test_moving_region_is_the_mover_and_a_frozen_dream_loses_there_only() -> None:
    frames = np.full((40, 32, 32, 3), 90, np.uint8)
    for t in range(40):
        frames[t, 10:14, t % 28 : t % 28 + 4] = 220
    still = background(frames)
    assert (still == 90).all()
    mask = moving_mask(frames, still)
    assert (mask.sum((1, 2)) == 16).all() and mask[3, 11, 4]
    assert not moving_mask(still, still).any()
    erased = np.broadcast_to(still, frames.shape)
    assert (psnr(erased, frames) > 20).all() and (psnr(erased, frames, mask) < 7).all()


def test_ssim_is_one_on_equal_frames_symmetric_and_falls_with_noise() -> None:
    a, b = noise(3, 24, 20, 3), noise(3, 24, 20, 3, seed=1)
    assert ssim(a, a) == pytest.approx(np.ones(3))
    assert ssim(a, b) == pytest.approx(ssim(b, a))
    assert (ssim(a, b) < 0.2).all()
    slight = np.clip(a.astype(int) + 5, 0, 255).astype(np.uint8)
    assert (ssim(slight, a) > 0.9).all()


def test_ssim_equals_the_formula_written_out_for_one_window() -> None:
    a, b = noise(11, 11, 3), noise(11, 11, 3, seed=1)
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weight = np.outer(line, line) / np.outer(line, line).sum()
    expected = []
    for c in range(3):
        x, y = a[..., c].astype(float), b[..., c].astype(float)
        mx, my = (weight * x).sum(), (weight * y).sum()
        vx, vy = (weight * (x - mx) ** 2).sum(), (weight * (y - my) ** 2).sum()
        cov = (weight * (x - mx) * (y - my)).sum()
        c1, c2 = 2.55**2, 7.65**2
        expected.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert ssim(a, b) == pytest.approx(np.mean(expected))


def test_bad_frames_are_named() -> None:
    with pytest.raises(VideoSimError, match="uint8"):
        psnr(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)))
    with pytest.raises(VideoSimError, match="shape"):
        psnr(noise(2, 16, 16, 3), noise(3, 16, 16, 3))
    with pytest.raises(VideoSimError, match="11 by 11"):
        ssim(noise(8, 8, 3), noise(8, 8, 3))


def test_state_error_is_a_fraction_of_the_range() -> None:
    span = np.array([2.0, 10.0])
    true = np.zeros((4, 3, 2))
    predicted = true + np.array([0.2, 2.0])
    error = normalised_error(predicted, true, span)
    assert error == pytest.approx(np.broadcast_to([0.1, 0.2], (4, 3, 2)))
    assert state_error(error) == pytest.approx(np.full((4, 3), np.sqrt((0.01 + 0.04) / 2)))
    predicted[0, 1, 0] = np.nan
    assert state_error(normalised_error(predicted, true, span))[0, 1] == np.inf  # vanished is worst, not skipped
    with pytest.raises(VideoSimError, match="range above zero"):
        normalised_error(predicted, true, np.array([1.0, 0.0]))


def test_first_passage_is_the_first_step_above_and_censors_the_rest() -> None:
    steps = np.arange(11)
    curves = np.stack([0.01 * steps, 0.05 * steps, np.zeros(11), np.where(steps == 4, 1.0, 0.0), 0.2 + 0 * steps])
    passage = first_passage(curves, 0.1001)
    assert passage.steps.tolist() == [10, 3, 10, 4, 0]
    assert passage.censored.tolist() == [True, False, True, False, False]
    assert passage.horizon == 10


def curves_passing_at(times: list[int], horizon: int) -> np.ndarray:
    return (np.arange(horizon + 1)[None] >= np.array(times)[:, None]).astype(float)


def test_median_of_uncensored_and_of_censored_passages() -> None:
    rng = np.random.default_rng(0)
    plain = median_passage(first_passage(curves_passing_at([3, 5, 7, 9, 11], 20), 0.5), rng)
    assert plain.value == 7 and plain.flag == "" and 3 <= plain.low <= 7 <= plain.high <= 11 and plain.unit == "frames"
    some = median_passage(first_passage(curves_passing_at([3, 5, 7, 99, 99], 20), 0.5), rng)
    assert some.value == 7 and some.high == np.inf and "upper end" in some.flag
    most = median_passage(first_passage(curves_passing_at([3, 99, 99, 99, 99], 20), 0.5), rng)
    assert most.value == 20 and most.high == np.inf and "lower bound" in most.flag
    last = median_passage(first_passage(curves_passing_at([20] * 5, 20), 0.5), rng)
    assert last.value == 20 and last.flag == ""  # passed in the last step: seen, not censored


def test_median_passage_counts_episodes_not_starts() -> None:
    passage = first_passage(curves_passing_at([4] * 10 + [8] * 10, 20), 0.5)
    estimate = median_passage(passage, np.random.default_rng(0), clusters=np.repeat([0, 1], 10))
    assert estimate.n == 2 and estimate.low == 4 and estimate.high == 8
