"""Parts of a training in a bundled model: what was taken is there, and all else is as it was, byte for byte."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from videosim.checkpoint import load_checkpoint, save_checkpoint
from videosim.world_model import WorldModel

rebundle = runpy.run_path(str(Path(__file__).parents[1] / "experiments" / "rebundle.py"))["rebundle"]
PARTS = ("dynamics.reader", "dynamics.transition")
CARD = {
    "Data": {"store": "first", "frames": 100},
    "Training": {"transition steps": 5, "belief steps": 0, "initialised from": "scratch"},
    "Open loop on held-out episodes": dict.fromkeys(("error_5", "error_15", "error_50", "filter_error"), 0.5),
}


@pytest.fixture
def base(tiny_model: WorldModel, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "base", tiny_model, CARD)
    return tmp_path / "base"


def training(began: Path, **steps: int) -> dict:
    """The card of a training of 30 other frames that began with the checkpoint ``began``."""
    said = CARD["Training"] | {"transition steps": 0, "initialised from": str(began)}
    return CARD | {"Data": {"store": "second", "frames": 30}, "Training": said | steps}


@pytest.fixture
def run(base: Path, tmp_path: Path) -> Path:
    """The same model with every weight of the dynamics moved, in two trainings of 30 other frames."""
    model = load_checkpoint(base)
    with torch.no_grad():
        for value in model.dynamics.parameters():
            value += 0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(len(value)))
    first = tmp_path / "first" / "checkpoint"
    save_checkpoint(first, model, training(base, **{"transition steps": 7, "belief steps": 2}))
    save_checkpoint(tmp_path / "run" / "checkpoint", model, training(first, **{"belief steps": 3}))
    return tmp_path / "run"


def test_the_parts_are_taken_and_nothing_else(base: Path, run: Path, tmp_path: Path) -> None:
    told = rebundle(str(base), run, tmp_path / "out", PARTS)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "out"))
    for name, value in before.items():
        assert name.startswith(PARTS) or torch.equal(after[name], value), name
    assert (tmp_path / "out" / "contexts.safetensors").read_bytes() == (base / "contexts.safetensors").read_bytes()
    wanted = load_file(run / "checkpoint" / "model.safetensors")
    taken = {name for name in wanted if name.startswith(PARTS)}
    assert taken == {name for name in after if name.startswith(PARTS)}
    for name in taken:
        assert after[name].dtype == wanted[name].dtype and torch.equal(after[name], wanted[name]), name
    card = json.loads((tmp_path / "out" / "config.json").read_text())["card"]
    assert card["Data"] == {"store": "first", "frames": 130}
    assert card["Learned since"] == told
    assert (told["transition steps"], told["belief steps"]) == (7, 3)


def test_the_same_recordings_are_counted_once(base: Path, run: Path, tmp_path: Path) -> None:
    file = run / "checkpoint" / "config.json"
    config = json.loads(file.read_text())
    config["card"]["Data"] = CARD["Data"]
    file.write_text(json.dumps(config))
    rebundle(str(base), run, tmp_path / "out", PARTS)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["card"]["Data"] == CARD["Data"]


def test_a_run_that_began_elsewhere_is_refused(base: Path, tiny_model: WorldModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "run" / "checkpoint", tiny_model, CARD)
    with pytest.raises(SystemExit, match="did not begin with base"):
        rebundle(str(base), tmp_path / "run", tmp_path / "out", PARTS)
    assert not (tmp_path / "out").exists()


def test_parts_that_do_not_make_a_model_are_refused(base: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"'dynamics\.nothing'"):
        rebundle(str(base), run, tmp_path / "out", ("dynamics.nothing",))
    lacking = tmp_path / "lacking"
    lacking.mkdir()
    for file in base.iterdir():
        (lacking / file.name).write_bytes(file.read_bytes())
    weights = load_file(base / "model.safetensors")
    gone = next(name for name in weights if not name.startswith(PARTS))
    save_file({name: value for name, value in weights.items() if name != gone}, lacking / "model.safetensors")
    with pytest.raises(SystemExit, match="name all parts that differ"):
        rebundle(str(lacking), run, tmp_path / "out", PARTS)
    assert not (tmp_path / "out").exists()
    for name in ("lacking", "base"):
        with pytest.raises(SystemExit, match="is there already"):
            rebundle(str(base), run, tmp_path / name, PARTS)
