"""Behaviour cloning: what can be had from the model's data without a model, by doing what was done there."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch

from videosim.agents.places import Place
from videosim.agents.policy import POLICIES, Policy, policy_kwargs
from videosim.agents.settings import digest
from videosim.config import AgentConfig
from videosim.data.store import EpisodeStore
from videosim.envs.observations import scaled
from videosim.errors import VideoSimError
from videosim.run import Bar
from videosim.world_model import WorldModel


class BehaviourCloning(Place):
    """Least squares from the true sensors of every recorded step to the action that was done: the network and the rate
    of the agent, ``cfg.epochs`` times through the store. It reads the true state, whatever the agent reads elsewhere.
    """

    name, figure, label, through_model = "behaviour-cloning", "behaviour_cloning", "cloned from the model's data", False

    def physics_frames(self, steps: int, model_frames: int | None) -> int | None:
        return model_frames

    def facts(self, model: WorldModel, cfg: AgentConfig, data: str = "") -> dict[str, Any]:
        store = _store(data, model)
        return super().facts(model, cfg) | {"data": digest([store.seeds, store.behaviours, store.lengths])}

    def clone(self, model: WorldModel, cfg: AgentConfig, seed: int, data: str, bar: Bar) -> Policy:
        """The policy; ``bar`` counts as a training's does. Raises VideoSimError where ``data`` is no store of the
        model's world."""
        store = _store(data, model)
        numbers = range(len(store))
        sensors = np.concatenate([store.column("sensors", i)[: store.lengths[i]] for i in numbers])
        actions = model.spec.action.normalise(np.concatenate([store.column("actions", i) for i in numbers]))
        inputs, targets = scaled(model, torch.as_tensor(sensors), "state"), torch.as_tensor(actions)
        torch.manual_seed(seed)
        network = POLICIES[cfg.algorithm](
            gymnasium.spaces.Box(-np.inf, np.inf, (inputs.shape[1],), np.float32),
            gymnasium.spaces.Box(-1.0, 1.0, (targets.shape[1],), np.float32),
            lambda _: cfg.learning_rate,
            **policy_kwargs(cfg),
        )
        optimiser = torch.optim.Adam(network.parameters(), lr=cfg.learning_rate)
        batches = max(1, len(inputs) // cfg.batch)
        rate = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, cfg.epochs * batches)
        for epoch in range(cfg.epochs):
            for rows in torch.randperm(len(inputs)).tensor_split(batches):
                loss = (network._predict(inputs[rows], deterministic=True) - targets[rows]).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                rate.step()
            bar.update(bar.total * (epoch + 1) / cfg.epochs)
            bar.note(f"error {float(loss.detach()) ** 0.5:.2f}")
        network.set_training_mode(False)
        return Policy(network, cfg)


def _store(data: str, model: WorldModel) -> EpisodeStore:
    if not data:
        raise VideoSimError("behaviour-cloning needs the store that the model was made from: give data=<its folder>")
    return EpisodeStore.open(data, model.spec)
