"""The tokenizer's gate: what the latents have kept, reported before dynamics training starts.

Pixels describe and the probe decides: a small network, trained apart from the tokenizer, reads every sensor from the
latents of two consecutive held-out frames. What cannot be read here, no dynamics will predict.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from videosim.corpus import Corpus
from videosim.errors import VideoSimError
from videosim.metrics import moving_mask, psnr
from videosim.world_model import WorldModel

FRAMES = 512
PROBE_PAIRS = 8192
PROBE_STEPS = 600


def _pairs(
    model: WorldModel, corpus: Corpus, count: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    starts = corpus.starts(1)
    where = starts[rng.choice(len(starts), size=min(count, len(starts)), replace=False)]
    frames, _, sensors = corpus.pairs(where)
    return model.encode(frames).flatten(1), sensors[:, corpus.measured]


def tokenizer_gate(model: WorldModel, train: Corpus, test: Corpus, seed: int) -> dict[str, Any]:
    """``psnr_full`` and ``psnr_moving`` [dB] of held-out frames, and ``probe``: the root-mean-square error of each
    sensor as a fraction of its range."""
    rng = np.random.default_rng([seed, 7])
    model.eval()
    starts = test.starts(1)
    where = starts[rng.choice(len(starts), size=min(FRAMES, len(starts)), replace=False)]
    frames = np.stack([test.frames[row][t] for row, t in where])
    decoded = model.decode(model.encode(torch.as_tensor(frames))).numpy()
    mask = moving_mask(frames, test.background[where[:, 0]])
    moving = mask.reshape(len(mask), -1).any(1)
    if not moving.any():
        raise VideoSimError("nothing moves in the held-out frames; record behaviours that move what the camera sees")
    result: dict[str, Any] = {
        "psnr_full": float(np.mean(psnr(frames, decoded))),
        "psnr_moving": float(np.mean(psnr(frames[moving], decoded[moving], mask[moving]))),
    }
    if not test.measured.any():
        return {**result, "probe": {}}
    x, y = _pairs(model, train, PROBE_PAIRS, rng)
    x_test, y_test = _pairs(model, test, PROBE_PAIRS // 4, rng)
    mean, std = y.mean(0), y.std(0).clamp(min=1e-3)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        probe = nn.Sequential(
            nn.Linear(x.shape[1], 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, y.shape[1])
        )
    optimizer = torch.optim.AdamW(probe.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, PROBE_STEPS)
    for _ in range(PROBE_STEPS):
        rows = torch.randint(len(x), (512,), generator=generator)
        error = (probe(x[rows]) - (y[rows] - mean) / std).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        rms = (
            (probe(x_test) * std + mean - y_test).square().mean(0).sqrt() / model.sensor_span[test.measured]
        ).tolist()
    result["probe"] = dict(zip(np.array(model.spec.sensors.names)[test.measured].tolist(), rms, strict=True))
    return result
