"""The picture that belongs to a physical state.

A picture that is integrated step by step fades: whatever an increment lacks is lost for good. So the picture of a
dream is painted from the state that is dreamed, which a network of its own keeps true (``recurrent.py``), each time
somebody looks. What things look like where the state does not tell, the colour of a road, is taken from the last real
frame, at whatever time that was: training shows any other frame of the episode, so places come from the state alone.

A network that paints all tokens at once has to see every arrangement of several things to paint it. Here the state
first becomes places, and places become a picture by convolution, so that a thing looks alike wherever it stands (maps
of Gaussians as in Jakab et al., "Unsupervised learning of object landmarks", 2018, section 3.1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videosim.types import LatentLayout

PLACES = 24  # things and parts of things that may be somewhere
FINER = 4  # maps have so many cells on a side of a token's
REACH = 1.2  # places lie in [-REACH, REACH]; the picture ends at -1 and 1
WIDEST, NARROWEST = 0.5, 0.1  # standard deviations of the maps in the beginning, in halves of the picture


class Painter(nn.Module):
    """Standardised latents of a frame from the standardised sensors of that moment. ``channels``: its width."""

    def __init__(self, channels: int, layout: LatentLayout, sensors: int) -> None:
        super().__init__()
        self.layout = layout
        hidden, wide = 128, 4 * channels // 3
        self.state = nn.Sequential(nn.Linear(sensors, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.places = nn.Linear(hidden, 3 * PLACES)
        self.size = nn.Parameter(torch.linspace(NARROWEST, WIDEST, PLACES).log())
        self.maps = nn.Sequential(
            nn.Conv2d(PLACES + 2, channels, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(channels, wide, 4, stride=2, padding=1),
        )  # fmt: skip
        self.looks = nn.Conv2d(layout.width, wide, 3, padding=1)
        self.out = nn.Sequential(
            nn.SiLU(), nn.Conv2d(wide, wide, 3, padding=1), nn.SiLU(), nn.Conv2d(wide, layout.width, 1)
        )
        self.extra = nn.Linear(hidden, layout.extra * layout.width) if layout.extra else None
        across = torch.linspace(-1.0, 1.0, FINER * layout.columns)
        down = torch.linspace(-1.0, 1.0, FINER * layout.rows)
        self.register_buffer("across", across, persistent=False)
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("grid", torch.stack(torch.meshgrid(down, across, indexing="ij")), persistent=False)

    across: Tensor
    down: Tensor
    grid: Tensor

    def forward(self, sensors: Tensor, seen: Tensor) -> Tensor:
        """``(B, N, D)`` from sensors ``(B, S)`` and the latents ``(B, N, D)`` of a real frame of the same episode."""
        hidden = self.state(sensors)
        x, y, strength = self.places(hidden).unflatten(1, (3, PLACES)).unbind(1)
        maps = self._map(self.down, y)[..., :, None] * self._map(self.across, x)[..., None, :]
        maps = maps * torch.sigmoid(strength)[..., None, None]
        painted = self.maps(torch.cat([maps, self.grid.expand(len(maps), -1, -1, -1)], 1))
        cells = self.out(painted + self.looks(self._grid(seen))).flatten(2).transpose(1, 2)
        if self.extra is None:
            return cells
        return torch.cat([cells, self.extra(hidden).unflatten(1, (self.layout.extra, self.layout.width))], 1)

    def _map(self, cells: Tensor, place: Tensor) -> Tensor:
        """``(B, PLACES, cells)``: how near each cell is to each place along one side."""
        off = cells - REACH * torch.tanh(place)[..., None]
        return torch.exp(-0.5 * (off / self.size.exp()[:, None]).square())

    def _grid(self, latents: Tensor) -> Tensor:
        rows, columns = self.layout.rows, self.layout.columns
        return latents[:, : rows * columns].transpose(1, 2).unflatten(2, (rows, columns))
