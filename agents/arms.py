"""The trained arms of a comparison, each in a cache folder named by a hash of everything that determines it.

A second comparison trains only what changed, and an interrupted one goes on at the arm that was in progress.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videosim.agents.learn import PLACES, learn, place_of
from videosim.agents.policy import Policy
from videosim.agents.settings import digest
from videosim.config import AgentConfig, WorldConfig
from videosim.envs.observations import Observer
from videosim.run import Run
from videosim.world_model import WorldModel

FORMAT = 1  # raise it when training changes in a way that no setting shows: every cached arm is then trained again


@dataclass
class Arm:
    """One policy: where it was trained, with which seed, and the folder that keeps it (``policy.safetensors``,
    ``config.json``, ``curve.json``)."""

    place: str
    seed: int
    folder: Path
    policy: Policy

    def observer(self, model: WorldModel) -> Observer:
        """How this policy sees physics."""
        return PLACES[self.place].observer(model, self.policy.mode)

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps and mean return of the training episodes that ended by then, both ``(n,)``."""
        stored = json.loads((self.folder / "curve.json").read_text())
        return np.asarray(stored["steps"], float), np.asarray(stored["return"], float)


def arm_key(place: str, model: WorldModel, world: WorldConfig, cfg: AgentConfig, seed: int, data: str = "") -> str:
    """The hash that names an arm: of its place's facts and of the settings that make a difference there."""
    found = place_of(place)
    facts: dict[str, Any] = {"format": FORMAT, "place": place, "world": world, "seed": seed, "spec": model.spec}
    return digest({**facts, **found.facts(model, cfg, data), "agent": found.settings(model, cfg)})


def train_arms(
    model: WorldModel,
    world: WorldConfig,
    cfg: AgentConfig,
    places: Iterable[str],
    seeds: Iterable[int],
    cache: Path,
    run: Run,
    data: str = "",
) -> dict[str, list[Arm]]:
    """Train, or take from ``cache``, one policy for each place and seed: place -> arms in the order of ``seeds``.
    ``data``: the folder of the model's store, for a place that learns from it."""
    wanted = [(place, seed) for place in places for seed in seeds]
    subject = world.name.replace(":", "-")
    keys = {(place, seed): arm_key(place, model, world, cfg, seed, data) for place, seed in wanted}
    folders = {pair: cache / f"{subject}-{pair[0]}-{key}" for pair, key in keys.items()}
    ready = [pair for pair in wanted if (folders[pair] / "curve.json").is_file()]
    if ready:
        run.say(f"{len(ready)} of {len(wanted)} policies are in {cache} already")
    arms: dict[str, list[Arm]] = {place: [] for place in PLACES if any(place == p for p, _ in wanted)}
    with run.progress(len(wanted), "policies", "policies", done=len(ready)) as overall:
        for place, seed in wanted:
            if (place, seed) in ready:
                policy = Policy.load(folders[place, seed])
            else:
                with run.progress(cfg.steps, f"train in {place}, seed {seed}", "steps") as bar:
                    policy = learn(place, model, world, cfg, seed, folders[place, seed], bar, data=data)
                overall.advance()
            arms[place].append(Arm(place, seed, folders[place, seed], policy))
    return arms
