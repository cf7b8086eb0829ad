"""What can be asked of a model of video, each verb an object: what it needs, which frames and pixels of the film are
known beforehand, and what is measured of the film afterwards. Plain numpy; a model fills the outlines in elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from videosim.errors import VideoSimError
from videosim.footage import Footage
from videosim.metrics import psnr
from videosim.outline import Outline
from videosim.types import FrameSpec

MAX_FRAMES = 1000


@dataclass(frozen=True)
class Wish:
    """What a film is to be made from.

    frame     size of the model's frames
    source    the footage that a verb begins from, or changes
    other     the footage in which ``connect`` ends
    frames    of the film, those that are known included
    known     frames of the source that are taken; 0: what the verb takes, or as many as there are
    t         first of them; negative: counted from the end; None: where the verb takes them
    other_t   the same of ``other``
    actions   between the frames: a text as in ``presets.scripted``, "recorded" for those of the source, or float32
              (T-1, A) in world units; None: nothing is told
    mask      bool (H, W): what ``inpaint`` makes anew
    strength  how far ``restyle`` leaves the source, in [0, 1]
    text      what the film shows, in words that the model knows; None: nothing is said
    """

    frame: FrameSpec
    source: Footage | None = None
    other: Footage | None = None
    frames: int = 32
    known: int = 0
    t: int | None = None
    other_t: int | None = None
    actions: str | np.ndarray | None = None
    mask: np.ndarray | None = None
    strength: float = 0.5
    text: str | None = None


Measures = dict[str, tuple[float, str]]  # of a film: name -> (value, unit)


def _changed(outline: Outline, film: np.ndarray) -> Measures:
    """Of the pixels that are known."""
    known = outline.known[: len(film)]
    return {"known_pixels_changed": (float((film[known] != outline.frames[: len(film)][known]).sum()), "values")}


def _gap(outline: Outline, film: np.ndarray) -> Measures:
    """Between the last frame and the first."""
    away = np.abs(film[-1].astype(np.int16) - film[0]).max()
    return _changed(outline, film) | {"loop_gap": (float(away), "grey levels, largest")}


def _departure(outline: Outline, film: np.ndarray) -> Measures:
    """How far the film has left the source."""
    return {"psnr_to_source": (float(psnr(film, outline.frames).mean()), "dB")}


@dataclass(frozen=True)
class Verb:
    """``outline`` draws what is known of the film.

    known    frames that are taken of the source where nothing else is asked for; 0: all of the film
    forward  what is known is the beginning: a core that makes one frame after another can do it
    needs    what of a ``Wish`` must be given
    measure  what is measured of the film
    """

    name: str
    summary: str
    outline: Callable[[Verb, Wish], Outline]
    known: int = 0
    forward: bool = False
    needs: tuple[str, ...] = ("source",)
    measure: Callable[[Outline, np.ndarray], Measures] = _changed

    def draw(self, wish: Wish) -> Outline:
        """The outline of the film. Raises VideoSimError where something is missing or lengths are not possible."""
        if not 1 <= wish.frames <= MAX_FRAMES or wish.known < 0:
            raise VideoSimError(
                f"a film has 1 to {MAX_FRAMES} frames and known is 0 or more; got {wish.frames} and {wish.known}"
            )
        missing = [name for name in self.needs if getattr(wish, name) is None]
        if missing:
            raise VideoSimError(f"{self.name} needs {' and '.join(GIVEN[name] for name in missing)}")
        if not 0.0 <= wish.strength <= 1.0:
            raise VideoSimError(f"strength lies between 0, the source, and 1, nothing of it; got {wish.strength}")
        return self.outline(self, wish)

    def longer_than(self, known: int, wish: Wish) -> None:
        """VideoSimError where the film has no room for a frame of its own beside ``known`` ones."""
        if wish.frames <= known:
            raise VideoSimError(
                f"a film of {wish.frames} frames has none to make beside {known} that {self.name} knows; "
                f"give frames={known + 1} or more, or a smaller known="
            )


GIVEN = {
    "source": "source=, an episode store, a film or a picture",
    "other": "other=, the footage to end in",
    "actions": "actions=: a preset, recorded, or numbers as name:value",
    "mask": "region= or mask=, what is to be made anew",
    "text": "text=, what it shows",
}


def _taken(
    footage: Footage | None, known: int, default: int, t: int | None, at_end: bool = False
) -> tuple[int, np.ndarray]:
    """The frames that a verb knows, uint8 (k, H, W, 3), and the number of the first."""
    assert footage is not None  # a verb that comes here needs it
    first = (max(0, len(footage) - (known or default)) if at_end else 0) if t is None else t
    first += len(footage) if first < 0 else 0
    if not 0 <= first < len(footage):
        raise VideoSimError(f"{footage.name} has {len(footage)} frames, so there is no frame {t}; choose another t")
    return first, footage.frames(first, known or min(default, len(footage) - first))


def _onwards(verb: Verb, wish: Wish) -> Outline:
    t, taken = _taken(wish.source, wish.known, verb.known, wish.t)
    verb.longer_than(len(taken), wish)
    return Outline.around({0: taken}, wish.frames, wish.frame, t)


def _from_its_end(verb: Verb, wish: Wish) -> Outline:
    t, taken = _taken(wish.source, wish.known, verb.known, wish.t, at_end=True)
    verb.longer_than(len(taken), wish)
    return Outline.around({0: taken}, wish.frames, wish.frame, t)


def _towards(verb: Verb, wish: Wish) -> Outline:
    t, taken = _taken(wish.source, wish.known, verb.known, wish.t)
    verb.longer_than(len(taken), wish)
    made = wish.frames - len(taken)
    return Outline.around({made: taken}, wish.frames, wish.frame, t - made)


def _round(verb: Verb, wish: Wish) -> Outline:
    """The last frame is the first one again. What followed the first guides beyond the end, so that the film comes home
    moving as it left."""
    _, taken = _taken(wish.source, wish.known, verb.known, wish.t)
    verb.longer_than(len(taken) + 1, wish)
    surplus = len(taken) - 1
    pieces = {0: taken, wish.frames - 1: taken}
    return Outline.around(pieces, wish.frames + surplus, wish.frame, surplus=surplus)


def _between(verb: Verb, wish: Wish) -> Outline:
    _, before = _taken(wish.source, wish.known, verb.known, wish.t, at_end=True)
    _, after = _taken(wish.other, wish.known, verb.known, wish.other_t)
    verb.longer_than(len(before) + len(after), wish)
    return Outline.around({0: before, wish.frames - len(after): after}, wish.frames, wish.frame)


def _within(verb: Verb, wish: Wish) -> Outline:
    assert wish.mask is not None
    if wish.mask.shape != (wish.frame.height, wish.frame.width) or wish.mask.dtype != bool or not wish.mask.any():
        raise VideoSimError(
            f"a mask is bool ({wish.frame.height}, {wish.frame.width}), True in places; "
            f"got {wish.mask.dtype} {wish.mask.shape}"
        )
    t, taken = _taken(wish.source, wish.frames, wish.frames, wish.t)
    return Outline(taken, np.broadcast_to(~wish.mask, taken.shape[:3]), start=t)


def _over(verb: Verb, wish: Wish) -> Outline:
    t, taken = _taken(wish.source, wish.frames, wish.frames, wish.t)
    return Outline(taken, np.zeros(taken.shape[:3], bool), hint=1.0 - wish.strength, start=t)


def _from_nothing(verb: Verb, wish: Wish) -> Outline:
    return Outline.around({}, wish.frames, wish.frame)


def _alone(verb: Verb, wish: Wish) -> Outline:
    return Outline.around({}, 1, wish.frame)


VERBS = {
    verb.name: verb
    for verb in (
        Verb("image-to-video", "a picture, and what happens next", _onwards, known=1, forward=True),
        Verb(
            "action-to-video",
            "a beginning, and what these actions make of it",
            _onwards,
            known=8,
            forward=True,
            needs=("source", "actions"),
        ),
        Verb("extend-forward", "how a film goes on", _from_its_end, known=8, forward=True),
        Verb("extend-backward", "how a film came about", _towards, known=8),
        Verb("loop", "a film that ends as it begins", _round, known=4, measure=_gap),
        Verb("connect", "a film from one into another", _between, known=4, needs=("source", "other")),
        Verb("inpaint", "a region made anew, the rest as it is", _within, needs=("source", "mask")),
        Verb("restyle", "a film drawn again as the model knows the world", _over, measure=_departure),
        Verb("image", "a single picture out of nothing", _alone, needs=()),
        Verb("text-to-video", "a film of what a text says", _from_nothing, needs=("text",)),
        Verb("text-to-image", "a picture of what a text says", _alone, needs=("text",)),
    )
}


def find_verb(name: str) -> Verb:
    """The verb called ``name``. Raises VideoSimError on one that there is not."""
    if name not in VERBS:
        raise VideoSimError(f"verb is one of {', '.join(VERBS)}; got {name!r}")
    return VERBS[name]
