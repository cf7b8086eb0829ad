"""Commands that join layers which may not import each other: the episode store knows neither physics nor policies."""

from __future__ import annotations

from videosim.config import CollectConfig
from videosim.envs.recording import record
from videosim.errors import VideoSimError
from videosim.run import Run


def collect(cfg: CollectConfig, run: Run) -> None:
    """``videosim collect``: physics rollouts into the episode store in ``run.folder``; appends to one that is there."""
    if bool(cfg.checkpoint) != bool(cfg.policy):
        raise VideoSimError("a policy sees through the model it was trained on; give checkpoint= and policy= together")
    policies = {}
    if cfg.policy:
        from videosim.agents.imagined import imagined_policy, share_with  # torch only where there is a policy

        name, policy = imagined_policy(cfg.checkpoint, cfg.policy, cfg.world)
        policies = {name: policy}
        cfg.mixture = share_with(cfg.mixture, name, cfg.policy_share)
    store = record(cfg, run.folder, run, policies)
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
