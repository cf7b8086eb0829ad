"""What every dynamics core promises. Envs, agents and the simulator see this interface and nothing of the kind behind
it.

A state is a dict of plain tensors with the batch first: copy it to branch, index it to reset rows, stack it to batch. A
cached step equals the uncached forward pass. Samplers take one generator per row; a deterministic core ignores them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from videosim.errors import VideoSimError
from videosim.filter import Filter
from videosim.model_config import DynamicsConfig, FlowConfig, MaskedConfig, RecurrentConfig
from videosim.painter import Painter
from videosim.transition import Transition
from videosim.types import LatentLayout

State = dict[str, Tensor]
Telling = Callable[[int, torch.Generator], list[str]]  # of every clip of a batch, what its first so many frames show

DREAMT = 4  # one row in so many is dreamed in earnest, for the heads to learn how far a dream strays


@dataclass
class Dreamt:
    """The first ``b`` rows of a batch as they would be used: some frames absorbed, the others imagined, no gradients.

    features ``(b, T+1, F)``, sensors ``(b, T+1, S)`` standardised, latents ``(b, T+1, N*D)``, age ``(b, T+1)`` imagined
    steps since the last real frame.
    """

    features: Tensor
    sensors: Tensor
    latents: Tensor
    age: Tensor


@dataclass
class DynamicsLoss:
    """What one training pass gives: the loss, its parts, and what the heads learn from.

    features ``(B, T+1, F)`` teach reward and termination and must belong to what really happened; ``dreamt`` teaches
    how far the model strays.
    """

    total: Tensor
    terms: dict[str, Tensor]
    features: Tensor
    dreamt: Dreamt


class Dynamics(nn.Module, ABC):
    """``latents`` are float32 ``(B, N, D)`` with unit scale; ``action`` is an action token ``(B, W)``.

    Set from the data before training, all ``(S,)`` and standardised: ``sensor_step``, how far a sensor moves in a step
    (standard deviation), and ``sensor_low`` / ``sensor_high``, between which the data are but for rare moments: no
    belief leaves this box, so an error cannot grow without bound.

    ``transition``: the part, if a core has one, that moves the physical state on without a look at the picture; it is
    trained first, by ``transition_loss``. ``filter``: the part, if a core has one of its own, that reads that state off
    frames. ``guess``: the part, if a core has one, that paints a frame from the physical
    state for the core to begin with. ``course``: the part, if a core has one, that makes the physical states of a whole
    clip. All of them must stay as they are while ``loss`` trains the rest. ``text``: the part, if
    a core has one, that reads a text about a whole clip. ``clips``: how many lessons about whole clips, ``clip_loss``,
    it wants for one of ``loss``; 0: it makes none.
    """

    feature_size: int
    sensor_step: Tensor
    sensor_low: Tensor
    sensor_high: Tensor
    transition: Transition | None
    filter: Filter | None
    guess: Painter | None
    course: nn.Module | None
    text: nn.Module | None
    clips: float

    def __init__(self, sensors: int) -> None:
        super().__init__()
        self.transition = None
        self.filter = None
        self.guess = None
        self.course = None
        self.text = None
        self.clips = 0.0
        self.register_buffer("sensor_step", torch.ones(sensors))
        self.register_buffer("sensor_low", torch.full((sensors,), -1e4))
        self.register_buffer("sensor_high", torch.full((sensors,), 1e4))

    @abstractmethod
    def start(self, latents: Tensor, actions: Tensor) -> State:
        """Absorb K context frames ``(B, K, N, D)`` and the K-1 action tokens ``(B, K-1, W)`` between them, K >= 1."""

    @abstractmethod
    def observe(self, state: State, action: Tensor, latents: Tensor) -> State:
        """Absorb one real frame that followed ``action``."""

    @abstractmethod
    def step(self, state: State, action: Tensor, rngs: Sequence[torch.Generator] | None = None) -> tuple[State, Tensor]:
        """Imagine one frame; returns the next state and its latents ``(B, N, D)``."""

    @abstractmethod
    def features(self, state: State) -> Tensor:
        """``(B, feature_size)``: what heads and policies read."""

    @abstractmethod
    def sensors(self, state: State) -> Tensor:
        """``(B, S)`` standardised physical state, predicted in the same step as the picture."""

    @abstractmethod
    def latents(self, state: State) -> Tensor:
        """``(B, N, D)`` of the state's newest frame, absorbed or imagined."""

    @abstractmethod
    def loss(
        self,
        latents: Tensor,
        actions: Tensor,
        sensors: Tensor,
        valid: Tensor,
        rng: torch.Generator,
    ) -> DynamicsLoss:
        """latents ``(B, T+1, N, D)``, action tokens ``(B, T, W)``, sensors ``(B, T+1, S)`` standardised and NaN where
        they are not known, valid bool ``(B, T)``: False where the transition does not exist."""

    def bounded(self, sensors: Tensor) -> Tensor:
        """``sensors`` ``(…, S)`` in the box where the data are."""
        return sensors.clamp(self.sensor_low, self.sensor_high)

    def moved(self, sensors: Tensor, action: Tensor) -> Tensor:
        """Where ``transition`` takes the sensors ``(B, S)`` in one step."""
        assert self.transition is not None
        sensors = self.bounded(sensors)
        return self.bounded(sensors + self.sensor_step * self.transition(sensors, action))

    @torch.no_grad()
    def _dreamt(self, latents: Tensor, actions: Tensor, context: int) -> Dreamt:
        """One row in DREAMT of a batch, as for ``loss``: ``context`` frames, and then nothing but the model itself."""
        rows = max(1, len(latents) // DREAMT)
        latents, actions = latents[:rows], actions[:rows]
        state = self.start(latents[:, :1], actions[:, :0])
        states = [state]
        for t in range(actions.shape[1]):
            if t + 1 < context:
                state = self.observe(state, actions[:, t], latents[:, t + 1])
            else:
                state, _ = self.step(state, actions[:, t])
            states.append(state)
        return Dreamt(
            features=torch.stack([self.features(s) for s in states], 1),
            sensors=torch.stack([self.sensors(s) for s in states], 1),
            latents=torch.stack([self.latents(s).flatten(1) for s in states], 1),
            age=torch.stack([s["age"] for s in states], 1),
        )

    def transition_loss(self, sensors: Tensor, actions: Tensor, weight: Tensor, rng: torch.Generator) -> Tensor:
        """What trains ``transition``; ``weight`` ``(B, T)``: how much each step counts. The rest as in ``loss``."""
        assert self.transition is not None
        return self.transition.loss(sensors, actions, self.sensor_step, weight, rng)

    def believers(self) -> list[nn.Module]:
        """The parts that make beliefs of frames, where ``loss`` trains them beside others; ``belief_loss`` trains them
        once more when all else is as it stays. None of them: no such parts."""
        return []

    def belief_loss(self, latents: Tensor, actions: Tensor, sensors: Tensor, valid: Tensor) -> Tensor:
        """Mean error of what is believed along windows, as for ``loss``; for ``believers``."""
        raise NotImplementedError(f"{type(self).__name__} has no parts that make beliefs beside others")

    def clip_loss(
        self,
        latents: Tensor,
        actions: Tensor,
        sensors: Tensor,
        valid: Tensor,
        rng: torch.Generator,
        telling: Telling | None = None,
    ) -> Tensor:
        """What trains the making of whole clips, from windows as in ``loss``; ``telling`` says what they show, to a
        core that reads text; None: nothing is said."""
        raise NotImplementedError(f"{type(self).__name__} makes no whole clips")


def build_dynamics(config: DynamicsConfig, layout: LatentLayout, action_width: int, sensors: int) -> Dynamics:
    """The core that ``config.kind`` names, for latents of that ``layout``: the only place that knows the kinds.

    Raises VideoSimError on an unknown kind, and where settings and latents do not fit each other.
    """
    if isinstance(config, RecurrentConfig):
        from videosim.recurrent import RecurrentDynamics

        return RecurrentDynamics(config, layout.tokens, layout.width, action_width, sensors)
    if isinstance(config, (FlowConfig, MaskedConfig)):
        from videosim.flow import FlowPath
        from videosim.masked import MaskedPath
        from videosim.paths import Path
        from videosim.spacetime import SpaceTimeDynamics

        path: Path
        if isinstance(config, FlowConfig):
            path = FlowPath(config, layout.width)
        else:
            path = MaskedPath(config, layout.width, layout.levels)
        return SpaceTimeDynamics(config, layout, action_width, sensors, path)
    raise VideoSimError(f"unknown dynamics kind {config.kind!r}; known: recurrent, flow, masked")
