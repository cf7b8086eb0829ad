"""VideoSimTwinEnv: the model and the physics it was trained on, in lockstep from one state under the same actions.

The agent lives in the dream (its observations, rewards and ends); ``info["gap"]`` says how far physics went elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from videosim.config import WorldConfig
from videosim.envs.physics import PhysicsEnv, load_world
from videosim.envs.video_sim import DEFAULT_CHECKPOINT, VideoSimEnv
from videosim.errors import VideoSimError
from videosim.metrics import psnr, state_error
from videosim.one_body import OneBody, load_body
from videosim.types import WorldSpec
from videosim.video import difference
from videosim.world_model import WorldModel


class VideoSimTwinEnv(gymnasium.Env):
    """A dream with its physics beside it.

    checkpoint, obs, device, horizon, max_uncertainty   as in VideoSimEnv
    world    the physics; None: the world the model was trained on
    pixels   compare the pictures too (decodes and renders every step)

    ``info["gap"]``, dream against physics: "state" float64 (S,), absolute differences in the sensors' units;
    "state_error", their root mean square as a fraction of the sensors' ranges; "reward", dream minus physics, this
    step; "pixels", PSNR in dB, with ``pixels=True`` only. ``info["physics"]``: the true "state" float32 (S,), "reward"
    and "terminated" of this step. Raises VideoSimError when physics and model are not of one world.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012 (gymnasium's own type)

    def __init__(
        self,
        checkpoint: str | Path | WorldModel = DEFAULT_CHECKPOINT,
        obs: str = "state",
        render_mode: str | None = None,
        device: str = "cpu",
        horizon: int | None = None,
        max_uncertainty: float | str | None = None,
        world: WorldConfig | str | None = None,
        pixels: bool = False,
    ) -> None:
        self.dream = VideoSimEnv(checkpoint, obs, render_mode, device, horizon, max_uncertainty)
        self.physics = PhysicsEnv(world_of(self.dream.world_spec, world), "state", "rgb_array")
        self.render_mode, self.pixels = render_mode, pixels
        self.world_spec = self.dream.world_spec
        _check_alike(self.world_spec, self.physics.world_spec)
        self.metadata = {**self.metadata, "render_fps": self.dream.metadata["render_fps"]}
        self.action_space, self.observation_space = self.dream.action_space, self.dream.observation_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin both at one state. ``options``, one of: ``{"context": i}``, a clip of the model whose physics is known;
        ``{"physics": True}``, a start of the task, and the model sees its first frame; ``{"physics": float64 (P,)}``,
        the same from a saved state. Without any: a random clip where they hold physics, else a start of the task."""
        super().reset(seed=seed)
        options = dict(options or {})
        unknown = set(options) - {"context", "physics"}
        if unknown or len(options) > 1:
            raise VideoSimError(f"reset of a twin takes 'context' or 'physics'; got {sorted(map(str, options))}")
        start, truth = (int(n) for n in self.np_random.integers(2**31, size=2))
        contexts = self.dream.model.contexts
        # physics states of the clips, None where they hold none
        known = contexts.physics.cpu().numpy() if contexts is not None and contexts.physics.shape[1] else None
        if "context" in options and known is None:
            raise VideoSimError("this model's clips hold no physics state; reset a twin with options={'physics': True}")
        if "physics" not in options and known is not None:
            observation, info = self.dream.reset(seed=start, options=options)
            self.physics.reset(seed=truth, options={"state": known[info["context_id"]]})
        else:
            state = options.get("physics", True)
            self.physics.reset(seed=truth, options=None if state is True else {"state": state})
            observation, info = self.dream.reset(seed=start, options={"frames": self.physics.render()[None]})
        return observation, {**info, **self._gap(0.0, 0.0, False)}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step of both under ``action`` (A,)."""
        observation, reward, terminated, truncated, info = self.dream.step(action)
        _, true_reward, true_end, _, _ = self.physics.step(action)
        return observation, reward, terminated, truncated, {**info, **self._gap(reward, true_reward, true_end)}

    def render(self) -> np.ndarray:
        """Physics | dream | their absolute difference, uint8 (H, 3 W, 3)."""
        physics, dream = self.physics.render(), self.dream.render()
        return np.concatenate([physics, dream, difference(physics, dream)], 1)

    def close(self) -> None:
        self.physics.close()

    def _gap(self, reward: float, true_reward: float, true_end: bool) -> dict[str, Any]:
        true = self.physics.sensors()
        apart = np.abs(self.dream.sensors().astype(np.float64) - true)
        gap: dict[str, Any] = {
            "state": apart,
            "state_error": float(state_error(apart / self.world_spec.sensors.span)),
            "reward": reward - true_reward,
        }
        if self.pixels:
            gap["pixels"] = float(psnr(self.dream.render(), self.physics.render()))
        return {"gap": gap, "physics": {"state": true, "reward": true_reward, "terminated": true_end}}


def load_with_physics(checkpoint: str) -> tuple[WorldModel, WorldConfig]:
    """The model of a checkpoint, and the physics it was trained on: a body's episodes last as long as those do, and not
    as long as those of the first of its worlds. Raises VideoSimError where either cannot be had, or they are not of one
    world."""
    model = load_body(checkpoint)
    world = world_of(model.spec)
    check_world(model, world)
    if isinstance(model, OneBody):
        model.spec = replace(model.spec, horizon=world.horizon)
    return model, world


def world_of(spec: WorldSpec, world: WorldConfig | str | None = None) -> WorldConfig:
    """The physics of a model (None), or the one asked for; a world given by name is seen at the model's size."""
    if isinstance(world, WorldConfig):
        return world
    return replace(load_world(spec.name if world is None else world), height=spec.frame.height, width=spec.frame.width)


def check_world(model: WorldModel, world: WorldConfig) -> None:
    """Raise VideoSimError unless ``world`` shows, takes and lasts what ``model`` was trained on."""
    env = PhysicsEnv(world)
    env.close()
    _check_alike(model.spec, env.world_spec)


def _check_alike(model: WorldSpec, physics: WorldSpec) -> None:
    pairs = {
        "size of the frames": (model.frame.shape, physics.frame.shape),
        "names of the actions": (model.action.names, physics.action.names),
        "bounds of the actions": ((model.action.low, model.action.high), (physics.action.low, physics.action.high)),
        "names of the sensors": (model.sensors.names, physics.sensors.names),
        "seconds of a step": (model.dt_s, physics.dt_s),
    }
    for what, (in_model, in_physics) in pairs.items():
        if in_model != in_physics:
            raise VideoSimError(
                f"the model of {model.name} and the physics of {physics.name} are not of one world: {what}, {in_model} "
                f"and {in_physics}; use the world of the model"
            )
