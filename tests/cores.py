"""Small untrained cores of every kind, and clips that suit them all."""

from __future__ import annotations

import torch

from videosim.dynamics import Dynamics, build_dynamics
from videosim.model_config import DynamicsConfig, FlowConfig, MaskedConfig, RecurrentConfig
from videosim.types import LatentLayout

ACTION, SENSORS, LEVELS = 5, 2, 5
LAYOUT = LatentLayout(rows=2, columns=2, extra=1, width=3, levels=LEVELS)
SMALL = {"width": 12, "layers": 2, "heads": 2, "past": 4, "time_every": 1, "input_noise": 0.0}
CONFIGS: dict[str, DynamicsConfig] = {
    "recurrent": RecurrentConfig(memory=8, hidden=16, input_noise=0.0),
    "flow": FlowConfig(**SMALL, steps=2),
    "masked": MaskedConfig(**SMALL, steps=3, patch=1, temperature=1.0),
    "windows": FlowConfig(**SMALL, steps=2, patch=1, attention="windows", span=2),
}
KINDS = tuple(name for name, config in CONFIGS.items() if config.kind == name)  # the others are variants


def untrained(kind: str, sensors: int = SENSORS, **changed: object) -> Dynamics:
    """A core of that kind which does not stand still: that would hide every fault."""
    torch.manual_seed(0)
    config = type(CONFIGS[kind])(**{**vars(CONFIGS[kind]), **changed})
    core = build_dynamics(config, LAYOUT, ACTION, sensors).eval()
    awaken(core, 0.3 if kind == "recurrent" else 0.1)
    return core


@torch.no_grad()
def awaken(core: Dynamics, std: float) -> None:
    """Give weights to the layers that begin at nothing."""
    for name, weight in core.named_parameters():
        starts_small = ("latent_increment", "sensor_increment", "correction.4", "patches.out", "patches.extra_out")
        if name.startswith(starts_small) and name.endswith("weight"):
            weight.normal_(std=std)
        if name == "course.out.weight":  # its answers are deviations of states
            weight.normal_(std=0.1)
        if name in ("no_action", "action.weight"):
            weight.normal_()


def clip_of(rows: int = 3, steps: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents ``(rows, steps+1, N, D)`` that are codes, and action tokens ``(rows, steps, W)``."""
    generator = torch.Generator().manual_seed(1)
    index = torch.randint(LEVELS, (rows, steps + 1, LAYOUT.tokens, LAYOUT.width), generator=generator)
    return index * (2.0 / (LEVELS - 1)) - 1.0, torch.randn(rows, steps, ACTION, generator=generator)


def unfelt(latents: torch.Tensor) -> torch.Tensor:
    """Sensors ``(rows, frames, S)`` of such clips, none of which is known."""
    return torch.full((*latents.shape[:2], SENSORS), torch.nan)
