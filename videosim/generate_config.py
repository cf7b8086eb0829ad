"""The settings of `videosim generate` and `videosim intend`, free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class GenerateConfig:
    """`videosim generate`: a film from a checkpoint by a verb."""

    checkpoint: str = "???"  # bundled model, or a folder written by `videosim train`
    embodiment: str = ""  # of a model of several stores: the one that acts; empty: the first
    verb: str = "image-to-video"  # or another; a word that is none lists them all
    source: str = ""  # episode store, film, GIF or picture that it begins from
    episode: int = 0  # of a store
    t: Any = None  # first frame that is taken; negative: from the end; null: where the verb takes it
    known: int = 0  # frames that are taken; 0: what the verb takes
    other: str = ""  # of `connect`: the footage to end in
    other_episode: int = 0  # of a store
    other_t: Any = None  # as t, of `other`
    crop: list[float] = field(default_factory=lambda: [0.0, 0.0, 1.0, 1.0])  # top, left, bottom, right, as fractions
    region: list[float] = field(default_factory=list)  # of `inpaint`: top, left, bottom, right, as fractions
    mask: str = ""  # of `inpaint`, instead: a picture of the source's size, not black where to make anew
    strength: float = 0.5  # of `restyle`: 0 keeps the source, 1 nothing of it
    height: int = 0  # of the film, in pixels; 0: the model's
    width: int = 0  # the same
    frames: int = 32  # of the film, those that are known included
    actions: str = ""  # still, random, left, right, ahead, back, recorded, or name:value/name:value; empty: none told
    text: str = ""  # what the film shows, in the words of the captions; empty: nothing is said
    whole: bool = False  # make all frames at once also where one after another would do
    passes: int = 16  # of a solver that makes all frames at once
    guidance: Any = None  # how far such frames are moved away from what they would be untold; null: the checkpoint's
    seed: int = 0


@dataclass
class IntendConfig:
    """`videosim intend`: do the films of a checkpoint show what their text asks for?"""

    checkpoint: str = "???"  # bundled model, or a folder written by `videosim train`, that reads text
    data: Any = ""  # episode store, or a list: how well such facts are read off its films; empty: not asked
    films: int = 8  # of every text
    frames: int = 0  # of a film; 0: as many as the longest clip of the training had
    passes: int = 16  # of the solver
    guidance: Any = None  # how far films are moved away from what they would be untold; null: the checkpoint's own
    seed: int = 0  # of the first film
