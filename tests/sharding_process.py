"""One of several processes that keep their weights in shares: ``python sharding_process.py RANK SIZE FOLDER STOP``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from test_crew import trained
from torch import Tensor, nn

from videosim import fit as fitting
from videosim.crew import Crew, Hold, Loss
from videosim.sharding import Share


class Gloo(Crew):
    """The process group that is there, without what starts processes."""

    def __init__(self) -> None:
        super().__init__(parts=4)
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def hold(self, module: nn.Module, loss: Loss) -> Hold:
        return Share(self, module, loss)

    def sum(self, values: Tensor) -> Tensor:
        dist.all_reduce(values := values.clone())
        return values

    def agreed(self, value: Any) -> Any:
        told = [value]
        dist.broadcast_object_list(told, 0)
        return told[0]

    def wait(self) -> None:
        dist.barrier()


@contextlib.contextmanager
def group(rank: int, size: int, meeting: Path):  # type: ignore[no-untyped-def]
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    try:
        yield
    finally:
        dist.destroy_process_group()


def main(rank: int, size: int, folder: Path, stop: int) -> None:
    torch.set_num_threads(1)
    fitting.SAVE_EVERY_S = 0.0
    with group(rank, size, folder / f"meeting-{stop}"), contextlib.suppress(KeyboardInterrupt):
        weights = trained(folder, Gloo(), seed=rank, stop=stop)
        save_file({f"{i:02d}": weight for i, weight in enumerate(weights)}, folder / f"made-{rank}.safetensors")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
