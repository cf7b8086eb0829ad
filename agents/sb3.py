"""Stable-Baselines3 on both sides of the comparison: two ``VecEnv`` with the same policy input and the same action box.

Actions are given in [-1, 1] on both sides. ``ImaginationVecEnv`` is one batched model, not n models;
``PhysicsVecEnv`` is MuJoCo seen through an ``Observer``. Both restart finished rows and report SB3's
``terminal_observation`` and ``TimeLimit.truncated``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from videosim.envs.observations import Observer, scaled
from videosim.envs.pool import PhysicsPool
from videosim.envs.video_sim import VideoSimVectorEnv
from videosim.errors import VideoSimError
from videosim.types import ActionSpec


def _spaces(size: int, actions: int) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    return (
        gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32),
        gymnasium.spaces.Box(-1.0, 1.0, (actions,), np.float32),
    )


class _Rows(VecEnv):
    """What both sides share: SB3's bookkeeping, with no access to single environments (there are none)."""

    def __init__(self, count: int, size: int, action: ActionSpec) -> None:
        self.action = action
        self.render_mode = None
        observation_space, action_space = _spaces(size, action.size)
        super().__init__(count, observation_space, action_space)
        self._actions = np.zeros((count, action.size), np.float32)
        self._returns, self._lengths = np.zeros(count), np.zeros(count, int)

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = self.action.denormalise(actions)

    def _account(
        self, rewards: np.ndarray, done: np.ndarray, truncated: np.ndarray, last: dict[int, np.ndarray]
    ) -> list[dict[str, Any]]:
        """SB3's infos of this step, with Monitor's ``episode`` record for finished rows."""
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(done):
            infos[row] = {
                "terminal_observation": last[int(row)],
                "TimeLimit.truncated": bool(truncated[row]),
                "episode": {"r": float(self._returns[row]), "l": int(self._lengths[row]), "t": 0.0},
            }
        self._returns[done] = 0.0
        self._lengths[done] = 0
        return infos

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        return [getattr(self, method_name)(*args, **kwargs)] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))


class ImaginationVecEnv(_Rows):
    """SB3's view of ``VideoSimVectorEnv``, as ``gymnasium.make_vec("VideoSim-v0", …)`` makes it. Raises VideoSimError
    where ``obs`` was neither "latent" nor "state"."""

    def __init__(self, env: VideoSimVectorEnv) -> None:
        if env.obs not in ("latent", "state"):
            raise VideoSimError(f"these policies read obs='latent' or obs='state'; got {env.obs!r}")
        self.env = env
        size = env.model.latent_size if env.obs == "latent" else env.model.spec.sensors.size
        super().__init__(env.num_envs, size, env.model.spec.action)

    def _read(self, observation: np.ndarray) -> np.ndarray:
        return scaled(self.env.model, torch.as_tensor(observation), self.env.obs).numpy()

    def reset(self) -> VecEnvObs:
        seed = None if self._seeds[0] is None else int(self._seeds[0])
        observation, _ = self.env.reset(seed=seed)
        self._reset_seeds()
        return self._read(observation)

    def step_wait(self) -> VecEnvStepReturn:
        observation, rewards, terminated, truncated, info = self.env.step(self._actions)
        done = terminated | truncated
        last = {int(row): self._read(info["final_obs"][row]) for row in np.flatnonzero(done)}
        infos = self._account(rewards, done, truncated & ~terminated, last)
        return self._read(observation), rewards.astype(np.float32), done, infos

    def close(self) -> None:
        self.env.close()


class PhysicsVecEnv(_Rows):
    """SB3's view of a pool of MuJoCo environments, seen through ``observer``."""

    def __init__(self, pool: PhysicsPool, observer: Observer, action: ActionSpec, seed: int) -> None:
        self.pool, self.observer = pool, observer
        super().__init__(pool.count, observer.size, action)
        self.seed(seed)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Decides the episodes from the next ``reset`` on; those of two seeds never overlap."""
        if seed is not None:
            self.first_seeds = [seed * 100_003 + row for row in range(self.num_envs)]
        return super().seed(seed)

    def reset(self) -> VecEnvObs:
        self._reset_seeds()
        return self.observer.begin(self.pool.reset(self.first_seeds))

    def step_wait(self) -> VecEnvStepReturn:
        step = self.pool.step(self._actions)
        observations, last = self.observer.after(self._actions, step)
        done = step.terminated | step.truncated
        infos = self._account(step.rewards, done, step.truncated & ~step.terminated, last)
        return observations, step.rewards, done, infos

    def close(self) -> None:
        self.pool.close()
