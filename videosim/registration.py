"""Environment ids as ``module:Class`` strings. Imports neither torch nor mujoco; gymnasium resolves them in ``make``."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry


def register_envs() -> None:
    """Register videosim's environments. Idempotent."""
    if "VideoSimPhysics-v0" not in registry:
        # no max_episode_steps: the environment itself truncates at its world's horizon
        register(id="VideoSimPhysics-v0", entry_point="videosim.envs.physics:PhysicsEnv")
    if "VideoSim-v0" not in registry:
        register(
            id="VideoSim-v0",
            entry_point="videosim.envs.video_sim:VideoSimEnv",
            vector_entry_point="videosim.envs.video_sim:VideoSimVectorEnv",
        )
    if "VideoSimTwin-v0" not in registry:
        register(id="VideoSimTwin-v0", entry_point="videosim.envs.twin:VideoSimTwinEnv")
