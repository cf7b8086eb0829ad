"""What an imagined episode is, said once for one row and for many: starts, limits, rewards, observations.

``VideoSimEnv`` is one row of it, ``VideoSimVectorEnv`` n rows. Knows gymnasium's spaces and none of its conventions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from videosim.envs.spaces import action_box, observation_spaces, vector_box
from videosim.envs.starts import Starts
from videosim.errors import VideoSimError
from videosim.one_body import load_body, one_body
from videosim.simulator import Simulator
from videosim.world_model import WorldModel

OBSERVATIONS = ("pixels", "latent", "state", "dict")
TERMINATED_ABOVE = 0.5  # probability at which the learned end of a task counts as one
CALIBRATED = "calibrated"


@dataclass
class Rules:
    """How imagined episodes run.

    obs                  what is observed: "pixels", "latent", "state" or "dict" (pixels and state)
    horizon              steps until truncation; None: the world's own
    max_uncertainty      truncate above it; None: never; "calibrated": the threshold in the model card
    uncertainty_penalty  subtracted from the reward, per unit of a step's own doubt: a state is to be shunned, not the
                         length of a dream
    """

    obs: str = "pixels"
    horizon: int | None = None
    max_uncertainty: float | str | None = None
    uncertainty_penalty: float = 0.0


def as_model(
    checkpoint: str | Path | WorldModel, device: str = "cpu", embodiment: str | int | None = None
) -> WorldModel:
    """A loaded model as it is (and where it is); a bundled model's name or a folder is loaded to ``device``. One of
    several worlds becomes that of its ``embodiment``, by name or number; None: of the body it is, the first of one just
    loaded."""
    if isinstance(checkpoint, (str, Path)):
        model = load_body(checkpoint, device)
    elif isinstance(checkpoint, WorldModel):
        model = checkpoint.eval()
    else:
        raise VideoSimError(f"checkpoint is a model's name, a folder or a WorldModel; got {type(checkpoint).__name__}")
    return one_body(model, embodiment)


class Dream:
    """``rows`` imagined episodes of one model, advanced by one forward pass. Call ``reset`` first.

    uncertainty  float64 ``(rows,)`` of the newest step, 0 after a reset
    context_id   int64 ``(rows,)``, the clip each row began from; -1 when it began elsewhere
    """

    def __init__(self, model: WorldModel, rows: int, rules: Rules, starts: Starts) -> None:
        self.model, self.rules, self.starts, self.spec = model, rules, starts, model.spec
        body = model.embodiments[model.body]
        if not body.actions:
            others = ", ".join(other.name for other in model.embodiments if other.actions)
            raise VideoSimError(
                f"the recordings of {body.name} have no actions, so it cannot be steered; begin from its clips, by "
                f"reset(options={{'context': i}}), as another embodiment: {others}"
            )
        self.rows = _whole("the number of environments", rows)
        if rules.obs not in OBSERVATIONS:
            raise VideoSimError(f"obs must be one of {', '.join(OBSERVATIONS)}; got {rules.obs!r}")
        self.horizon = _whole("horizon", model.spec.horizon if rules.horizon is None else rules.horizon)
        self._limit = _limit(rules.max_uncertainty, model)
        self._penalty = _number("uncertainty_penalty", rules.uncertainty_penalty)
        self.simulator = Simulator(model, rows)
        self.uncertainty = np.zeros(rows)
        self.context_id = np.full(rows, -1)
        self._steps = np.zeros(rows, np.int64)
        self._picture: np.ndarray | None = None  # frames of the present state, decoded when somebody looks

    def action_space(self) -> gymnasium.spaces.Box:
        """One row's actions, in the world's units."""
        return action_box(self.spec.action)

    def observation_space(self) -> gymnasium.Space:
        """One row's observations."""
        spaces = observation_spaces(self.spec) | {"latent": vector_box(self.model.latent_size)}
        return spaces[self.rules.obs]

    def reset(
        self, rows: Sequence[int], rngs: Sequence[np.random.Generator], options: Mapping[str, Any] | None = None
    ) -> None:
        """Begin ``rows`` anew, all in one pass; each draws from its own generator only."""
        if options is not None and not isinstance(options, Mapping):
            raise VideoSimError(f"the options of reset are a dict; got {type(options).__name__}")
        state, numbers = self.starts.begin(options or {}, rngs)
        self.simulator.place(rows, [int(rng.integers(2**31)) for rng in rngs], state)
        chosen = np.asarray(rows)
        self._steps[chosen], self.uncertainty[chosen], self.context_id[chosen] = 0, 0.0, numbers
        if self._picture is not None:
            self._picture[chosen] = self.simulator.decode(rows).cpu().numpy()

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance every row under ``actions`` ``(rows, A)`` in world units: rewards float64, terminated bool, truncated
        bool, each ``(rows,)``. A row may be stepped on past its end."""
        normalised = self.spec.action.normalise(self._checked(actions))
        out = self.simulator.step(torch.from_numpy(normalised).to(self.model.device))
        self._picture = None
        self._steps += 1
        self.uncertainty = out.uncertainty.cpu().numpy().astype(np.float64)
        rewards = out.rewards.cpu().numpy().astype(np.float64) - self._penalty * out.doubt.cpu().numpy()
        terminated = out.terminated_prob.cpu().numpy() > TERMINATED_ABOVE
        return rewards, terminated, (self._steps >= self.horizon) | (self.uncertainty > self._limit)

    def _checked(self, actions: Any) -> np.ndarray:
        try:
            array = np.asarray(actions, np.float32)
        except (TypeError, ValueError) as error:
            raise VideoSimError("an action is a vector of numbers; take one from env.action_space") from error
        if array.shape != (self.rows, self.spec.action.size):
            raise VideoSimError(
                f"{self.spec.name} takes {self.spec.action.size} action number(s) "
                f"({', '.join(self.spec.action.names)}) for each of {self.rows} row(s); got shape {array.shape}"
            )
        return self.spec.action.check(array)

    def observe(self) -> Any:
        """What the rows see now: float32 ``(rows, F)`` or ``(rows, S)``, uint8 ``(rows, H, W, 3)``, or a dict."""
        if self.rules.obs in ("latent", "state"):
            return self.simulator.policy_input(self.rules.obs).cpu().numpy()
        if self.rules.obs == "pixels":
            return self.frames()
        return {"pixels": self.frames(), "state": self.simulator.policy_input("state").cpu().numpy()}

    def frames(self) -> np.ndarray:
        """The present frames, uint8 ``(rows, H, W, 3)``."""
        if self._picture is None:
            self._picture = self.simulator.decode().cpu().numpy()
        return self._picture.copy()

    def snapshot(self) -> dict[str, Any]:
        """Everything that decides these episodes' future. Plain tensors and arrays, nothing shared."""
        arrays = {"steps": self._steps, "uncertainty": self.uncertainty, "context_id": self.context_id}
        return {"simulator": self.simulator.snapshot(), **{name: value.copy() for name, value in arrays.items()}}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Inverse of ``snapshot``, bit for bit. Raises VideoSimError on a snapshot of something else."""
        needed = ("simulator", "steps", "uncertainty", "context_id")
        if not isinstance(snapshot, Mapping) or any(name not in snapshot for name in needed):
            raise VideoSimError("this is no snapshot; restore takes what snapshot() of such an environment returned")
        self.simulator.restore(snapshot["simulator"])
        self._steps, self.uncertainty = snapshot["steps"].copy(), snapshot["uncertainty"].copy()
        self.context_id = snapshot["context_id"].copy()
        self._picture = None

    def branch(self, row: int, count: int) -> Dream:
        """``count`` copies of one row, which then go their own ways."""
        branched = copy.copy(self)
        branched.rows, branched.simulator = count, self.simulator.branch(row, count)
        branched._steps = np.repeat(self._steps[row], count)
        branched.uncertainty = np.repeat(self.uncertainty[row], count)
        branched.context_id = np.repeat(self.context_id[row], count)
        branched._picture = None
        return branched


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise VideoSimError(f"{name} is a whole number from 1; got {value!r}")
    return int(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0.0 <= value < np.inf:
        raise VideoSimError(f"{name} is a number from 0; got {value!r}")
    return float(value)


def _limit(wanted: float | str | None, model: WorldModel) -> float:
    """The uncertainty at which an episode ends; infinity for none."""
    if wanted is None:
        return np.inf
    if isinstance(wanted, str) and wanted != CALIBRATED:
        raise VideoSimError(f"max_uncertainty is None, a number from 0 or {CALIBRATED!r}; got {wanted!r}")
    if not isinstance(wanted, str):
        return _number("max_uncertainty", wanted)
    threshold = model.recorded("Uncertainty", "threshold")
    if threshold is None:
        raise VideoSimError(
            "max_uncertainty='calibrated' needs a threshold in the model card, and this checkpoint has none; "
            "give a number, or train the model again"
        )
    return _number("the model card's uncertainty threshold", threshold)
