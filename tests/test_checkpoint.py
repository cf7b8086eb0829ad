"""A checkpoint comes back as it was written; a damaged or hostile one is refused in one sentence and runs no code."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from videosim.checkpoint import load_checkpoint, save_checkpoint
from videosim.envs.video_sim import VideoSimEnv
from videosim.errors import VideoSimError
from videosim.world_model import WorldModel


@pytest.fixture
def folder(tiny_model: WorldModel, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "model", tiny_model, {"Run": {"seed": 3}}, bits=32)
    return tmp_path / "model"


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = json.loads((folder / "config.json").read_text())
    replaced = change(config)
    (folder / "config.json").write_text(json.dumps(config if replaced is None else replaced))


def refused(folder: Path, words: str | None = None) -> None:
    with pytest.raises(VideoSimError, match=words) as caught:
        load_checkpoint(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 500


@pytest.mark.parametrize("said", ["x", 3, None, {}, {"threshold": "high"}, {"threshold": True}, {"scale": 0.2}])
def test_a_card_may_say_anything(tiny_model: WorldModel, said: Any) -> None:
    tiny_model.card = {"Uncertainty": said}
    assert tiny_model.recorded("Uncertainty", "threshold") is None
    tiny_model.card = {"Uncertainty": {"threshold": 0.2}}
    assert tiny_model.recorded("Uncertainty", "threshold") == 0.2


def test_round_trip_dreams_the_same(tiny_model: WorldModel, folder: Path) -> None:
    loaded = load_checkpoint(folder)
    assert loaded.spec == tiny_model.spec
    assert loaded.config == tiny_model.config
    assert loaded.card == {"Run": {"seed": 3}}
    first, second = VideoSimEnv(tiny_model, "latent"), VideoSimEnv(loaded, "latent")
    first.reset(seed=0), second.reset(seed=0)
    action = first.action_space.sample()
    assert (first.step(action)[0] == second.step(action)[0]).all()


def test_an_older_file_that_does_not_say_has_a_transition_without_products(
    tiny_model: WorldModel, tmp_path: Path
) -> None:
    core = replace(tiny_model.config.dynamics, products=0)
    plain = WorldModel(replace(tiny_model.config, dynamics=core), tiny_model.spec)
    save_checkpoint(tmp_path / "older", plain, {}, bits=32)
    edit(tmp_path / "older", lambda config: config["model"]["dynamics"].__delitem__("products"))
    loaded = load_checkpoint(tmp_path / "older")
    assert loaded.config.dynamics.products == 0
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_half_precision_is_nearly_the_same(tiny_model: WorldModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "half", tiny_model, {})
    for name, value in load_checkpoint(tmp_path / "half").state_dict().items():
        torch.testing.assert_close(value, tiny_model.state_dict()[name], rtol=1e-3, atol=1e-3)


def test_limits_are_stored_exactly(tiny_model: WorldModel, tmp_path: Path) -> None:
    """Half precision would turn the limit of a cosine into 1.0003."""
    tiny_model.dynamics.sensor_high.fill_(1.00012345)
    save_checkpoint(tmp_path / "half", tiny_model, {})
    loaded = load_checkpoint(tmp_path / "half")
    assert all(torch.equal(value, tiny_model.get_buffer(name)) for name, value in loaded.named_buffers())


@pytest.mark.parametrize("name", ["model.safetensors", "contexts.safetensors"])
def test_damaged_tensors(folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_bytes()
    for part in (whole[: len(whole) // 2], whole[:4], b"", b"\xff" * 64, whole[:-1]):
        path.write_bytes(part)
        refused(folder, "damaged or truncated")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, "missing|no checkpoint")


def test_a_pickle_under_another_name_runs_nothing(folder: Path, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    (folder / "model.safetensors").write_bytes(pickle.dumps(Hostile()))
    refused(folder, "damaged")
    torch.save(Hostile(), folder / "model.safetensors")
    refused(folder, "damaged")
    assert not (tmp_path / "owned").exists()


def test_weights_that_do_not_fit_or_are_not_numbers(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = "dynamics.norm.weight"
    for changed in (torch.full_like(tensors[name], torch.nan), torch.full_like(tensors[name], torch.inf)):
        save_file({**tensors, name: changed}, path)
        refused(folder, "NaN or infinity")
    for wrong in ({**tensors, name: torch.ones(3)}, {**tensors, "extra": torch.ones(1)}, {}):
        save_file(wrong, path)
        refused(folder, "does not fit")


def test_contexts_that_do_not_fit(folder: Path) -> None:
    path = folder / "contexts.safetensors"
    clips = load_file(path)
    for name, value in clips.items():
        rest = {k: v for k, v in clips.items() if k != name}
        without = {"task": clips["task"]} if name == "embodiment" else rest  # which a model of one body may leave out
        for wrong in (without, {**rest, name: value[:2].clone()}, {**rest, name: value[0].clone()}):
            save_file(wrong, path)
            refused(folder)
    save_file({**clips, "sensors": torch.full_like(clips["sensors"], torch.nan)}, path)
    refused(folder, "NaN")


def setting(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        place: Any = config
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (setting("format", value=99), "upgrade videosim"),
        (setting("format", value=[1]), "format"),
        (setting("model", "dynamics", "kind", value="os.system"), "unknown kind 'os.system'"),
        (setting("model", "dynamics", "kind", value="conv"), None),
        (setting("model", "dynamics", "kind", value=["recurrent"]), None),
        (setting("model", "dynamics", "_target_", value="os.system"), "no setting '_target_'"),
        (setting("model", "dynamics", "memory", value="256"), None),
        (setting("model", "dynamics", "memory", value=-4), None),
        (setting("model", "dynamics", "memory", value=10**9), None),  # must not be allocated first
        (setting("model", "dynamics", "products", value=-1), None),
        (setting("model", "dynamics", "products", value="128"), None),
        (setting("model", "dynamics", "products", value=7), "does not fit"),
        (setting("model", "dynamics", value=None), None),
        (setting("model", "tokenizer", "widths", value="abcd"), None),
        (setting("model", "tokenizer", "widths", value=[]), None),
        (setting("model", "heads", "members", value=0), None),
        (setting("model", "max_action_size", value=0), None),
        (setting("model", value=[]), None),
        (setting("spec", value="tiny"), None),
        (setting("spec", "frame", "height", value="48"), None),
        (setting("spec", "frame", "height", value=-48), None),
        (setting("spec", "frame", "depth", value=3), None),
        (setting("spec", "action", "low", value=[-1.0]), None),
        (setting("spec", "action", "high", value=["a", "b"]), None),
        (setting("spec", "sensors", "units", value=["m"]), None),
        (setting("spec", "sensors", "names", value=[1, 2, 3]), None),
        (setting("spec", "sensors", "high", value=[-9.0, -9.0, -9.0]), None),
        (setting("spec", "horizon", value=0), None),
        (setting("spec", "dt_s", value=0), None),
        (setting("spec", "dt_s", value=None), None),
        (setting("card", value=[]), "card"),
        (lambda config: [config], "format number"),
        (lambda config: {"format": 1}, "lacks"),
    ],
)
def test_bad_config(folder: Path, change: Callable[[dict[str, Any]], Any], words: str | None) -> None:
    edit(folder, change)
    refused(folder, words)


def test_config_that_is_no_json(folder: Path) -> None:
    for content in (b"", b"{", b"\xff\xfe", b"[" * 100_000):
        (folder / "config.json").write_bytes(content)
        refused(folder)


@pytest.mark.parametrize("name", ["", "no-such-model", "a\0b", "x" * 5000, "../.."])
def test_unknown_names(name: str) -> None:
    with pytest.raises(VideoSimError, match="no checkpoint"):
        load_checkpoint(name)


def test_unknown_device(folder: Path) -> None:
    with pytest.raises(VideoSimError, match="device"):
        load_checkpoint(folder, "abacus")


def test_an_interrupted_save_leaves_the_old_checkpoint(
    folder: Path, tiny_model: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("videosim.checkpoint.save_file", full_disk)
    with pytest.raises(OSError, match="space"):
        save_checkpoint(folder, tiny_model, {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
