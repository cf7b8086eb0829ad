"""Controls examined in several processes: the same as in one, a fault is one sentence, nothing is begun for nothing."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from videosim.audits.exam import Exam, Report
from videosim.audits.verdict import Result, load_bars
from videosim.audits.world import World
from videosim.config import AuditConfig
from videosim.errors import VideoSimError
from videosim.examiners import Examiners, examiners
from videosim.findings import Findings
from videosim.run import Run

NAMES = ["a", "b", "c"]
AUDITS = ("A1", "A3")


class Quick(Exam):
    """An examination that finds the name of what it examines."""

    def __init__(self, cfg: AuditConfig) -> None:
        self.bars, self.scene_sha256 = load_bars(cfg.size), "of-the-scene"
        self.scene = SimpleNamespace(name="none", control=self.control, expected=lambda: dict.fromkeys(NAMES, AUDITS))

    def control(self, name: str) -> World:
        if name == "broken":
            raise VideoSimError("it is broken; mend it")
        if name == "odd":
            raise KeyError(name)
        if name == "deadly":
            os._exit(1)
        return SimpleNamespace(name=name, close=lambda: None)

    def examine(self, world, audits=None, early=True, keep=None) -> Report:
        results = {a: keep(a, lambda a=a: Result(a, world.name, {}, {"said": f"{world.name} {a}"})) for a in audits}
        return Report(world.name, self.bars.sha256, results)

    def close(self) -> None:
        pass


def reports(folder: Path, workers: int, names: list[str] = NAMES) -> tuple[list[dict], float]:
    """What is found in ``folder`` by that many processes, and how far the bar went."""
    cfg = AuditConfig(size="smoke")
    run = Run("audit", cfg, folder)
    found = Findings(Quick(cfg), cfg, folder)
    with run.progress(99, "audits") as bar, Examiners(Quick, cfg, folder, names, (), workers) as others:
        others.hear(bar)  # does not wait
        others.finish(bar)
        return [found.control(name, bar) for name in names], bar.done


def test_several_processes_find_what_one_finds(tmp_path: Path) -> None:
    alone, together = reports(tmp_path / "one", 0), reports(tmp_path / "two", 2)
    assert alone == together and alone[1] == len(NAMES) * len(AUDITS)
    assert json.dumps(alone[0]).count("said") == len(NAMES) * len(AUDITS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "^it is broken; mend it$"),
        ("odd", "examining failed with KeyError"),
        ("deadly", "a process that was examining died"),
    ],
)
def test_a_fault_is_one_sentence_and_loses_nothing(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(VideoSimError, match=said):
        reports(tmp_path, 1, ["a", name])
    cfg = AuditConfig(size="smoke")
    assert Findings(Quick(cfg), cfg, tmp_path).path("a").is_file()
    assert not Findings(Quick(cfg), replace(cfg, seed=1), tmp_path).path("a").is_file()


@pytest.mark.parametrize(
    ("workers", "models", "work", "count"),
    [(1, 0, 20, 0), (1, 1, 20, 0), (2, 0, 20, 2), (2, 1, 3, 1), (8, 0, 3, 3), (8, 1, 0, 0), (2, 0, 1, 0), (2, 1, 1, 1)],
)
def test_as_many_processes_as_there_is_work_for(workers: int, models: int, work: int, count: int) -> None:
    assert examiners(workers, models, work) == count
