"""The generative core: a transformer over spacetime patches that makes the next frame in a few passes.

One algorithm for every kind; what differs, the source, the loss, the solver and what the network answers, is its
``Path``. A frame that is absorbed, real or imagined, passes once, clean, and leaves its keys and values in a ring of
the last ``past`` frames: all that later frames see of it, and of the action that led to it. The next frame is asked for
with those as its past. Training asks for every frame of a window at once, each beside the clean frames before it, which
is what a step sees.

A register token of the clean frame sums it up for reward and termination. Where a log has sensors, networks of their
own read the physical state off real frames (``filter``) and move it on (``transition``), and what it would look like
(``guess``) is what a frame to be made is asked for with, and what the answer is added to, in place of the frame before:
pictures made of pictures alone need far more training before they move at all, and fade.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from videosim.around import Around
from videosim.course import Course
from videosim.dynamics import Dynamics, DynamicsLoss, State, Telling
from videosim.errors import VideoSimError
from videosim.filter import Filter
from videosim.missing import as_input
from videosim.model_config import SpaceTimeConfig
from videosim.painter import Painter
from videosim.patches import Patches
from videosim.paths import Path, Predict, guided
from videosim.storyline import storyline
from videosim.text import TextEncoder, build_text
from videosim.transformer import Past, SpaceTimeTransformer, causal
from videosim.transition import Transition, off_by
from videosim.types import LatentLayout
from videosim.whole_clips import drawn, heard, length, nearest
from videosim.windows import Grid, inside

OFF = 1e-3, 0.1  # standard deviations, log-uniform, of how far off the states are that guesses are painted from
OUTLINED = 0.6  # share of the whole clips whose physical states are known in training


def _mean(errors: Tensor, weights: Tensor) -> Tensor:
    """Mean of the errors of frames ``(B, T)`` under ``weights``."""
    return (errors * weights).sum() / weights.sum()


def _exist(valid: Tensor) -> Tensor:
    """1 or 0 ``(B, T+1)``: which frames there are, of transitions ``(B, T)`` that there are or not."""
    return torch.cat([valid.new_ones(len(valid), 1), valid], 1).float()


def _after_the_first(time: Tensor, frames: Tensor) -> Tensor:
    """1 where a frame ``(B, T, N, D)`` has one before it, at ``time`` ``(B or 1, T)``: ``(B, T, N)``."""
    return (time > 0).float()[..., None].expand(frames.shape[:-1])


class SpaceTimeDynamics(Dynamics):
    text: TextEncoder | None
    course: Course | None

    def __init__(
        self, config: SpaceTimeConfig, layout: LatentLayout, action_width: int, sensors: int, path: Path
    ) -> None:
        super().__init__(sensors)
        if min(config.past, config.steps, config.registers) < 1:
            raise VideoSimError("model.dynamics.past, steps and registers are whole numbers from 1")
        self.config, self.layout, self.path = config, layout, path
        self.clips = config.joint
        width, size = config.width, layout.tokens * layout.width
        self.feature_size = width + size + sensors
        self.patches = Patches(layout, config.patch, width, path.outputs)
        self.registers = nn.Parameter(0.02 * torch.randn(config.registers, width))
        self.looks = nn.Parameter(torch.zeros(2, width))  # tell a frame that looks back from one that looks at all
        self.size = nn.Embedding(path.sizes, width)
        self.action = nn.Linear(action_width, width)
        self.no_action = nn.Parameter(torch.zeros(width))  # before the first frame, and where a condition is dropped
        grid = Grid(self.patches.high, self.patches.wide, int(bool(layout.extra)))
        self.transformer = SpaceTimeTransformer(
            width, config.layers, config.heads, config.time_every, inside(config, grid)
        )
        if sensors:
            self.filter = Filter(size, sensors, config.filter_hidden or config.hidden)
            self.transition = Transition(
                sensors, action_width, config.transition_hidden or config.hidden, config.products
            )
        if sensors and config.guess:
            self.guess = Painter(config.guess, layout, sensors)
            if config.joint:
                self.course = Course(config, sensors, action_width)
        self.text = build_text(config.text, width)
        if self.text is not None and not config.joint:
            raise VideoSimError("a text is about a whole clip; add model.dynamics.joint=0.5 to model.dynamics.text")

    # --- one pass ----------------------------------------------------------------------------------------------------

    def _run(self, latents: Tensor, level: Tensor, size: Tensor, around: Around) -> tuple[Tensor, Past]:
        """Frames ``(B, T, N, D)`` of a ``level`` ``(B, T, N)``, asked for a step of ``size`` ``(B, T)``: tokens, the
        summary first, and what they leave to later frames."""
        registers = self.registers + self.size(size)[..., None, :] + self.looks[int(around.mask is None)]
        tokens = torch.cat([registers, around.led[..., None, :], self.patches.embed(latents, level, around.before)], -2)
        cells = self.patches.cells
        middle = cells.mean(0, keepdim=True).expand(tokens.shape[2] - len(cells), 2)
        where = torch.cat([middle, cells]).expand(*around.time.shape, -1, 2)
        places = torch.cat([around.time[..., None, None].expand(*where.shape[:-1], 1), where], -1)
        return self.transformer(tokens, places, around.mask, around.past)

    def _predict(self, around: Around) -> Predict:
        """What the network answers there."""

        def predict(latents: Tensor, level: Tensor, size: Tensor, rows: Tensor | None = None) -> Tensor:
            here = around if rows is None else around.of(rows)
            tokens, _ = self._run(latents, level, size, here)
            numbers = self.patches.read(tokens[:, :, -self.patches.count :])
            return self.path.answer(numbers, latents, here.before, here.shown)

        return predict

    def _guided(self, around: Around, nothing: Tensor, guidance: float | None = None) -> Predict:
        """As ``_predict``, moved away from what it would be with ``nothing`` told (classifier-free guidance, Ho &
        Salimans 2022, eq. 6); None: as far as the settings say."""
        told, weight = self._predict(around), self.config.guidance if guidance is None else guidance
        if not weight:
            return told
        return guided(told, self._predict(replace(around, led=nothing.expand_as(around.led))), weight)

    # --- the filter and the dream ------------------------------------------------------------------------------------

    def start(self, latents: Tensor, actions: Tensor) -> State:
        rows, device = len(latents), latents.device
        tokens = self.config.registers + 1 + self.patches.count
        kept = rows, self.transformer.timed, self.config.past, tokens, self.config.width
        state = {
            "keys": torch.zeros(kept, device=device),
            "values": torch.zeros(kept, device=device),
            "frames": torch.zeros(rows, dtype=torch.int64, device=device),
            "latents": torch.zeros_like(latents[:, 0]),
        }
        first = latents[:, 0]
        read = first.new_zeros(rows, 0) if self.filter is None else self.filter.read(first, first)
        state = self._observed(state, self.no_action.expand(rows, -1), first, self.bounded(read))
        for k in range(actions.shape[1]):
            state = self.observe(state, actions[:, k], latents[:, k + 1])
        return state

    def _around(self, state: State, led: Tensor) -> Around:
        """Of a frame that follows ``state``, to which ``led`` ``(B, width)`` leads."""
        slots, last = torch.arange(self.config.past, device=led.device), state["frames"][:, None] - 1
        filled = slots <= last
        mask = torch.cat([filled, torch.ones_like(filled[:, :1])], 1)[:, None]
        past = Past(state["keys"], state["values"], (last - (last - slots) % self.config.past).float())
        before, time = state["latents"][:, None], state["frames"][:, None].float()
        return Around(led[:, None], time, before, _after_the_first(time, before), mask, past)

    def _absorb(self, state: State, led: Tensor, latents: Tensor) -> State:
        """What a clean frame ``(B, N, D)`` leaves to later ones."""
        level, size = torch.ones_like(latents[:, None, :, 0]), self._finest(latents[:, None])
        tokens, fresh = self._run(latents[:, None], level, size, self._around(state, led))
        slot = torch.arange(self.config.past, device=led.device) == (state["frames"] % self.config.past)[:, None]
        slot = slot[:, None, :, None, None]
        return {
            "keys": torch.where(slot, fresh[0], state["keys"]),
            "values": torch.where(slot, fresh[1], state["values"]),
            "frames": state["frames"] + 1,
            "latents": latents,
            "summary": tokens[:, 0, 0],
        }

    def _observed(self, state: State, led: Tensor, latents: Tensor, sensors: Tensor) -> State:
        """The state after a real frame, of which the ``sensors`` are known."""
        ahead = self._absorb(state, led, latents)
        return {**ahead, "sensors": sensors, "seen": latents, "age": torch.zeros_like(latents[:, 0, 0])}

    def _finest(self, latents: Tensor) -> Tensor:
        return torch.full(latents.shape[:2], self.path.sizes - 1, device=latents.device)

    def observe(self, state: State, action: Tensor, latents: Tensor) -> State:
        sensors = state["sensors"]
        if self.filter is not None:
            sensors = self.filter.correct(self.moved(sensors, action), state["latents"], latents)
        return self._observed(state, self.action(action), latents, self.bounded(sensors))

    def step(self, state: State, action: Tensor, rngs: Sequence[torch.Generator] | None = None) -> tuple[State, Tensor]:
        """Without ``rngs`` a row draws from the number of its frames: the same dream every time."""
        if rngs is None:
            rngs = [torch.Generator().manual_seed(n) for n in state["frames"].tolist()]
        led, given = self.action(action), torch.zeros_like(state["latents"])[:, None]
        around, sensors = self._around(state, led), state["sensors"]
        if self.transition is not None:
            sensors = self.moved(sensors, action)
        if self.guess is not None:
            around = around.beginning(self.guess(sensors, state["seen"])[:, None])
        predict = self._guided(around, self.no_action)
        latents = self.path.sample(predict, given, torch.zeros_like(given[..., 0]), rngs, self.config.steps)[:, 0]
        ahead = self._absorb(state, led, latents)
        return {**ahead, "sensors": sensors, "seen": state["seen"], "age": state["age"] + 1.0}, latents

    def _painted(self, sensors: Tensor, looks: Tensor) -> Tensor:
        """What frames of the states ``(B, T, S)`` may look like, ``(B, T, N, D)``, beside one that looks as they do,
        ``(B, N, D)``."""
        assert self.guess is not None
        frames = sensors.shape[1]
        return self.guess(sensors.flatten(0, 1), looks.repeat_interleave(frames, 0)).unflatten(0, (-1, frames))

    def transition_loss(self, sensors: Tensor, actions: Tensor, weight: Tensor, rng: torch.Generator) -> Tensor:
        return super().transition_loss(as_input(sensors), actions, weight, rng)

    def features(self, state: State) -> Tensor:
        return torch.cat([state["summary"], state["latents"].flatten(1), state["sensors"]], -1)

    def sensors(self, state: State) -> Tensor:
        return state["sensors"]

    def latents(self, state: State) -> Tensor:
        return state["latents"]

    # --- whole clips -------------------------------------------------------------------------------------------------

    def generate(
        self,
        given: Tensor,
        kept: Tensor,
        actions: Tensor | None,
        rngs: Sequence[torch.Generator],
        steps: int,
        texts: Sequence[str] | None = None,
        guidance: float | None = None,
        unsteered: Tensor | None = None,
        felt: Tensor | None = None,
        looks: Tensor | None = None,
    ) -> Tensor:
        """All frames of clips ``(B, T, N, D)`` at once, each looking at all: ``kept`` ``(B, T, N)`` says how much of
        which token of ``given`` stays (``Path.sample``), whether that is the beginning, both ends or a region.

        actions: tokens ``(B, T-1, W)`` between the frames; None: whatever may have been done. texts: one a row, "" or
        None: nothing is said. guidance: in place of the settings'. unsteered: tokens ``(B, T-1, W)`` that tell whose
        actions are not known; with them the physical state is made first (``Course``), unless frames are known in part.
        ``felt`` ``(B, S)``, 1 or 0: the sensors that each has; None: all. The pictures look as the known ones do, or,
        where none is, as ``looks`` ``(B, N, D)``. A clip of one frame is an image. Raises VideoSimError where the model
        has not been trained on whole clips, or on text.
        """
        if not self.config.joint:
            raise VideoSimError("this model makes one frame after another only; train it with model.dynamics.joint=1")
        if self.text is None and any(texts or ()):
            raise VideoSimError("this model has learned no text; train it with model.dynamics.text.kind=words")
        weight = self.config.guidance if guidance is None else guidance
        led, nothing = self._led(given, actions), self.no_action
        if self.text is not None:
            led = led + self.text(texts or [""] * len(given))[:, None]
            nothing = nothing + self.text([""])
        around, whole = Around(led, self._times(given), *nearest(given, kept)), (kept == 1.0).all(-1)
        all_or_nothing = bool((whole | (kept == 0.0).all(-1)).all())
        if self.course is not None and unsteered is not None and all_or_nothing:
            known = whole.all(0)
            states = storyline(self, given, known, actions, unsteered, rngs, texts, weight, felt)
            if known.any():
                shown = given[:, int(known.float().argmax())]
            elif looks is None:
                shown = torch.zeros_like(given[:, 0])
            else:
                shown = looks
            states = states if felt is None else states * felt[:, None]
            around = around.beginning(self._painted(states, shown))
        return self.path.sample(self._guided(around, nothing, weight), given, kept, rngs, steps)

    def _led(self, latents: Tensor, actions: Tensor | None) -> Tensor:
        """``(B, T, width)``, what led to each frame; nothing that is known to the first."""
        led = self.no_action.expand(*latents.shape[:2], -1)
        return led if actions is None else torch.cat([led[:, :1], self.action(actions)], 1)

    @staticmethod
    def _times(latents: Tensor) -> Tensor:
        return torch.arange(latents.shape[1], dtype=torch.float32, device=latents.device)[None]

    # --- training ----------------------------------------------------------------------------------------------------

    def loss(
        self,
        latents: Tensor,
        actions: Tensor,
        sensors: Tensor,
        valid: Tensor,
        rng: torch.Generator,
    ) -> DynamicsLoss:
        c = self.config
        frames = latents.shape[1]
        exists = _exist(valid)
        seen = latents + c.input_noise * torch.randn(latents.shape, generator=rng)
        before = torch.cat([torch.zeros_like(seen[:, :1]), seen[:, :-1]], 1)
        looks, time = causal(frames, c.past, latents.device), self._times(latents)
        around = Around(self._led(latents, actions), time, before, _after_the_first(time, before), looks)
        tokens, past = self._run(seen, torch.ones_like(latents[..., 0]), self._finest(seen), around)

        itself = torch.eye(frames, dtype=torch.bool, device=latents.device)
        mask = torch.cat([looks & ~itself, itself], 1)  # the clean frames before it, and itself as it is made
        led = self._dropped(around.led, rng)
        nothing = torch.zeros_like(latents[..., 0])
        asked = replace(around, led=led, mask=mask, past=past)
        if self.guess is not None:
            asked = asked.beginning(self._imprecisely(sensors, seen, rng))
        lost = self.path.loss(self._predict(asked), latents, nothing, rng)
        total = _mean(lost, exists)
        context = int(torch.rand((), generator=rng).mul(math.log(frames)).exp())
        return DynamicsLoss(
            total=total,
            terms={"latents": total.detach()},
            features=torch.cat([tokens[:, :, 0], seen.flatten(2), self.bounded(as_input(sensors))], -1),
            dreamt=self._dreamt(seen, actions, context),
        )

    def _imprecisely(self, sensors: Tensor, latents: Tensor, rng: torch.Generator) -> Tensor:
        """What frames are taken for in training, ``(B, T, N, D)``: painted from states ``(B, T, S)`` that are a little
        off, as those of a dream are, and with the looks of one of ``latents`` ``(B, T', N, D)``, of any time."""
        known, _ = off_by(OFF, as_input(sensors), rng)
        return self._painted(known, latents[:, int(torch.randint(latents.shape[1], (), generator=rng))])

    def _dropped(self, led: Tensor, rng: torch.Generator) -> Tensor:
        told = torch.rand(*led.shape[:2], 1, generator=rng) >= self.config.dropped
        return torch.where(told, led, self.no_action)

    def clip_loss(
        self,
        latents: Tensor,
        actions: Tensor,
        sensors: Tensor,
        valid: Tensor,
        rng: torch.Generator,
        telling: Telling | None = None,
    ) -> Tensor:
        """Mean error of beginnings of any length down to an image, of which some frames or a region's surroundings are
        known, and whose actions are all told or none."""
        rows, frames = len(latents), length(latents.shape[1], rng)
        clip = latents[:, :frames]
        known = drawn(rows, frames, self.layout, rng).to(clip.device)
        told = torch.rand(rows, 1, 1, generator=rng).to(clip.device) >= self.config.untold
        led, alone = self._led(clip, actions[:, : frames - 1]), torch.zeros_like(told)
        if self.text is None:
            led = torch.where(told, led, self.no_action)
        else:
            texts = [""] * rows if telling is None else telling(frames, rng)
            texts, alone = heard(texts, self.text.unsaid, self.text.alone, rng)
            alone = alone.to(clip.device)
            known, told = known * ~alone, told & ~alone
            led = torch.where(told, led, self.no_action) + self.text(texts)[:, None]
        around = Around(led, self._times(clip), *nearest(clip, known))
        if self.guess is not None:
            outlined = torch.rand(rows, 1, 1, generator=rng).to(clip.device) < OUTLINED
            around = around.beginning(self._imprecisely(sensors[:, :frames], latents, rng), outlined)
        lost = self.path.loss(self._predict(around), clip, known, rng, together=True)
        return _mean(lost, _exist(valid)[:, :frames])
