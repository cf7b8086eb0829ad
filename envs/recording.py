"""Record episodes of a physics world into a store, with a progress bar: what `collect` and `loop` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from videosim.config import CollectConfig
from videosim.data.collect import collect
from videosim.data.store import EpisodeStore
from videosim.envs.physics import PhysicsEnv
from videosim.run import Run


def record(
    cfg: CollectConfig,
    folder: Path,
    run: Run,
    policies: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] | None = None,
) -> EpisodeStore:
    """Fill the store in ``folder`` up to ``cfg.frames`` frames; see ``videosim.data.collect.collect``."""
    bar = None

    def progress(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = run.progress(total, f"collecting {folder}", "frames", done=done)
        bar.update(done)

    store = collect(partial(PhysicsEnv, cfg.world), folder, cfg, progress, policies)
    if bar is not None:
        bar.close()
        run.figure("frames_per_s", bar.rate if bar.done > bar.first else None, unit="frame/s")
    return store
