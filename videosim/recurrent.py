"""The fast core: a recurrent memory that integrates the picture and the physical state side by side.

Deterministic, one pass a step, a state of constant size. Each step predicts *increments*: of the latents and of the
sensors. A real frame corrects the prediction (predict-correct, as in a Kalman filter, with learned maps). Training
shows a log-uniform number of real frames, from one to the whole window, then lets the picture run on its own output to
the end of it, with gradients through the whole run: one-step losses leave an under-integrated action (a full-force step
moves the cart a tenth of a pixel).

Where a log has sensors they are learned from the truth outwards. A network of their own moves them on
(``transition``); the filter is taught by its own errors; and picture and outcome are taught beside the true state, so
that in a dream they show the state that is dreamed. Beside sensors that a log lacks they are taught beside what is
believed of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from videosim.dynamics import Dynamics, DynamicsLoss, State
from videosim.layers import linear, network, small
from videosim.missing import as_input, filled
from videosim.model_config import RecurrentConfig
from videosim.transition import Transition, huber, mean, off_by

NEAR = 1e-3, 0.05  # standard deviations, log-uniform, of how far off the states are that pictures are taught beside

# Deviations: a larger error of a belief counts by its size. By squares a filter learns where a ball behind the screen
# might be, and not where the one in front of it is.
FINE = 0.02


class RecurrentDynamics(Dynamics):
    transition: Transition

    def __init__(self, config: RecurrentConfig, tokens: int, width: int, action_width: int, sensors: int) -> None:
        super().__init__(sensors)
        self.config = config
        self.tokens, self.width = tokens, width
        size, memory, hidden = tokens * width, config.memory, config.hidden
        self.feature_size = memory + size + sensors
        self.transition = Transition(sensors, action_width, config.transition_hidden or hidden, config.products)
        self.inputs = nn.Sequential(
            nn.Linear(2 * size + sensors + action_width, hidden), nn.LayerNorm(hidden), nn.SiLU()
        )
        self.cell = nn.GRUCell(hidden, memory)
        self.norm = nn.LayerNorm(memory)
        self.trunk = nn.Sequential(
            nn.Linear(memory + hidden + 2 * sensors, hidden), nn.LayerNorm(hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(),
        )  # fmt: skip
        self.latent_increment = small(nn.Linear(hidden, size))
        self.sensor_increment = small(linear(memory, sensors))
        reading = config.filter_hidden or hidden
        self.reader = network(2 * size, reading, linear(reading, sensors))
        gain = small(linear(reading, sensors * (sensors + 1)))
        self.correction = network(memory + 2 * sensors + size, reading, gain)

    def _correct(self, memory: Tensor, sensors: Tensor, before: Tensor, seen: Tensor, expected: Tensor) -> Tensor:
        """The belief ``sensors`` after a frame: a gain on what two frames read differently, and a learned remainder.

        The gain is a matrix, as Kalman's: where a pole is seen ahead of its place it also turns faster than believed.
        """
        count = sensors.shape[-1]
        surprise = self.reader(torch.cat([before, seen], -1)) - sensors
        known = torch.cat([self.norm(memory), sensors, surprise, seen - expected], -1)
        gain, remainder = self.correction(known).split([count * count, count], -1)
        mixed = (gain.reshape(len(sensors), count, count) @ surprise[..., None])[..., 0]
        return self.bounded(sensors + 0.5 * surprise + mixed + remainder)

    def start(self, latents: Tensor, actions: Tensor) -> State:
        first = latents[:, 0].flatten(1)
        memory = first.new_zeros(len(first), self.config.memory)
        still = self.reader(torch.cat([first, first], -1))
        sensors = self._correct(memory, still, first, first, first)
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
        shown = sensors.detach()  # the picture follows the physical state and does not bend it
        x = self.inputs(torch.cat([z, z - before, shown, action], -1))
        memory = self.cell(x, state["memory"])
        remembered = self.norm(memory)
        increment = self.transition(sensors, action) + self.sensor_increment(remembered)
        h = self.trunk(torch.cat([remembered, x, shown, increment.detach()], -1))
        return {
            "memory": memory,
            "latents": z + self.latent_increment(h),
            "previous": z,
            "sensors": self.bounded(sensors + self.sensor_step * increment),
            "age": state["age"] + 1.0,
        }

    def _absorb(self, ahead: State, latents: Tensor) -> State:
        """What was expected, ``ahead``, once the frame ``(B, N, D)`` is there."""
        seen = latents.flatten(1)
        sensors = self._correct(ahead["memory"], ahead["sensors"], ahead["previous"], seen, ahead["latents"])
        return {**ahead, "latents": seen, "sensors": sensors, "age": torch.zeros_like(ahead["age"])}

    def observe(self, state: State, action: Tensor, latents: Tensor) -> State:
        return self._absorb(self._advance(state, action), latents)

    def step(self, state: State, action: Tensor, rngs: Sequence[torch.Generator] | None = None) -> tuple[State, Tensor]:
        ahead = self._advance(state, action)
        return ahead, self.latents(ahead)

    def features(self, state: State) -> Tensor:
        return torch.cat([self.norm(state["memory"]), state["latents"], state["sensors"]], -1)

    def sensors(self, state: State) -> Tensor:
        return state["sensors"]

    def latents(self, state: State) -> Tensor:
        return state["latents"].unflatten(1, (self.tokens, self.width))

    def believers(self) -> list[nn.Module]:
        return [self.reader, self.correction]

    def belief_loss(self, latents: Tensor, actions: Tensor, sensors: Tensor, valid: Tensor) -> Tensor:
        state = self.start(latents[:, :1], actions[:, :0])
        believed = [huber(state["sensors"] - filled(sensors[:, 0], state["sensors"]), FINE)]
        for t in range(actions.shape[1]):
            with torch.no_grad():  # what went before is as it is: gradients of a long run through chaos are noise
                ahead = self._advance(state, actions[:, t])
            state = self._absorb(ahead, latents[:, t + 1])
            believed.append(huber(state["sensors"] - filled(sensors[:, t + 1], state["sensors"]), FINE))
        exists = torch.cat([valid[:, :1], valid], 1)
        return mean(believed, exists) + self._reading_error(latents, sensors, exists, FINE)

    def _reading_error(self, latents: Tensor, sensors: Tensor, exists: Tensor, bend: float) -> Tensor:
        """Mean error of what every pair of frames reads, without an unroll; ``exists`` ``(B, T+1)``."""
        before = torch.cat([latents[:, :1], latents[:, :-1]], 1)
        read = self.reader(torch.cat([before.flatten(2), latents.flatten(2)], -1))
        return (huber(read - filled(sensors, read), bend) * exists).sum() / exists.sum()

    def loss(
        self,
        latents: Tensor,
        actions: Tensor,
        sensors: Tensor,
        valid: Tensor,
        rng: torch.Generator,
    ) -> DynamicsLoss:
        c = self.config
        steps = actions.shape[1]
        # Log-uniform from one frame to the whole window: a policy in physics filters for hundreds of frames, a dream
        # may start from a single one, and both must be met in training.
        context = int(torch.rand((), generator=rng).mul(math.log(steps + 1)).exp())
        seen = latents + c.input_noise * torch.randn(latents.shape, generator=rng)
        known, _ = off_by(NEAR, sensors, rng)
        state = self.start(seen[:, :1], actions[:, :0])
        states = [state]
        latent_error, believed = [], [huber(state["sensors"] - filled(sensors[:, 0], state["sensors"]))]
        for t in range(steps):
            if t + 1 < context:
                # The prediction is scored before the frame corrects it: the one-step loss keeps the filter sharp.
                ahead = self._advance(state, actions[:, t])
                state = self._absorb(ahead, seen[:, t + 1])
                believed.append(huber(state["sensors"] - filled(sensors[:, t + 1], state["sensors"])))
            else:
                beside = {**state, "sensors": filled(known[:, t], state["sensors"])}
                ahead = state = self._advance(beside, actions[:, t])
            latent_error.append((ahead["latents"] - latents[:, t + 1].flatten(1)).square().mean(-1))
            states.append(state)

        late = (torch.arange(steps) + 1 - context).clamp(min=0)
        latent_term = mean(latent_error, valid * c.discount**late)
        total, terms = latent_term, {"latents": latent_term}
        if sensors.shape[-1]:
            filter_term = mean(believed, torch.cat([valid[:, :1], valid], 1)[:, : len(believed)])
            # What the transition leaves over where nothing is hidden is nothing: the memory must not make it up.
            with torch.no_grad():
                moved = (sensors[:, 1:] - sensors[:, :-1]) / self.sensor_step
                left = moved - self.transition(as_input(sensors[:, :-1]), actions)
            remembered = self.norm(torch.stack([s["memory"] for s in states[1:]], 1))
            made = self.sensor_increment(remembered)
            moved_term = (huber(made - filled(left, made)) * valid).sum() / valid.sum()
            # Every pair of frames teaches the reader: the filter stands on it from the start.
            exists = torch.cat([valid[:, :1], valid], 1)
            reading_term = self._reading_error(seen, sensors, exists, 1.0)
            total = total + c.state_weight * (filter_term + reading_term) + moved_term
            terms |= {"filter": filter_term, "reading": reading_term, "moved": moved_term}
        return DynamicsLoss(
            total=total,
            terms={name: term.detach() for name, term in terms.items()},
            features=torch.stack([self.features(s) for s in states], 1),
            dreamt=self._dreamt(seen, actions, context),
        )
