"""The processes that train together: who takes which part of a batch, and how their gradients come together.

A step's batch is cut into parts, each drawn by a generator of its own, whoever takes it. So a run ends with the same
weights, but for the order of a sum, on any number of processes that divides the parts, and may go on with another
number than it began with. One process takes the parts one after another: gradient accumulation.

Every process does all of a command but the passes of training, which they share; only the first one writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from videosim.config import TrainConfig
from videosim.errors import VideoSimError
from videosim.run import Run

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

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Sum the gradients of all processes in place. A parameter that nobody used keeps none, as it would alone."""
        if self.size == 1:
            return
        used = self.sum(torch.tensor([float(p.grad is not None) for p in parameters])) > 0
        mine = [p for p, u in zip(parameters, used.tolist(), strict=True) if u]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in mine])
        for p, total in zip(mine, self.sum(flat).split([p.numel() for p in mine]), strict=True):
            p.grad = total.view_as(p)

    def make_alike(self, tensors: Sequence[Tensor]) -> None:
        """Give every process what the first one has, in place."""
        for tensor, theirs in zip(tensors, self.agreed([t.detach() for t in tensors]), strict=True):
            with torch.no_grad():
                tensor.copy_(theirs)


ALONE = Crew()


class FabricCrew(Crew):
    """Processes that Lightning Fabric starts, or finds started by torchrun."""

    def __init__(self, devices: int, nodes: int, strategy: str, parts: int, precision: str) -> None:
        super().__init__(parts, precision)
        try:
            from lightning_fabric import Fabric
        except ModuleNotFoundError as error:
            raise VideoSimError(
                "training in several processes needs Lightning Fabric; pip install 'videosim[scale]', or devices=1"
            ) from error
        self.fabric = Fabric(accelerator="cpu", devices=devices, num_nodes=nodes, strategy=strategy)
        self.fabric.launch()
        self.rank, self.size = self.fabric.global_rank, self.fabric.world_size

    def sum(self, values: Tensor) -> Tensor:
        return self.fabric.all_reduce(values, reduce_op="sum")  # type: ignore[return-value]

    def agreed(self, value: Any) -> Any:
        return self.fabric.broadcast(value)

    def wait(self) -> None:
        self.fabric.barrier()


STRATEGIES = ("ddp",)
BATCHES = ("batch", "tokenizer_batch", "transition_batch", "painter_batch")


def assembled(cfg: TrainConfig, run: Run) -> tuple[Crew, TrainConfig]:
    """The processes that ``cfg`` asks for, started: the command of this ``run`` runs again in each of them and comes
    here; and the settings of one part of every batch. All but the first process keep silent.

    Raises VideoSimError where the settings do not fit each other, or what starts several is not installed.
    """
    processes = cfg.devices * cfg.nodes
    if min(cfg.devices, cfg.nodes, cfg.parts) < 1 or cfg.parts % processes:
        raise VideoSimError(
            f"devices, nodes and parts are whole numbers from 1, and all processes have as many parts of a batch; got "
            f"devices={cfg.devices}, nodes={cfg.nodes} and parts={cfg.parts}: give parts={max(processes, 1)}"
        )
    for name, choices in (("precision", tuple(PRECISIONS)), ("strategy", STRATEGIES)):
        if getattr(cfg, name) not in choices:
            raise VideoSimError(f"{name} is one of {', '.join(choices)}; got {getattr(cfg, name)!r}")
    part = {}
    for name in BATCHES:
        part[name], left = divmod(getattr(cfg, name), cfg.parts)
        if left or not part[name]:
            raise VideoSimError(f"{name}={getattr(cfg, name)} has no {cfg.parts} equal parts; give a multiple of it")
    if processes > 1 and run.command != "train":
        raise VideoSimError(f"several processes train by `videosim train` alone; give {run.command} one device")
    if processes == 1:
        crew = Crew(cfg.parts, cfg.precision)
    else:
        crew = FabricCrew(cfg.devices, cfg.nodes, cfg.strategy, cfg.parts, cfg.precision)
    run.console.quiet |= not crew.first
    return crew, replace(cfg, **part)
