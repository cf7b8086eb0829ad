"""The nouns of the project: what a frame, an action, a sensor, a world and an episode are. Knows no torch and no
physics.

Time, said once: ``frames[t]`` --``actions[t]``--> ``frames[t+1]``; ``rewards[t]`` belongs to ``actions[t]``. An episode
holds T+1 frames (and sensor rows, and physics states) for T actions and T rewards.

Alphabet used in every docstring: ``B`` batch, ``T`` transitions, ``K`` context frames, ``N`` tokens per frame, ``D``
latent width, ``A`` action size, ``S`` sensors, ``H W`` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from videosim.errors import VideoSimError


@dataclass(frozen=True)
class FrameSpec:
    """Size of a frame: uint8 ``(H, W, 3)`` RGB."""

    height: int = 64
    width: int = 64

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, 3)


@dataclass(frozen=True)
class LatentLayout:
    """What the N tokens of one frame's latents are: a grid of ``rows`` by ``columns``, row by row, then ``extra`` ones
    that have no place in the picture; ``width`` numbers each, of ``levels`` values in [-1, 1] (0: of any value)."""

    rows: int
    columns: int
    extra: int
    width: int
    levels: int = 0

    @property
    def tokens(self) -> int:
        """N."""
        return self.rows * self.columns + self.extra


@dataclass(frozen=True)
class ActionSpec:
    """A continuous action vector of ``size`` numbers, each between its ``low`` and ``high`` (world units)."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.low)

    def normalise(self, actions: np.ndarray) -> np.ndarray:
        """World units ``(…, A)`` to float32 in [-1, 1]; values outside the bounds are clipped."""
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        return np.clip(2.0 * (np.asarray(actions, np.float32) - low) / (high - low) - 1.0, -1.0, 1.0)

    def denormalise(self, actions: np.ndarray) -> np.ndarray:
        """[-1, 1] ``(…, A)`` to float32 world units."""
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        return low + (np.clip(np.asarray(actions, np.float32), -1.0, 1.0) + 1.0) * 0.5 * (high - low)

    def check(self, actions: np.ndarray) -> np.ndarray:
        """Return ``actions`` as float32 ``(…, A)``, or raise VideoSimError on a wrong size, NaN, or a value out of
        bounds."""
        array = np.asarray(actions, np.float32)
        if array.ndim == 0 or array.shape[-1] != self.size:
            raise VideoSimError(f"an action has {self.size} numbers ({', '.join(self.names)}); got shape {array.shape}")
        if not np.isfinite(array).all():
            raise VideoSimError("an action holds NaN or infinity; check the policy that produced it")
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        slack = 1e-4 * (high - low)  # a policy that rescales in float32 may overshoot its own bound by one rounding
        if (array < low - slack).any() or (array > high + slack).any():
            raise VideoSimError(
                f"an action leaves its bounds [{low.min():g}, {high.max():g}]; clip it with env.action_space first"
            )
        return np.clip(array, low, high)

    def leave_out(self, action: np.ndarray, bands: Sequence[Sequence[float]]) -> np.ndarray:
        """``action`` (A,) with the strength of the nearer edge where its own lies within one of ``bands`` (low, high).

        Strength is the length of the normalised action; an edge beyond the action's bounds is none.
        """
        normal = self.normalise(action)
        strength = float(np.linalg.norm(normal))
        most = strength / max(float(np.abs(normal).max()), 1e-9)  # in this direction
        for band in bands:
            if band[0] < strength < band[1]:
                edge = min((edge for edge in band if edge <= most), key=lambda edge: abs(edge - strength))
                return self.denormalise(normal * (edge / strength))
        return np.asarray(action, np.float32)


@dataclass(frozen=True)
class SensorSpec:
    """The physical state as readable numbers: name, unit and physical range of each of ``S`` sensors.

    An angle that wraps is given as its cosine and sine (unit "1"). ``low``/``high`` is the range in which the true
    system stays; state errors are reported in units and as a fraction of ``high - low``.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def span(self) -> np.ndarray:
        """``high - low`` as float32 ``(S,)``."""
        return np.asarray(self.high, np.float32) - np.asarray(self.low, np.float32)


@dataclass(frozen=True)
class WorldSpec:
    """Everything the model and the physics must agree on."""

    name: str
    frame: FrameSpec
    action: ActionSpec
    sensors: SensorSpec
    dt_s: float  # time between two frames: physics control step x action repeat
    horizon: int  # steps of one episode

    @property
    def fps(self) -> int:
        """Frames a second, rounded, at least 1."""
        return max(1, round(1.0 / self.dt_s))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> WorldSpec:
        """Inverse of ``to_dict``, also after a JSON round trip (lists become tuples)."""

        def fields(part: dict[str, Any]) -> dict[str, Any]:
            return {k: tuple(v) if isinstance(v, list) else v for k, v in part.items()}

        return cls(
            name=data["name"],
            frame=FrameSpec(**data["frame"]),
            action=ActionSpec(**fields(data["action"])),
            sensors=SensorSpec(**fields(data["sensors"])),
            dt_s=float(data["dt_s"]),
            horizon=int(data["horizon"]),
        )


@dataclass
class Episode:
    """One recorded episode of T transitions.

    frames    uint8   (T+1, H, W, 3)
    actions   float32 (T, A), world units
    rewards   float32 (T,)
    sensors   float32 (T+1, S)
    physics   float64 (T+1, P) full simulator state, P = 0 where there is none
    terminated bool   (T,) True where the task said "over" at that transition (never for a time limit). Recording may
              go on past the first True, so that a model sees what lies beyond the end
    behaviour what acted, e.g. "random", "noise", "policy:<name>"
    seed      the seed the episode was started with
    wide      whether it began in the wide distribution of initial states; False: as the task begins, or a log
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    sensors: np.ndarray
    physics: np.ndarray
    terminated: np.ndarray
    behaviour: str = "unknown"
    seed: int = 0
    wide: bool = False

    def __post_init__(self) -> None:
        steps = len(self.actions)
        if not (len(self.frames) == len(self.sensors) == len(self.physics) == steps + 1):
            raise VideoSimError(
                f"an episode of {steps} actions needs {steps + 1} frames, sensor rows and physics states; "
                f"got {len(self.frames)}, {len(self.sensors)}, {len(self.physics)}"
            )
        if not (len(self.rewards) == len(self.terminated) == steps):
            raise VideoSimError(f"an episode of {steps} actions needs {steps} rewards and termination flags")

    @property
    def length(self) -> int:
        """T, the number of transitions."""
        return len(self.actions)
