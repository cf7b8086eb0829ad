"""The same policy input in both worlds. In imagination the model's own belief; in physics the model filters real
frames; and, as a reference that no camera gives, the true state.

Every input is scaled once, by the model's own scales, so that a policy can move between worlds without noticing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from videosim.dynamics import State
from videosim.envs.pool import PoolStep
from videosim.errors import VideoSimError
from videosim.world_model import WorldModel


def scaled(model: WorldModel, values: Tensor, mode: str) -> Tensor:
    """Policy input of ``mode`` to about zero mean and unit variance, clipped at 10."""
    if mode == "state":
        values = (values - model.sensor_mean) / model.sensor_std
    return values.clamp(-10.0, 10.0)


def first_belief(model: WorldModel, frames: Tensor) -> State:
    """What ``model`` holds of the first frames, uint8 ``(n, H, W, 3)``, of as many episodes."""
    latents = model.encode(frames)[:, None]
    return model.start(latents, latents.new_zeros(len(frames), 0, model.spec.action.size))


class Observer(ABC):
    """Turns what a row of physics shows into the policy's input, row by row through time."""

    size: int
    needs_frames: bool

    @abstractmethod
    def begin(self, step: PoolStep) -> np.ndarray:
        """First observation of every row: float32 ``(n, size)``."""

    @abstractmethod
    def after(self, actions: np.ndarray, step: PoolStep) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """Observation after ``actions`` ``(n, A)`` (world units), and for each row that ended the last one of the old
        episode."""


class Filter(Observer):
    """The model absorbs each real frame and action; the policy reads the model's belief."""

    needs_frames = True

    def __init__(self, model: WorldModel, mode: str) -> None:
        self.model, self.mode = model, mode
        self.size = model.latent_size if mode == "latent" else model.spec.sensors.size

    def _read(self, state: State) -> np.ndarray:
        return scaled(self.model, self.model.policy_input(state, self.mode), self.mode).numpy()

    @torch.no_grad()
    def begin(self, step: PoolStep) -> np.ndarray:
        if step.frames is None:
            raise VideoSimError("the filter needs rendered frames; make the pool with render=True")
        self.state = first_belief(self.model, torch.as_tensor(step.frames))
        return self._read(self.state)

    @torch.no_grad()
    def after(self, actions: np.ndarray, step: PoolStep) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        assert step.frames is not None
        frames = step.frames
        if step.final:
            frames = frames.copy()
            for row, (picture, _) in step.final.items():
                frames[row] = picture
        action = torch.as_tensor(self.model.spec.action.normalise(actions))
        self.state = self.model.observe(self.state, action, self.model.encode(torch.as_tensor(frames)))
        observations = self._read(self.state)
        last = {row: observations[row].copy() for row in step.final}
        if step.final:
            rows = sorted(step.final)
            fresh = first_belief(self.model, torch.as_tensor(step.frames[rows]))
            index = torch.as_tensor(rows)
            self.state = {name: value.index_copy(0, index, fresh[name]) for name, value in self.state.items()}
            observations[rows] = self._read(fresh)
        return observations, last


class TrueState(Observer):
    """The simulator's own sensors: what a policy could do if it saw the state."""

    needs_frames = False

    def __init__(self, model: WorldModel) -> None:
        self.model = model
        self.size = model.spec.sensors.size

    def _read(self, sensors: np.ndarray) -> np.ndarray:
        return scaled(self.model, torch.as_tensor(sensors), "state").numpy()

    def begin(self, step: PoolStep) -> np.ndarray:
        return self._read(step.sensors)

    def after(self, actions: np.ndarray, step: PoolStep) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        return self._read(step.sensors), {row: self._read(sensors) for row, (_, sensors) in step.final.items()}
