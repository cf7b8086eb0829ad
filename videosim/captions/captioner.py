"""What a captioner is, and the words for places, headings and paces that all of them share. Plain numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from videosim.captions.words import words_of

Columns = Mapping[str, np.ndarray]  # sensors by name, each float (T,) in its unit
Facts = dict[str, str]  # kind of fact -> what holds of the clip

DETAILS = (1, 2, 3)  # what is there; and what it does; and where, and how fast
HEADINGS = ("left", "right", "up", "down")
PLACES = tuple(
    " ".join(part for part in (row, column) if part) or "middle"
    for row in ("top", "", "bottom")
    for column in ("left", "", "right")
)
PACES = ("slowly", "fast")


@dataclass(frozen=True)
class Captioner:
    """Of one world.

    name     of the world
    sensors  that it looks at: a world that has them all is its own
    facts    every kind of fact, with all that it may be
    glue     words of its sentences beside those of the facts
    read     the facts of a clip, from sensors of one frame or more and the seconds between two; a fact that the clip
             does not show is left out, as the motion in a single frame
    write    the sentence that states them, in a detail of ``DETAILS``
    asks     what a film may be asked for in detail 2: facts enough for the sentence
    """

    name: str
    sensors: tuple[str, ...]
    facts: Mapping[str, tuple[str, ...]]
    glue: str
    read: Callable[[Columns, float], Facts]
    write: Callable[[Facts, int], str]
    asks: tuple[Facts, ...] = ()

    def words(self) -> set[str]:
        """All that its captions are made of."""
        texts = (self.glue, *sum(self.facts.values(), ()))
        return {word for text in texts for word in words_of(text)}

    def caption(self, columns: Columns, dt_s: float, detail: int) -> str:
        """The clip in words; "" where a sensor is not known (NaN)."""
        if any(np.isnan(columns[name]).any() for name in self.sensors):
            return ""
        return self.write(self.read(columns, dt_s), detail)

    def stated(self, facts: Facts, detail: int) -> Facts:
        """Those of ``facts`` that their sentence tells: with another value it would be another sentence."""
        told = self.write(facts, detail)
        return {
            kind: value
            for kind, value in facts.items()
            if any(self.write(facts | {kind: other}, detail) != told for other in self.facts[kind])
        }


def heading(dx: float, dy: float) -> str:
    """Of a way to the right and up: the axis along which most of it goes."""
    if abs(dx) >= abs(dy):
        return "right" if dx > 0 else "left"
    return "up" if dy > 0 else "down"


def _third(value: float, words: tuple[str, str, str]) -> str:
    return words[0] if value < -1 / 3 else words[2] if value > 1 / 3 else words[1]


def place(x: float, y: float) -> str:
    """One of nine fields of a square that reaches from -1 to 1, y upwards."""
    words = _third(-y, ("top", "", "bottom")), _third(x, ("left", "", "right"))
    return " ".join(word for word in words if word) or "middle"


def at(where: str) -> str:
    """A place as a part of a sentence."""
    return "in the middle" if where == "middle" else f"at the {where}"


def pace(speed: float, fast: float) -> str:
    """Fast from a speed of ``fast`` on."""
    return PACES[int(speed >= fast)]
