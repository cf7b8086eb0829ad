"""Calibration on doubts of known worth, and the command on a model that knows nothing (slow)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from videosim import calibration
from videosim.agents.calibrate import OTHERS, main, measured, on_behaviour, plots
from videosim.calibration import (
    Doubts,
    auroc,
    coverage,
    figures,
    quantile,
    reliability,
    risk_coverage,
    spearman,
    threshold,
    transferred,
)
from videosim.checkpoint import amend_card, load_checkpoint, save_checkpoint
from videosim.config import AgentConfig, CalibrateConfig
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.types import Episode
from videosim.world_model import WorldModel

RNG = np.random.default_rng


def honest(n: int = 60, steps: int = 40, seed: int = 0) -> Doubts:
    """Errors that are drawn with the standard deviation that was feared, which differs between dreams and grows."""
    rng = RNG(seed)
    feared = rng.uniform(0.2, 2.0, (n, 1)) * np.linspace(0.01, 0.15, steps)
    return Doubts(feared, np.abs(feared * rng.normal(size=feared.shape)))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(2, 30))
def test_detection_is_the_probability_of_a_right_pair(seed: int, m: int) -> None:
    rng = RNG(seed)
    feared, lost = rng.integers(0, 5, m).astype(float), rng.random(m) < 0.5
    if lost.all() or not lost.any():
        assert np.isnan(auroc(feared, lost))
    else:
        statistic = mannwhitneyu(feared[lost], feared[~lost]).statistic
        assert auroc(feared, lost) == pytest.approx(statistic / (lost.sum() * (~lost).sum()))
        assert auroc(-feared, lost) == pytest.approx(1 - auroc(feared, lost))


def test_honest_doubts_know_and_their_controls_do_not() -> None:
    known = honest()
    own = figures(known, 0.1, RNG(0))
    mixed = figures(known.shuffled(RNG(1)), 0.1, RNG(0))
    assert own["spearman"].low > 0.4 and own["auroc"].low > 0.75 and own["spearman"].n == 60
    assert abs(mixed["spearman"].value) < 0.1 and abs(mixed["auroc"].value - 0.5) < 0.1
    assert own["auroc"].value > figures(known.by_clock(), 0.1, RNG(0))["auroc"].value + 0.05
    assert spearman(np.ones(9), np.arange(9.0)) == 0.0  # says the same of everything


def test_what_a_step_adds_to_a_fear() -> None:
    known = Doubts(np.tile([3.0, 5.0, 5.0, np.nan], (4, 1)), np.ones((4, 4)))
    alone = known.by_step()
    assert alone.uncertainty[0, :3].tolist() == [3.0, 4.0, 0.0] and len(alone.known()[0]) == 12


def test_steps_after_an_end_count_nowhere() -> None:
    known = honest(20, 30)
    feared, came = known.uncertainty.copy(), known.error.copy()
    came[:, 20:] = np.nan
    feared[:, 20:] = 99.0
    cut = Doubts(feared, came)
    assert len(cut.known()[0]) == 20 * 20 and cut.known()[0].max() < 99.0
    whole = Doubts(known.uncertainty[:, :20], known.error[:, :20])
    assert figures(cut, 0.1, RNG(0)) == figures(whole, 0.1, RNG(0))
    assert set(coverage(cut, (8, 30), RNG(0))) == {"coverage_h8", "coverage_simultaneous"}


def test_bounds_hold_what_they_should_here_and_not_elsewhere() -> None:
    known = honest(400)
    for figure in coverage(known, (1, 8), RNG(0)).values():
        assert 0.87 < figure.value < 0.93
    worse = Doubts(known.uncertainty, 3 * known.error)
    assert 0.87 < coverage(worse, (8,), RNG(0))["coverage_h8"].value < 0.93  # a factor is learnt
    assert transferred(known, worse, (8,))["coverage_transferred_h8"].value < 0.6  # where it is learnt
    assert coverage(honest(17), (8,), RNG(0)) == {}  # too few for a bound
    assert quantile(np.arange(1.0, 10.0)) == 9.0 and quantile(np.arange(8.0)) == np.inf


def test_curves() -> None:
    feared, came = honest(200).known()
    predicted, true = reliability(feared, came)
    assert np.allclose(predicted, true, rtol=0.15) and (np.diff(predicted) > 0).all()
    shares = np.array([0.25, 1.0])
    by_doubt, by_error = risk_coverage(feared, came, shares), risk_coverage(came, came, shares)
    assert by_error[0] < by_doubt[0] < by_doubt[1] == pytest.approx(came.mean()) == by_error[1]
    limit = threshold(feared, came, 0.1)
    assert (feared[came <= 0.1] <= limit).mean() == pytest.approx(0.95, abs=0.01)
    assert {"points", "series"} <= {key for plot in plots({"policy": honest()}) for key in plot}


def test_too_few_dreams_are_refused() -> None:
    with pytest.raises(VideoSimError, match="4 dreams or more; got 3"):
        Doubts(np.ones((3, 5)), np.ones((3, 5)))


def test_actions_and_truth_of_behaviour_belong_together(tiny_model: WorldModel) -> None:
    rng, spec = RNG(0), tiny_model.spec
    steps = 30
    frames = rng.integers(0, 255, (steps + 1, *spec.frame.shape), np.uint8)
    actions = rng.uniform(-1, 1, (steps, 2)).astype(np.float32)
    with torch.no_grad():  # a world that is the model's own dream after 3 frames
        state = tiny_model.start(
            tiny_model.encode(torch.as_tensor(frames[:3]))[None],
            torch.as_tensor(spec.action.normalise(actions[:2]))[None],
        )
        sensors = np.zeros((steps + 1, 3), np.float32)
        for t in range(2, steps):
            state, out = tiny_model.step(state, torch.as_tensor(spec.action.normalise(actions[t]))[None])
            sensors[t + 1] = out.sensors[0].numpy()
    nothing = np.zeros(steps)
    world = Episode(frames, actions, nothing, sensors, np.zeros((steps + 1, 0)), nothing.astype(bool))
    doubts = on_behaviour(tiny_model, [world] * 4, steps - 2, 3, 4, rng)  # long enough for one start only
    assert doubts.error.shape == (4, steps - 2) and doubts.error.max() < 1e-5 < doubts.uncertainty.min()


def test_a_card_is_amended_and_a_bundled_one_is_not(tiny_model: WorldModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model", tiny_model, {"Data": {"frames": 5}, "Uncertainty": {"threshold": 0.5}})
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    amend_card(tmp_path / "model", "Uncertainty", {"threshold": 0.25})
    model = load_checkpoint(tmp_path / "model")
    assert model.card == {"Data": {"frames": 5}, "Uncertainty": {"threshold": 0.25}}
    assert "| threshold | 0.25 |" in (tmp_path / "model" / "README.md").read_text()
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before
    folder = load_checkpoint("push").folder
    assert folder is not None
    with pytest.raises(VideoSimError, match="copy its folder"):
        amend_card(folder, "Uncertainty", {"threshold": 0.25})
    cfg = CalibrateConfig(checkpoint="push", write=True)
    with pytest.raises(VideoSimError, match="copy its folder"), Run("calibrate", cfg, tmp_path / "run") as run:
        main(cfg, run)
    assert not (tmp_path / "run").exists()


def test_every_figure_is_named_by_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "REPEATS", 20)
    found = measured({"behaviour": honest(20), "policy": honest(20, seed=1)}, RNG(0))
    for source in ("behaviour", "policy"):
        assert {f"{name}_{source}" for name in ("spearman", "auroc", "coverage_h8", "auroc")} <= set(found)
        assert {f"spearman_{source}_{other}" for other in OTHERS} <= set(found)


@pytest.mark.slow
def test_the_whole_calibration_of_a_model_that_knows_nothing(swingup_model: WorldModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", swingup_model, {"Uncertainty": {"threshold": 9.0}})
    agent = AgentConfig(steps=64, envs=4, rollout=16, batch=32, epochs=1, hidden=[8], imagined_horizon=10)
    cfg = CalibrateConfig(
        checkpoint=str(tmp_path / "checkpoint"), agent=agent, cache=str(tmp_path / "arms"), episodes=4, starts=4,
        horizon=20, held_out_frames=300, write=True,
    )  # fmt: skip
    with Run("calibrate", cfg, tmp_path / "run") as run:
        main(cfg, run)
    found = json.loads((tmp_path / "run" / "result.json").read_text())["figures"]
    assert {"spearman_policy", "spearman_behaviour", "threshold"} <= set(found)
    kept, ratio = load_checkpoint(tmp_path / "checkpoint").card["Uncertainty"], found["error_over_uncertainty"]["value"]
    assert kept["scale"] == ratio and kept["threshold"] == ratio * found["threshold"]["value"]
    assert "Risk against coverage" in (tmp_path / "run" / "report.html").read_text()
