"""Open loop on a model whose error is known: its state drifts from the truth by a fixed amount a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from videosim.agents.gap_report import LABELS
from videosim.agents.open_loop import OpenLoop, dream, open_loop
from videosim.errors import VideoSimError
from videosim.types import ActionSpec, Episode, FrameSpec, SensorSpec, WorldSpec

SPEC = WorldSpec(
    "line",
    FrameSpec(16, 16),
    ActionSpec((-2.0,), (2.0,), ("push",)),
    SensorSpec(("x", "still"), ("m", "1"), (-5.0, 0.0), (5.0, 1.0)),
    0.04,
    60,
)


def draw(x: np.ndarray) -> np.ndarray:
    """A bright bar at column 8 + x of a dark frame."""
    columns = np.arange(16)
    lit = np.abs(columns - (8 + np.asarray(x)[..., None])) < 1.0
    return np.repeat(np.repeat(np.where(lit, 250, 20).astype(np.uint8)[..., None, :], 16, -2)[..., None], 3, -1)


def episode(seed: int, steps: int = 60) -> Episode:
    """x is the integral of the actions: frames[t+1] and sensors[t+1] follow actions[t]. Whole steps, turned back at the
    walls, so that the bar's position can be read off the frame without rounding."""
    rng = np.random.default_rng(seed)
    x = np.zeros(steps + 1, np.float32)
    for t in range(steps):
        x[t + 1] = x[t] + (-np.sign(x[t]) if abs(x[t]) == 4 else rng.choice([-1, 1]))
    sensors = np.stack([x, np.full_like(x, 0.5)], 1)
    empty = np.zeros(steps, np.float32)
    return Episode(draw(x), np.diff(x)[:, None], empty, sensors, np.zeros((steps + 1, 0)), empty > 0, seed=seed)


