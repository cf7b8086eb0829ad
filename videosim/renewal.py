"""Parts of a trained model that begin anew, in sizes of their own, while all else of it stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch

from videosim.errors import VideoSimError
from videosim.model_config import DynamicsConfig
from videosim.world_model import WorldModel


@dataclass(frozen=True)
class Part:
    weights: tuple[str, ...]  # how their names begin
    settings: tuple[str, ...]  # of ``model.dynamics`` that decide its sizes


PARTS = {
    "transition": Part(("dynamics.transition.",), ("products", "transition_hidden")),
    "filter": Part(("dynamics.reader.", "dynamics.correction.", "dynamics.filter."), ("filter_hidden",)),
}
# What a memory adds to a transition made up for the faults of the old one, and is nothing beside a new one.
AMENDS = "dynamics.sensor_increment."


def begun_anew(model: WorldModel, parts: Collection[str], sizes: DynamicsConfig) -> WorldModel:
    """``model`` with ``parts`` of it (of ``PARTS``) untrained and as large as ``sizes`` say, all else as it was. Raises
    VideoSimError on an unknown part."""
    for part in parts:
        if part not in PARTS:
            raise VideoSimError(f"anew names {part!r}, and what can begin anew is {' and '.join(PARTS)}")
    chosen = [PARTS[part] for part in parts]
    settings = {name: getattr(sizes, name) for part in chosen for name in part.settings}
    core = replace(model.config.dynamics, **settings)
    renewed = WorldModel(replace(model.config, dynamics=core), model.spec, model.embodiments)
    gone = tuple(name for part in chosen for name in part.weights)
    kept = {name: value for name, value in model.state_dict().items() if not name.startswith(gone)}
    if "transition" in parts:
        kept |= {name: torch.zeros_like(value) for name, value in kept.items() if name.startswith(AMENDS)}
    renewed.load_state_dict(kept, strict=False)
    return renewed
