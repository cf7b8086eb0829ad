"""The state of a training on the disk: one safetensors file, or one for each share of the weights.

A file is written whole or not at all, and a state counts when all of its shares are there, so weights and step cannot
come from different moments. Nothing on the load path can run code. Whoever reads asks for rows, in whatever shares they
were written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor


class State:
    """A state to read from: ``progress``, and the rows of its tensors. For use in ``with``."""

    def __init__(self, files: list[Path], progress: dict[str, Any]) -> None:
        self.files, self.progress = files, progress
        self._open = ExitStack()

    def __enter__(self) -> State:
        self._shares = [self._open.enter_context(safe_open(file, "pt")) for file in self.files]
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def rows(self, name: str, rows: slice) -> Tensor:
        """Of the tensor ``name``; ``slice(None)``: all."""
        if len(self._shares) == 1 and rows == slice(None):
            return self._shares[0].get_tensor(name)
        parts = [share.get_slice(name) for share in self._shares]
        counts = [part.get_shape()[0] for part in parts]
        begin, end, _ = rows.indices(sum(counts))
        found = [torch.empty(0, *parts[0].get_shape()[1:])]
        for part, count in zip(parts, counts, strict=True):
            if max(begin, 0) < min(end, count):
                found.append(part[max(begin, 0) : min(end, count)])
            begin, end = begin - count, end - count
        return torch.cat(found)


def last(folder: Path, stage: str) -> State | None:
    """The last whole state of a stage."""
    found: dict[tuple[int, int], list[tuple[int, Path, dict[str, Any]]]] = defaultdict(list)
    for file in folder.glob(f"{stage}.state*.safetensors"):
        with safe_open(file, "pt") as opened:
            about = opened.metadata()
        progress, (number, shares) = json.loads(about["progress"]), json.loads(about.get("share", "[0, 1]"))
        found[progress["step"], shares].append((number, file, progress))
    whole = [sorted(files, key=lambda f: f[0]) for (_, shares), files in found.items() if len(files) == shares]
    if not whole:
        return None
    files = max(whole, key=lambda files: files[0][2]["step"])
    return State([file for _, file, _ in files], files[0][2])


def write(
    folder: Path, stage: str, tensors: dict[str, Tensor], progress: dict[str, Any], share: tuple[int, int]
) -> None:
    """One share of a state: its number, and how many there are."""
    number, shares = share
    name = f"{stage}.state" if shares == 1 else f"{stage}.state-{progress['step']}-{number + 1}-of-{shares}"
    temporary = folder / f"{name}.tmp"
    about = {"progress": json.dumps(progress), "share": json.dumps(share)}
    save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, metadata=about)
    temporary.replace(folder / f"{name}.safetensors")


def forget_others(folder: Path, stage: str, step: int, shares: int) -> None:
    """Delete the states of a stage but that of this ``step`` in so many shares."""
    for file in folder.glob(f"{stage}.state*.safetensors"):
        kept = file.name.endswith(f"-of-{shares}.safetensors") if shares > 1 else "-of-" not in file.name
        if not (kept and (shares == 1 or file.name.startswith(f"{stage}.state-{step}-"))):
            file.unlink()
