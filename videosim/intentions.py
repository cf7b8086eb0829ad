"""Does a film show what its text asks for? What is asked, what films show, and the rate at which the two agree.

A model's films of a text are watched by the model itself: the state that it reads off the decoded frames gives their
facts, as recorded sensors give those of a caption. Each fact that a text states is a hit or a miss. Chance is the rate
at which films that were asked for something else show that fact (of the same world; for the world itself, of all): what
is common anyway does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from videosim.captions import captioner_of
from videosim.captions.captioner import Captioner, Columns, Facts
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.statistics import Estimate, bootstrap
from videosim.world_model import WorldModel

Watch = Callable[[np.ndarray], Columns]  # what a film uint8 (T, H, W, 3) shows, as its captioner's sensors

AT_ONCE = 32  # films that are made together


@dataclass(frozen=True)
class Ask:
    """A ``text`` about the world of the body numbered ``body``, and the ``facts`` that it states."""

    body: int
    captioner: Captioner
    text: str
    facts: Facts


def asks_of(model: WorldModel) -> list[Ask]:
    """What the films of ``model`` are asked for: of every world that has captions the world itself, and each thing that
    its captioner lists. The world is a fact, ``object``, only where there are others.

    Raises VideoSimError where the model reads no text, or none of its worlds has captions.
    """
    if model.dynamics.text is None:
        raise VideoSimError("this checkpoint was not trained for text; train one with model.dynamics.text.kind=words")
    told = [(body, own) for body, each in enumerate(model.embodiments) if (own := captioner_of(each.sensors))]
    if not told:
        raise VideoSimError("no world of this checkpoint has captions, so nothing can be asked for")
    asks = []
    for body, captioner in told:
        world = {"object": captioner.facts["object"][0]} if len(told) > 1 else {}
        if world:
            asks.append(Ask(body, captioner, captioner.write(captioner.asks[0], 1), world))
        for facts in captioner.asks:
            asks.append(Ask(body, captioner, captioner.write(facts, 2), world | captioner.stated(facts, 2)))
    return asks


@torch.no_grad()
def made_of(
    model: WorldModel, texts: Sequence[str], frames: int, passes: int, guidance: float | None, seed: int
) -> Iterator[Tensor]:
    """Films of nothing but ``texts``, each from a seed of its own: raw latents ``(n, frames, N, D)``, n at a time."""
    for first in range(0, len(texts), AT_ONCE):
        some = list(texts[first : first + AT_ONCE])
        given = torch.zeros(len(some), frames, *model.latent_mean.shape, device=model.device)
        rngs = [torch.Generator().manual_seed(seed + first + number) for number in range(len(some))]
        nothing = torch.zeros_like(given[..., 0])
        yield model.generate(given, nothing, None, rngs, passes, some, guidance)


def columns_of(model: WorldModel, body: int, captioner: Captioner, film: np.ndarray) -> Columns:
    """The sensors that ``captioner`` looks at, as the model reads them off a film uint8 ``(T, H, W, 3)``."""
    read = model.embodied(body).watch(model.encode(torch.from_numpy(film))[None])[0].cpu().numpy()
    names = model.spec.sensors.names
    return {name: read[:, names.index(name)].astype(np.float64) for name in captioner.sensors}


def world_of(model: WorldModel, film: np.ndarray) -> int:
    """The body whose start clips most frames of a film are nearest to, in standardised latents."""
    clips = model.contexts
    if clips is None:
        raise VideoSimError(
            "this checkpoint brings no start clips to tell its worlds apart by; train it with contexts=64"
        )

    def scaled(latents: Tensor) -> Tensor:
        return ((latents - model.latent_mean) / model.latent_std).flatten(-2)

    known = scaled(clips.latents)
    away = torch.cdist(scaled(model.encode(torch.from_numpy(film))), known.flatten(0, 1))
    bodies = clips.embodiment.repeat_interleave(known.shape[1])[away.argmin(1).cpu()]
    return int(bodies.bincount().argmax())


def agreements(
    store: EpisodeStore, captioner: Captioner, watch: Watch, frames: int, count: int, rng: np.random.Generator
) -> dict[str, Estimate]:
    """How often a fact that is read off a recorded film by ``watch`` is the one that the recorded sensors tell, by
    kind: in ``count`` clips of ``frames``, those of an episode resampled together. More cannot be asked of films that a
    model makes. Raises VideoSimError where no episode is so long."""
    long_enough = [episode for episode, steps in enumerate(store.lengths) if steps + 1 >= frames]
    if not long_enough:
        raise VideoSimError(f"no episode of {store.world.name} has {frames} frames; give a smaller frames=")
    names, dt_s = store.world.sensors.names, store.world.dt_s
    agreed: dict[str, list[float]] = {}
    episodes = rng.choice(long_enough, count)
    for episode in episodes:
        first = int(rng.integers(store.lengths[episode] + 2 - frames))
        told = np.asarray(store.column("sensors", episode)[first : first + frames], np.float64)
        truth = captioner.read({name: told[:, names.index(name)] for name in captioner.sensors}, dt_s)
        read = captioner.read(watch(np.array(store.frames(episode)[first : first + frames])), dt_s)
        for kind, values in captioner.facts.items():
            if len(values) > 1:
                agreed.setdefault(kind, []).append(float(read.get(kind) == truth.get(kind)))
    return {kind: bootstrap(np.array(hits), _mean, rng, episodes) for kind, hits in sorted(agreed.items())}


@dataclass(frozen=True)
class Score:
    """Of one ``kind`` of fact: the share of ``hits``, ``chance``, and how far the one lies above the other."""

    kind: str
    hits: Estimate
    chance: float
    lift: Estimate


def scored(asks: Sequence[Ask], films: Sequence[int], shown: Sequence[Facts], rng: np.random.Generator) -> list[Score]:
    """How often films show what they were asked for, by kind of fact. ``films``: which of ``asks`` each was made of;
    ``shown``: what was seen of it. Films of one text are resampled together; a kind of which nothing else was asked has
    no chance to be measured against and is left out."""
    scores = []
    for kind in sorted({kind for ask in asks for kind in ask.facts}):
        rows = [(n, asks[ask]) for n, ask in enumerate(films) if kind in asks[ask].facts]
        hits, chances, texts = [], [], []
        for n, ask in rows:
            wanted = ask.facts[kind]
            others = [
                shown[other].get(kind) == wanted
                for other, its in rows
                if its.facts[kind] != wanted and (kind == "object" or its.body == ask.body)
            ]
            if others:
                hits.append(float(shown[n].get(kind) == wanted))
                chances.append(float(np.mean(others)))
                texts.append(films[n])
        if hits:
            clusters, difference = np.array(texts), np.array(hits) - np.array(chances)
            scores.append(
                Score(
                    kind,
                    bootstrap(np.array(hits), _mean, rng, clusters),
                    float(np.mean(chances)),
                    bootstrap(difference, _mean, rng, clusters),
                )
            )
    return scores


def _mean(values: np.ndarray) -> float:
    return float(values.mean())
