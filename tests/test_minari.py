"""A store as a Minari dataset, read back by Minari itself."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from sum_world import SPEC, episode

from videosim.config import ExportConfig
from videosim.data import exporting
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.run import Console, Run


def sent_out(store: Path, out: Path) -> None:
    cfg = ExportConfig(data=str(store), format="minari")
    with Run("export", cfg, out, Console(quiet=True)) as run:
        exporting.main(cfg, run)


def make_store(folder: Path) -> EpisodeStore:
    store = EpisodeStore.create(folder, SPEC)
    for seed in range(3):
        store.append(episode(seed))
    return store


def test_minari_reads_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari")
    pytest.importorskip("h5py")
    store = make_store(tmp_path / "store")
    sent_out(tmp_path / "store", tmp_path / "out")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "out"))
    (name,) = (path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
    dataset = minari.load_dataset(name)
    assert dataset.total_episodes == 3 and dataset.total_steps == sum(store.lengths)
    np.testing.assert_array_equal(dataset.action_space.low, np.float32(SPEC.action.low))
    for k, found in enumerate(dataset.iterate_episodes()):
        seen = found.observations["frame"] if SPEC.sensors.size else found.observations
        np.testing.assert_array_equal(seen, store.frames(k))  # raw: a JPEG would differ
        np.testing.assert_array_equal(found.observations["sensors"], store.column("sensors", k))
        np.testing.assert_array_equal(found.actions, store.column("actions", k))
        np.testing.assert_array_equal(found.rewards, store.column("rewards", k))
        np.testing.assert_array_equal(found.terminations, store.column("terminated", k))
        assert found.truncations[-1] != found.terminations[-1] and not found.truncations[:-1].any()
        np.testing.assert_array_equal(found.infos["time"], store.column("time", k))


def test_without_minari_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "store")
    monkeypatch.setitem(sys.modules, "minari.data_collector", None)
    with pytest.raises(VideoSimError, match=r"pip install 'videosim\[minari\]'"):
        sent_out(tmp_path / "store", tmp_path / "out")
    assert not (tmp_path / "out").exists()
