"""Commands that join two layers which may not import each other: the episode store knows no physics."""

from __future__ import annotations

from functools import partial

from videosim.config import CollectConfig
from videosim.data.collect import collect as collect_episodes
from videosim.envs.physics import PhysicsEnv
from videosim.run import Run


def collect(cfg: CollectConfig, run: Run) -> None:
    """``videosim collect``: physics rollouts into the episode store in ``run.folder``; appends to one that is there."""
    bar = None

    def progress(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = run.progress(total, f"collecting {run.folder}", "frames", done=done)
        bar.update(done)

    store = collect_episodes(partial(PhysicsEnv, cfg.world), run.folder, cfg, progress)
    if bar is not None:
        bar.close()
        run.figure("frames_per_s", bar.rate if bar.done > bar.first else None, unit="frame/s")
    run.figure("episodes", len(store))
    run.figure("frames", store.frames_total)
    rewards = [float(store.column("rewards", i).sum()) for i in range(len(store))]
    run.figure("return_mean", sum(rewards) / len(rewards), min(rewards), max(rewards), len(rewards))
    counts = {name: store.behaviours.count(name) for name in sorted(set(store.behaviours))}
    rows = [(name, count, _mean(rewards, store.behaviours, name)) for name, count in counts.items()]
    run.table(
        f"{len(store)} episodes, {store.frames_total} frames in {run.folder}", ("behaviour", "episodes", "return"), rows
    )


def _mean(values: list[float], labels: list[str], label: str) -> float:
    chosen = [value for value, other in zip(values, labels, strict=True) if other == label]
    return sum(chosen) / len(chosen)
