"""The command line: what it accepts, how it refuses, and what a run leaves behind."""

from __future__ import annotations

import errno
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import videosim.config
from videosim import cli, compose
from videosim.config import WorldConfig
from videosim.errors import VideoSimError
from videosim.model_config import FlowConfig, FsqTokenizerConfig
from videosim.run import Run, write_atomically


@dataclass
class StirConfig:
    world: WorldConfig = field(default_factory=WorldConfig)
    times: int = 3  # how often to stir
    rate: float = 0.5
    extra: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def stir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A command ``stir`` of our own; calling the fixture runs it and gives the exit status."""
    configs = tmp_path / "configs"
    for name in ("push", "pole"):
        write_atomically(configs / "world" / f"{name}.yaml", f"name: {name}\nid: 'videosim:{name}'\n")
    write_atomically(configs / "stir.yaml", "defaults: [stir_schema, {world: push}, _self_]\ntimes: 4\n")
    monkeypatch.setattr(compose, "default_folder", lambda: configs)
    monkeypatch.setattr(videosim.config, "StirConfig", StirConfig, raising=False)
    monkeypatch.setitem(cli.COMMANDS, "stir", cli.Command("stir it", "StirConfig", f"{__name__}:unused"))
    monkeypatch.chdir(tmp_path)
    find = cli._find

    def run(*words: str, main: Callable[[StirConfig, Run], None] = lambda cfg, run: None) -> int:
        monkeypatch.setattr(
            cli, "_find", lambda target, name: main if target.endswith("unused") else find(target, name)
        )
        try:
            cli.main(["stir", *words])
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run


def composed(words: list[str], tmp_path: Path) -> StirConfig:
    return compose.to_dataclass(compose.compose("stir", StirConfig, words, tmp_path / "configs"), "stir")


def test_defaults_file_groups_and_values_in_that_order(stir: Any, tmp_path: Path) -> None:
    assert composed([], tmp_path).times == 4
    cfg = composed(["world=pole", "times=7", "world.horizon=9", "extra.new=1"], tmp_path)
    assert (cfg.world.name, cfg.world.horizon, cfg.times, cfg.extra) == ("pole", 9, 7, {"new": 1})


def test_a_world_by_its_id(stir: Any, tmp_path: Path) -> None:
    cfg = composed(["world=dm_control:finger-spin", "world.horizon=5"], tmp_path)
    assert isinstance(cfg.world, WorldConfig)
    assert (cfg.world.id, cfg.world.horizon) == ("dm_control:finger-spin", 5)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("tims=3", "times"),
        ("world.horizn=3", "world.horizon"),
        ("times=abc", "whole number"),
        ("rate=fast", "a number"),
        ("world=mars", "pole | push"),
        ("times=1,2", "-m"),
        ("nonsense", "key=value"),
        ("--nonsense", "--help"),
        ("extra={", "quotes"),
        ("--cfg=all", "--cfg job"),
    ],
)
def test_bad_words_get_one_sentence_and_leave_nothing(
    stir: Any, word: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stir(word) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("videosim: ") and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["configs"]


def test_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["colect"])
    assert stop.value.code == 2
    assert "collect" in capsys.readouterr().err


def test_help_shows_commands_keys_defaults_and_comments(stir: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    listing = capsys.readouterr().out
    assert all(name in listing for name in cli.COMMANDS)
    assert stir("--help") == 0
    text = capsys.readouterr().out
    assert "times=4" in text and "how often to stir" in text and "pole | push" in text and "out=DIR" in text


def test_cfg_job_prints_yaml_and_runs_nothing(stir: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stir("--cfg", "job", "times=8") == 0
    assert "times: 8" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_a_finished_run_writes_its_result(stir: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main(cfg: StirConfig, run: Run) -> None:
        with run.progress(10, "stirring", "turn") as bar:
            bar.advance(10)
        run.seeds = [1, 2]
        run.figure("depth", np.float32(0.5), 0.25, 1.0, 3, "m")
        run.figure("broken", float("nan"))

    assert stir("world=pole", main=main) == 0
    assert [path.name for path in (tmp_path / "runs/stir/pole").iterdir()] == ["result.json"]
    result = json.loads((tmp_path / "runs/stir/pole/result.json").read_text())
    assert list(result) == ["command", "config", "versions", "hardware", "seeds", "figures"]
    assert result["command"] == "stir" and result["config"]["world"]["name"] == "pole" and result["seeds"] == [1, 2]
    assert result["figures"]["depth"] == {"value": 0.5, "low": 0.25, "high": 1.0, "n": 3, "unit": "m"}
    assert result["figures"]["broken"]["value"] is None
    assert "depth" in capsys.readouterr().out


def test_out_sets_the_folder_and_a_sweep_gets_one_each(stir: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, str]] = []
    assert stir("-m", "times=1,2", "out=here", main=lambda cfg, run: seen.append((cfg.times, str(run.folder)))) == 0
    assert seen == [(1, "here/times=1"), (2, "here/times=2")]
    assert (tmp_path / "here/times=2/result.json").exists()


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [
        (VideoSimError("the pot is empty; fill it"), 2, "the pot is empty; fill it"),
        (KeyboardInterrupt(), 130, "same command again: videosim stir times=5"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "no space left"),
    ],
)
def test_faults_become_a_sentence_and_no_result(
    stir: Any, fault: BaseException, status: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(cfg: StirConfig, run: Run) -> None:
        raise fault

    assert stir("times=5", main=main) == status
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not list(tmp_path.rglob("result.json")) and not (tmp_path / "runs/stir/push").exists()


def test_our_own_faults_are_not_hidden(stir: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        stir(main=lambda cfg, run: run.figure("x", 1 / 0))


def test_bar_without_a_terminal_prints_lines_and_counts_resumed_work_apart(tmp_path: Path) -> None:
    output = io.StringIO()
    run = Run("stir", StirConfig(), tmp_path / "run", Console(file=output))
    with run, run.progress(100, "stirring", "turn", done=90) as bar:
        bar.update(95)
        assert bar.done - bar.first == 5
        bar.update(100)
    assert "stirring: 100 of 100 turn" in output.getvalue()


def test_write_atomically_replaces_or_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_atomically(path, "old")

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_composes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([name, "--help"])
    cli.main([name, "--cfg", "job"])
    assert f"videosim {name}" in capsys.readouterr().out


def test_a_comment_explains_its_setting_on_whichever_line_it_stands() -> None:
    audit, stress = compose.comments(videosim.config.AuditConfig), compose.comments(videosim.config.StressConfig)
    assert audit["checkpoint"].startswith("bundled model") and stress["perturbations"].startswith("factors of mass")
    assert stress["checkpoint"].startswith("bundled model") and compose.comments(FlowConfig)["steps"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_kind_brings_its_own_settings(order: int) -> None:
    words = ["model.dynamics.kind=flow", "model.dynamics.steps=4", "model.tokenizer.kind=fsq"][::order]
    cfg = compose.to_dataclass(compose.compose("train", videosim.config.TrainConfig, words), "train")
    assert cfg.model.dynamics == FlowConfig(steps=4) and cfg.model.tokenizer == FsqTokenizerConfig()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.dynamics.kind=dream"], "recurrent | flow | masked"),
        (["model.tokenizer.kind=flow"], "conv | fsq"),
        (["model.dynamics.steps=4"], "no setting 'model.dynamics.steps'"),
        (["model.dynamics.kind=flow", "model.dynamics.memory=4"], "no setting 'model.dynamics.memory'"),
    ],
)
def test_a_kind_that_does_not_exist_or_lacks_a_setting(words: list[str], says: str) -> None:
    with pytest.raises(VideoSimError, match=re.escape(says)):
        compose.compose("train", videosim.config.TrainConfig, words)
