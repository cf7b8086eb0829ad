"""The settings of an agent, and of the commands that ask how far its dreams may be trusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class AgentConfig:
    """A stable-baselines3 configuration: the same wherever the policy is trained."""

    algorithm: str = "ppo"  # "ppo" or "sac"
    obs: str = "state"  # policy input: "state" (decoded sensors) or "latent" (memory and latents)
    steps: int = 300_000  # environment steps of one training
    envs: int = 32  # environments side by side
    imagined_starts: str = "data"  # imagined fragments begin anywhere in the "data", or as the "task" does
    imagined_horizon: int = 60  # steps of an imagined fragment
    max_uncertainty: Any = None  # expected state error that ends an imagined fragment; "calibrated": the card's
    uncertainty_penalty: float = 0.0  # taken from the imagined reward, per unit of a step's doubt
    learning_rate: float = 1e-3  # decays linearly
    gamma: float = 0.99
    batch: int = 512
    hidden: list[int] = field(default_factory=lambda: [64, 64])  # widths of the policy's layers
    rollout: int = 64  # PPO: steps of each environment between updates
    epochs: int = 10  # PPO
    gae_lambda: float = 0.95  # PPO
    entropy: float = 0.0  # PPO: loss weight of the policy's entropy
    log_std_init: float = -0.5  # PPO: log standard deviation of the first actions
    gradient_steps: int = 16  # SAC: updates per step of all environments
    learning_starts: int = 2000  # SAC: steps of random actions before the first update


@dataclass
class CalibrateConfig:
    """`videosim calibrate`: does a model's uncertainty know its error?"""

    checkpoint: str = "???"  # bundled model, or a folder written by `videosim train`
    policy: str = ""  # folder of a policy that `videosim agent` trained in imagination; empty: one from the cache
    agent: AgentConfig = field(default_factory=AgentConfig)  # of the policy that is trained where none is given
    cache: str = "runs/arms"  # trained policies, by a hash of what determines them
    episodes: int = 50  # dreamed by the policy and replayed in physics
    evaluation_seed: int = 1_000_000  # of the first of them
    held_out_frames: int = 8000  # of behaviour, collected anew
    starts: int = 128  # dreams under that behaviour
    horizon: int = 100  # steps of every dream
    context: int = 8  # frames the model sees before each
    write: bool = False  # put the threshold found into the checkpoint's card, where "calibrated" reads it
    seed: int = 0


@dataclass
class ExploitConfig:
    """`videosim exploit`: one training in imagination, followed in the dream and in physics."""

    checkpoint: str = "???"  # bundled model, or a folder written by `videosim train`
    agent: AgentConfig = field(default_factory=AgentConfig)
    points: int = 10  # snapshots of a training
    penalty: float = 10.0  # of the second training, per unit of a step's doubt; it also ends its dreams by "calibrated"
    episodes: int = 50  # paired episodes of a snapshot on each side
    evaluation_seed: int = 1_000_000  # of the first of them
    cache: str = "runs/arms"  # snapshots and their scores, by a hash of what determines them
    seed: int = 0  # of both trainings


@dataclass
class HorizonsConfig:
    """`videosim horizons`: how long should the dreams be that a policy learns in?"""

    checkpoint: str = "???"  # bundled model, or a folder written by `videosim train`
    agent: AgentConfig = field(default_factory=AgentConfig)  # all but its imagined_horizon
    horizons: list[int] = field(default_factory=lambda: [5, 15, 30, 60, 250])  # steps of an imagined fragment
    arms: list[str] = field(default_factory=lambda: ["imagination"])  # also imagination-by-physics, imagination-blind
    seeds: int = 3  # trainings of each
    seed: int = 0  # the first of them
    episodes: int = 50  # paired episodes that score each policy
    evaluation_seed: int = 1_000_000  # of the first of those episodes
    cache: str = "runs/arms"  # trained policies and their scores, by a hash of what determines them


@dataclass
class StressConfig:
    """`videosim stress`: policies from imagination and from physics where the physics has changed."""

    checkpoint: str = "???"  # bundled model, or a folder written by `videosim train`
    agent: AgentConfig = field(default_factory=AgentConfig)
    perturbations: list[str] = field(  # factors of mass, friction, gravity and damping, steps of delay
        default_factory=lambda: [
            *("mass0.5", "mass2", "friction0.5", "friction2", "gravity0.5", "gravity1.5", "damping2"),
            *("delay1", "delay2", "delay3"),
        ]
    )
    seeds: int = 3  # trainings of each
    seed: int = 0  # the first of them
    episodes: int = 50  # paired episodes of each policy in each world
    evaluation_seed: int = 1_000_000  # of the first of those episodes
    cache: str = "runs/arms"  # trained policies and their returns, by a hash of what determines them
