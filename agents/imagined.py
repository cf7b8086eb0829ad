"""ImaginedPolicy: a trained policy and the eyes it needs, as a behaviour for collecting data.

Picklable: it travels to a collecting process as two folder names and loads there, on first use. It sees frames only:
the model filters them, just as when the policy is scored in physics.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videosim.config import WorldConfig
from videosim.errors import VideoSimError

if TYPE_CHECKING:
    from videosim.agents.policy import Policy
    from videosim.envs.observations import Filter


@dataclass
class ImaginedPolicy:
    """``policy(frame uint8 (H, W, 3), sensors) -> action (A,)`` in world units; the sensors are not looked at.

    Whoever acts may add noise; ``executed(action)`` tells what was really done, because that is what the model's filter
    must absorb. Call ``reset`` before every episode.
    """

    checkpoint: str
    policy: str
    _loaded: tuple[Filter, Policy] | None = field(default=None, init=False, repr=False)
    _last: np.ndarray | None = field(default=None, init=False, repr=False)  # the action that led to the next frame

    def reset(self) -> None:
        """Forget the episode before."""
        self._last = None

    def executed(self, action: np.ndarray) -> None:
        """``action`` (A,) in world units was done, noise included."""
        self._last = np.asarray(action, np.float32)

    def __call__(self, frame: np.ndarray, sensors: np.ndarray) -> np.ndarray:
        from videosim.envs.pool import PoolStep

        observer, policy = self._load()
        nothing = np.zeros(1, bool)
        step = PoolStep(frame[None], sensors[None], np.zeros(1, np.float32), nothing, nothing, nothing, {})
        seen = observer.begin(step) if self._last is None else observer.after(self._last[None], step)[0]
        action = observer.model.spec.action.denormalise(policy.act(seen))[0]
        self._last = action
        return action

    def _load(self) -> tuple[Filter, Policy]:
        if self._loaded is None:
            import torch

            from videosim.agents.policy import Policy
            from videosim.envs.observations import Filter
            from videosim.one_body import load_body

            if multiprocessing.parent_process() is not None:
                torch.set_num_threads(1)  # the processes are the parallelism
            policy = Policy.load(self.policy)
            observer = Filter(load_body(self.checkpoint), policy.mode)
            if policy.network.observation_space.shape != (observer.size,):
                raise VideoSimError(
                    f"the policy in {self.policy} was trained on another kind of model than {self.checkpoint}; "
                    "give the checkpoint it was trained with"
                )
            self._loaded = (observer, policy)
        return self._loaded

    def __getstate__(self) -> dict[str, object]:
        return {"checkpoint": self.checkpoint, "policy": self.policy, "_loaded": None, "_last": None}


def imagined_policy(checkpoint: str, policy: str, world: WorldConfig) -> tuple[str, ImaginedPolicy]:
    """A name for the behaviour and the policy itself, loaded once here so that a bad folder is named before anything is
    recorded.

    Raises VideoSimError on an unreadable checkpoint or policy, or where ``world`` is not the model's.
    """
    from videosim.envs.twin import check_world

    imagined = ImaginedPolicy(checkpoint, policy)
    check_world(imagined._load()[0].model, world)
    return Path(policy).resolve().name, imagined


def share_with(mixture: Mapping[str, float], name: str, share: float) -> dict[str, float]:
    """``mixture`` with ``policy:<name>`` acting in ``share`` of the episodes."""
    if not 0.0 <= share <= 1.0:
        raise VideoSimError(f"policy_share is a share between 0 and 1, not {share}")
    total = sum(mixture.values()) or 1.0
    others = {key: (1.0 - share) * weight / total for key, weight in mixture.items()}
    return {**others, f"policy:{name}": share}
