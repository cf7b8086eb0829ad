"""Episodes that no model was trained on: the default mixture of behaviours, collected anew with a seed of its own."""

from __future__ import annotations

from functools import partial

from videosim.agents.settings import digest
from videosim.config import CollectConfig, WorldConfig
from videosim.data.collect import collect
from videosim.data.layout import SCHEMA
from videosim.envs.physics import PhysicsEnv
from videosim.run import Run
from videosim.types import Episode

HELD_OUT_SEED = 900_001  # no store that a model was trained on is collected with it


def fresh_episodes(world: WorldConfig, frames: int, run: Run) -> list[Episode]:
    """About ``frames`` frames of them, kept in the run folder: a collecting that was cut off goes on."""
    ask = CollectConfig(frames=frames, seed=HELD_OUT_SEED)
    env = PhysicsEnv(world)
    folder = run.folder / f"held_out-{digest([SCHEMA, world, env.world_spec, ask])}"
    env.close()
    with run.progress(ask.frames, "held-out episodes", "frames") as bar:
        store = collect(partial(PhysicsEnv, world), folder, ask, lambda done, total: bar.update(done))
    return [store.episode(i) for i in range(len(store))]
