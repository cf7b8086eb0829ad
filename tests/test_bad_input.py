"""What users get wrong with the environments: one sentence that names the fault, and nothing changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videosim.envs.video_sim import VideoSimEnv, VideoSimVectorEnv
from videosim.errors import VideoSimError
from videosim.world_model import WorldModel


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"checkpoint": "no-such-model"}, "no checkpoint"),
        ({"checkpoint": 3}, "checkpoint"),
        ({"obs": "sound"}, "obs must be one of"),
        ({"render_mode": "human"}, "render_mode"),
        ({"horizon": 0}, "horizon"),
        ({"horizon": 2.5}, "horizon"),
        ({"max_uncertainty": -1.0}, "max_uncertainty"),
        ({"max_uncertainty": float("nan")}, "max_uncertainty"),
        ({"max_uncertainty": "some"}, "max_uncertainty"),
        ({"max_uncertainty": "calibrated"}, "has none"),
        ({"uncertainty_penalty": -1.0}, "uncertainty_penalty"),
        ({"uncertainty_penalty": "much"}, "uncertainty_penalty"),
        ({"data": "no/such/folder"}, "no/such/folder"),
    ],
)
@pytest.mark.parametrize("maker", [VideoSimEnv, VideoSimVectorEnv])
def test_arguments(tiny_model: WorldModel, maker: Any, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(VideoSimError, match=words):
        maker(**{"checkpoint": tiny_model, **arguments})


@pytest.mark.parametrize("count", [0, -1, 2.5])
def test_number_of_environments(tiny_model: WorldModel, count: Any) -> None:
    with pytest.raises(VideoSimError, match="number of environments"):
        VideoSimVectorEnv(count, tiny_model)


BAD_ACTIONS = [
    (np.zeros(3, np.float32), "action"),
    (np.zeros((2, 2), np.float32), "action"),
    (0.5, "action"),
    (None, "NaN|action"),
    ("left", "action"),
    (np.array([np.nan, 0.0]), "NaN"),
    (np.array([np.inf, 0.0]), "NaN or infinity"),
    (np.array([0.0, 1.5]), "leaves its bounds"),
]


@pytest.mark.parametrize(("action", "words"), BAD_ACTIONS)
def test_actions_change_nothing(tiny_model: WorldModel, action: Any, words: str) -> None:
    env = VideoSimEnv(tiny_model, "latent")
    env.reset(seed=0)
    with pytest.raises(VideoSimError, match=words):
        env.step(action)
    vector = VideoSimVectorEnv(2, tiny_model, "latent")
    vector.reset(seed=0)
    with pytest.raises(VideoSimError, match=words):
        vector.step([action, action])
    good = np.zeros(2, np.float32)
    fresh = VideoSimEnv(tiny_model, "latent")
    fresh.reset(seed=0)
    np.testing.assert_array_equal(env.step(good)[0], fresh.step(good)[0])


def frames(count: int = 3, side: int = 48, dtype: Any = np.uint8) -> np.ndarray:
    return np.zeros((count, side, side, 3), dtype)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"contxt": 1}, "no option 'contxt'"),
        ({"context": 6}, "no context 6"),
        ({"context": -1}, "no context -1"),
        ({"context": 1.5}, "whole number"),
        ({"context": "first"}, "whole number"),
        ({"context": True}, "whole number"),
        ({"context": [1, 2, 3]}, "whole number"),
        ({"context": 1, "episode": 0}, "together"),
        ({"episode": 0, "t": 0}, "data="),
        ({"frames": frames(side=32), "actions": np.zeros((2, 2))}, "frames"),
        ({"frames": frames(dtype=np.float32), "actions": np.zeros((2, 2))}, "uint8"),
        ({"frames": frames()[0], "actions": np.zeros((0, 2))}, "frames"),
        ({"frames": frames(0), "actions": np.zeros((0, 2))}, "frames"),
        ({"frames": frames()}, "2 actions between"),
        ({"frames": frames(), "actions": np.zeros((3, 2))}, "2 actions between"),
        ({"frames": frames(), "actions": np.zeros((2, 1))}, "2 actions between"),
        ({"frames": frames(), "actions": np.full((2, 2), np.nan)}, "NaN"),
        ({"frames": frames(), "actions": np.full((2, 2), 9.0)}, "bounds"),
        ({"actions": np.zeros((2, 2))}, "frames"),
        ([1], "dict"),
    ],
)
def test_options(tiny_model: WorldModel, options: Any, words: str) -> None:
    for env in (VideoSimEnv(tiny_model), VideoSimVectorEnv(2, tiny_model)):
        with pytest.raises(VideoSimError, match=words):
            env.reset(options=options)


def test_no_contexts(tiny_model: WorldModel) -> None:
    tiny_model.contexts = None
    with pytest.raises(VideoSimError, match="no start clips"):
        VideoSimEnv(tiny_model).reset()
    VideoSimEnv(tiny_model).reset(options={"frames": frames(1)})


def test_vector_options(tiny_model: WorldModel) -> None:
    env = VideoSimVectorEnv(3, tiny_model)
    for options, words in (
        ({"reset_mask": np.zeros(3, bool)}, "reset_mask"),
        ({"reset_mask": np.ones(2, bool)}, "reset_mask"),
        ({"reset_mask": np.array([True, False, False])}, "every row"),
    ):
        with pytest.raises(VideoSimError, match=words):
            env.reset(options=options)
    with pytest.raises(VideoSimError, match="seeds"):
        env.reset(seed=[1, 2])


def test_stepping_first_and_foreign_snapshots(tiny_model: WorldModel) -> None:
    env = VideoSimEnv(tiny_model)
    for call in (lambda: env.step(np.zeros(2)), env.render, env.snapshot, lambda: env.branch(2)):
        with pytest.raises(VideoSimError, match="reset"):
            call()
    env.reset(seed=0)
    for snapshot in ({}, None, {"steps": 3}):
        with pytest.raises(VideoSimError, match="snapshot"):
            env.restore(snapshot)
    with pytest.raises(VideoSimError, match="number of environments"):
        env.branch(0)


def test_an_empty_store_has_no_episodes(tiny_model: WorldModel, tmp_path: Path) -> None:
    from videosim.data.store import EpisodeStore

    EpisodeStore.create(tmp_path / "log", tiny_model.spec)
    env = VideoSimEnv(tiny_model, data=tmp_path / "log")
    with pytest.raises(VideoSimError, match="episode"):
        env.reset(options={"episode": 0, "t": 0})
    with pytest.raises(VideoSimError, match="whole number"):
        env.reset(options={"episode": "first", "t": 0})