class Integrator:
    """Adds up actions, as the world does, plus ``drift`` a step. Its latent is the bar's position in the frame."""

    spec = SPEC

    def __init__(self, drift: float) -> None:
        self.drift = drift

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        lit = (frames[..., 0, :, 0] > 100).float()
        x = (lit * torch.arange(16.0)).sum(-1) / lit.sum(-1) - 8
        return x[..., None, None]

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(draw(z[..., 0, 0].numpy()))

    def start(self, latents: torch.Tensor, actions: torch.Tensor) -> dict[str, torch.Tensor]:
        assert actions.shape[1] == latents.shape[1] - 1 and actions.abs().max() <= 1
        return {"x": latents[:, -1, 0, 0], "clean": latents[:, -1, 0, 0]}

    def sensors(self, state: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.stack([state["x"], torch.full_like(state["x"], 0.5)], 1)

    def step(self, state: dict[str, torch.Tensor], action: torch.Tensor, rngs: Any = None) -> tuple[Any, Any]:
        clean = state["clean"] + 2.0 * action[:, 0]
        drift = state["x"] - state["clean"] + self.drift
        state = {"x": clean + drift, "clean": clean}
        return state, None

    def latents(self, state: dict[str, torch.Tensor]) -> torch.Tensor:
        return state["x"][:, None, None]


EPISODES = [episode(seed) for seed in range(4)]


def run(drift: float, episodes: list[Episode] = EPISODES, n: int = 12) -> OpenLoop:
    return open_loop(Integrator(drift), episodes, horizon=30, context=3, n=n, rng=np.random.default_rng(0))


def test_a_perfect_model_never_passes_and_reaches_the_codec_ceiling() -> None:
    result = run(0.0)
    assert result.predicted.shape == result.true.shape == (12, 31, 2)
    assert np.allclose(result.predicted, result.true, atol=1e-5)  # any shift of actions by one would break this
    headline = result.horizons(np.random.default_rng(0))["open_loop_horizon_frames"]
    assert headline.value == 30 and "lower bound" in headline.flag and headline.n == 4
    assert np.array_equal(result.psnr["dream"], result.psnr["codec"])
    assert result.psnr["copy last frame"][:, 0] == pytest.approx(100.0)
    assert result.psnr["copy last frame"].mean() < result.psnr["dream"].mean()


def test_known_drift_passes_at_the_known_step() -> None:
    # 0.11 m a step over a range of 10 m: x passes 10 % at step 10; half of the squares are zero, so the mean over both
    # sensors passes when x is beyond 14.14 %, at step 13
    figures = run(0.11).horizons(np.random.default_rng(0))
    assert figures["open_loop_horizon_frames_x"].value == 10
    assert figures["open_loop_horizon_frames_strict"].value == 10
    assert {name for name in LABELS if name.startswith("open_loop")} <= set(figures)
    headline = figures["open_loop_horizon_frames"]
    assert (headline.value, headline.low, headline.high, headline.unit) == (13, 13, 13, "frames")
    assert "lower bound" in figures["open_loop_horizon_frames_still"].flag


def test_a_prediction_that_vanishes_is_a_failure() -> None:
    class Vanishing(Integrator):
        def step(self, state: Any, action: torch.Tensor, rngs: Any = None) -> tuple[Any, Any]:
            state, out = super().step(state, action)
            return {**state, "gone": True}, out

        def sensors(self, state: dict[str, torch.Tensor]) -> torch.Tensor:
            return super().sensors(state) * (torch.nan if "gone" in state else 1.0)

    result = open_loop(Vanishing(0.0), EPISODES, 10, 3, 5, np.random.default_rng(0))
    assert result.horizons(np.random.default_rng(0))["open_loop_horizon_frames"].value == 1
    assert result.curves()  # still drawable


def test_starts_are_spread_over_episodes_and_stay_inside_them() -> None:
    result = run(0.0, n=13)
    assert set(np.bincount(result.episodes)) == {3, 4}
    assert result.times.min() >= 2 and result.times.max() <= 30
    for row, (i, t) in enumerate(zip(result.episodes, result.times, strict=True)):
        assert np.array_equal(result.true[row], EPISODES[i].sensors[t : t + 31])


def test_a_start_can_be_dreamed_again() -> None:
    result = run(0.05)
    i, t = result.episodes[0], result.times[0]
    again = list(dream(Integrator(0.05), EPISODES[i], np.array([t]), 30, 3))
    assert len(again) == 31 and again[0][1].shape == (1, 16, 16, 3)
    assert np.allclose(np.stack([s[0] for s, _ in again]), result.predicted[0])


def test_curves_hold_a_median_and_a_band_for_every_sensor() -> None:
    plots = run(0.1).curves()
    assert {"Error of x", "Error of still"} <= {p["title"] for p in plots}
    x = next(p for p in plots if p["title"] == "Error of x")
    assert x["y_label"] == "m" and x["series"][0]["y"] == pytest.approx(0.1 * np.arange(31), abs=1e-4)
    assert len(x["x"]) == 31 and x["lines"][0]["y"] == pytest.approx(1.0)
    assert [p["title"] for p in plots if p.get("folded")] == ["Error of x", "Error of still"]
    frozen = next(s for s in plots[2]["series"] if s["name"] == "copy last frame")
    assert plots[2]["y_label"] == "PSNR, dB" and np.isnan(frozen["y"][0])  # it is the record itself, at the cap


def test_bad_requests_are_named() -> None:
    with pytest.raises(VideoSimError, match="shorter horizon"):
        open_loop(Integrator(0.0), EPISODES, 59, 3, 5, np.random.default_rng(0))
    with pytest.raises(VideoSimError, match="at least 1"):
        open_loop(Integrator(0.0), EPISODES, 0, 3, 5, np.random.default_rng(0))
    wide = EPISODES[0]
    wrong = Episode(wide.frames, wide.actions, wide.rewards, wide.sensors[:, :1], wide.physics, wide.terminated)
    with pytest.raises(VideoSimError, match="1 sensors"):
        open_loop(Integrator(0.0), [wrong], 10, 3, 5, np.random.default_rng(0))
