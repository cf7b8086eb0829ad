"""Environment ids as ``module:Class`` strings. Imports neither torch nor mujoco; ``gymnasium.make`` resolves them."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

# id -> (environment, vector environment). No max_episode_steps: each truncates by itself at its world's horizon.
ENTRY_POINTS: dict[str, tuple[str, str | None]] = {
    "VideoSim-v0": ("videosim.envs.video_sim:VideoSimEnv", "videosim.envs.video_sim:VideoSimVectorEnv"),
    "VideoSimTwin-v0": ("videosim.envs.twin:VideoSimTwinEnv", None),
    "VideoSimPhysics-v0": ("videosim.envs.physics:PhysicsEnv", None),
}


def register_envs() -> None:
    """Register videosim's environments. Idempotent."""
    for name, (entry_point, vector_entry_point) in ENTRY_POINTS.items():
        if name not in registry:
            register(id=name, entry_point=entry_point, vector_entry_point=vector_entry_point)
