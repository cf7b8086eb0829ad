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

from videosim.agents.learn import PLACES, learn
from videosim.agents.policy import Policy
from videosim.agents.settings import digest, digest_tensors, fingerprint
from videosim.config import AgentConfig, WorldConfig
from videosim.envs.dream import CALIBRATED
from videosim.envs.observations import Filter, Observer, TrueState
from videosim.model_config import to_dict
from videosim.run import Run
from videosim.world_model import WorldModel

FORMAT = 1  # raise it when training changes in a way that no setting shows: every cached arm is then trained again
# Settings that physics never reads.
IMAGINED_ONLY = ("imagined_starts", "imagined_horizon", "max_uncertainty", "uncertainty_penalty")


@dataclass
class Arm:
    """One policy: where it was trained, with which seed, and the folder that keeps it (``policy.safetensors``,
    ``config.json``, ``curve.json``)."""

    place: str
    seed: int
    folder: Path
    policy: Policy

    def observer(self, model: WorldModel) -> Observer:
        """How this policy sees physics: as it did when it was trained there or in imagination."""
        return TrueState(model) if self.place == "physics-true-state" else Filter(model, self.policy.mode)

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps and mean return of the training episodes that ended by then, both ``(n,)``."""
        stored = json.loads((self.folder / "curve.json").read_text())
        return np.asarray(stored["steps"], float), np.asarray(stored["return"], float)


def arm_key(place: str, model: WorldModel, world: WorldConfig, cfg: AgentConfig, seed: int) -> str:
    """The hash that names an arm. The true-state arm depends on the model's input scales only, a physics arm on its
    weights, an imagination arm on its start clips as well."""
    agent = to_dict(cfg)
    facts: dict[str, Any] = {"format": FORMAT, "place": place, "world": world, "seed": seed, "spec": model.spec}
    if place == "physics-true-state":
        facts["scales"] = digest_tensors([("mean", model.sensor_mean), ("std", model.sensor_std)])
    else:
        facts["weights"] = fingerprint(model)
    if place == "imagination" and model.contexts is not None:
        clips = model.contexts
        facts["contexts"] = digest_tensors([(name, getattr(clips, name)) for name in ("latents", "actions", "task")])
    if place == "imagination" and cfg.max_uncertainty == CALIBRATED:
        facts["threshold"] = model.card.get("Uncertainty")
    if place != "imagination":
        agent = {name: value for name, value in agent.items() if name not in IMAGINED_ONLY}
    return digest({**facts, "agent": agent})


def train_arms(
    model: WorldModel,
    world: WorldConfig,
    cfg: AgentConfig,
    places: Iterable[str],
    seeds: Iterable[int],
    cache: Path,
    run: Run,
) -> dict[str, list[Arm]]:
    """Train, or take from ``cache``, one policy for each place and seed: place -> arms in the order of ``seeds``."""
    wanted = [(place, seed) for place in places for seed in seeds]
    subject = world.name.replace(":", "-")
    keys = {(place, seed): arm_key(place, model, world, cfg, seed) for place, seed in wanted}
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
                    policy = learn(place, model, world, cfg, seed, folders[place, seed], bar)
                overall.advance()
            arms[place].append(Arm(place, seed, folders[place, seed], policy))
    return arms
