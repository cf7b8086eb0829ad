"""Weights in shares: each process keeps some rows of every weight, of its gradient, of the optimiser's moments and of
the averages, and has all rows only during a pass (Zhao et al., "PyTorch FSDP: experiences on scaling fully sharded data
parallel", 2023; torch's ``fully_shard``). Knows no settings, and starts no process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from videosim.crew import Crew, Hold, Loss


class _Lesson(nn.Module):
    """A loss as the forward pass of the module that it teaches: it is here that all rows are wanted."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, step: int, rng: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        total, terms = self.loss(step, rng)
        # Every process must have a gradient for the same weights, whichever its part has used.
        used = [p.flatten()[0] for p in self.module.parameters() if p.requires_grad]
        return total + 0.0 * torch.stack(used).sum(), terms


class Share(Hold):
    """The rows of one process. Among others they are cut as ``torch.chunk`` cuts them; of a short weight some have
    none."""

    def __init__(self, crew: Crew, module: nn.Module, loss: Loss) -> None:
        self.crew, self.share = crew, (crew.rank, crew.size)
        self.owners = [
            (owner, name, p) for owner in module.modules() for name, p in owner.named_parameters(recurse=False)
        ]
        self.lesson: Any = _Lesson(module, loss)
        fully_shard(self.lesson, mesh=init_device_mesh("cpu", (crew.size,)))
        for _, _, p in self.owners:
            p.data = p.new_empty(0)  # to be filled again in the end
        self.loss = self.lesson
        self.shards: list[Any] = [p for p in module.parameters() if p.requires_grad]
        self.parameters = [nn.Parameter(shard.to_local().detach()) for shard in self.shards]  # of the same storage
        self.rows = []
        for shard in self.shards:
            most = -(-len(shard) // crew.size)
            first = min(crew.rank * most, len(shard))
            self.rows.append(slice(first, min(first + most, len(shard))))

    def gather(self) -> None:
        """As it was brought together by the backward pass, where a weight that nobody used has a gradient of zeros."""
        for shard, p in zip(self.shards, self.parameters, strict=True):
            p.grad = shard.grad.to_local() * self.crew.size  # the sum; what is there is the mean
            shard.grad = None
        sums = torch.stack([p.grad.abs().sum() for p in self.parameters if p.grad is not None])
        for used, p in zip((self.crew.sum(sums) > 0).tolist(), self.parameters, strict=True):
            if not used:
                p.grad = None

    def due(self, wanted: bool) -> bool:
        return bool(self.crew.agreed(wanted))

    def settle(self) -> None:
        self.crew.wait()

    def clip(self) -> Tensor:
        squares = [p.new_zeros(()) if p.grad is None else p.grad.square().sum() for p in self.parameters]
        lengths = self.crew.sum(torch.stack(squares)).sqrt()
        for p, length in zip(self.parameters, lengths, strict=True):
            if p.grad is not None:
                p.grad *= (1.0 / (length + 1e-6)).clamp(max=1.0)
        return lengths

    @contextmanager
    def whole(self) -> Iterator[None]:
        self.lesson.unshard()
        try:
            yield
        finally:
            self.lesson.reshard()

    def release(self) -> None:
        with self.whole():
            found = [getattr(owner, name).detach().clone() for owner, name, _ in self.owners]
        for (owner, name, p), value in zip(self.owners, found, strict=True):
            p.data = value
            setattr(owner, name, p)
