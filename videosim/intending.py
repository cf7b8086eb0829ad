"""`videosim intend`: films of nothing but a text, and how often they show what was asked for.

Of push there is a second opinion beside the model's own: the reader of frames that the audits use, which no model has
taught.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from videosim.captions import CAPTIONERS, captioner_of
from videosim.captions.captioner import Columns, Facts
from videosim.config import IntendConfig
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.run import Run, write_atomically
from videosim.sheet import contact_sheet, png_bytes
from videosim.statistics import Estimate
from videosim.types import FrameSpec

if TYPE_CHECKING:
    from videosim.intentions import Ask, Watch
    from videosim.world_model import WorldModel

FRAMES = 16  # of a film, where the checkpoint does not say how long its clips were
SHOWN = 16  # films on the sheet
RECORDED = 128  # clips of a store that are read
GOAL_M = (0.3, 0.0)  # where push has its goal, to 5 cm: the reader of frames does not look for it
HIDDEN_M = (-0.31, 0.31)  # behind push's screen: a thing that is never seen
MODEL, READER = "the model", "the reader of frames"


def main(cfg: IntendConfig, run: Run) -> None:
    """``videosim intend``: hit rates against chance into ``result.json``, some of the films onto ``films.png``."""
    from videosim.checkpoint import load_checkpoint
    from videosim.generate import check_guidance
    from videosim.intentions import asks_of, columns_of, made_of, world_of

    model = load_checkpoint(cfg.checkpoint)
    asks = asks_of(model)
    longest = int(model.recorded("Training", "window") or FRAMES - 1) + 1
    count = cfg.frames or longest
    if cfg.films < 2 or cfg.passes < 1 or not 2 <= count <= longest:
        raise VideoSimError(
            f"films is a whole number from 2, passes one from 1, and frames lies between 2 and {longest}, the length "
            f"of the clips of the training; got {cfg.films}, {cfg.passes} and {count}"
        )
    check_guidance(cfg.guidance)
    known = _recorded(model, asks, cfg)
    reader = push_reader(model.spec.frame) if any(ask.captioner is CAPTIONERS["push"] for ask in asks) else None

    which = np.repeat(np.arange(len(asks)), cfg.films)
    several = any("object" in ask.facts for ask in asks)
    shown: list[Facts] = []
    read: dict[int, Facts] = {}  # by the reader of frames
    pictures: dict[str, np.ndarray] = {}
    with run.progress(len(which), "films", "films") as bar:
        texts = [asks[number].text for number in which]
        for latents in made_of(model, texts, count, cfg.passes, cfg.guidance, cfg.seed):
            for film in model.decode(latents).cpu().numpy():
                ask = asks[which[len(shown)]]
                facts = ask.captioner.read(columns_of(model, ask.body, ask.captioner, film), model.spec.dt_s)
                if several:
                    seen = captioner_of(model.embodiments[world_of(model, film)].sensors)
                    facts["object"] = seen.facts["object"][0] if seen else "something else"
                if reader and ask.captioner is CAPTIONERS["push"]:
                    read[len(shown)] = ask.captioner.read(reader(film), model.spec.dt_s)
                pictures.setdefault(ask.text, film)
                shown.append(facts)
            bar.advance(len(latents))
    rows = _scores(run, asks, which, shown, cfg.seed, MODEL)
    if read:
        rows += _scores(run, asks, which[list(read)], list(read.values()), cfg.seed, READER, "_frames")
    for store, ask in known:
        rows += _ceiling(run, store, ask, MODEL, partial(columns_of, model, ask.body, ask.captioner), count, cfg)
        if reader and ask.captioner is CAPTIONERS["push"]:
            rows += _ceiling(run, store, ask, READER, reader, count, cfg, "_frames")
    heads = ["fact", "world", "read by", "films", "hits", "chance", "above chance"]
    run.table(f"{len(shown)} films of {len(asks)} texts, {count} frames each", heads, rows)
    some = dict(list(pictures.items())[:: max(1, len(pictures) // SHOWN)])
    write_atomically(run.folder / "films.png", png_bytes(contact_sheet(some, np.zeros(count))))


def _recorded(model: WorldModel, asks: Sequence[Ask], cfg: IntendConfig) -> list[tuple[EpisodeStore, Ask]]:
    """The stores to read recorded films from, each with something that is asked of its world."""
    found = []
    for folder in [cfg.data] if isinstance(cfg.data, str) else cfg.data:
        store = EpisodeStore.open(folder) if folder else None
        if store is None:
            continue
        own = captioner_of(store.world.sensors.names)
        ask = next((ask for ask in asks if ask.captioner is own), None)
        if ask is None or store.world.frame != model.spec.frame:
            raise VideoSimError(f"{folder} shows no world that this checkpoint has captions of; leave it out of data=")
        found.append((store, ask))
    return found


def _scores(
    run: Run, asks: Sequence[Ask], which: np.ndarray, shown: Sequence[Facts], seed: int, reader: str, suffix: str = ""
) -> list[list[str]]:
    """Figures and rows of a table, of every kind of fact: of all worlds, and of each if there are several."""
    from videosim.intentions import scored

    worlds = {
        ask.captioner.name: [n for n, own in enumerate(which) if asks[own].captioner is ask.captioner] for ask in asks
    }
    worlds = {name: films for name, films in worlds.items() if films}
    parts: Mapping[str, Sequence[int]] = {"all": range(len(which)), **worlds} if len(worlds) > 1 else worlds
    rows = []
    for world, films in parts.items():
        for score in scored(asks, [which[n] for n in films], [shown[n] for n in films], np.random.default_rng(seed)):
            name = f"{score.kind}_{world}{suffix}"
            _figure(run, f"hits_{name}", score.hits)
            _figure(run, f"lift_{name}", score.lift)
            run.figure(f"chance_{name}", score.chance, unit="share of films")
            told = [_interval(score.hits), f"{score.chance:.3g}", _interval(score.lift)]
            rows.append([score.kind, world, reader, str(len(films)), *told])
    return rows


def _ceiling(
    run: Run, store: EpisodeStore, ask: Ask, reader: str, watch: Watch, frames: int, cfg: IntendConfig, suffix: str = ""
) -> list[list[str]]:
    """The same of recorded films, which show what their sensors say: what the reading is worth."""
    from videosim.intentions import agreements

    rows = []
    found = agreements(store, ask.captioner, watch, frames, RECORDED, np.random.default_rng(cfg.seed))
    for kind, share in found.items():
        _figure(run, f"recorded_{kind}_{ask.captioner.name}{suffix}", share)
        rows.append([kind, ask.captioner.name, f"{reader}, recorded films", str(RECORDED), _interval(share), "", ""])
    return rows


def _figure(run: Run, name: str, share: Estimate) -> None:
    run.figure(name, share.value, share.low, share.high, share.n, "share of films")


def _interval(share: Estimate) -> str:
    return f"{share.value:.3g} [{share.low:.3g}, {share.high:.3g}]"


def push_reader(frame: FrameSpec) -> Watch | None:
    """What reads the places of push's things off frames, calibrated on true ones; None for another size than theirs."""
    from videosim.audits.push_reader import PushReader
    from videosim.audits.truth import Truth

    truth = Truth()
    known, spec = truth.scattered, truth.spec.frame
    truth.close()
    if frame != spec:
        return None
    reader = PushReader(known.frames, known.position, known.share)
    return lambda film: push_columns(reader.read(film).position)


def push_columns(places: np.ndarray) -> Columns:
    """Sensors by name out of read places float64 ``(T, 4, 2)``: a thing that is out of sight stays where it was seen
    last, or will be seen next."""
    from videosim.audits.push_scene import NAMES

    columns = {f"goal_{axis}": np.full(len(places), value) for axis, value in zip("xy", GOAL_M, strict=True)}
    frames = np.arange(len(places))
    for thing, name in enumerate(NAMES):
        seen = np.flatnonzero(np.isfinite(places[:, thing, 0]))
        last = np.searchsorted(seen, frames, "right") - 1
        for axis, letter in enumerate("xy"):
            column = places[seen[last.clip(min=0)], thing, axis] if len(seen) else np.full(len(frames), HIDDEN_M[axis])
            columns[f"{name}_{letter}"] = column
    return columns
