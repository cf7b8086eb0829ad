"""What is said of a dreamed drive: right dreams score right, wrong ones wrong, and stretches are what is resampled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sum_world import MODEL, SPEC, STEPS, episode

from videosim.corpus import Corpus
from videosim.data.alignment import image_motion
from videosim.data.store import EpisodeStore
from videosim.drives import CONTEXT, Dreamed, dreamed, drive_scores, windows_of
from videosim.types import ActionSpec
from videosim.world_model import WorldModel

ROWS, HORIZON = 40, 6


def dream(rng: np.random.Generator) -> Dreamed:
    """One that is right but for a little noise."""
    steer = np.repeat(rng.uniform(-1.0, 1.0, (ROWS, 1)), HORIZON, 1)
    noise = 0.01 * rng.standard_normal((ROWS, HORIZON))
    return Dreamed(
        latent_error=0.1 + np.abs(noise), psnr=30.0 + noise, motion=2.0 * steer + noise, recorded=2.0 * steer,
        sensor_error=np.zeros((ROWS, HORIZON, 0)), steer=steer, stretch=np.arange(ROWS) // 4,
    )  # fmt: skip


def test_a_right_dream_scores_right_and_a_wrong_one_wrong() -> None:
    right = dream(np.random.default_rng(0))
    turned = replace(right, motion=-right.motion, latent_error=right.latent_error + 0.5, psnr=right.psnr - 3.0)
    scores = drive_scores(right, turned, (1, 5, 50))
    assert scores["turn_sign"].value == 1.0 and scores["motion_r"].value > 0.99
    assert scores["swapped_latent_error"].low == pytest.approx(0.5) and scores["swapped_psnr"].value == pytest.approx(3)
    assert scores["swapped_motion_r"].low > 1.9
    assert scores["psnr_5"].n == ROWS / 4 and "psnr_50" not in scores
    backwards = drive_scores(turned, right, (1,))
    assert backwards["turn_sign"].value == 0.0 and backwards["motion_r"].value < -0.99
    assert backwards["swapped_psnr"].high < 0.0
    straight = replace(right, steer=0.1 * right.steer)
    assert "turn_sign" not in drive_scores(straight, turned, (1,))


def test_a_dream_lies_beside_the_frames_it_stands_for(tmp_path: Path) -> None:
    world = replace(SPEC, action=ActionSpec((-2.0,), (2.0,), ("steer",)))
    store = EpisodeStore.create(tmp_path, world)
    for seed in range(4):
        store.append(episode(seed))
    corpus = Corpus(store, range(4))
    model = WorldModel(MODEL, world).eval()
    corpus.encode(model)
    where = windows_of(corpus, HORIZON, 9, seed=0)
    assert where.shape == (9, 2) and len(np.unique(where, axis=0)) == 9
    assert (where[:, 1] + CONTEXT - 1 + HORIZON <= STEPS).all()
    right, wrong = (dreamed(model, corpus, where, HORIZON, swapped) for swapped in (False, True))
    row, t = where[4]
    first = t + CONTEXT - 1
    assert np.allclose(right.recorded[4], image_motion(store.frames(row)[first : first + HORIZON + 1]))
    assert np.allclose(right.steer[4], store.column("actions", row)[first : first + HORIZON, 0] / 2.0)
    assert right.sensor_error.shape == (9, HORIZON, 1) and right.psnr.shape == right.motion.shape == (9, HORIZON)
    assert np.array_equal(right.recorded, wrong.recorded) and np.array_equal(right.steer, wrong.steer)
    assert not np.allclose(right.latent_error, wrong.latent_error)
    still = dreamed(model, corpus, where, HORIZON, False)
    assert np.array_equal(still.latent_error, right.latent_error)
