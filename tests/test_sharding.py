"""Weights in shares end where whole weights end, and a state on the disk is the same in whatever shares it lies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sharding_process import Gloo, group
from test_crew import same, trained

from videosim import fit as fitting
from videosim import states
from videosim.crew import Crew


def tensors() -> dict[str, torch.Tensor]:
    return {"long": torch.arange(14.0).view(7, 2), "short": torch.arange(2.0)}


def put(folder: Path, shares: int, step: int = 5, missing: int = -1) -> None:
    for number in range(shares):
        if number != missing:
            part = {}
            for name, value in tensors().items():
                chunks = value.chunk(shares)
                part[name] = chunks[number] if number < len(chunks) else value[:0]
            states.write(folder, "stage", part, {"step": step}, (number, shares))


@pytest.mark.parametrize("written", [1, 2, 3, 4])
@pytest.mark.parametrize("read", [1, 2, 3, 5])
def test_rows_are_found_in_whatever_shares_they_lie(written: int, read: int, tmp_path: Path) -> None:
    put(tmp_path, written)
    found = states.last(tmp_path, "stage")
    assert found is not None and found.progress == {"step": 5}
    with found as state:
        for name, value in tensors().items():
            assert torch.equal(state.rows(name, slice(None)), value)
            most = -(-len(value) // read)
            rows = [slice(min(n * most, len(value)), min((n + 1) * most, len(value))) for n in range(read)]
            parts = [state.rows(name, own) for own in rows]
            assert torch.equal(torch.cat(parts), value) and all(len(p) <= most for p in parts)


def test_a_state_counts_when_all_of_it_is_there_and_replaces_others(tmp_path: Path) -> None:
    assert states.last(tmp_path, "stage") is None
    put(tmp_path, 2, step=4)
    put(tmp_path, 3, step=9, missing=1)  # interrupted
    put(tmp_path, 1, step=2)
    put(tmp_path, 2, step=1)
    found = states.last(tmp_path, "stage")
    assert found is not None and found.progress["step"] == 4 and len(found.files) == 2
    (tmp_path / "other.state.safetensors").write_bytes(b"")
    states.forget_others(tmp_path, "stage", 4, 2)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["other.state.safetensors", *(f"stage.state-4-{n}-of-2.safetensors" for n in (1, 2))]
    put(tmp_path, 1, step=6)
    states.forget_others(tmp_path, "stage", 6, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [left[0], "stage.state.safetensors"]


@pytest.fixture
def alone_in_a_group(tmp_path: Path) -> Iterator[None]:
    with group(0, 1, tmp_path / "meeting"):
        yield


@pytest.mark.usefixtures("alone_in_a_group")
def test_one_share_is_all_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(tmp_path / "whole", Crew(parts=4))
    same(trained(tmp_path / "share", Gloo()), whole)
    monkeypatch.setattr(fitting, "SAVE_EVERY_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", Gloo(), stop=7)
    same(trained(tmp_path / "stopped", Crew(parts=4)), whole)


def by_two(folder: Path, stop: int = 99) -> list[list[torch.Tensor]]:
    """What each of two processes has in the end; they begin with unlike weights."""
    folder.mkdir(exist_ok=True)
    script = str(Path(__file__).with_name("sharding_process.py"))
    words = ["2", str(folder), str(stop)]
    running = [subprocess.Popen([sys.executable, script, str(rank), *words]) for rank in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]
    made = [folder / f"made-{rank}.safetensors" for rank in range(2)]
    return [[value for _, value in sorted(load_file(file).items())] for file in made if file.is_file()]


@pytest.mark.slow
def test_two_processes_with_shares_end_where_one_ends(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", Crew(parts=4))
    first, second = by_two(tmp_path / "two")
    same(first, whole)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    files = sorted((tmp_path / "two").glob("*.state*"))
    assert [file.name for file in files] == [f"stage.state-12-{n}-of-2.safetensors" for n in (1, 2)]
    assert [load_file(file)["first.0"].shape for file in files] == 2 * [(4, 3)]  # each has half of the moments


@pytest.mark.slow
@pytest.mark.parametrize("before", [1, 2])
def test_a_run_goes_on_with_another_number_of_shares(
    before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(tmp_path / "whole", Crew(parts=4))
    monkeypatch.setattr(fitting, "SAVE_EVERY_S", 0.0)
    if before == 2:
        assert by_two(tmp_path / "run", stop=7) == []
        state = states.last(tmp_path / "run", "stage")
        assert state is not None and state.progress["step"] == 7 and len(state.files) == 2
        same(trained(tmp_path / "run", Crew(parts=4)), whole)
    else:
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "run", Crew(parts=4), stop=7)
        same(by_two(tmp_path / "run")[0], whole)
    assert [path.name for path in (tmp_path / "run").glob("*.state*")].count("stage.state.safetensors") == (before == 2)
