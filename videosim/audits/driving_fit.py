"""Trains the reader of dash-camera frames: ``python -m videosim.audits.driving_fit <store> <weights.safetensors>``.

The store is one of ``videosim collect world=driving``: episodes of physics, whose seeds no audit meets. Nobody who
audits needs to do this; the weights come with the package.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from videosim.audits.driving_reader import AROUND, MEAN, NAMES, SCALE, STRIDE, MotionReader, grey, network, standardised
from videosim.audits.driving_truth import DrivingTruth, thinned
from videosim.data.store import EpisodeStore

EPISODES, BATCH, RATE, STEPS = 350, 192, 4e-3, 1100
FIRST_NUMBER, DRIVES = 50_000, 400  # drives that tell how far its readings shrink; no audit meets them
MIRROR = torch.tensor([1.0, -1.0])  # of speed and yaw rate; the lidar's rays change places


def fit(store: EpisodeStore, out: Path, steps: int = STEPS, seed: int = 0) -> None:
    """Train for ``steps`` on EPISODES episodes, spread over the store, and write float16 weights to ``out``."""
    frames, wanted, where = _gathered(store)
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    net = network()
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.15)
    weight = torch.tensor([1.0, 1.0] + [0.05] * (len(NAMES) - 2))
    for step in range(1, steps + 1):
        chosen = rng.choice(where, BATCH)
        shown = torch.from_numpy(frames[chosen[:, None] + STRIDE * AROUND].astype(np.float32))
        asked = torch.from_numpy(wanted[chosen])
        if step % 2:  # a mirrored road is a road
            shown = shown.flip(3)
            asked = torch.cat([asked[:, :2] * MIRROR, asked[:, 2:].flip(1)], 1)
        soft = nn.functional.avg_pool2d(shown, 3, 1, 1, count_include_pad=False)
        shown = shown.lerp(soft, torch.rand(BATCH, 1, 1, 1))  # a world's pictures may be softer than the truth's
        shown = standardised(shown)
        shown = shown + 0.1 * torch.rand(BATCH, 1, 1, 1) * torch.randn_like(shown)
        error = nn.functional.smooth_l1_loss(net(shown), asked, beta=0.3, reduction="none")
        loss = (error * weight).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            print(f"step {step} of {steps}: loss {loss.item():.4f}", flush=True)
    stretch(net, DRIVES)
    save(net, out)


def save(net: nn.Sequential, out: Path) -> None:
    save_file({name: value.half().contiguous() for name, value in net.state_dict().items()}, out)


@torch.no_grad()
def stretch(net: nn.Sequential, drives: int) -> None:
    """Make what is read of speed and yaw rate vary as much with the truth as the truth does, in place: who learns by
    errors says too little of what it is unsure of."""
    truth, reader = DrivingTruth(), MotionReader(net)
    columns = [truth.spec.sensors.names.index(name) for name in NAMES]
    read, true = [], []
    for drive in truth.episodes(FIRST_NUMBER, drives):
        read.append(reader.read(drive.frames))
        true.append(thinned(drive.sensors)[: len(read[-1]), columns])
    truth.close()
    said, is_true = ((np.concatenate(rows) - MEAN) / SCALE for rows in (read, true))
    last = net[-1]
    assert isinstance(last, nn.Linear)
    for i in range(len(MIRROR)):
        slope = float(np.polyfit(is_true[:, i], said[:, i], 1)[0])
        last.weight[i] /= slope
        last.bias[i] = is_true[:, i].mean() + (last.bias[i] - said[:, i].mean()) / slope


def _gathered(store: EpisodeStore) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey frames uint8 (n, 44, 64), what is to be read off them float32 (n, 18), scaled, and the frames that have
    enough others around them."""
    columns = [store.world.sensors.names.index(name) for name in NAMES]
    frames, wanted, where, total = [], [], [], 0
    for number in np.linspace(0, len(store) - 1, min(EPISODES, len(store))).astype(int):
        shown = grey(store.frames(int(number)))
        frames.append(shown)
        wanted.append((store.column("sensors", int(number))[:, columns] - MEAN) / SCALE)
        where.append(total + np.arange(2 * STRIDE, len(shown) - 2 * STRIDE))
        total += len(shown)
    return np.concatenate(frames), np.concatenate(wanted).astype(np.float32), np.concatenate(where)


if __name__ == "__main__":
    fit(EpisodeStore.open(sys.argv[1]), Path(sys.argv[2]))
