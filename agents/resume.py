"""The state of a PPO training on disk, so that an interrupted one goes on: weights, optimiser and step count.

One safetensors file, nothing in it can run code. Environments begin anew and the noise is another, so a resumed
training is not the uninterrupted one bit for bit. SAC would need its replay, which is large: only the fact that it was
under way is kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

Curve = list[tuple[int, float]]

FILE = "training.safetensors"
SAVE_EVERY_S = 30.0


def save_training(algorithm: BaseAlgorithm, folder: Path, about: dict[str, Any], curve: Curve) -> None:
    """Replace the state in ``folder``. ``about``: whatever must be equal for a training to be continued."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    if isinstance(algorithm, OnPolicyAlgorithm):
        tensors = {f"policy.{name}": value.contiguous() for name, value in algorithm.policy.state_dict().items()}
        moments = algorithm.policy.optimizer.state_dict()["state"]
        for index, state in moments.items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    progress = {"about": about, "steps": algorithm.num_timesteps, "updates": getattr(algorithm, "_n_updates", 0)}
    temporary = folder / f"{FILE}.tmp"
    save_file(tensors, temporary, metadata={"progress": json.dumps({**progress, "curve": curve})})
    temporary.replace(folder / FILE)


def restore_training(algorithm: BaseAlgorithm, folder: Path, about: dict[str, Any]) -> tuple[Curve, str]:
    """Put a saved state of the same training into ``algorithm``: (the curve so far, a sentence for the user, or "")."""
    try:
        with safe_open(folder / FILE, "pt") as file:
            progress = json.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError:
        return [], ""
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return [], f"the interrupted training in {folder} cannot be read, so it starts again"
    if progress.get("about") != about:
        return [], f"the interrupted training in {folder} had other settings, so it starts again"
    if not isinstance(algorithm, OnPolicyAlgorithm):
        return [], f"the replay of the interrupted training in {folder} was not kept, so it starts again"
    policy = algorithm.policy
    weights = {name.removeprefix("policy."): value for name, value in tensors.items() if name.startswith("policy.")}
    policy.load_state_dict(weights, strict=True)
    optimizer = policy.optimizer.state_dict()
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = value
    policy.optimizer.load_state_dict({**optimizer, "state": moments})
    algorithm.num_timesteps, algorithm._n_updates = int(progress["steps"]), int(progress["updates"])
    return [(int(step), float(value)) for step, value in progress["curve"]], ""


def drop_training(folder: Path) -> None:
    """The training has ended: its state is not needed any more."""
    (folder / FILE).unlink(missing_ok=True)
