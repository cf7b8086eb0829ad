"""The world model: tokenizer + action tokens + dynamics + heads, with the scales that join them.

Outside speaks uint8 frames, actions in [-1, 1], sensors in their units, and raw latents in the tokenizer's own range;
inside, latents, sensors and rewards have zero mean and unit scale over the training data.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from videosim.actions import ActionTokens
from videosim.captions import told_of
from videosim.dynamics import State, build_dynamics
from videosim.embodiments import Embodiment, number_of
from videosim.errors import VideoSimError
from videosim.heads import Heads
from videosim.model_config import ModelConfig
from videosim.painter import Painter
from videosim.spacetime import SpaceTimeDynamics
from videosim.tokenizers import build_tokenizer
from videosim.types import WorldSpec

ACTION_WIDTH = 32
CHUNK = 256  # frames encoded or decoded at once: bounds memory, keeps caches warm
POLICY_INPUTS = ("latent", "state")


@dataclass
class StepOut:
    """One imagined transition of B rows.

    rewards ``(B,)`` in the world's units, terminated_prob ``(B,)`` in [0, 1], doubt ``(B,)``: the ``state_error`` that
    the heads expect of such a state, whatever came before it, uncertainty ``(B,)``: that of the whole dream since its
    last real frame, sensors ``(B, S)`` in their units.
    """

    rewards: Tensor
    terminated_prob: Tensor
    doubt: Tensor
    uncertainty: Tensor
    sensors: Tensor


@dataclass
class Contexts:
    """Start clips: latents ``(n, K, N, D)``, actions ``(n, K-1, A)`` in [-1, 1], and of the last frame the sensors
    ``(n, S)`` and the physics state ``(n, P)`` (P may be 0), so that physics can start from the same place; 0 where the
    clip's store has none. ``task`` bool ``(n,)``: the clip is the beginning of an episode that began as the task does.
    ``embodiment`` int64 ``(n,)``: number of the body it shows; left out: the first."""

    latents: Tensor
    actions: Tensor
    sensors: Tensor
    physics: Tensor
    task: Tensor
    embodiment: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        if not self.embodiment.numel():
            self.embodiment = torch.zeros(len(self.latents), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.latents)


class WorldModel(nn.Module):
    """Made by ``videosim train``, loaded by ``load_checkpoint``. ``card`` holds what the training run recorded.

    embodiments  the bodies that it knows, each with some of the world's actions and sensors; none: one with all
    body         number of the one that acts, the first unless ``embodied`` chose another
    """

    def __init__(self, config: ModelConfig, spec: WorldSpec, embodiments: Sequence[Embodiment] = ()) -> None:
        super().__init__()
        if spec.action.size > config.max_action_size:
            raise VideoSimError(
                f"{spec.name} has {spec.action.size} action numbers and the model takes {config.max_action_size}; "
                "raise model.max_action_size"
            )
        sensors = spec.sensors.size
        self.config, self.spec, self.body = config, spec, 0
        self.embodiments = list(embodiments) or [Embodiment.of(spec)]
        if len(self.embodiments) > config.embodiments:
            raise VideoSimError(
                f"{len(self.embodiments)} stores need as many embodiments and the model has {config.embodiments}; "
                "raise model.embodiments"
            )
        self.tokenizer = build_tokenizer(config.tokenizer, spec.frame, sensors)
        layout = self.tokenizer.layout
        self.action_tokens = ActionTokens(config.max_action_size, ACTION_WIDTH, config.embodiments)
        self.dynamics = build_dynamics(config.dynamics, layout, ACTION_WIDTH, sensors)
        self.heads = Heads(config.heads, self.dynamics.feature_size, ACTION_WIDTH, sensors)
        painted = config.dynamics.painter and sensors
        self.painter = Painter(config.dynamics.painter, layout, sensors) if painted else None
        for name, shape in (("latent", (layout.tokens, layout.width)), ("sensor", (sensors,)), ("reward", ())):
            self.register_buffer(f"{name}_mean", torch.zeros(shape))
            self.register_buffer(f"{name}_std", torch.ones(shape))
        self.register_buffer("sensor_span", torch.as_tensor(spec.sensors.span), persistent=False)
        measured = np.stack([body.measures(spec) for body in self.embodiments])
        self.register_buffer("measured", torch.from_numpy(measured), persistent=False)
        for number, body in enumerate(self.embodiments):
            self.action_tokens.has[number, : spec.action.size] = torch.from_numpy(body.steers(spec)).float()
        self.contexts: Contexts | None = None
        self.card: dict[str, Any] = {}
        self.folder: Path | None = None

    latent_mean: Tensor
    latent_std: Tensor
    sensor_mean: Tensor
    sensor_std: Tensor
    reward_mean: Tensor
    reward_std: Tensor
    sensor_span: Tensor
    measured: Tensor  # bool (embodiments, S)

    def embodied(self, embodiment: str | int) -> WorldModel:
        """The same model, weights and all, as another body by its name or number; VideoSimError where it knows none
        such."""
        other = copy.copy(self)
        other.body = number_of(self.embodiments, embodiment)
        return other

    def titled(self, title: str) -> str:
        """What the card calls a section of the present body."""
        return title if len(self.embodiments) == 1 else f"{title}, {self.embodiments[self.body].name}"

    def section(self, title: str) -> dict[str, Any]:
        """A section of the card, the present body's or else the model's; empty where there is none. A card is a file
        like any other and may say anything."""
        found = self.card.get(self.titled(title), self.card.get(title))
        return found if isinstance(found, dict) else {}

    def recorded(self, title: str, name: str) -> float | None:
        """A number in a ``section`` of the card; None where it holds no such number."""
        value = self.section(title).get(name)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def figure(self, name: str) -> str:
        """What a run calls a figure of the present body."""
        return name if len(self.embodiments) == 1 else f"{name}_{self.embodiments[self.body].name}"

    @property
    def has_sensors(self) -> bool:
        """Whether the present body has any."""
        return bool(self.embodiments[self.body].sensors)

    @property
    def latent_size(self) -> int:
        """Length of the ``"latent"`` policy input."""
        return self.dynamics.feature_size

    @property
    def device(self) -> torch.device:
        return self.latent_mean.device

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """uint8 ``(…, H, W, 3)`` -> float32 ``(…, N, D)`` in the tokenizer's range.

        Raises VideoSimError when the frames are not uint8 of the model's size.
        """
        if frames.dtype != torch.uint8 or tuple(frames.shape[-3:]) != self.spec.frame.shape:
            raise VideoSimError(
                f"this model takes uint8 frames of shape {self.spec.frame.shape}; "
                f"got {frames.dtype} {tuple(frames.shape)}"
            )
        flat = frames.reshape(-1, *frames.shape[-3:])
        z = torch.cat([self.tokenizer.encode(part.to(self.device)).z for part in flat.split(CHUNK)])
        return z.unflatten(0, frames.shape[:-3])

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """float32 ``(…, N, D)`` -> uint8 ``(…, H, W, 3)``."""
        flat = z.reshape(-1, *z.shape[-2:])
        frames = torch.cat([self.tokenizer.decode(part) for part in flat.split(CHUNK)])
        return frames.unflatten(0, z.shape[:-2])

    def recoded(self, frames: np.ndarray) -> np.ndarray:
        """uint8 ``(T, H, W, 3)`` as the tokenizer alone makes them: encoded and decoded."""
        return self.decode(self.encode(torch.from_numpy(frames))).cpu().numpy()

    def _scaled(self, z: Tensor) -> Tensor:
        return (z - self.latent_mean) / self.latent_std

    def start(self, latents: Tensor, actions: Tensor, embodiment: Tensor | None = None) -> State:
        """Absorb K raw-latent frames ``(B, K, N, D)`` and the K-1 actions ``(B, K-1, A)`` in [-1, 1] between them, of
        the present body or of those numbered ``embodiment`` ``(B,)``."""
        known, bodies = self._scaled(latents), self.body if embodiment is None else embodiment[:, None]
        return self._remembering(self.dynamics.start(known, self.action_tokens(actions, bodies)), known[:, -1])

    def observe(self, state: State, action: Tensor, latents: Tensor) -> State:
        """Absorb one real frame's raw latents ``(B, N, D)`` that followed ``action`` ``(B, A)``."""
        known = self._scaled(latents)
        return self._remembering(self.dynamics.observe(state, self.action_tokens(action, self.body), known), known)

    def _remembering(self, state: State, seen: Tensor) -> State:
        """``state`` of a real frame: nothing is in doubt, and its standardised latents ``(B, N, D)`` are what the
        painter starts from."""
        certain = {**state, "doubted": seen.new_zeros(len(seen))}
        return certain if self.painter is None else {**certain, "seen": seen}

    def step(
        self, state: State, action: Tensor, rngs: Sequence[torch.Generator] | None = None
    ) -> tuple[State, StepOut]:
        """Imagine one step under ``action`` ``(B, A)`` in [-1, 1]; ``rngs``, one a row, for a core that samples."""
        token = self.action_tokens(action, self.body)
        before, sensors = self.dynamics.features(state), self.dynamics.sensors(state)
        ahead, _ = self.dynamics.step(state, token, rngs)
        after = self.dynamics.features(ahead)
        reward, logit = self.heads(before, token, after, sensors, self.dynamics.sensors(ahead))
        error = self.heads.error_std(token, after, ahead["age"])
        if self.has_sensors:
            known = self.measured[self.body]
            error = (error * self.sensor_std / self.sensor_span)[:, known]
        doubt = error.square().mean(-1)
        ahead["doubted"] = state["doubted"] + doubt
        if self.painter is not None:
            ahead["seen"] = state["seen"]
        return ahead, StepOut(
            rewards=reward * self.reward_std + self.reward_mean,
            terminated_prob=torch.sigmoid(logit),
            doubt=doubt.sqrt(),
            uncertainty=self.caution() * ahead["doubted"].sqrt(),
            sensors=self.sensors(ahead),
        )

    def caution(self) -> float:
        """The expected error of a dream for the root of the sum of its squared doubts. An error does not heal while
        nothing is seen, whatever the state that is dreamed looks like; but its steps do not err independently, and so
        the scale is measured (``held_out``, ``videosim calibrate``) and stands in the card."""
        scale = self.recorded("Uncertainty", "scale")
        return 1.0 if scale is None else float(scale)

    @torch.no_grad()
    def generate(
        self,
        given: Tensor,
        kept: Tensor,
        actions: Tensor | None,
        rngs: Sequence[torch.Generator],
        passes: int,
        texts: Sequence[str] | None = None,
        guidance: float | None = None,
    ) -> Tensor:
        """Raw latents of whole clips ``(B, T, N, D)`` around what is ``kept`` ``(B, T, N)`` of the raw latents
        ``given``, under ``actions`` ``(B, T-1, A)`` in [-1, 1] or whatever may have been done, as ``texts`` say; see
        ``SpaceTimeDynamics.generate``. Raises VideoSimError where the core makes no whole clips or reads no text."""
        if not isinstance(self.dynamics, SpaceTimeDynamics):
            raise VideoSimError(f"the {self.config.dynamics.kind} core makes one frame after another, no whole clips")
        tokens = None if actions is None else self.action_tokens(actions, self.body)
        words_alone = any(texts or ()) and not bool(kept.any())  # they decide whose states they tell of
        bodies = [self.body] * len(given)
        if words_alone:
            sensors = [body.sensors for body in self.embodiments]
            about = [told_of(text, sensors) for text in texts or ()]
            bodies = [own if told is None else told for own, told in zip(bodies, about, strict=True)]
        stated = all(self.embodiments[body].sensors for body in bodies)
        unsteered = self._unsteered(len(given), given.shape[1] - 1, bodies) if stated else None
        made = self.dynamics.generate(
            self._scaled(given),
            kept,
            tokens,
            rngs,
            passes,
            texts,
            guidance,
            unsteered,
            self.measured[bodies].float(),
            self._looks(bodies),
        )
        return made * self.latent_std + self.latent_mean

    def _unsteered(self, rows: int, steps: int, bodies: Sequence[int] | None = None) -> Tensor:
        """Tokens ``(rows, steps, W)`` of actions that nobody knows, of the present body or of one for each row."""
        untold = torch.zeros(rows, steps, self.spec.action.size, device=self.device)
        body = torch.tensor(bodies or [self.body] * rows, device=self.device)[:, None].expand(rows, steps)
        return self.action_tokens(untold, body, torch.zeros_like(untold[..., 0]).bool())

    def _looks(self, bodies: Sequence[int]) -> Tensor | None:
        """Standardised latents ``(B, N, D)`` of a start clip of each of ``bodies``, where all have one."""
        clips = self.contexts
        if clips is None or not all((clips.embodiment == body).any() for body in bodies):
            return None
        first = [int((clips.embodiment == body).nonzero()[0]) for body in bodies]
        return self._scaled(clips.latents[first, -1].to(self.device))

    @torch.no_grad()
    def watch(self, latents: Tensor) -> Tensor:
        """The physical state that the present body shows in films, raw latents ``(B, T, N, D)``, of which nobody says
        what was done: sensors ``(B, T, S)`` in their units, each frame read after those before it."""
        known, steps = self._scaled(latents), latents.shape[1] - 1
        tokens = self._unsteered(len(latents), steps)
        state = self.dynamics.start(known[:, :1], tokens[:, :0])
        read = [self.sensors(state)]
        for t in range(steps):
            state = self.dynamics.observe(state, tokens[:, t], known[:, t + 1])
            read.append(self.sensors(state))
        return torch.stack(read, 1)

    def state_error(self, state: State, sensors: Tensor, latents: Tensor) -> Tensor:
        """How far ``state`` is off the true sensors ``(B, S)``, root mean square of fractions of their ranges; of a
        body without sensors, off the raw latents ``(B, N, D)`` of the true frame, in standard deviations: ``(B,)``."""
        if self.has_sensors:
            known = self.measured[self.body]
            return ((self.sensors(state) - sensors) / self.sensor_span)[:, known].square().mean(-1).sqrt()
        return ((self.latents(state) - latents) / self.latent_std).flatten(1).square().mean(-1).sqrt()

    def latents(self, state: State) -> Tensor:
        """Raw latents ``(B, N, D)`` of the state's newest frame, absorbed or imagined."""
        latents = self.dynamics.latents(state)
        if self.painter is not None and self.has_sensors:
            painted = self.painter(self.dynamics.sensors(state), state["seen"])
            latents = torch.where(state["age"][:, None, None] > 0.0, painted, latents)
        return latents * self.latent_std + self.latent_mean

    def sensors(self, state: State) -> Tensor:
        """The physical state the model believes in, ``(B, S)`` in the sensors' units."""
        return self.dynamics.sensors(state) * self.sensor_std + self.sensor_mean

    def policy_input(self, state: State, mode: str) -> Tensor:
        """What a policy sees, the same in imagination and in physics: ``"latent"`` features ``(B, latent_size)``, or
        ``"state"``, the decoded sensors ``(B, S)`` in their units. Raises VideoSimError on another mode."""
        if mode == "latent":
            return self.dynamics.features(state)
        if mode == "state":
            return self.sensors(state)
        raise VideoSimError(f"unknown policy input {mode!r}; choose one of {', '.join(POLICY_INPUTS)}")
