"""A world whose frame *is* the integral of its actions, and a small model for it."""

from __future__ import annotations

import numpy as np

from videosim.model_config import ConvTokenizerConfig, HeadsConfig, ModelConfig, RecurrentConfig
from videosim.types import ActionSpec, Episode, FrameSpec, SensorSpec, WorldSpec

GAIN, SIZE, STEPS = 0.2, 16, 20
SPEC = WorldSpec(
    name="sum",
    frame=FrameSpec(SIZE, SIZE),
    action=ActionSpec((-2.0,), (2.0,), ("push",)),  # not [-1, 1]: a forgotten scaling must show
    sensors=SensorSpec(("x",), ("m",), (-1.0,), (1.0,)),
    dt_s=0.04,
    horizon=STEPS,
)
MODEL = ModelConfig(
    tokenizer=ConvTokenizerConfig(channels=3, keypoints=0, widths=[8, 12]),
    dynamics=RecurrentConfig(memory=32, hidden=48),
    heads=HeadsConfig(hidden=16, members=2, state=16),
    max_action_size=2,
)


def picture(x: float) -> np.ndarray:
    """A bright bar, anti-aliased, at ``x`` in [-1, 1]."""
    column = (x + 1.0) / 2.0 * (SIZE - 4) + 2.0
    light = np.clip(2.5 - np.abs(np.arange(SIZE) - column), 0.0, 1.0) * 220.0
    return np.broadcast_to(light[None, :, None], (SIZE, SIZE, 3)).astype(np.uint8)


def episode(seed: int) -> Episode:
    rng = np.random.default_rng(seed)
    x, actions = [float(rng.uniform(-0.8, 0.8))], []
    for _ in range(STEPS):
        a = float(np.clip(rng.uniform(-1.0, 1.0), (-1.0 - x[-1]) / GAIN, (1.0 - x[-1]) / GAIN))
        actions.append([2.0 * a])
        x.append(x[-1] + GAIN * a)
    positions = np.array(x)
    return Episode(
        frames=np.stack([picture(v) for v in x]),
        actions=np.array(actions, np.float32),
        rewards=(1.0 - np.abs(positions[1:])).astype(np.float32),
        sensors=positions[:, None].astype(np.float32),
        physics=positions[:, None],
        terminated=np.zeros(STEPS, bool),
        behaviour="random",
        seed=seed,
        wide=seed % 2 == 1,
    )
