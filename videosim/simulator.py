"""Batched imagination: n independent dreams advanced by one forward pass. Tensors in, tensors out, no autoreset.

Knows nothing of gymnasium. Rows never touch each other: row i of n equals the single simulator with its seed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from videosim.dynamics import State
from videosim.errors import VideoSimError
from videosim.world_model import StepOut, WorldModel


class Simulator:
    """``rows`` dreams of one model. Call ``reset`` before ``step``."""

    def __init__(self, model: WorldModel, rows: int) -> None:
        if rows < 1:
            raise VideoSimError(f"a simulator needs at least one row; got {rows}")
        self.model = model.eval()
        self.rows = rows
        self.state: State | None = None
        self.rngs = [torch.Generator() for _ in range(rows)]

    @torch.no_grad()
    def reset(self, rows: Sequence[int], seeds: Sequence[int], latents: Tensor, actions: Tensor) -> None:
        """Start ``rows`` anew from context clips: raw latents ``(len(rows), K, N, D)``, actions ``(len(rows), K-1, A)``
        in [-1, 1]. The first reset must name every row."""
        self.place(rows, seeds, self.model.start(latents, actions))

    def place(self, rows: Sequence[int], seeds: Sequence[int], fresh: State) -> None:
        """Start ``rows`` anew from states ``(len(rows), …)`` that have absorbed their clips already."""
        if self.state is None and sorted(rows) != list(range(self.rows)):
            raise VideoSimError("the first reset must name every row")
        if self.state is None:
            self.state = {name: value.new_zeros(self.rows, *value.shape[1:]) for name, value in fresh.items()}
        index = torch.as_tensor(list(rows), device=self.model.device)
        # Copies, not writes in place: a snapshot taken earlier must not change.
        self.state = {name: self.state[name].index_copy(0, index, value) for name, value in fresh.items()}
        for row, seed in zip(rows, seeds, strict=True):
            self.rngs[row] = torch.Generator().manual_seed(int(seed))

    @torch.no_grad()
    def step(self, actions: Tensor) -> StepOut:
        """Advance every row under ``actions`` ``(rows, A)`` in [-1, 1]."""
        self.state, out = self.model.step(self._state(), actions, self.rngs)
        return out

    def _state(self) -> State:
        if self.state is None:
            raise VideoSimError("call reset before step")
        return self.state

    @torch.no_grad()
    def latents(self) -> Tensor:
        """Raw latents ``(rows, N, D)`` of the present frames."""
        return self.model.latents(self._state())

    @torch.no_grad()
    def decode(self, rows: Sequence[int] | None = None) -> Tensor:
        """Present frames of ``rows`` (None: of all), uint8 ``(len(rows), H, W, 3)``. The costly part: ask only when
        somebody looks."""
        latents = self.latents()
        return self.model.decode(latents if rows is None else latents[list(rows)])

    @torch.no_grad()
    def policy_input(self, mode: str) -> Tensor:
        """float32 ``(rows, latent_size)`` or, decoded, ``(rows, S)``; see ``WorldModel.policy_input``."""
        return self.model.policy_input(self._state(), mode)

    @torch.no_grad()
    def sensors(self) -> Tensor:
        """``(rows, S)`` in the sensors' units."""
        return self.model.sensors(self._state())

    def snapshot(self) -> State:
        """Everything that determines the future, as plain tensors (generators included)."""
        state = {name: value.clone() for name, value in self._state().items()}
        return {**state, "rngs": torch.stack([g.get_state() for g in self.rngs])}

    def restore(self, snapshot: State) -> None:
        """Inverse of ``snapshot``, bit for bit.

        Raises VideoSimError when the snapshot has another number of rows.
        """
        state = {name: value.clone() for name, value in snapshot.items()}
        rngs = state.pop("rngs")
        if len(rngs) != self.rows:
            raise VideoSimError(
                f"the snapshot holds {len(rngs)} rows and this simulator {self.rows}; restore it where it was taken"
            )
        self.state = state
        for generator, saved in zip(self.rngs, rngs, strict=True):
            generator.set_state(saved.clone())  # torch 2.13 crashes on a row of a larger tensor

    def branch(self, row: int, count: int) -> Simulator:
        """A new simulator of ``count`` copies of one row, for asking "what if" under different actions."""
        branched = Simulator(self.model, count)
        branched.state = {
            name: value[row].expand(count, *value.shape[1:]).clone() for name, value in self._state().items()
        }
        for generator in branched.rngs:
            generator.set_state(self.rngs[row].get_state())
        return branched
