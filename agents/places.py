"""Where a policy comes from: one class a place, and all that places differ in.

Most places give experience that stable-baselines3 learns from. A policy is scored in physics, seen through the model's
filter where it learnt to see through the model, else by the true state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from videosim.agents.sb3 import ImaginationVecEnv, PhysicsVecEnv
from videosim.agents.settings import digest_tensors, fingerprint
from videosim.config import AgentConfig, WorldConfig
from videosim.envs.dream import CALIBRATED
from videosim.envs.observations import Filter, Observer, TrueState
from videosim.envs.pool import PhysicsPool
from videosim.envs.video_sim import VideoSimVectorEnv
from videosim.errors import VideoSimError
from videosim.model_config import to_dict
from videosim.world_model import WorldModel

STARTS = ("imagined_starts", "imagined_horizon")  # settings that only short fragments read
DOUBTS = ("max_uncertainty", "uncertainty_penalty")  # settings that only a model's doubts are read by


class Place(ABC):
    """name    in ``arms=[…]``
    figure     in the names of figures
    label      in words
    through_model  its policy sees physics through the model's filter, else the true state
    unread     settings of the agent that make no difference here
    """

    name: str
    figure: str
    label: str
    through_model: bool
    unread: tuple[str, ...] = STARTS + DOUBTS

    def agent(self, model: WorldModel, cfg: AgentConfig) -> AgentConfig:
        """The settings it trains with: ``cfg``, or what of it can be had here."""
        return cfg if self.through_model else replace(cfg, obs="state")

    def facts(self, model: WorldModel, cfg: AgentConfig, data: str = "") -> dict[str, Any]:
        """What determines the policy beside the settings, the world and the seed; ``data``: the folder of a store."""
        if self.through_model:
            return {"weights": fingerprint(model)}
        return {"scales": digest_tensors([("mean", model.sensor_mean), ("std", model.sensor_std)])}

    def settings(self, model: WorldModel, cfg: AgentConfig) -> dict[str, Any]:
        """The settings that make a difference, by name."""
        return {name: value for name, value in to_dict(self.agent(model, cfg)).items() if name not in self.unread}

    def observer(self, model: WorldModel, mode: str) -> Observer:
        """How its policy, which reads ``mode``, sees physics."""
        return Filter(model, mode) if self.through_model else TrueState(model)

    @abstractmethod
    def physics_frames(self, steps: int, model_frames: int | None) -> int | None:
        """Frames of physics that went into a policy: the model's and those of ``steps`` of its own; None: unknown."""


class Experience(Place):
    """A place where stable-baselines3 acts and learns from what comes of it."""

    @abstractmethod
    def env(self, model: WorldModel, world: WorldConfig, cfg: AgentConfig, seed: int) -> VecEnv:
        """The experience to learn from. Raises VideoSimError where the model or the settings do not allow it."""


class Imagination(Experience):
    """Fragments dreamed by the model."""

    name, figure, label, through_model = "imagination", "imagination", "trained in imagination", True
    unread = ()

    def facts(self, model: WorldModel, cfg: AgentConfig, data: str = "") -> dict[str, Any]:
        found = super().facts(model, cfg, data)
        if model.contexts is not None:
            clips = model.contexts
            found["contexts"] = digest_tensors(
                [(name, getattr(clips, name)) for name in ("latents", "actions", "task")]
            )
        if cfg.max_uncertainty == CALIBRATED:
            found["threshold"] = model.card.get(model.titled("Uncertainty"))
        return found

    def env(self, model: WorldModel, world: WorldConfig, cfg: AgentConfig, seed: int) -> ImaginationVecEnv:
        env = VideoSimVectorEnv(
            num_envs=cfg.envs,
            checkpoint=model,
            obs=cfg.obs,
            horizon=cfg.imagined_horizon,
            starts=cfg.imagined_starts,
            max_uncertainty=cfg.max_uncertainty,
            uncertainty_penalty=cfg.uncertainty_penalty,
        )
        rows = self.rows(env)
        rows.seed(seed)
        return rows

    def rows(self, env: VideoSimVectorEnv) -> ImaginationVecEnv:
        return ImaginationVecEnv(env)

    def physics_frames(self, steps: int, model_frames: int | None) -> int | None:
        return model_frames


