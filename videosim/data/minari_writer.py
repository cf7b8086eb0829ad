"""An episode store as a Minari dataset (Farama): HDF5, episodes of T+1 observations and T actions.

    root/<world>-v0/data/main_data.hdf5, metadata.json

An observation is the frame or, where the world has sensors, ``{"frame", "sensors"}``. Frames are kept raw: Minari's
JPEG would lose some of them. Minari knows no frame rate, so that the capture times are among the infos.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from gymnasium import spaces

from videosim.data.extras import needed
from videosim.types import Episode, WorldSpec


class MinariWriter:
    """Episodes one after the other into ``root``, then ``finish``. VideoSimError without the extra "minari"."""

    def __init__(self, root: Path, world: WorldSpec, source: str, licence: str) -> None:
        buffers, storages, package = (
            needed(name, "minari") for name in ("minari.data_collector", "minari.dataset.minari_storage", "minari")
        )
        needed("h5py", "minari")
        self._buffer = buffers.EpisodeBuffer
        self._sensed = bool(world.sensors.size)
        self.name = re.sub(r"[^\w.-]+", "-", world.name) + "-v0"
        folder = root / self.name / "data"
        folder.mkdir(parents=True)
        frame = spaces.Box(0, 255, world.frame.shape, np.uint8)
        low, high = (np.asarray(bound, np.float32) for bound in (world.action.low, world.action.high))
        sensors = spaces.Box(-np.inf, np.inf, (world.sensors.size,), np.float32)
        self._storage = storages.MinariStorage.new(
            folder,
            observation_space=spaces.Dict({"frame": frame, "sensors": sensors}) if self._sensed else frame,
            action_space=spaces.Box(low, high, dtype=np.float32),
            data_format="hdf5",
            jpeg_encoding=False,
        )
        described = (
            f"recorded from {source} by videosim, {1.0 / world.dt_s:g} frames a second; licence: {licence or '–'}"
        )
        self._storage.update_metadata(
            {"dataset_id": self.name, "minari_version": package.__version__, "description": described}
        )

    def add(self, episode: Episode, times: np.ndarray) -> None:
        ends = np.zeros(episode.length, bool)
        ends[-1] = not episode.terminated[-1]
        frames = np.asarray(episode.frames)
        self._storage.update_episodes(
            [
                self._buffer(
                    seed=int(episode.seed),
                    observations={"frame": frames, "sensors": episode.sensors} if self._sensed else frames,
                    actions=episode.actions,
                    rewards=episode.rewards,
                    terminations=episode.terminated,
                    truncations=ends,
                    infos={"time": times},
                )
            ]
        )

    def finish(self) -> None:
        pass  # every episode is written when it is added

    close = finish
