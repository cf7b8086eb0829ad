"""A trained policy as a folder: ``config.json`` + ``policy.safetensors``, beside the SB3 algorithm that made it.

SB3's own zip runs pickled code when it is loaded; ours holds numbers only, so a policy from a stranger is safe to open.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.ppo.policies import MlpPolicy as PPOPolicy
from stable_baselines3.sac.policies import MlpPolicy as SACPolicy

from videosim.config import AgentConfig
from videosim.errors import VideoSimError
from videosim.model_config import to_dict
from videosim.run import write_atomically

POLICIES: dict[str, type[BasePolicy]] = {"ppo": PPOPolicy, "sac": SACPolicy}


def policy_kwargs(cfg: AgentConfig) -> dict[str, Any]:
    """Network settings in SB3's words."""
    kwargs: dict[str, Any] = {"net_arch": list(cfg.hidden)}
    if cfg.algorithm == "ppo":
        kwargs |= {"log_std_init": cfg.log_std_init, "activation_fn": torch.nn.Tanh}
    return kwargs


class Policy:
    """Acts on scaled policy inputs (see ``envs.observations``), deterministically.

    mode   "latent" or "state": which input it was trained on
    """

    def __init__(self, network: BasePolicy, cfg: AgentConfig) -> None:
        self.network, self.cfg, self.mode = network, cfg, cfg.obs

    def act(self, observations: np.ndarray) -> np.ndarray:
        """float32 ``(n, size)`` -> actions ``(n, A)`` in [-1, 1]."""
        actions, _ = self.network.predict(observations, deterministic=True)
        return actions

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``policy.safetensors``, each whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        space = self.network.observation_space.shape, self.network.action_space.shape
        assert space[0] is not None and space[1] is not None
        sizes = {"inputs": int(space[0][0]), "actions": int(space[1][0])}
        temporary = folder / "policy.tmp"
        save_file({k: v.contiguous() for k, v in self.network.state_dict().items()}, temporary)
        temporary.replace(folder / "policy.safetensors")
        write_atomically(folder / "config.json", json.dumps({"agent": to_dict(self.cfg), **sizes}, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path | str) -> Policy:
        """Raises VideoSimError when the folder holds no readable policy."""
        folder = Path(folder)
        try:
            stored = json.loads((folder / "config.json").read_text())
            cfg = AgentConfig(**stored["agent"])
            network = POLICIES[cfg.algorithm](
                gymnasium.spaces.Box(-np.inf, np.inf, (int(stored["inputs"]),), np.float32),
                gymnasium.spaces.Box(-1.0, 1.0, (int(stored["actions"]),), np.float32),
                lambda _: cfg.learning_rate,
                **policy_kwargs(cfg),
            )
            tensors = load_file(folder / "policy.safetensors")
            if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
                raise ValueError("NaN or infinity")
            network.load_state_dict(tensors, strict=True)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise VideoSimError(
                f"{folder} holds no policy that can be read; train it again with `videosim agent`"
            ) from error
        network.set_training_mode(False)
        return cls(network, cfg)

    @classmethod
    def of(cls, algorithm: BaseAlgorithm, cfg: AgentConfig) -> Policy:
        """The policy of an SB3 algorithm; the network is shared, not copied."""
        algorithm.policy.set_training_mode(False)
        return cls(algorithm.policy, cfg)
