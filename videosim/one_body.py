"""A model of several bodies as the world of one of them: its actions and its sensors, and no others. Whoever steps it,
audits it or trains a policy in it need not know that there are more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from videosim.checkpoint import load_checkpoint
from videosim.dynamics import State
from videosim.embodiments import body_of, places
from videosim.world_model import Contexts, StepOut, WorldModel


class OneBody(WorldModel):
    """The present body of ``whole``, with whose weights it acts; ``spec`` is the body's own world.

    Clips of any body may begin its dreams, so the actions of ``contexts`` stay those of the whole world: ``start``
    takes them with the numbers of their bodies. All that is not about actions or sensors is the whole model's.
    """

    def __init__(self, whole: WorldModel) -> None:
        nn.Module.__init__(self)
        body, world = whole.embodiments[whole.body], whole.spec
        self.whole = whole
        self.spec = body.world(world)
        self._acts = torch.tensor(places(world.action.names, body.actions), dtype=torch.int64, device=whole.device)
        self._feels = torch.tensor(places(world.sensors.names, body.sensors), dtype=torch.int64, device=whole.device)
        self.sensor_mean, self.sensor_std = whole.sensor_mean[self._feels], whole.sensor_std[self._feels]
        self.sensor_span = whole.sensor_span[self._feels]
        self.measured = whole.measured[:, self._feels]
        self.contexts = _felt(whole.contexts, self._feels)
        self.train(whole.training)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("whole"), name)

    def embodied(self, embodiment: str | int) -> WorldModel:
        return OneBody(self.whole.embodied(embodiment))

    def _spread(self, actions: Tensor) -> Tensor:
        """Its actions ``(…, A)`` in [-1, 1] among those of the whole world, where the others are 0."""
        spread = actions.new_zeros(*actions.shape[:-1], self.whole.spec.action.size)
        spread[..., self._acts] = actions
        return spread

    def start(self, latents: Tensor, actions: Tensor, embodiment: Tensor | None = None) -> State:
        return self.whole.start(latents, self._spread(actions) if embodiment is None else actions, embodiment)

    def observe(self, state: State, action: Tensor, latents: Tensor) -> State:
        return self.whole.observe(state, self._spread(action), latents)

    def step(
        self, state: State, action: Tensor, rngs: Sequence[torch.Generator] | None = None
    ) -> tuple[State, StepOut]:
        state, out = self.whole.step(state, self._spread(action), rngs)
        return state, replace(out, sensors=out.sensors[..., self._feels])

    def sensors(self, state: State) -> Tensor:
        return self.whole.sensors(state)[..., self._feels]

    def latents(self, state: State) -> Tensor:
        return self.whole.latents(state)

    def generate(self, given: Tensor, kept: Tensor, actions: Tensor | None, *others: Any) -> Tensor:
        return self.whole.generate(given, kept, None if actions is None else self._spread(actions), *others)


def one_body(model: WorldModel, embodiment: str | int | None = None) -> WorldModel:
    """``model`` as the world of its body ``embodiment``, by name or number; None: of the present one, the first of a
    model just loaded. A model of one body is that already. Raises VideoSimError where it has no such body."""
    model = model if embodiment is None else model.embodied(embodiment)
    return model if len(model.embodiments) == 1 or isinstance(model, OneBody) else OneBody(model)


def load_body(checkpoint: str | Path, device: str = "cpu") -> WorldModel:
    """The model of a folder or a bundled model's name; one of several worlds as that of its first body, or of BODY
    where it is given as CHECKPOINT:BODY. Raises VideoSimError as ``load_checkpoint`` and ``one_body`` do."""
    folder, body = body_of(str(checkpoint))
    return one_body(load_checkpoint(folder, device), body or None)


def _felt(clips: Contexts | None, feels: Tensor) -> Contexts | None:
    return None if clips is None else replace(clips, sensors=clips.sensors[:, feels.to(clips.sensors.device)])
