"""A world that shows frames, as a model sees it: what a policy that was trained in `VideoSim-v0` acts on outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from videosim.envs.dream import as_model
from videosim.envs.observations import first_belief
from videosim.envs.spaces import action_box, vector_box
from videosim.envs.video_sim import DEFAULT_CHECKPOINT
from videosim.errors import VideoSimError
from videosim.world_model import WorldModel

OBSERVATIONS = ("state", "latent")


class ThroughModel(gymnasium.Wrapper):
    """Give the observations of ``VideoSimEnv`` for an environment of one's own: the model absorbs every frame that
    ``env`` renders and every action that it takes, and the observation is what the model then believes.

    env                     renders uint8 (H, W, 3), the model's size, and takes the model's actions in their units, at
                            the model's rate; `VideoSimPhysics-v0`, or a robot behind gymnasium's methods
    checkpoint, device, embodiment   as in VideoSimEnv
    obs                     "state" float32 (S,), the sensors that the model reads off the frames, in their units; or
                            "latent" float32 (F,), the model's features

    Rewards, ends and infos are those of ``env``. Raises VideoSimError on an environment of another shape.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        checkpoint: str | Path | WorldModel = DEFAULT_CHECKPOINT,
        obs: str = "state",
        device: str = "cpu",
        embodiment: str | int | None = None,
    ) -> None:
        super().__init__(env)
        if obs not in OBSERVATIONS:
            raise VideoSimError(f"through a model one sees {' or '.join(OBSERVATIONS)}; got obs={obs!r}")
        self.model, self.obs = as_model(checkpoint, device, embodiment), obs
        wanted = action_box(self.model.spec.action)
        if env.action_space != wanted:
            raise VideoSimError(
                f"the model of {self.model.spec.name} takes actions in {wanted} and this environment in "
                f"{env.action_space}; give one with the model's actions"
            )
        size = self.model.latent_size if obs == "latent" else self.model.spec.sensors.size
        self.observation_space = vector_box(size)

    @torch.no_grad()
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As ``env`` does; the model begins anew with its first frame."""
        _, info = self.env.reset(seed=seed, options=options)
        self._state = first_belief(self.model, self._frame())
        return self._observation(), info

    @torch.no_grad()
    def step(self, action: np.ndarray) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """As ``env`` does; the model absorbs ``action`` (A,) and the frame that follows it."""
        _, reward, terminated, truncated, info = self.env.step(action)
        taken = self.model.spec.action.normalise(np.asarray(action, np.float32)[None])
        seen = self.model.encode(self._frame())
        self._state = self.model.observe(self._state, torch.from_numpy(taken).to(seen.device), seen)
        return self._observation(), reward, terminated, truncated, info

    def _frame(self) -> torch.Tensor:
        """The present frame, uint8 (1, H, W, 3)."""
        frame = self.env.render()
        wanted = self.model.spec.frame.shape
        if not isinstance(frame, np.ndarray) or frame.shape != wanted or frame.dtype != np.uint8:
            found = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise VideoSimError(
                f"the model of {self.model.spec.name} sees uint8 frames of shape {wanted} and this environment "
                f"renders {found}; make it with render_mode='rgb_array' and at the model's size"
            )
        return torch.as_tensor(frame[None].copy())

    def _observation(self) -> np.ndarray:
        return self.model.policy_input(self._state, self.obs)[0].cpu().numpy()
