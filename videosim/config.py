"""The settings of every command, free of torch and of physics.

Hydra composes them from ``configs/`` and the command line. They are plain (Hydra cannot compose frozen dataclasses);
treat them as immutable once composed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from videosim.agent_config import AgentConfig as AgentConfig
from videosim.agent_config import CalibrateConfig as CalibrateConfig
from videosim.agent_config import ExploitConfig as ExploitConfig
from videosim.agent_config import HorizonsConfig as HorizonsConfig
from videosim.agent_config import StressConfig as StressConfig
from videosim.generate_config import GenerateConfig as GenerateConfig
from videosim.generate_config import IntendConfig as IntendConfig
from videosim.model_config import ModelConfig

HELD_OUT = "held out"  # in the data section of a model's card: held_out, as it was trained


@dataclass
class WorldConfig:
    """A physics world and how it is seen and controlled. ``id`` is ``<source>:<name>`` with source ``dm_control``,
    ``gymnasium`` or ``videosim`` (own scenes)."""

    name: str = "cartpole-swingup"
    id: str = "dm_control:cartpole-swingup"
    action_repeat: int = 4
    horizon: int = 250  # agent steps of one episode
    camera: str = ""  # empty: the first camera of the scene, or the free camera
    field_of_view_deg: float = 0.0  # vertical; 0: the camera's own
    height: int = 64
    width: int = 64
    supersample: int = 2  # render at this multiple and box-average: sub-pixel motion for little cost


@dataclass
class TrainConfig:
    """`videosim train`: from an episode store to a checkpoint."""

    data: Any = ""  # folder of the episode store; [A,B]: of several, one model with an embodiment for each
    init: str = ""  # fine-tune this checkpoint (its tokens and scales stay) instead of starting from scratch
    anew: list[str] = field(default_factory=list)  # with init: begin transition or filter anew, as model.dynamics says
    seed: int = 0
    threads: int = 0  # 0: as many as torch chooses
    held_out: Any = 0.1  # share of the episodes never trained on; from 2 on: last frames of one drive; [a,b]: by store
    mirror: list[str] = field(default_factory=list)  # actions and sensors whose sign a mirror turns: train on both
    model: ModelConfig = field(default_factory=ModelConfig)
    tokenizer_steps: int = 7000
    tokenizer_batch: int = 64  # pairs of frames
    tokenizer_rate: float = 2e-3  # peak learning rate
    transition_steps: int = 12000
    transition_rate: float = 4e-3  # peak learning rate
    transition_batch: int = 256  # short runs
    transition_run: int = 5  # steps of one
    transition_focus: float = 0.5  # share of them from where the motion changes most abruptly
    dynamics_steps: int = 3000
    dynamics_rate: float = 1e-3  # peak learning rate
    filter_steps: int = 3000
    filter_rate: float = 2e-3  # peak learning rate
    filter_batch: int = 64  # windows
    belief_steps: int = 4000  # of a core that trains its filter beside its picture: of the filter alone, at the end
    belief_rate: float = 1e-3  # peak learning rate
    course_steps: int = 6000
    course_rate: float = 2e-3  # peak learning rate
    course_batch: int = 192  # windows
    painter_steps: int = 2500
    painter_rate: float = 3e-3  # peak learning rate
    painter_batch: int = 256  # frames
    batch: int = 64  # windows
    window: int = 40  # transitions of one window
    sizes: list[str] = field(default_factory=list)  # stores of what data hold in other sizes: whole clips
    parts: int = 1  # of every batch, each a pass of its own: one after another, or shared by processes
    devices: int = 1  # processes on this machine; several need the extra `scale`, and parts that they can share
    nodes: int = 1  # machines, each started by torchrun
    strategy: str = "ddp"  # what several processes keep: ddp, all of the weights; fsdp, each a share of them
    precision: str = "32"  # of the passes: 32, or bf16
    evaluate_every: int = 1000  # steps between two scores on held-out episodes; the best average is kept
    score_horizon: int = 60  # open-loop steps of a score
    score_windows: int = 256  # starts of a score
    contexts: int = 512  # start clips that travel with the checkpoint, from anywhere in the data
    task_contexts: int = 256  # and from the beginnings of episodes that began as the task does
    context_frames: int = 5  # frames of a start clip
    bits: int = 16  # of a stored weight: 32, 16, or 8 in what only shows the picture


# --- collecting episodes ---------------------------------------------------------------------------------------------


@dataclass
class CollectConfig:
    """How ``videosim collect`` fills an episode store."""

    world: WorldConfig = field(default_factory=WorldConfig)
    frames: int = 20000  # frames in the store when done, those of earlier runs included
    out: str = ""  # the store's folder
    seed: int = 0
    workers: int = 0  # processes; 0: one a core
    mixture: dict[str, float] = field(
        default_factory=lambda: {"random": 0.15, "noise": 0.2, "extreme": 0.1, "coast": 0.1, "scripted": 0.45}
    )
    wide_fraction: float = 0.7  # share of episodes that begin in the wide distribution of initial states
    past_termination: int = 10  # steps recorded beyond the end of the task, so that a model knows what lies there
    policy_noise: float = 0.1  # standard deviation added to the normalised actions of given policies
    checkpoint: str = ""  # the world model through which ``policy`` sees
    policy: str = ""  # folder of a policy written by `videosim agent`; it joins the mixture
    policy_share: float = 0.5  # share of the episodes in which it acts
    leave_out: list[list[float]] = field(default_factory=list)  # bands of strength no action has: held out of the data


@dataclass
class ImportConfig:
    """`videosim import`: a log that another program has recorded, into an episode store."""

    source: str = ""  # folder of the log
    format: str = ""  # name of a format, or a YAML file that describes a table; empty: found out
    camera: str = ""  # of a log with several: its name; empty: the one in front, or the first
    action: str = (
        ""  # "control" (steering, throttle, brake), "motion" (yaw rate, speed) or "none"; empty: what is there
    )
    world: str = ""  # name of the world in the store; empty: the format's
    rate: float = 0.0  # frames a second, in place of the log's time stamps; 0: what they say
    action_offset_s: float = 0.0  # how much later than its own time an action shows in the picture
    height: int = 64
    width: int = 64
    crop: list[float] = field(default_factory=lambda: [0.0, 0.0, 1.0, 1.0])  # top, left, bottom, right, as fractions
    swap_channels: bool = False  # the log's pictures have red and blue swapped
    episode_frames: int = 251  # frames of an episode at most: a long drive is cut
    shortest: int = 10  # frames of an episode at least: what is shorter is left out
    licence: str = ""  # of the log, kept with the store
    workers: int = 0  # processes; 0: one a core, fewer for a short log


@dataclass
class ExportConfig:
    """`videosim export`: an episode store in a format that others read."""

    data: str = ""  # folder of the episode store
    format: str = "lerobot"  # "lerobot" (LeRobotDataset v3) or "minari"
    frames: str = "png"  # of LeRobot: "png" in the tables, lossless, or "mp4" films, small and lossy


@dataclass
class CheckConfig:
    """`videosim check`: does a store hang together?"""

    data: str = ""  # folder of the episode store


# --- measuring speed -------------------------------------------------------------------------------------------------


@dataclass
class BenchConfig:
    """`videosim bench`: what a step of a checkpoint costs, beside rendered physics in the same run."""

    checkpoint: str = "cartpole-swingup"  # a bundled model, a checkpoint folder or a run folder
    world: str = ""  # the physics to compare with; empty: the world of the checkpoint
    envs: list[int] = field(default_factory=lambda: [1, 16, 64, 256])  # rows of the vector environments
    repeats: int = 5  # measurements of each figure, all figures in turn; the median is reported
    seconds: float = 1.0  # length of one measurement
    steps: int = 10_000  # the late step whose cost is compared with that of step 10
    contexts: int = 256  # start clips dreamed for 1,000 steps; 0: none
    threads: int = 0  # 0: as many as torch chooses
    device: str = "cpu"
    seed: int = 0


@dataclass
class AgentCommandConfig:
    """`videosim agent`: train one policy and score it in physics."""

    checkpoint: str = "???"  # bundled model, or a folder written by `videosim train`
    train_in: str = "imagination"  # "imagination", "physics", "physics-true-state" (the simulator's own sensors), …
    data: str = ""  # folder of the store the model was made from, for train_in=behaviour-cloning
    agent: AgentConfig = field(default_factory=AgentConfig)
    seed: int = 0
    episodes: int = 50  # episodes of the score, in physics and in imagination
    threads: int = 0  # of the scoring, 0: as many as torch chooses; one thread trains a policy


@dataclass
class LoopConfig:
    """`videosim loop`: rounds of policy, collecting with it, and fine-tuning the model."""

    world: WorldConfig = field(default_factory=WorldConfig)
    checkpoint: str = ""  # start from this model instead of training one
    data: str = ""  # episode store to append to; empty: `data` in the run folder
    rounds: int = 3  # how often the data grow
    base_frames: int = 40_000  # frames in the store before the first round, those already there included
    frames_per_round: int = 10_000
    policy_share: float = 0.8  # share of a round's episodes in which the policy acts; the others keep the data broad
    policy_noise: float = 0.2  # standard deviation added to its normalised actions
    agent: AgentConfig = field(default_factory=AgentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)  # of the first model
    fine_tune_steps: int = 2000
    fine_tune_rate: float = 3e-4
    episodes: int = 20  # episodes of each score
    workers: int = 0  # processes that collect; 0: one a core
    seed: int = 0


# --- the comparison --------------------------------------------------------------------------------------------------


@dataclass
class GapConfig:
    """`videosim gap`: imagination against physics, with intervals and films."""

    checkpoint: str = "???"  # bundled model, or a folder written by `videosim train`
    agent: AgentConfig = field(default_factory=AgentConfig)
    arms: list[str] = field(default_factory=lambda: ["imagination", "physics", "physics-true-state"])  # random is free
    data: str = ""  # folder of the store the model was made from, for the arm behaviour-cloning
    seeds: int = 3  # trainings of each arm
    seed: int = 0  # the first of them
    episodes: int = 50  # paired episodes that score each policy
    evaluation_seed: int = 1_000_000  # of the first of those episodes; no training comes near it
    cache: str = "runs/arms"  # trained policies and their scores, by a hash of what determines them
    held_out_frames: int = 8000  # collected anew for the open loop
    open_loop_starts: int = 128
    open_loop_horizon: int = 100  # steps
    context: int = 8  # frames the model sees before an open-loop dream
    lockstep_episodes: int = 50  # of the closed loop


@dataclass
class RankConfig:
    """`videosim rank`: does the model order policies as physics does?"""

    checkpoint: str = "???"  # bundled model, or a folder written by `videosim train`
    agent: AgentConfig = field(default_factory=AgentConfig)
    state_policies: int = 16  # trained in physics on the true state, each a training of its own
    latent_policies: int = 8  # trained in imagination on the model's latents
    episodes: int = 100  # paired episodes of each policy on each side
    reference_episodes: int = 500  # that fix what 0 (random actions) and 1 (the best training) mean
    evaluation_seed: int = 60_000_000  # of the first episode; no training comes near it
    seed: int = 0  # of the first training
    cache: str = "runs/arms"  # trained policies and their scores, by a hash of what determines them


@dataclass
class DemoConfig:
    """`videosim demo`: one policy, trained in imagination only, tried in MuJoCo."""

    checkpoint: str = "cartpole-swingup"  # bundled model, or a folder written by `videosim train`
    agent: AgentConfig = field(default_factory=AgentConfig)
    episodes: int = 20  # in physics
    random_episodes: int = 10  # of random actions, for comparison
    evaluation_seed: int = 1_000_000  # of the first episode
    seed: int = 0


# --- audits ----------------------------------------------------------------------------------------------------------


@dataclass
class AuditConfig:
    """`videosim audit`: what a model may be trusted with, and whether the audits can tell."""

    checkpoint: str = (
        ""  # bundled model, or a folder of `videosim train`; "A,B": two side by side; empty: controls only
    )
    world: str = ""  # whose audits, such as "driving" or "laws"; empty: those of the checkpoint's world, or of push
    data: str = ""  # episode store of a driving log; the model is then audited on its held-out episodes
    held_out: float | None = None  # as in `videosim train`; null: as the checkpoint was trained; 1: it has seen none
    controls: list[str] = field(default_factory=lambda: ["few"])  # broken worlds by name; [few]: three; [all]: the zoo
    size: str = "full"  # of the bar file: "smoke", "quick", "standard" or "full"
    bars: str = ""  # another bar file than the registered one; the ledger takes no measurement made with it
    seed: int = 0
    workers: int = 0  # processes, this one and those that examine controls beside it; 0: one a core


@dataclass
class TrendConfig:
    """`videosim trend`: how the figures of audited models change from one to the next."""

    measurements: list[str] = field(default_factory=list)  # folders of audits of one model each, in order
    at: list[float] = field(default_factory=list)  # compute that made each, in any unit, or its generation
    along: str = "compute"  # what ``at`` is: "compute" or "generation"


@dataclass
class LedgerConfig:
    """`videosim ledger`: what is claimed beside what was measured."""

    measurements: list[str] = field(default_factory=lambda: ["runs/audit/push"])  # folders of audits, the newest last
    claims: str = ""  # file of claims; empty: the package's own
