"""Which ingredient of the dream makes the gap: what is seen, how the world moves, or what it pays.

From truth to dream one ingredient after another is exchanged for the model's, policies and episodes staying the same:

    physics seen by its true state -> physics seen through the model -> dreamed states paid as physics would
    -> the dream with its own rewards

Each gap is the change of return over one exchange, so that they add up to all of it, and a positive one is return that
the ingredient promises too much. The dream's own end of an episode counts as a part of how its world moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videosim.agents.arms import Arm
from videosim.agents.evaluate import in_imagination, in_physics
from videosim.agents.kept import Kept
from videosim.agents.scoring import Scored, returns
from videosim.agents.settings import digest
from videosim.config import WorldConfig
from videosim.envs.observations import TrueState
from videosim.envs.true_reward import Judge, true_reward
from videosim.statistics import Estimate, crossed_bootstrap
from videosim.world_model import WorldModel

FORMAT = 1  # raise it when the measurement changes
LABELS = {
    "return_seen_truly": "Return in physics, the same policy on the true state",
    "return_paid_truly": "Return of the dream, paid as physics would",
    "gap_perception": "Gap of perception: what the filter adds",
    "gap_dynamics": "Gap of dynamics: what dreamed motion adds",
    "gap_reward": "Gap of rewards: what dreamed rewards add",
    "gap_dynamics_and_reward": "Gap of dynamics and rewards together",
    "gap_whole": "All of it: dreamed minus physics on the true state",
}


@dataclass
class Chain:
    """Returns of the same policies over the same episodes, ``(policies, episodes)`` each.

    seen_truly  in physics on the true state; None where the policies read latents, which no state gives
    filtered    in physics through the model's filter
    paid_truly  in the dream, with the rewards physics pays there; None where the sensors do not tell them
    dreamed     in the dream, with its own rewards
    """

    seen_truly: np.ndarray | None
    filtered: np.ndarray
    paid_truly: np.ndarray | None
    dreamed: np.ndarray

    def gaps(self) -> dict[str, np.ndarray]:
        """Differences of neighbours in the chain, paired, named as in result.json; ``gap_whole`` is their sum."""
        first = self.filtered if self.seen_truly is None else self.seen_truly
        found = {} if self.seen_truly is None else {"gap_perception": self.filtered - self.seen_truly}
        if self.paid_truly is None:
            found["gap_dynamics_and_reward"] = self.dreamed - self.filtered
        else:
            found["gap_dynamics"] = self.paid_truly - self.filtered
            found["gap_reward"] = self.dreamed - self.paid_truly
        return found | {"gap_whole": self.dreamed - first}

    def figures(self, rng: np.random.Generator) -> dict[str, Estimate]:
        """The gaps and the returns that no other figure holds; policies and episodes resampled together."""
        links = {"return_seen_truly": self.seen_truly, "return_paid_truly": self.paid_truly}
        shown = {name: value for name, value in links.items() if value is not None} | self.gaps()
        return {name: crossed_bootstrap(value, rng, unit="return") for name, value in shown.items()}

    def left_out(self) -> list[str]:
        """One sentence for each gap that could not be measured."""
        found = []
        if self.seen_truly is None:
            found.append("The policies read latents, which no true state gives, so the gap of perception is unknown.")
        if self.paid_truly is None:
            found.append("The sensors of this world do not tell the reward, so dynamics and rewards stay together.")
        return found


def decompose(
    arms: Sequence[Arm],
    scored: Sequence[Scored],
    model: WorldModel,
    world: WorldConfig,
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> Chain:
    """The chain of policies that see through the model, over the episodes of ``scored``, which began with ``seed``."""
    judge, reads_state = true_reward(world), all(arm.policy.mode == "state" for arm in arms)
    links: dict[str, list[np.ndarray]] = {"seen_truly": [], "paid_truly": []}
    for arm, scores in zip(arms, scored, strict=True):
        episodes = len(scores.physics.returns)
        kept = Kept(arm.folder / f"chain-{digest([FORMAT, arm.folder.name, episodes, seed])}.npz")
        if reads_state:
            links["seen_truly"].append(kept.get("seen_truly", _seen_truly, arm, model, world, episodes, seed))
        if judge is not None:
            links["paid_truly"].append(kept.get("paid_truly", paid_truly, arm, model, world, episodes, seed, judge))
        advance()
    truly, paid = (np.stack(values) if values else None for values in links.values())
    return Chain(truly, returns(scored), paid, returns(scored, dreamed=True))


def _seen_truly(arm: Arm, model: WorldModel, world: WorldConfig, episodes: int, seed: int) -> np.ndarray:
    return in_physics(arm.policy.act, TrueState(model), world, model, episodes, seed).returns


def paid_truly(arm: Arm, model: WorldModel, world: WorldConfig, episodes: int, seed: int, judge: Judge) -> np.ndarray:
    """Returns ``(episodes,)`` of the dreamed episodes as ``judge`` pays them."""
    log: list[np.ndarray] = []

    def act(observations: np.ndarray) -> np.ndarray:
        log.append(arm.policy.act(observations))
        return log[-1]

    dreamed = in_imagination(act, arm.policy.mode, world, model, episodes, seed)
    actions = model.spec.action.denormalise(np.stack(log, 1))
    totals = np.zeros(episodes)
    for e, length in enumerate(dreamed.lengths):
        sensors = dreamed.sensors[e, : length + 1]
        totals[e] = judge(sensors[:-1], actions[e, :length], sensors[1:]).sum()
    return totals


def chain_rows(figures: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a plot of dots: every gap that was measured, in the order of the chain."""
    names = [name for name in LABELS if name.startswith("gap_") and name in figures]
    keys = ("value", "low", "high")
    return [{"name": LABELS[name].split(":")[0], **{key: figures[name][key] for key in keys}} for name in names]
