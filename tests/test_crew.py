"""Processes that share the parts of every batch end where one that takes them all ends."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from sum_world import SPEC, episode
from torch import Tensor, nn

from videosim import fit as fitting
from videosim.checkpoint import load_checkpoint
from videosim.config import TrainConfig
from videosim.crew import ALONE, Crew
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.fit import Schedule, fit
from videosim.processes import assembled
from videosim.run import Bar, Run

SCHEDULE = Schedule(steps=12, learning_rate=0.05, evaluate_every=5, average=0.9)


class Threads(Crew):
    """Two that meet at a table, in place of two processes."""

    size = 2

    def __init__(self, rank: int, table: list[Any], meeting: threading.Barrier) -> None:
        super().__init__(parts=4)
        self.rank, self.table, self.meeting = rank, table, meeting

    def _told(self, value: Any) -> list[Any]:
        self.table[self.rank] = value
        self.meeting.wait(20)
        told = list(self.table)
        self.meeting.wait(20)
        return told

    def sum(self, values: Tensor) -> Tensor:
        one, two = self._told(values.clone())
        return one + two

    def agreed(self, value: Any) -> Any:
        return self._told(value)[0]

    def wait(self) -> None:
        self._told(None)


ONE_AT_A_TIME = threading.Lock()


def network(seed: int) -> nn.Module:
    with ONE_AT_A_TIME:
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1), nn.Linear(1, 1))
    module[3].weight.requires_grad_(False)
    return module


def trained(folder: Path, crew: Crew, seed: int = 0, stop: int = 99, seeds: list[int] | None = None) -> list[Tensor]:
    """Weights after SCHEDULE of a problem in which one weight is used now and then, and one never."""
    module = network(seed)
    extra = nn.ParameterList([nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))])
    whole = nn.ModuleList([module, extra])

    def loss(step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        if step == stop:
            raise KeyboardInterrupt
        if seeds is not None:
            seeds.append(rng.initial_seed())
        x = torch.randn(16, 3, generator=rng)
        missed = 20.0 * (module(x) - x.prod(1, keepdim=True)).square().mean()  # so that gradients are clipped
        if float(torch.rand((), generator=rng)) < 0.3:  # in some parts only
            missed = missed + (extra[0] - 0.5).square().sum()
        return missed, {"missed": float(missed.detach())}

    bar = Bar(Console(quiet=True), None, SCHEDULE.steps, "", "", 0)
    fit("stage", whole, loss, SCHEDULE, folder, 3, bar, lambda: {"score": float(module[0].weight.detach().sum())}, crew)
    return [p.detach().clone() for p in whole.parameters()]


def by_two(folder: Path, stop: int = 99) -> list[list[Tensor]]:
    """What each of two has in the end; they begin with unlike weights."""
    meeting, table = threading.Barrier(2), [None, None]
    made: list[list[Tensor]] = [[], []]

    def work(rank: int) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            made[rank] = trained(folder, Threads(rank, table, meeting), rank, stop)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made


def same(one: list[Tensor], two: list[Tensor]) -> None:
    assert one
    for left, right in zip(one, two, strict=True):
        torch.testing.assert_close(left, right, atol=1e-6, rtol=1e-5)


def test_two_end_where_one_ends(tmp_path: Path) -> None:
    alone = trained(tmp_path / "one", Crew(parts=4))
    first, second = by_two(tmp_path / "two")
    same(first, alone)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len(list((tmp_path / "two" / "tensorboard").iterdir())) == 1  # only the first writes
    with pytest.raises(AssertionError):
        same(trained(tmp_path / "other", Crew(parts=2)), alone)


@pytest.mark.parametrize("before", [1, 2])
def test_a_run_goes_on_with_another_number(before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = trained(tmp_path / "whole", Crew(parts=4))
    monkeypatch.setattr(fitting, "SAVE_EVERY_S", 0.0)
    if before == 2:
        by_two(tmp_path / "run", stop=7)
        same(trained(tmp_path / "run", Crew(parts=4)), alone)
    else:
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "run", Crew(parts=4), stop=7)
        same(by_two(tmp_path / "run")[0], alone)


def test_one_part_is_drawn_as_ever_and_others_are_not(tmp_path: Path) -> None:
    seeds: list[int] = []
    trained(tmp_path / "one", ALONE, seeds=seeds)
    assert seeds == [(3 * 1_000_003 + step) * 17 + sum(map(ord, "stage")) for step in range(SCHEDULE.steps)]
    parts: list[int] = []
    trained(tmp_path / "four", Crew(parts=4), seeds=parts)
    assert parts[::4] == seeds
    drawn = {float(torch.rand((), generator=torch.Generator().manual_seed(part))) for part in parts}
    assert len(drawn) > 0.99 * len(parts)


def test_passes_in_half_precision_leave_whole_weights(tmp_path: Path) -> None:
    half, whole = trained(tmp_path / "half", Crew(precision="bf16")), trained(tmp_path / "whole", ALONE)
    assert all(p.dtype == torch.float32 for p in half)
    assert not torch.equal(half[0], whole[0])
    torch.testing.assert_close(half[0], whole[0], atol=0.1, rtol=0)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"devices": 2}, "parts=2"),
        ({"parts": 0}, "from 1"),
        ({"parts": 3}, "batch=64"),
        ({"precision": "8"}, "32, bf16"),
        ({"strategy": "magic"}, "ddp, fsdp"),
        ({"strategy": "fsdp", "devices": 2, "parts": 2, "sizes": ["data/push-96x64"]}, "one size"),
        ({"devices": 2, "parts": 2}, r"videosim\[scale\]"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    changed: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    run = Run("train", None, tmp_path, Console(quiet=True))
    with pytest.raises(VideoSimError, match=says):
        assembled(replace(TrainConfig(), **changed), run)
    with pytest.raises(VideoSimError, match="train"):
        assembled(replace(TrainConfig(), devices=2, parts=2), Run("loop", None, tmp_path, Console(quiet=True)))


def test_settings_of_a_part(tmp_path: Path) -> None:
    crew, part = assembled(TrainConfig(parts=4), Run("loop", None, tmp_path, Console(quiet=True)))
    assert (part.batch, part.tokenizer_batch, part.transition_batch) == (16, 16, 64)
    assert list(crew.own) == [0, 1, 2, 3] and crew.first


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_the_command_in_two_processes(strategy: str, tmp_path: Path) -> None:
    """`videosim train` over gloo: the same weights as alone, and one checkpoint."""
    pytest.importorskip("lightning_fabric")
    store = EpisodeStore.create(tmp_path / "data", SPEC)
    for seed in range(12):
        store.append(episode(seed))
    words = [
        "tokenizer_steps=6", "transition_steps=6", "dynamics_steps=6", "painter_steps=4", "belief_steps=4", "batch=8",
        "tokenizer_batch=8", "transition_batch=8", "painter_batch=8", "window=6", "score_horizon=5", "score_windows=4",
        "evaluate_every=3", "contexts=4", "task_contexts=2", "context_frames=3", "threads=1", "parts=2",
        "model.tokenizer.widths=[4,4,8]",
    ]  # fmt: skip
    for devices in (1, 2):
        chosen = [f"devices={devices}", f"strategy={strategy}"]
        command = ["train", f"data={tmp_path / 'data'}", f"out={tmp_path / str(devices)}", *chosen, *words]
        done = subprocess.run([sys.executable, "-m", "videosim.cli", *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Open loop on held-out episodes") == 1  # one of them speaks
    one, two = (load_checkpoint(tmp_path / name).state_dict() for name in ("1", "2"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], atol=2e-4, rtol=1e-3, msg=name)
