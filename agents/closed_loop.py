"""The closed-loop gap: a policy acts inside the dream, and the same actions drive the physics from the same state.

What the dream says and what is true then part by the model's error alone: how fast, and by how much reward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from videosim.agents.policy import Policy
from videosim.envs.observations import scaled
from videosim.envs.twin import VideoSimTwinEnv
from videosim.metrics import STATE_ERROR_LIMIT, first_passage, median_passage
from videosim.statistics import Estimate, bootstrap, pearson
from videosim.world_model import WorldModel


@dataclass
class ClosedLoop:
    """n episodes of T steps.

    error    float64 ``(n, T+1)``, state error as a fraction of the range; held at its last value after the end of an
             episode in physics
    dreamed  float64 ``(n, T)``, rewards the dream promised; 0 after its own end
    real     float64 ``(n, T)``, rewards physics gave for the same actions; 0 after its own end
    """

    error: np.ndarray
    dreamed: np.ndarray
    real: np.ndarray

    def figures(self, rng: np.random.Generator) -> dict[str, Estimate]:
        """Named as in result.json; "lockstep" says that the dream leads and physics follows its actions."""
        dreamed, real = self.dreamed.sum(1), self.real.sum(1)
        return {
            "closed_loop_horizon_frames": median_passage(first_passage(self.error, STATE_ERROR_LIMIT), rng),
            "closed_loop_state_error": bootstrap(self.error.mean(1), _mean, rng, unit="of range"),
            "lockstep_return_dreamed": bootstrap(dreamed, _mean, rng, unit="return"),
            "lockstep_return_real": bootstrap(real, _mean, rng, unit="return"),
            "reward_gap": bootstrap((self.dreamed - self.real).mean(1), _mean, rng, unit="reward/step"),
            "pearson_r": pearson(dreamed, real, rng),
        }

    def plots(self) -> list[dict[str, Any]]:
        """Plots as ``plots.svg`` takes them: state error in % of the range and reward per step, against steps."""
        note = "The policy acts in the dream; physics gets the same actions. Median and middle 80 % of episodes."
        steps = range(self.error.shape[1])
        error = {"state error": 100 * self.error}
        reward = {"dreamed": self.dreamed, "physics": self.real}
        limit = [{"y": 100 * STATE_ERROR_LIMIT, "label": f"{STATE_ERROR_LIMIT:.0%} of range"}]
        return [
            _bands("Closed loop: state error in lockstep", "% of range", list(steps), error, note) | {"lines": limit},
            _bands("Closed loop: reward in lockstep", "reward/step", list(steps)[1:], reward, note),
        ]


def closed_loop(
    model: WorldModel, policies: Sequence[Policy], episodes: int, seed: int, advance: Callable[[], None] = lambda: None
) -> ClosedLoop:
    """``episodes`` starts of the task; episode e is played by policy ``e % len(policies)``. The model sees the first
    frame of each and nothing else."""
    env = VideoSimTwinEnv(model, obs=policies[0].mode)
    spec = model.spec
    errors = np.zeros((episodes, spec.horizon + 1))
    dreamed, real = np.zeros((episodes, spec.horizon)), np.zeros((episodes, spec.horizon))
    try:
        for e in range(episodes):
            policy = policies[e % len(policies)]
            observation, info = env.reset(seed=seed + e, options={"physics": True})
            errors[e, 0] = info["gap"]["state_error"]
            dreaming = running = True
            for t in range(spec.horizon):
                seen = scaled(model, torch.as_tensor(observation)[None], policy.mode).numpy()
                action = spec.action.denormalise(policy.act(seen))[0]
                observation, reward, ended, _, info = env.step(action)
                errors[e, t + 1] = info["gap"]["state_error"] if running else errors[e, t]
                dreamed[e, t] = reward if dreaming else 0.0
                real[e, t] = info["physics"]["reward"] if running else 0.0
                dreaming, running = dreaming and not ended, running and not info["physics"]["terminated"]
                if not (dreaming or running):
                    errors[e, t + 1 :] = errors[e, t + 1]
                    break
            advance()
    finally:
        env.close()
    return ClosedLoop(errors, dreamed, real)


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def _bands(title: str, unit: str, x: list[int], series: dict[str, np.ndarray], note: str) -> dict[str, Any]:
    lines = []
    for name, values in series.items():
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
        lines.append({"name": name, "y": middle.tolist(), "low": low.tolist(), "high": high.tolist()})
    return {"title": title, "x_label": "steps", "y_label": unit, "x": x, "series": lines, "note": note}
