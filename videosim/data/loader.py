"""Drawing from an episode store: random frames, random windows inside episodes, and every frame once in order.

Randomness comes from the generator that is passed in, so a resumed training run can continue its stream of batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError


def all_frames(store: EpisodeStore, episodes: Sequence[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, memory-mapped uint8 ``(T+1, H, W, 3)``) for every episode in order: for encoding a store once.

    The frames of all episodes laid end to end are addressed by ``store.offsets``.
    """
    for number in range(len(store)) if episodes is None else episodes:
        yield number, store.frames(number)


def sample_frames(store: EpisodeStore, episodes: Sequence[int], n: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 ``(n, H, W, 3)``, drawn uniformly with replacement from all frames of ``episodes``."""
    numbers, starts = sample_windows(store, episodes, 0, n, rng)
    frames = np.empty((n, *store.world.frame.shape), np.uint8)
    for i, (number, t) in enumerate(zip(numbers.tolist(), starts.tolist(), strict=True)):
        frames[i] = store.frames(number)[t]
    return frames


def sample_windows(
    store: EpisodeStore, episodes: Sequence[int], length: int, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where ``n`` random windows of ``length`` transitions lie: episode numbers and first frames, int64 ``(n,)`` each.

    Every window that fits into one of ``episodes`` is equally likely. Raises VideoSimError when none fits.
    """
    numbers = np.asarray(episodes, np.int64)
    starts = np.maximum(np.asarray(store.lengths, np.int64)[numbers] - length + 1, 0)  # possible first frames
    ends = np.cumsum(starts)
    if len(ends) == 0 or ends[-1] == 0:
        raise VideoSimError(
            f"none of {len(numbers)} episodes in {store.folder} has {length} steps; use shorter windows or collect more"
        )
    picks = rng.integers(ends[-1], size=n)
    which = np.searchsorted(ends, picks, side="right")
    return numbers[which], picks - (ends - starts)[which]


def windows(
    store: EpisodeStore, episodes: Sequence[int], length: int, batch: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """A batch of ``B = batch`` random windows of ``L = length`` transitions, none of which crosses an episode's end.

    frames uint8 (B, L+1, H, W, 3); actions float32 (B, L, A); rewards float32 (B, L); terminated bool (B, L);
    sensors float32 (B, L+1, S); episode int64 (B,); start int64 (B,), the window's first frame in its episode.
    """
    numbers, starts = sample_windows(store, episodes, length, batch, rng)
    spec = store.world
    out: dict[str, np.ndarray] = {
        "frames": np.empty((batch, length + 1, *spec.frame.shape), np.uint8),
        "actions": np.empty((batch, length, spec.action.size), np.float32),
        "rewards": np.empty((batch, length), np.float32),
        "terminated": np.empty((batch, length), bool),
        "sensors": np.empty((batch, length + 1, spec.sensors.size), np.float32),
    }
    for i, (number, t) in enumerate(zip(numbers.tolist(), starts.tolist(), strict=True)):
        out["frames"][i] = store.frames(number)[t : t + length + 1]
        for name in ("actions", "rewards", "terminated"):
            out[name][i] = store.column(name, number)[t : t + length]
        out["sensors"][i] = store.column("sensors", number)[t : t + length + 1]
    return {**out, "episode": numbers, "start": starts}
