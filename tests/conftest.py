"""A small model with random weights that stands still and never ends: everything but the learning is real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cores import awaken
from sum_world import SPEC, episode

from videosim.data.store import EpisodeStore
from videosim.model_config import (
    ConvTokenizerConfig,
    FlowConfig,
    FsqTokenizerConfig,
    HeadsConfig,
    MaskedConfig,
    ModelConfig,
    RecurrentConfig,
)
from videosim.types import ActionSpec, FrameSpec, SensorSpec, WorldSpec
from videosim.world_model import Contexts, WorldModel

CONTEXTS, CLIP = 6, 3
SMALL = {"width": 16, "layers": 2, "heads": 2, "past": 3, "time_every": 2, "patch": 1, "registers": 1}
TINY_CORES = {
    "recurrent": RecurrentConfig(memory=16, hidden=16),
    "flow": FlowConfig(**SMALL, steps=2),
    "masked": MaskedConfig(**SMALL, steps=2, temperature=1.0),
    "windows": FlowConfig(**SMALL, steps=2, attention="windows", span=2),
}


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
    seed: int = 0,
    spec: WorldSpec | None = None,
    physics: torch.Tensor | None = None,
    force: float = 1.0,
    kind: str = "recurrent",
) -> WorldModel:
    """Random weights, with increments large enough to be seen; contexts without physics unless given ``(n, P)``."""
    spec = spec or tiny_spec(force=force)
    widths = [4, 4, 8, 8]
    config = ModelConfig(
        tokenizer=FsqTokenizerConfig(channels=2, widths=widths, levels=5)
        if kind == "masked"
        else ConvTokenizerConfig(channels=2, widths=widths),
        dynamics=TINY_CORES[kind],
        heads=HeadsConfig(hidden=16, members=2, state=16),
    )
    torch.manual_seed(seed)
    model = WorldModel(config, spec).eval()
    awaken(model.dynamics, 1.0 if kind == "masked" else 0.05)  # there a value flips or stays
    if model.painter is not None:  # so that a little of the state is seen
        with torch.no_grad():
            for weight in model.painter.parameters():
                weight.mul_(4.0)
    with torch.no_grad():
        for name, weight in model.dynamics.named_parameters():  # the same of a guess: more of it than of its looks
            if name.startswith(("guess.state", "guess.places", "guess.maps", "guess.out")):
                weight.mul_(4.0)
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
def kind() -> str:
    """Of the tiny model's dynamics; a module whose tests hold for every kind overrides it."""
    return "recurrent"


@pytest.fixture
def tiny_model(kind: str) -> WorldModel:
    return make_tiny_model(kind=kind)


@pytest.fixture
def make_model(kind: str) -> Callable[..., WorldModel]:
    """``make_tiny_model``, for tests that need several models or another world."""
    return partial(make_tiny_model, kind=kind)


@pytest.fixture
def swingup_model(make_model: Callable[..., WorldModel]) -> WorldModel:
    """One that knows nothing of the world it is of; its clips hold a physics state to begin from."""
    from videosim.envs.physics import PhysicsEnv

    env = PhysicsEnv("cartpole-swingup")
    env.reset(seed=0)
    physics = torch.as_tensor(np.tile(env.save(), (CONTEXTS, 1)))
    env.close()
    return make_model(spec=env.world_spec, physics=physics)


@pytest.fixture(scope="module")
def exam(scene: Any) -> Iterator[Any]:
    """The small examination of the ``scene`` that a module names by a fixture of its own."""
    from videosim.audits.exam import Exam

    made = Exam(scene, "smoke")
    yield made
    made.close()


@pytest.fixture(scope="module")
def report(exam: Any) -> Callable[[str], Any]:
    """A control's report; each is examined once."""
    from videosim.audits.matrix import examine_control

    return cache(lambda control: examine_control(exam, control))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of sixty episodes of ``sum_world``; not to be written to."""
    folder = tmp_path_factory.mktemp("sum") / "store"
    store = EpisodeStore.create(folder, SPEC)
    for seed in range(60):
        store.append(episode(seed))
    return folder
