"""The fast core: a recurrent memory that integrates the picture and the physical state side by side.

Deterministic, one pass a step, a state of constant size. Each step predicts *increments*: of the latents and of the
sensors. Where a log has sensors they are most of the state, so a network of their own moves them on; it learns from
every recorded transition, without an unroll, and the picture follows the state it predicts. A real frame corrects the
prediction (predict-correct, as in a Kalman filter, with learned maps). Training shows a log-uniform number of real
frames, from one to the whole window, then lets the model run on its own output to the end of it, with gradients through
the whole run: one-step losses leave an under-integrated action (a full-force step moves the cart a tenth of a pixel).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videosim.config import RecurrentConfig
from videosim.dynamics import Dynamics, DynamicsLoss, State

RUN = 5  # steps of the short runs that teach how the physical state moves
STATE_NOISE = 0.01  # standard deviation added to the states where those begin


def _network(inputs: int, hidden: int, last: nn.Linear) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


def _small(layer: nn.Linear) -> nn.Linear:
    """Start near zero increments: an untrained model stands still."""
    nn.init.normal_(layer.weight, std=1e-3)
    nn.init.zeros_(layer.bias)
    return layer


class RecurrentDynamics(Dynamics):
    def __init__(self, config: RecurrentConfig, tokens: int, width: int, action_width: int, sensors: int) -> None:
        super().__init__(sensors)
        self.config = config
        self.tokens, self.width = tokens, width
        size, memory, hidden = tokens * width, config.memory, config.hidden
        self.feature_size = memory + size + sensors
        self.transition = _network(sensors + action_width, hidden, nn.Linear(hidden, sensors))
        self.inputs = nn.Sequential(
            nn.Linear(2 * size + sensors + action_width, hidden), nn.LayerNorm(hidden), nn.SiLU()
        )
        self.cell = nn.GRUCell(hidden, memory)
        self.norm = nn.LayerNorm(memory)
        self.trunk = nn.Sequential(
            nn.Linear(memory + hidden + 2 * sensors, hidden), nn.LayerNorm(hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(),
        )  # fmt: skip
        self.latent_increment = _small(nn.Linear(hidden, size))
        self.sensor_increment = _small(nn.Linear(memory, sensors))
        self.reader = _network(2 * size, hidden, nn.Linear(hidden, sensors))
        self.correction = _network(memory + 2 * sensors + size, hidden, _small(nn.Linear(hidden, 2 * sensors)))

    def _move(self, sensors: Tensor, action: Tensor) -> Tensor:
        """Increment of the physical state under ``action``, in units of a typical step."""
        return self.transition(torch.cat([sensors, action], -1))

    def _correct(self, memory: Tensor, sensors: Tensor, before: Tensor, seen: Tensor, expected: Tensor) -> Tensor:
        """The belief ``sensors`` after a frame: a gain on what two frames read differently, and a learned remainder."""
        surprise = self.reader(torch.cat([before, seen], -1)) - sensors
        known = torch.cat([self.norm(memory), sensors, surprise, seen - expected], -1)
        gain, remainder = self.correction(known).chunk(2, -1)
        return sensors + torch.sigmoid(gain) * surprise + remainder

    def start(self, latents: Tensor, actions: Tensor) -> State:
        first = latents[:, 0].flatten(1)
        memory = first.new_zeros(len(first), self.config.memory)
        blank = first.new_zeros(len(first), len(self.sensor_step))
        sensors = self._correct(memory, blank, first, first, first)
        state = {
            "memory": memory,
            "latents": first,
            "previous": first,
            "sensors": sensors,
            "age": first.new_zeros(len(first)),
        }
        for k in range(actions.shape[1]):
            state = self.observe(state, actions[:, k], latents[:, k + 1])
        return state

    def _advance(self, state: State, action: Tensor) -> State:
        z, before, sensors = state["latents"], state["previous"], state["sensors"]
        x = self.inputs(torch.cat([z, z - before, sensors, action], -1))
        memory = self.cell(x, state["memory"])
        remembered = self.norm(memory)
        increment = self.sensor_step * (self._move(sensors, action) + self.sensor_increment(remembered))
        h = self.trunk(torch.cat([remembered, x, sensors, increment / self.sensor_step], -1))
        return {
            "memory": memory,
            "latents": z + self.latent_increment(h),
            "previous": z,
            "sensors": sensors + increment,
            "age": state["age"] + 1.0,
        }

    def observe(self, state: State, action: Tensor, latents: Tensor) -> State:
        ahead = self._advance(state, action)
        seen = latents.flatten(1)
        sensors = self._correct(ahead["memory"], ahead["sensors"], state["latents"], seen, ahead["latents"])
        return {**ahead, "latents": seen, "sensors": sensors, "age": torch.zeros_like(ahead["age"])}

    def step(self, state: State, action: Tensor, rngs: Sequence[torch.Generator] | None = None) -> tuple[State, Tensor]:
        ahead = self._advance(state, action)
        return ahead, self.latents(ahead)

    def features(self, state: State) -> Tensor:
        return torch.cat([self.norm(state["memory"]), state["latents"], state["sensors"]], -1)

    def sensors(self, state: State) -> Tensor:
        return state["sensors"]

    def latents(self, state: State) -> Tensor:
        return state["latents"].unflatten(1, (self.tokens, self.width))

    def _transition_error(self, sensors: Tensor, actions: Tensor, valid: Tensor, rng: torch.Generator) -> Tensor:
        """Error of runs of ``RUN`` steps from true states slightly off, side by side through the whole window."""
        run = min(RUN, actions.shape[1])
        end = actions.shape[1] // run * run
        state = sensors[:, :end:run]
        state = state + STATE_NOISE * torch.randn(state.shape, generator=rng)
        error, count = state.new_zeros(()), state.new_zeros(())
        for k in range(run):
            state = state + self.sensor_step * self._move(state, actions[:, k:end:run])
            off = (state - sensors[:, k + 1 : end + 1 : run]) / self.sensor_step
            exists = valid[:, k:end:run]
            # Huber, because a collision moves a state many times further than a typical step.
            error = error + (F.huber_loss(off, torch.zeros_like(off), reduction="none").mean(-1) * exists).sum()
            count = count + exists.sum()
        return error / count

    def loss(
        self, latents: Tensor, actions: Tensor, sensors: Tensor, valid: Tensor, rng: torch.Generator
    ) -> DynamicsLoss:
        c = self.config
        steps = actions.shape[1]
        # Log-uniform from one frame to the whole window: a policy in physics filters for hundreds of frames, a dream
        # may start from a single one, and both must be met in training.
        context = int(torch.rand((), generator=rng).mul(math.log(steps + 1)).exp())
        noise = c.input_noise * torch.randn(latents.shape, generator=rng)
        seen = latents + noise
        # The gradients of a long run are mostly noise to the network that moves the state; short runs teach it.
        self.transition.requires_grad_(False)
        state = self.start(seen[:, :1], actions[:, :0])
        states = [state]
        latent_error, sensor_error, weights = [], [(state["sensors"] - sensors[:, 0]).square().mean(-1)], [0.3]
        for t in range(steps):
            if t + 1 < context:
                # The prediction is scored before the frame corrects it: the one-step loss keeps the filter sharp.
                ahead = self._advance(state, actions[:, t])
                state = self.observe(state, actions[:, t], seen[:, t + 1])
                weight = 1.0
            else:
                ahead, _ = self.step(state, actions[:, t])
                state = ahead
                weight = c.discount ** (t + 1 - context)
            target = latents[:, t + 1].flatten(1)
            latent_error.append((ahead["latents"] - target).square().mean(-1))
            error = (state["sensors"] - sensors[:, t + 1]).square()
            sensor_error.append(error.mean(-1))
            weights.append(weight)
            states.append(state)
        self.transition.requires_grad_(True)
        mask = torch.cat([valid[:, :1], valid], 1).float() * torch.tensor(weights)
        latent_term = (torch.stack(latent_error, 1) * mask[:, 1:]).sum() / mask[:, 1:].sum()
        sensor_term = (torch.stack(sensor_error, 1) * mask).sum() / mask.sum()
        total, terms = latent_term, {"latents": latent_term}
        if sensors.shape[-1]:
            # Every pair of frames teaches the reader, without an unroll: the filter stands on it from the start.
            pairs = torch.cat([seen[:, :-1].flatten(2), seen[:, 1:].flatten(2)], -1)
            reading_error = (self.reader(pairs) - sensors[:, 1:]).square().mean(-1)
            reading_term = (reading_error * valid).sum() / valid.sum()
            transition_term = self._transition_error(sensors, actions, valid, rng)
            total = total + c.state_weight * sensor_term + reading_term + transition_term
            terms |= {"sensors": sensor_term, "reading": reading_term, "transition": transition_term}
        return DynamicsLoss(
            total=total,
            terms={name: term.detach() for name, term in terms.items()},
            features=torch.stack([self.features(s) for s in states], 1),
            sensors=torch.stack([s["sensors"] for s in states], 1),
            age=torch.stack([s["age"] for s in states], 1),
        )
