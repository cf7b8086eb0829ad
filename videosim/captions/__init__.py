"""Captions: what a clip shows, in the words of a small closed grammar, written from the recorded sensors.

One small file for each world, behind one registry. A caption follows from the sensors, the time between two frames and
the detail that is wanted alone, and rests on *facts* that can be read off another clip in the same way: so it can be
told whether a film that was made from a text shows what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from videosim.captions.captioner import Captioner
from videosim.captions.cartpole import CARTPOLE
from videosim.captions.cheetah import CHEETAH
from videosim.captions.driving import DRIVING
from videosim.captions.push import PUSH
from videosim.captions.reacher import REACHER
from videosim.captions.words import words_of

CAPTIONERS: dict[str, Captioner] = {entry.name: entry for entry in (PUSH, CARTPOLE, REACHER, CHEETAH, DRIVING)}


def captioner_of(sensors: tuple[str, ...]) -> Captioner | None:
    """Who can caption a world, or a body, with these sensors; None: nobody."""
    return next((entry for entry in CAPTIONERS.values() if set(entry.sensors) <= set(sensors)), None)


def vocabulary() -> list[str]:
    """Every word of every caption, in order of the alphabet."""
    return sorted(set().union(*(entry.words() for entry in CAPTIONERS.values())))


def told_of(text: str, bodies: Sequence[tuple[str, ...]]) -> int | None:
    """Which of ``bodies``, each given by the sensors it has, a text is about: the one whose captions have most of its
    words; None where it is not one alone."""
    captioners = [captioner_of(sensors) for sensors in bodies]
    known = [sum(word in own.words() for word in words_of(text)) if own else 0 for own in captioners]
    most = max(known, default=0)
    return known.index(most) if most and known.count(most) == 1 else None
