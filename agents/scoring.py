"""Scores of policies on paired episodes, kept beside the policy so that nothing is run twice.

Every policy meets the same initial states: in physics, and from the same first frames in imagination.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from videosim.agents.arms import Arm
from videosim.agents.evaluate import Act, Scores, in_imagination, in_physics, random_policy
from videosim.agents.learn import PLACES
from videosim.agents.settings import digest
from videosim.config import WorldConfig
from videosim.envs.observations import Observer, TrueState
from videosim.run import Bar, write_atomically
from videosim.world_model import WorldModel

FORMAT = 1  # raise it when scoring changes


@dataclass
class Scored:
    """One policy over n episodes.

    physics  scores in MuJoCo
    actions  float32 ``(n, T, A)`` in [-1, 1], what it did there: enough to show any episode again, exactly
    dreamed  scores of the same episodes in imagination, None where it was not asked to dream
    """

    physics: Scores
    actions: np.ndarray
    dreamed: Scores | None = None


def score_arm(arm: Arm, model: WorldModel, world: WorldConfig, episodes: int, seed: int) -> Scored:
    """Episodes ``seed … seed+episodes-1`` of one trained policy, in physics and, where it sees through the model, in
    imagination."""
    path = arm.folder / f"scores-{digest([FORMAT, arm.folder.name, episodes, seed])}.npz"
    stored = _read(path)
    if stored is None:
        scores, actions = _acted(arm.policy.act, arm.observer(model), model, world, episodes, seed)
        sees = PLACES[arm.place].through_model
        stored = Scored(
            scores,
            actions,
            in_imagination(arm.policy.act, arm.policy.mode, world, model, episodes, seed) if sees else None,
        )
        _write(path, stored)
    return stored


def score_random(model: WorldModel, world: WorldConfig, episodes: int, seed: int, seeds: Sequence[int]) -> list[Scored]:
    """The same for uniform actions, once for each of ``seeds``."""
    size, results = model.spec.action.size, []
    for own in seeds:
        results.append(Scored(*_acted(random_policy(size, own), TrueState(model), model, world, episodes, seed)))
    return results


def score_arms(
    arms: dict[str, list[Arm]], model: WorldModel, world: WorldConfig, episodes: int, seed: int, bar: Bar
) -> dict[str, list[Scored]]:
    """``score_arm`` for all; ``bar`` counts arms."""
    results: dict[str, list[Scored]] = {}
    for place, members in arms.items():
        results[place] = []
        for arm in members:
            results[place].append(score_arm(arm, model, world, episodes, seed))
            bar.advance()
    return results


def returns(scored: Sequence[Scored], dreamed: bool = False) -> np.ndarray:
    """``(policies, episodes)``."""
    return np.stack([(s.dreamed if dreamed else s.physics).returns for s in scored])  # type: ignore[union-attr]


def _acted(
    act: Act, observer: Observer, model: WorldModel, world: WorldConfig, episodes: int, seed: int
) -> tuple[Scores, np.ndarray]:
    log: list[np.ndarray] = []

    def recorded(observations: np.ndarray) -> np.ndarray:
        log.append(np.clip(act(observations), -1.0, 1.0).astype(np.float32))
        return log[-1]

    scores = in_physics(recorded, observer, world, model, episodes, seed)
    return scores, np.stack(log, 1)


def _write(path: Path, scored: Scored) -> None:
    columns = {"actions": scored.actions}
    for world, scores in (("physics", scored.physics), ("dreamed", scored.dreamed)):
        if scores is not None:
            columns |= {f"{world}.{field.name}": getattr(scores, field.name) for field in fields(Scores)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **columns)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def _read(path: Path) -> Scored | None:
    """None where there is nothing, or nothing that can be read: it is then scored again."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            columns = dict(stored)
        parts = {
            world: Scores(**{field.name: columns[f"{world}.{field.name}"] for field in fields(Scores)})
            for world in ("physics", "dreamed")
            if f"{world}.returns" in columns
        }
        return Scored(parts["physics"], columns["actions"], parts.get("dreamed"))
    except (OSError, ValueError, KeyError, BadZipFile, zlib.error):
        return None
