"""Captions: what a clip shows, in the words of a small closed grammar, written from the recorded sensors.

One small file for each world, behind one registry. A caption follows from the sensors, the time between two frames and
the detail that is wanted alone, and rests on *facts* that can be read off another clip in the same way: so it can be
told whether a film that was made from a text shows what was asked for.
"""

from __future__ import annotations

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
    texts = [text for entry in CAPTIONERS.values() for text in (entry.glue, *sum(entry.facts.values(), ()))]
    return sorted({word for text in texts for word in words_of(text)})
