"""The processes that the settings of a training ask for, started."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from videosim.config import TrainConfig
from videosim.crew import PRECISIONS, Crew, Hold, Loss
from videosim.errors import VideoSimError
from videosim.run import Run


class FabricCrew(Crew):
    """Processes that Lightning Fabric starts, or finds started by torchrun."""

    def __init__(self, devices: int, nodes: int, parts: int, precision: str) -> None:
        super().__init__(parts, precision)
        try:
            from lightning_fabric import Fabric
        except ModuleNotFoundError as error:
            raise VideoSimError(
                "training in several processes needs Lightning Fabric; pip install 'videosim[scale]', or devices=1"
            ) from error
        self.fabric = Fabric(accelerator="cpu", devices=devices, num_nodes=nodes, strategy="ddp")
        self.fabric.launch()
        self.rank, self.size = self.fabric.global_rank, self.fabric.world_size

    def sum(self, values: Tensor) -> Tensor:
        return self.fabric.all_reduce(values, reduce_op="sum")  # type: ignore[return-value]

    def agreed(self, value: Any) -> Any:
        return self.fabric.broadcast(value)

    def wait(self) -> None:
        self.fabric.barrier()


class ShardingCrew(FabricCrew):
    """Each of them keeps its share of the weights, of their gradients and of what goes with them."""

    def hold(self, module: nn.Module, loss: Loss) -> Hold:
        from videosim.sharding import Share  # what it needs of torch takes half a second to load

        return Share(self, module, loss)


STRATEGIES = {"ddp": FabricCrew, "fsdp": ShardingCrew}
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
    for name, choices in (("precision", tuple(PRECISIONS)), ("strategy", tuple(STRATEGIES))):
        if getattr(cfg, name) not in choices:
            raise VideoSimError(f"{name} is one of {', '.join(choices)}; got {getattr(cfg, name)!r}")
    part = {}
    for name in BATCHES:
        part[name], left = divmod(getattr(cfg, name), cfg.parts)
        if left or not part[name]:
            raise VideoSimError(f"{name}={getattr(cfg, name)} has no {cfg.parts} equal parts; give a multiple of it")
    if cfg.strategy == "fsdp" and processes > 1 and cfg.sizes:
        raise VideoSimError("strategy=fsdp trains one size of picture; leave sizes empty, or give strategy=ddp")
    if processes > 1 and run.command != "train":
        raise VideoSimError(f"several processes train by `videosim train` alone; give {run.command} one device")
    if processes == 1:
        crew = Crew(cfg.parts, cfg.precision)
    else:
        crew = STRATEGIES[cfg.strategy](cfg.devices, cfg.nodes, cfg.parts, cfg.precision)
    run.console.quiet |= not crew.first
    return crew, replace(cfg, **part)
