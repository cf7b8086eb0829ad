"""The generative core: a transformer over spacetime patches that makes the next frame in a few passes.

One algorithm for every kind; what differs, the source, the loss, the solver and what the network answers, is its
``Path``. A frame that is absorbed, real or imagined, passes once, clean, and leaves its keys and values in a ring of
the last ``past`` frames: all that later frames see of it, and of the action that led to it. The next frame is asked for
with those as its past. Training asks for every frame of a window at once, each beside the clean frames before it, which
is what a step sees.

What there is to know of the physical state is read off a register token of the clean frame; reward and termination read
the same features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videosim.dynamics import Dreamt, Dynamics, DynamicsLoss, State
from videosim.errors import VideoSimError
from videosim.layers import linear, network
from videosim.model_config import SpaceTimeConfig
from videosim.patches import Patches
from videosim.paths import Path, Predict
from videosim.transformer import Past, SpaceTimeTransformer, causal
from videosim.types import LatentLayout

DREAMT = 4  # one row in so many is dreamed in earnest, for the heads to learn how far a dream strays


class SpaceTimeDynamics(Dynamics):
    def __init__(
        self, config: SpaceTimeConfig, layout: LatentLayout, action_width: int, sensors: int, path: Path
    ) -> None:
        super().__init__(sensors)
        if min(config.past, config.steps, config.registers) < 1:
            raise VideoSimError("model.dynamics.past, steps and registers are whole numbers from 1")
        self.config, self.layout, self.path = config, layout, path
        width = config.width
        self.feature_size = width + layout.tokens * layout.width + sensors
        self.patches = Patches(layout, config.patch, width, path.outputs)
        self.registers = nn.Parameter(0.02 * torch.randn(config.registers, width))
        self.size = nn.Embedding(path.sizes, width)
        self.action = nn.Linear(action_width, width)
        self.no_action = nn.Parameter(torch.zeros(width))  # before the first frame, and where a condition is dropped
        self.transformer = SpaceTimeTransformer(width, config.layers, config.heads, config.time_every)
        self.reader = network(width + layout.tokens * layout.width, width, linear(width, sensors))

    # --- one pass ----------------------------------------------------------------------------------------------------

    def _run(
        self, latents: Tensor, level: Tensor, size: Tensor, before: Tensor, led: Tensor, time: Tensor,
        mask: Tensor | None, past: Past | None,
    ) -> tuple[Tensor, Past]:  # fmt: skip
        """Frames ``(B, T, N, D)`` of a ``level`` ``(B, T, N)`` at ``time`` ``(B or 1, T)``, to which the embedded
        actions ``led`` ``(B, T, width)`` have led from ``before``: tokens, the summary first, and what they leave."""
        registers = self.registers + self.size(size)[..., None, :]
        grid = self.patches.embed(latents, level, before)
        tokens = torch.cat([registers, led[..., None, :], grid], -2)
        cells = self.patches.cells
        around = tokens.shape[2] - len(cells)
        middle = cells.mean(0, keepdim=True).expand(around, 2)
        where = torch.cat([middle, cells]).expand(*time.shape, -1, 2)
        places = torch.cat([time[..., None, None].expand(*where.shape[:-1], 1), where], -1)
        return self.transformer(tokens, places, mask, past)

    def _read(self, tokens: Tensor) -> Tensor:
        return self.patches.read(tokens[:, :, -self.patches.count :])

    def _predict(self, before: Tensor, led: Tensor, time: Tensor, mask: Tensor, past: Past) -> Predict:
        """What lies at the end of the path, given a clean past."""
        unmoved = self.path.unmoved(before) * (time > 0)[..., None, None]  # nothing is before the first frame

        def predict(latents: Tensor, level: Tensor, size: Tensor, rows: Tensor | None = None) -> Tensor:
            if rows is None:
                return unmoved + self._read(self._run(latents, level, size, before, led, time, mask, past)[0])
            known = past[0][rows], past[1][rows]
            tokens, _ = self._run(latents, level, size, before[rows], led[rows], time, mask, known)
            return unmoved[rows] + self._read(tokens)

        return predict

    def _guided(self, before: Tensor, led: Tensor, time: Tensor, mask: Tensor, past: Past) -> Predict:
        """As ``_predict``, moved away from what it would be without the action (classifier-free guidance, Ho &
        Salimans 2022, eq. 6)."""
        told = self._predict(before, led, time, mask, past)
        if not self.config.guidance:
            return told
        untold = self._predict(before, self.no_action.expand_as(led), time, mask, past)

        def predict(latents: Tensor, level: Tensor, size: Tensor, rows: Tensor | None = None) -> Tensor:
            without, towards = untold(latents, level, size, rows), told(latents, level, size, rows)
            return torch.lerp(without, towards, 1.0 + self.config.guidance)

        return predict

    # --- the filter and the dream ------------------------------------------------------------------------------------

    def start(self, latents: Tensor, actions: Tensor) -> State:
        rows, device = len(latents), latents.device
        tokens = self.config.registers + 1 + self.patches.count
        kept = rows, self.transformer.timed, self.config.past, tokens, self.config.width
        state = {
            "keys": torch.zeros(kept, device=device),
            "values": torch.zeros(kept, device=device),
            "frames": torch.zeros(rows, dtype=torch.int64, device=device),
            "latents": torch.zeros_like(latents[:, 0]),
        }
        state = self._absorb(state, self.no_action.expand(rows, -1), latents[:, 0])
        for k in range(actions.shape[1]):
            state = self.observe(state, actions[:, k], latents[:, k + 1])
        return state

    def _around(self, state: State, led: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Past]:
        """What ``_run`` needs to know of a frame that follows ``state``."""
        filled = torch.arange(self.config.past, device=led.device) < state["frames"][:, None]
        mask = torch.cat([filled, torch.ones_like(filled[:, :1])], 1)[:, None]
        time = state["frames"][:, None].float()
        return state["latents"][:, None], led[:, None], time, mask, (state["keys"], state["values"])

    def _absorb(self, state: State, led: Tensor, latents: Tensor, age: Tensor | None = None) -> State:
        """The state after a clean frame ``(B, N, D)``; ``age`` None: a real one."""
        level, size = torch.ones_like(latents[:, None, :, 0]), self._finest(latents[:, None])
        tokens, fresh = self._run(latents[:, None], level, size, *self._around(state, led))
        slot = torch.arange(self.config.past, device=led.device) == (state["frames"] % self.config.past)[:, None]
        slot = slot[:, None, :, None, None]
        features = torch.cat([tokens[:, 0, 0], latents.flatten(1)], -1)
        return {
            "keys": torch.where(slot, fresh[0], state["keys"]),
            "values": torch.where(slot, fresh[1], state["values"]),
            "frames": state["frames"] + 1,
            "latents": latents,
            "summary": tokens[:, 0, 0],
            "sensors": self._sensors(features),
            "age": torch.zeros_like(latents[:, 0, 0]) if age is None else age,
        }

    def _finest(self, latents: Tensor) -> Tensor:
        return torch.full(latents.shape[:2], self.path.sizes - 1, device=latents.device)

    def _sensors(self, features: Tensor) -> Tensor:
        return self.reader(features).clamp(self.sensor_low, self.sensor_high)

    def observe(self, state: State, action: Tensor, latents: Tensor) -> State:
        return self._absorb(state, self.action(action), latents)

    def step(self, state: State, action: Tensor, rngs: Sequence[torch.Generator] | None = None) -> tuple[State, Tensor]:
        """Without ``rngs`` a row draws from the number of its frames: the same dream every time."""
        if rngs is None:
            rngs = [torch.Generator().manual_seed(n) for n in state["frames"].tolist()]
        led, given = self.action(action), torch.zeros_like(state["latents"])[:, None]
        predict = self._guided(*self._around(state, led))
        latents = self.path.sample(predict, given, torch.zeros_like(given[..., 0]), rngs, self.config.steps)[:, 0]
        return self._absorb(state, led, latents, state["age"] + 1.0), latents

    def features(self, state: State) -> Tensor:
        return torch.cat([state["summary"], state["latents"].flatten(1), state["sensors"]], -1)

    def sensors(self, state: State) -> Tensor:
        return state["sensors"]

    def latents(self, state: State) -> Tensor:
        return state["latents"]

    # --- training ----------------------------------------------------------------------------------------------------

    def loss(
        self, latents: Tensor, actions: Tensor, sensors: Tensor, valid: Tensor, rng: torch.Generator
    ) -> DynamicsLoss:
        c = self.config
        rows, frames = latents.shape[:2]
        seen = latents + c.input_noise * torch.randn(latents.shape, generator=rng)
        before = torch.cat([torch.zeros_like(seen[:, :1]), seen[:, :-1]], 1)
        led = torch.cat([self.no_action.expand(rows, 1, -1), self.action(actions)], 1)
        time = torch.arange(frames, dtype=torch.float32, device=latents.device)[None]
        looks = causal(frames, c.past, latents.device)
        clean = torch.ones_like(latents[..., 0])
        tokens, past = self._run(seen, clean, self._finest(seen), before, led, time, looks, None)

        told = torch.rand(rows, frames, 1, generator=rng) >= c.dropped
        itself = torch.eye(frames, dtype=torch.bool, device=latents.device)
        mask = torch.cat([looks & ~itself, itself], 1)  # the clean frames before it, and itself as it is made
        predict = self._predict(before, torch.where(told, led, self.no_action), time, mask, past)
        exists = torch.cat([valid[:, :1], valid], 1).float()
        made = (self.path.loss(predict, latents, rng) * exists).sum() / exists.sum()
        total, terms = made, {"latents": made}
        summary, flat = tokens[:, :, 0], seen.flatten(2)
        read = self._sensors(torch.cat([summary, flat], -1))
        if sensors.shape[-1]:
            # Huber's, because a collision changes a velocity by many standard deviations at once.
            missed = F.huber_loss(self.reader(torch.cat([summary, flat], -1)), sensors, reduction="none").mean(-1)
            reading = (missed * exists).sum() / exists.sum()
            total, terms = total + c.sensor_weight * reading, {**terms, "reading": reading}
        context = int(torch.rand((), generator=rng).mul(math.log(frames)).exp())
        return DynamicsLoss(
            total=total,
            terms={name: term.detach() for name, term in terms.items()},
            features=torch.cat([summary, flat, read], -1),
            dreamt=self._dreamt(seen[: max(1, rows // DREAMT)], actions, context),
        )

    @torch.no_grad()
    def _dreamt(self, latents: Tensor, actions: Tensor, context: int) -> Dreamt:
        """The first rows as they would be used: ``context`` frames, and then nothing but the model itself."""
        rows = len(latents)
        state = self.start(latents[:, :1], actions[:rows, :0])
        states = [state]
        for t in range(actions.shape[1]):
            action = actions[:rows, t]
            if t + 1 < context:
                state = self.observe(state, action, latents[:, t + 1])
            else:
                state, _ = self.step(state, action)
            states.append(state)
        return Dreamt(
            features=torch.stack([self.features(s) for s in states], 1),
            sensors=torch.stack([s["sensors"] for s in states], 1),
            latents=torch.stack([s["latents"].flatten(1) for s in states], 1),
            age=torch.stack([s["age"] for s in states], 1),
        )
