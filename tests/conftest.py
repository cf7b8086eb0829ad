"""A small model with random weights that stands still and never ends: everything but the learning is real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sum_world import SPEC, episode

from videosim.data.store import EpisodeStore
from videosim.model_config import ConvTokenizerConfig, HeadsConfig, ModelConfig, RecurrentConfig
from videosim.types import ActionSpec, FrameSpec, SensorSpec, WorldSpec
from videosim.world_model import Contexts, WorldModel

CONTEXTS, CLIP = 6, 3


def tiny_spec(name: str = "tiny", force: float = 1.0) -> WorldSpec:
    """``force``: bound of the first action number; checkers warn where it is not 1."""
    return WorldSpec(
        name=name,
        frame=FrameSpec(48, 48),
        action=ActionSpec((-force, -1.0), (force, 1.0), ("push", "turn")),
        sensors=SensorSpec(("x", "v", "w"), ("m", "m/s", "1"), (-1.0, -2.0, -1.0), (1.0, 2.0, 1.0)),
        dt_s=0.04,
        horizon=7,
    )


def make_tiny_model(
    seed: int = 0, spec: WorldSpec | None = None, physics: torch.Tensor | None = None, force: float = 1.0
) -> WorldModel:
    """Random weights, with increments large enough to be seen; contexts without physics unless given ``(n, P)``."""
    spec = spec or tiny_spec(force=force)
    config = ModelConfig(
        tokenizer=ConvTokenizerConfig(channels=2, widths=[4, 4, 8, 8]),
        dynamics=RecurrentConfig(memory=16, hidden=16),
        heads=HeadsConfig(hidden=16, members=2, state=16),
    )
    torch.manual_seed(seed)
    model = WorldModel(config, spec).eval()
    with torch.no_grad():
        for layer in (model.dynamics.latent_increment, model.dynamics.sensor_increment):
            layer.weight.normal_(std=0.05)
        model.heads.outcome[-1].bias[1] = -20.0  # the end of the task
    physics = torch.zeros(CONTEXTS, 0, dtype=torch.float64) if physics is None else physics
    tokenizer = model.tokenizer
    model.contexts = Contexts(
        latents=torch.rand(len(physics), CLIP, tokenizer.tokens, tokenizer.width) * 2 - 1,
        actions=torch.rand(len(physics), CLIP - 1, spec.action.size) * 2 - 1,
        sensors=torch.rand(len(physics), spec.sensors.size),
        physics=physics,
        task=torch.arange(len(physics)) % 2 == 1,
    )
    return model


@pytest.fixture
def tiny_model() -> WorldModel:
    return make_tiny_model()


@pytest.fixture
def make_model() -> Callable[..., WorldModel]:
    """``make_tiny_model`` itself, for tests that need several models or another world."""
    return make_tiny_model


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of sixty episodes of ``sum_world``; not to be written to."""
    folder = tmp_path_factory.mktemp("sum") / "store"
    store = EpisodeStore.create(folder, SPEC)
    for seed in range(60):
        store.append(episode(seed))
    return folder
