"""`videosim intend`: films of nothing but a text, and how often they show what was asked for.

Of push there is a second opinion beside the model's own: the reader of frames that the audits use, which no model has
taught.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from videosim.captions import CAPTIONERS, captioner_of
from videosim.captions.captioner import Columns, Facts
from videosim.config import IntendConfig
from videosim.errors import VideoSimError
from videosim.run import Run, write_atomically
from videosim.sheet import contact_sheet, png_bytes
from videosim.statistics import Estimate

FRAMES = 16  # of a film, where the checkpoint does not say how long its clips were
SHOWN = 16  # films on the sheet
GOAL_M = (0.3, 0.0)  # where push has its goal, to 5 cm: the reader of frames does not look for it
HIDDEN_M = (-0.31, 0.31)  # behind push's screen: a thing that is never seen


def main(cfg: IntendConfig, run: Run) -> None:
    """``videosim intend``: hit rates against chance into ``result.json``, some of the films onto ``films.png``."""
    from videosim.checkpoint import load_checkpoint
    from videosim.generate import check_guidance
    from videosim.intentions import asks_of, columns_of, made_of, world_of

    model = load_checkpoint(cfg.checkpoint)
    asks = asks_of(model)
    longest = model.card.get("Training", {}).get("window", FRAMES - 1) + 1
    count = cfg.frames or longest
    if cfg.films < 2 or cfg.passes < 1 or not 2 <= count <= longest:
        raise VideoSimError(
            f"films is a whole number from 2, passes one from 1, and frames lies between 2 and {longest}, the length "
            f"of the clips of the training; got {cfg.films}, {cfg.passes} and {count}"
        )
    check_guidance(cfg.guidance)
    which = np.repeat(np.arange(len(asks)), cfg.films)
    several = any("object" in ask.facts for ask in asks)
    shown: list[Facts] = []
    pictures: dict[str, np.ndarray] = {}
    push: dict[int, np.ndarray] = {}
    with run.progress(len(which), "films", "films") as bar:
        texts = [asks[number].text for number in which]
        for latents in made_of(model, texts, count, cfg.passes, cfg.guidance, cfg.seed):
            for film in model.decode(latents).cpu().numpy():
                ask = asks[which[len(shown)]]
                facts = ask.captioner.read(columns_of(model, ask.body, ask.captioner, film), model.spec.dt_s)
                if several:
                    seen = captioner_of(model.embodiments[world_of(model, film)].sensors)
                    facts["object"] = seen.facts["object"][0] if seen else "something else"
                if ask.captioner is CAPTIONERS["push"]:
                    push[len(shown)] = film
                pictures.setdefault(ask.text, film)
                shown.append(facts)
            bar.advance(len(latents))
    rows = _scores(run, asks, which, shown, cfg.seed, "the model")
    if push and (columns := _read_push(list(push.values()))):
        films = np.array(list(push))
        read = [CAPTIONERS["push"].read(own, model.spec.dt_s) for own in columns]
        rows += _scores(run, asks, which[films], read, cfg.seed, "the frames", "_frames")
    heads = ["fact", "world", "read by", "films", "hits", "chance", "above chance"]
    run.table(f"{len(shown)} films of {len(asks)} texts, {count} frames each", heads, rows)
    some = dict(list(pictures.items())[:: max(1, len(pictures) // SHOWN)])
    write_atomically(run.folder / "films.png", png_bytes(contact_sheet(some, np.zeros(count))))


def _scores(
    run: Run, asks: Sequence, which: np.ndarray, shown: Sequence[Facts], seed: int, reader: str, suffix: str = ""
) -> list[list[str]]:
    """Figures and rows of a table, of every kind of fact: of all worlds, and of each if there are several."""
    from videosim.intentions import scored

    worlds = {ask.captioner.name: [n for n, own in enumerate(which) if asks[own].body == ask.body] for ask in asks}
    worlds = {name: films for name, films in worlds.items() if films}
    parts: Mapping[str, Sequence[int]] = {"all": range(len(which)), **(worlds if len(worlds) > 1 else {})}
    rows = []
    for world, films in parts.items():
        found = scored(asks, [which[n] for n in films], [shown[n] for n in films], np.random.default_rng(seed))
        for score in found:
            name = score.kind + ("" if world == "all" else f"_{world}") + suffix
            for what, figure in (("hits", score.hits), ("lift", score.lift)):
                run.figure(f"{what}_{name}", figure.value, figure.low, figure.high, figure.n, "share of films")
            run.figure(f"chance_{name}", score.chance, unit="share of films")
            told = [_interval(score.hits), f"{score.chance:.3g}", _interval(score.lift)]
            rows.append([score.kind, world, reader, str(len(films)), *told])
    return rows


def _interval(figure: Estimate) -> str:
    return f"{figure.value:.3g} [{figure.low:.3g}, {figure.high:.3g}]"


def _read_push(films: Sequence[np.ndarray]) -> list[Columns]:
    """What push's captioner looks at, read off films uint8 ``(T, H, W, 3)``; nothing where their size is another than
    that of the true frames that calibrate the reader."""
    from videosim.audits.push_reader import PushReader
    from videosim.audits.truth import Truth

    truth = Truth()
    known = truth.scattered
    if known.frames.shape[1:] != films[0].shape[1:]:
        return []
    reader = PushReader(known.frames, known.position, known.share)
    truth.close()
    return [_push_columns(reader.read(film).position) for film in films]


def _push_columns(places: np.ndarray) -> Columns:
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
