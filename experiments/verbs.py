"""What does each verb cost, and how near does it come to the truth? `python experiments/verbs.py checkpoint=video
data=[data/push,…]`

Every verb makes ``films`` films from held-out clips of each store, whose folder's name is that of the model's
embodiment, and is told the recorded actions where it takes any. What it makes of the frames and pixels it did not know
is compared with what was recorded: PSNR, and the error of the physical state as the model reads it off the film.
Beside it stands the film in which nothing happens, and what the codec alone makes of the record, which is as near as
any can come. Several films fit between two ends, so a verb that is told no action may be right and still be off. Writes
``verbs.csv``, ``table.md`` and, of every verb, a contact sheet of the median film by PSNR into ``out``.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.footage import Footage, rectangle
from videosim.generate import Made, generate
from videosim.metrics import normalised_error, psnr
from videosim.one_body import load_body
from videosim.run import Run, write_atomically
from videosim.sheet import contact_sheet, png_bytes
from videosim.statistics import Estimate, bootstrap
from videosim.verbs import VERBS, Wish
from videosim.world_model import WorldModel

REGION = (0.25, 0.25, 0.75, 0.75)  # of what is inpainted
TOLD = ("image-to-video", "action-to-video", "extend-forward", "extend-backward")  # verbs that hear the actions
TRUE = (*TOLD, "connect", "inpaint")  # verbs with a record to compare with
SIDES = ("made", "held", "codec")


@dataclass
class Settings:
    """Words of the command line, ``key=value``."""

    checkpoint: str = "video"
    data: list[str] = field(default_factory=lambda: ["data/push"])  # stores; a folder is called as the embodiment
    out: str = "runs/verbs"
    films: int = 8  # of each verb and store
    frames: int = 32
    passes: int = 16  # of a verb that makes all frames at once
    threads: int = 2
    seed: int = 0


@dataclass(frozen=True)
class Clip:
    """Recorded: frames uint8 ``(T+1, H, W, 3)``, actions ``(T, A)`` in world units, sensors ``(T+1, S)``."""

    frames: np.ndarray
    actions: np.ndarray
    sensors: np.ndarray


def clips(folder: str, s: Settings) -> Iterator[Clip]:
    """Of held-out episodes, each from a random frame on."""
    store, rng = EpisodeStore.open(folder), np.random.default_rng([s.seed, 31])
    _, rows = store.split(0.1)
    long = [row for row in rows if store.lengths[row] >= s.frames]
    if not long:
        raise VideoSimError(f"no held-out episode of {folder} has {s.frames} frames; give a smaller frames=")
    for n in range(s.films):
        row = long[n * len(long) // s.films % len(long)]
        t = int(rng.integers(store.lengths[row] - s.frames + 2))
        end = t + s.frames
        yield Clip(
            np.array(store.frames(row)[t:end]),
            np.array(store.column("actions", row)[t : end - 1]),
            np.array(store.column("sensors", row)[t:end]),
        )


def wish(name: str, clip: Clip, model: WorldModel) -> Wish:
    """What ``name`` is asked for so that a right answer is the clip."""
    frame, count, verb = model.spec.frame, len(clip.frames), VERBS[name]
    known = verb.known or count
    first, last = (Footage.of(part, frame) for part in (clip.frames[:known], clip.frames[-known:]))
    asked = Wish(frame, frames=count, actions=clip.actions if name in TOLD else None)
    if name == "image":
        return replace(asked, frames=1)
    if name in ("inpaint", "restyle"):
        return replace(asked, source=first, mask=rectangle(REGION, frame))
    if name == "connect":
        return replace(asked, source=first, other=last)
    return replace(asked, source=last if name == "extend-backward" else first)


def scores(made: Made, clip: Clip, model: WorldModel) -> dict[str, float]:
    """PSNR over what was not known, and the state error over the frames that were not, of all SIDES."""
    unknown = ~made.outline.known[: len(made.film)]
    some = unknown.any((1, 2))
    films = dict(zip(SIDES, (made.film, made.outline.held(), model.recoded(clip.frames)), strict=True))
    found: dict[str, float] = {}
    for side, film in films.items():
        if film is None:
            continue
        found[f"psnr_{side}"] = float(psnr(film[some], clip.frames[some], unknown[some]).mean())
        read = model.watch(model.encode(torch.from_numpy(np.ascontiguousarray(film)))[None])[0].cpu().numpy()
        error = normalised_error(read, clip.sensors, model.spec.sensors.span)
        found[f"state_{side}"] = float(np.sqrt(np.square(error).mean(-1))[some].mean())
    return found


def measured(model: WorldModel, name: str, folder: str, s: Settings, run: Run) -> dict[str, Estimate]:
    """Films of one verb and store: means over films, with intervals. Writes the median one's sheet."""
    rows, films = [], []
    for number, clip in enumerate(clips(folder, s)):
        began = time.perf_counter()
        made = generate(model, VERBS[name], wish(name, clip, model), s.seed + number, passes=s.passes)
        row = {"seconds": time.perf_counter() - began} | {k: v for k, (v, _) in made.measures.items()}
        rows.append(row | (scores(made, clip, model) if name in TRUE else {}))
        films.append((made, clip))
    order = np.argsort([row.get("psnr_made", 0.0) for row in rows], kind="stable")
    made, clip = films[order[len(order) // 2]]
    shown = {"made": made.film} | ({"recorded": clip.frames} if name in (*TRUE, "restyle") else {})
    known = made.outline.known[: len(made.film)].mean((1, 2))
    write_atomically(run.folder / f"{model.spec.name}-{name}.png", png_bytes(contact_sheet(shown, known)))
    rng = np.random.default_rng([s.seed, 37])
    return {
        key: bootstrap(np.array([row[key] for row in rows]), lambda part: float(part.mean()), rng) for key in rows[0]
    }


def main(s: Settings, console: Console) -> None:
    torch.set_num_threads(s.threads)
    table: list[list[str]] = []
    records: list[list[object]] = []
    names = [name for name, verb in VERBS.items() if "text" not in verb.needs]
    with Run("verbs", s, s.out, console) as run:
        run.seeds = [s.seed]
        with run.progress(len(s.data) * len(names), "verbs", "verbs") as bar:
            for folder in s.data:
                body = Path(folder).name
                model = load_body(f"{s.checkpoint}:{body}")
                for name in names:
                    found = measured(model, name, folder, s, run)
                    for key, e in found.items():
                        run.figure(f"{body}/{name}/{key}", e.value, e.low, e.high, e.n)
                        records.append([body, name, key, e.value, e.low, e.high, e.n])
                    table.append([body, name, *(_said(found, key) for key in COLUMNS)])
                    bar.advance()
        heads = ["world", "verb", *COLUMNS.values()]
        run.table(f"{s.films} films of {s.frames} frames each", heads, table)
    lines = [heads, ["---"] * len(heads), *table]
    write_atomically(run.folder / "table.md", "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    text = io.StringIO()
    csv.writer(text).writerows([["world", "verb", "figure", "value", "low", "high", "n"], *records])
    write_atomically(run.folder / "verbs.csv", text.getvalue())


COLUMNS = {
    "seconds": "s a film",
    **{f"psnr_{side}": f"PSNR, {side} [dB]" for side in SIDES},
    **{f"state_{side}": f"state error, {side}" for side in SIDES},
}


def _said(found: dict[str, Estimate], key: str) -> str:
    if key not in found:
        return ""
    e = found[key]
    return f"{e.value:.3g}" if key == "seconds" else f"{e.value:.3g} [{e.low:.3g}, {e.high:.3g}]"


if __name__ == "__main__":
    try:
        chosen = OmegaConf.merge(OmegaConf.structured(Settings), OmegaConf.from_dotlist(sys.argv[1:]))
        main(OmegaConf.to_object(chosen), Console())  # type: ignore[arg-type]
    except OmegaConfBaseException as fault:
        raise SystemExit(f"verbs: settings are key=value: {' '.join(str(fault).split())}") from fault
    except VideoSimError as fault:
        raise SystemExit(f"verbs: {fault}") from fault
