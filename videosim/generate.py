"""A model fills in an outline: the known frames are encoded, the rest is dreamed or made at once, and decoded.

    footage = read("drive.mp4", model.spec.frame)
    wish = Wish(model.spec.frame, source=footage, frames=48)
    made = generate(model, find_verb("extend-forward"), wish, seed=3)
    made.film  # uint8 (48, H, W, 3), of which the known pixels are those of the footage

Known pixels are pasted back over what the codec makes of them, so that they stay to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from videosim.errors import VideoSimError
from videosim.one_body import one_body
from videosim.outline import Outline
from videosim.presets import numbers, scripted
from videosim.resized import resized
from videosim.simulator import Simulator
from videosim.spacetime import SpaceTimeDynamics
from videosim.types import ActionSpec
from videosim.verbs import VERBS, Measures, Verb, Wish
from videosim.world_model import WorldModel

PASSES = 16  # of the solver, for a whole clip


@dataclass(frozen=True)
class Made:
    """A film uint8 ``(T, H, W, 3)``, the outline it was made from, and what was measured of it."""

    film: np.ndarray
    outline: Outline
    measures: Measures


def check(model: WorldModel, verb: Verb, whole: bool = False, text: bool = False) -> None:
    """VideoSimError, with the mend, where ``model`` has not been trained for ``verb``, or for a ``text`` beside it."""
    if (text or "text" in verb.needs) and model.dynamics.text is None:
        wordless = ", ".join(name for name, other in VERBS.items() if "text" not in other.needs)
        raise VideoSimError(
            f"this checkpoint was not trained for text; train one with model.dynamics.text.kind=words, or leave text= "
            f"out and choose one of {wordless}"
        )
    if verb.forward and not whole:
        return
    forward = ", ".join(name for name, other in VERBS.items() if other.forward)
    what = f"{verb.name} as a whole clip" if verb.forward else verb.name
    if not isinstance(model.dynamics, SpaceTimeDynamics):
        raise VideoSimError(
            f"the {model.config.dynamics.kind} core of this checkpoint makes one frame after another and can do "
            f"{forward}; for {what} train one with model.dynamics.kind=flow model.dynamics.joint=0.5"
        )
    if not model.dynamics.config.joint:
        raise VideoSimError(
            f"this checkpoint has learned one frame after another and can do {forward}; for {what} train it with "
            "model.dynamics.joint=0.5"
        )


def check_guidance(guidance: object) -> None:
    """VideoSimError where it is neither a finite number nor None."""
    if guidance is not None and not (isinstance(guidance, (int, float)) and math.isfinite(guidance)):
        raise VideoSimError(f"guidance is a number, 0 for none, or null for the checkpoint's own; got {guidance!r}")


def generate(
    model: WorldModel,
    verb: Verb,
    wish: Wish,
    seed: int = 0,
    whole: bool = False,
    passes: int = PASSES,
    guidance: float | None = None,
) -> Made:
    """Make the film that ``wish`` describes; the same ``seed``, the same film.

    whole    make all frames at once, each looking at all, also where one after another would do
    passes   of the solver that makes a whole clip; a dream has the model's own number
    guidance how far a whole clip is moved away from what it would be with nothing told; None: the model's own

    In another size of picture than the model's the film is made as a whole, and so is one that a text describes.

    Raises VideoSimError where the model cannot do it or does not know a word, and where lengths or actions do not fit.
    """
    if passes < 1 or seed < 0:
        raise VideoSimError(f"passes is a whole number from 1 and seed one from 0; got {passes} and {seed}")
    check_guidance(guidance)
    whole |= wish.frame != model.spec.frame or bool(wish.text)
    check(model, verb, whole, bool(wish.text))
    model = one_body(resized(model, wish.frame))
    outline, alone = verb.draw(wish), verb.forward and not whole
    actions = directed(wish, outline, model.spec.action, seed, alone)
    told = None
    if actions is not None:
        told = torch.from_numpy(model.spec.action.normalise(actions))[None].to(model.device)
    if alone:
        assert told is not None
        latents = _dreamed(model, outline, told, seed)
    else:
        latents = _whole(model, outline, told, seed, passes, wish.text or "", guidance)
    film = outline.filled(model.decode(latents).cpu().numpy())
    return Made(film, outline, verb.measure(outline, film))


def directed(wish: Wish, outline: Outline, spec: ActionSpec, seed: int, dream: bool) -> np.ndarray | None:
    """Actions float32 ``(T-1, A)`` in world units between the frames of ``outline``: what the wish says. A preset
    begins where a dream does; between the frames known before it they are the recorded ones, or still where there is no
    record. Where the wish says nothing a ``dream`` stands still, and of a whole clip None is told: whatever may have
    been done.

    Raises VideoSimError on what means nothing here, and where ``"recorded"`` actions are not there.
    """
    steps, source = len(outline) - 1, wish.source
    if isinstance(wish.actions, np.ndarray):
        if len(wish.actions) != steps:
            raise VideoSimError(f"a film of {steps + 1} frames needs {steps} actions between; got {len(wish.actions)}")
        return spec.check(wish.actions)
    if wish.actions == "recorded":
        recorded = None if source is None else source.acted(outline.start, steps)
        if recorded is None:
            raise VideoSimError(
                f"the source has no recorded actions for all of these {steps + 1} frames; take fewer frames or "
                f"another t from an episode store of this world, or {numbers(spec)}"
            )
        return spec.check(recorded)
    if wish.actions is None and not dream:
        return None
    actions = scripted(wish.actions or "still", spec, steps, seed)
    led = max(0, outline.lead - 1)
    before = None if source is None else source.acted(outline.start, led)
    actions[:led] = scripted("still", spec, led, seed) if before is None else before
    return actions


@torch.no_grad()
def _dreamed(model: WorldModel, outline: Outline, actions: Tensor, seed: int) -> Tensor:
    """Raw latents ``(T, N, D)``, one frame after another."""
    known = model.encode(torch.from_numpy(outline.frames[: outline.lead].copy()))
    simulator = Simulator(model, 1)
    simulator.reset([0], [seed], known[None], actions[:, : outline.lead - 1])
    frames = [known]
    for t in range(outline.lead - 1, len(outline) - 1):
        simulator.step(actions[:, t])
        frames.append(simulator.latents())
    return torch.cat(frames)


@torch.no_grad()
def _whole(
    model: WorldModel,
    outline: Outline,
    actions: Tensor | None,
    seed: int,
    passes: int,
    text: str,
    guidance: float | None,
) -> Tensor:
    """Raw latents ``(T, N, D)``, all at once."""
    window = model.recorded("Training", "window")
    count = len(outline) - outline.surplus  # what only guides may lie beyond
    if window and count > window + 1:
        raise VideoSimError(
            f"this checkpoint has learned whole clips of up to {window + 1} frames, and {count} are wanted; "
            "give a smaller frames=, or train it with a longer window="
        )
    given = torch.zeros(len(outline), *model.latent_mean.shape, device=model.device)
    shown = outline.known.any((1, 2)) | bool(outline.hint)
    if shown.any():
        given[torch.from_numpy(shown)] = model.encode(torch.from_numpy(_seen(outline)[shown]))
    kept = torch.from_numpy(_kept(outline, model)).to(model.device)
    rng = torch.Generator().manual_seed(seed)
    return model.generate(given[None], kept[None], actions, [rng], passes, [text], guidance)[0]


def _seen(outline: Outline) -> np.ndarray:
    """The frames as a model may see them: what is to be made anew shows the mean of what is known in its frame, or it
    would find its way through the codec into the cells beside it."""
    if outline.hint:
        return outline.frames
    known = outline.known[..., None]
    count = np.maximum(known.sum((1, 2), keepdims=True), 1)
    mean = (outline.frames * known).sum((1, 2), keepdims=True) / count
    return np.where(known, outline.frames, mean.round().astype(np.uint8))


def _kept(outline: Outline, model: WorldModel) -> np.ndarray:
    """How much of every token stays, float32 ``(T, N)``: all of a cell whose pixels are all known, and of what has no
    place in the picture where the whole of it is."""
    layout = model.tokenizer.layout
    count, height, width = outline.known.shape
    cells = outline.known.reshape(
        count, layout.rows, height // layout.rows, layout.columns, width // layout.columns
    ).all((2, 4))
    extra = np.repeat(outline.whole[:, None], layout.extra, 1)
    known = np.concatenate([cells.reshape(count, -1), extra], 1)
    return np.where(known, 1.0, outline.hint).astype(np.float32)