class Deaf(ImaginationVecEnv):
    """Dreams that do not hear their own actions: each gets those of the row before it, as lively and as likely."""

    def step_async(self, actions: np.ndarray) -> None:
        super().step_async(np.roll(actions, 1, axis=0))


class BlindImagination(Imagination):
    """The control that must fail: nothing a policy does there has an effect on what it sees or is paid."""

    name, figure, label = "imagination-blind", "imagination_blind", "trained in a dream that does not hear it"

    def rows(self, env: VideoSimVectorEnv) -> ImaginationVecEnv:
        if env.num_envs < 2:
            raise VideoSimError("imagination-blind gives each dream another one's actions: set agent.envs to 2 or more")
        return Deaf(env)


class Physics(Experience):
    """MuJoCo, of which the model filters the rendered frames."""

    name, figure, label, through_model = "physics", "physics", "trained in physics", True

    def env(self, model: WorldModel, world: WorldConfig, cfg: AgentConfig, seed: int) -> VecEnv:
        observer = self.observer(model, cfg.obs)
        pool = PhysicsPool(world, cfg.envs, render=observer.needs_frames)
        return PhysicsVecEnv(pool, observer, model.spec.action, seed)

    def physics_frames(self, steps: int, model_frames: int | None) -> int | None:
        if self.through_model:
            return None if model_frames is None else steps + model_frames
        return steps


class PhysicsAtDataBudget(Physics):
    """The same, for as many steps as the model's data have frames: is learning from a model worth its data?"""

    name, figure = "physics-at-data-budget", "physics_at_data_budget"
    label = "trained in physics for as many steps as the model's data have frames"

    def agent(self, model: WorldModel, cfg: AgentConfig) -> AgentConfig:
        frames = model_frames(model)
        if not frames:
            raise VideoSimError(
                "physics-at-data-budget needs the number of frames the model was made from, and its card holds none; "
                "leave the arm out"
            )
        return replace(cfg, steps=frames)

    def physics_frames(self, steps: int, model_frames: int | None) -> int | None:
        return None if model_frames is None else 2 * model_frames


class PhysicsTrueState(Physics):
    """MuJoCo's own sensors, the reference no camera gives."""

    name, figure, label = "physics-true-state", "true_state", "trained on the true state"
    through_model = False


class ImaginationByPhysics(Physics):
    """The pipeline of imagination with MuJoCo as its model: fragments of the same length from the same places, seen by
    their state. What falls short here is the pipeline's doing and not the model's (Sims et al. 2024,
    arXiv:2402.12527: truncated fragments can ruin learning even where the model is perfect)."""

    name, figure = "imagination-by-physics", "imagination_by_physics"
    label, through_model = "trained as in imagination, with MuJoCo as the model", False
    unread = DOUBTS

    def facts(self, model: WorldModel, cfg: AgentConfig, data: str = "") -> dict[str, Any]:
        clips = model.contexts
        known = [] if clips is None else [(name, getattr(clips, name)) for name in ("physics", "task")]
        return super().facts(model, cfg, data) | {"contexts": digest_tensors(known)}

    def env(self, model: WorldModel, world: WorldConfig, cfg: AgentConfig, seed: int) -> VecEnv:
        clips = model.contexts
        if clips is None or not clips.physics.shape[1]:
            raise VideoSimError(
                "imagination-by-physics needs a model whose start clips hold their physics state; leave the arm out"
            )
        own = (clips.embodiment == model.body) & (clips.task == (cfg.imagined_starts == "task"))
        chosen = clips.physics[own].cpu().numpy()
        if not len(chosen):
            raise VideoSimError(f"none of this model's start clips is of the kind {cfg.imagined_starts!r}")
        fragment = replace(world, horizon=cfg.imagined_horizon)
        pool = PhysicsPool(fragment, cfg.envs, render=False, starts=chosen)
        return PhysicsVecEnv(pool, TrueState(model), model.spec.action, seed)


def model_frames(model: WorldModel) -> int | None:
    """Physics frames in the store the model was made from, as its card says; None where it does not."""
    frames = model.recorded("Data", "frames")
    return None if frames is None else int(frames)
