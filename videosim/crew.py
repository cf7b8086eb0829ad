"""Who trains together: which process takes which part of a batch, what it keeps of the weights, and how their gradients
come together.

A step's batch is cut into parts, each drawn by a generator of its own, whoever takes it. So a run ends with the same
weights, but for the order of a sum, on any number of processes that divides the parts, and may go on with another
number than it began with. One process takes the parts one after another: gradient accumulation.

Every process does all of a command but the passes of training, which they share; only the first one writes, but for
what only another one keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Loss = Callable[[int, torch.Generator], tuple[Tensor, dict[str, float]]]
PRECISIONS = {"32": torch.float32, "bf16": torch.bfloat16}


class Crew:
    """One process by itself: number ``rank`` of ``size``. parts: of every batch. precision: "32", or "bf16" for the
    passes (weights, gradients and sums stay as they are)."""

    rank, size = 0, 1

    def __init__(self, parts: int = 1, precision: str = "32") -> None:
        self.parts, self.precision = parts, PRECISIONS[precision]

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def own(self) -> range:
        """Numbers of the parts that this process takes."""
        return range(self.rank, self.parts, self.size)

    def passing(self) -> torch.autocast:
        """The context of a pass."""
        return torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32)

    def sum(self, values: Tensor) -> Tensor:
        """Over all processes."""
        return values

    def agreed(self, value: Any) -> Any:
        """What the first process says."""
        return value

    def wait(self) -> None:
        """For all to come here."""

    def leave_to_the_first(self) -> None:
        """End every other process, successfully."""
        self.wait()
        if not self.first:
            raise SystemExit(0)

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Sum the gradients of all processes in place. A parameter that nobody used keeps none, as it would alone."""
        if self.size == 1:
            return
        used = self.sum(torch.tensor([float(p.grad is not None) for p in parameters])) > 0
        mine = [p for p, u in zip(parameters, used.tolist(), strict=True) if u]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in mine])
        for p, total in zip(mine, self.sum(flat).split([p.numel() for p in mine]), strict=True):
            p.grad = total.view_as(p)

    def hold(self, module: nn.Module, loss: Loss) -> Hold:
        """What this process keeps of the module's trainable weights while ``loss`` teaches it."""
        return Hold(self, module, loss)

    def make_alike(self, tensors: Sequence[Tensor]) -> None:
        """Give every process what the first one has, in place."""
        for tensor, theirs in zip(tensors, self.agreed([t.detach() for t in tensors]), strict=True):
            with torch.no_grad():
                tensor.copy_(theirs)


class Hold:
    """What one process keeps of a module's trainable weights, and of all that goes with a weight: here all of it.

    parameters  what it updates, each with the gradient of all processes after ``gather``
    rows        of each weight those that these are
    share       its number, and how many of it make up the weights
    loss        of a part of a batch, for ``backward``
    """

    share = 0, 1

    def __init__(self, crew: Crew, module: nn.Module, loss: Loss) -> None:
        self.crew, self.loss = crew, loss
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.rows = [slice(None) for _ in self.parameters]

    def gather(self) -> None:
        """Bring the processes' gradients together. A parameter that nobody used has none."""
        self.crew.add_gradients(self.parameters)

    def clip(self) -> Tensor:
        """Shorten the gradient of each whole weight by itself to length 1: a part with loud gradients must not slow the
        others down. Returns the lengths they had."""
        return torch.stack([nn.utils.clip_grad_norm_(p, 1.0) for p in self.parameters])

    def due(self, wanted: bool) -> bool:
        """Whether this process writes its share now; who has another's share need not."""
        return self.crew.first and wanted

    def settle(self) -> None:
        """Return when all shares have been written."""

    @contextmanager
    def whole(self) -> Iterator[None]:
        """While the module is used otherwise than by ``loss``."""
        yield

    def release(self) -> None:
        """Leave the module with all of its weights."""


ALONE = Crew()
