"""What it gains or costs a drive to share a model with another: `python experiments/embodiments.py driving=DIR tub=DIR
out=DIR [seeds=N] [setting of videosim train=value …]`.

Trains three models with the same number of steps each, on the one store alone, on the other alone, and on both with an
embodiment for each, once a seed, and prints for each store what the model alone and the shared one make of its held-out
drives, and their difference, with intervals over stretches of these drives. What is finished in ``out`` is not done
again; a training that was stopped goes on. Of the first store a tenth of the episodes is held out, of the second, one
drive, its last 150 frames.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from videosim import train
from videosim.checkpoint import load_checkpoint
from videosim.compose import compose, to_dataclass
from videosim.config import TrainConfig
from videosim.corpus import Corpus, divided
from videosim.data.store import EpisodeStore
from videosim.drives import Dreamed, dreamed, drive_scores, windows_of
from videosim.run import Run
from videosim.statistics import Estimate, bootstrap

HELD_OUT = {"driving": 0.1, "tub": 150}
HORIZONS = (1, 5, 10, 20)  # steps
WINDOWS = 128  # held-out starts of a score
SIDES = ("right", "wrong")  # dreams under recorded and under swapped actions


def main(words: Sequence[str]) -> None:
    given = dict(word.split("=", 1) for word in words)
    missing = [name for name in (*HELD_OUT, "out") if name not in given]
    if missing:
        raise SystemExit(f"give {missing[0]}=DIR\n\n{__doc__}")
    folders, out = {name: given.pop(name) for name in HELD_OUT}, Path(given.pop("out"))
    seeds = range(int(given.pop("seeds", "1")))
    settings = to_dataclass(compose("train", TrainConfig, [f"{k}={v}" for k, v in given.items()]), "train")
    arms = {**{name: [name] for name in folders}, "both": list(folders)}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with Run("embodiments", {"folders": folders, "settings": asdict(settings)}, out, Console()) as run:
        run.seeds = list(seeds)
        for arm, names in arms.items():
            for seed in seeds:
                held = [HELD_OUT[name] for name in names]
                data = [folders[name] for name in names]
                cfg = replace(settings, data=data, held_out=held, seed=seed)
                folder = out / arm / str(seed)
                if not (folder / "result.json").is_file():
                    with Run("train", cfg, folder, run.console) as training:
                        train.main(cfg, training)
                for number, name in enumerate(names):
                    found.setdefault((arm, name), []).append(_measured(folder, folders[name], number, held[number]))
        for name in folders:
            _report(name, found[name, name], found["both", name], run)


def _measured(folder: Path, data: str, number: int, held_out: float) -> dict[str, Any]:
    """What the model in ``folder`` makes of the held-out part of ``data``, its store ``number``: the dreams of both
    SIDES, the codec's PSNR, and the names and units of the sensors."""
    model = load_checkpoint(folder).embodied(number)
    store = EpisodeStore.open(data)
    kept = folder / f"dreams-{number}.npz"
    if not kept.is_file():
        parts = divided(store, 0, held_out)
        test = Corpus(store, parts[1], model.spec, number)
        test.encode(model)
        where = windows_of(test, HORIZONS[-1], WINDOWS, 0)
        both = {side: dreamed(model, test, where, HORIZONS[-1], side == "wrong") for side in SIDES}
        arrays = {f"{side}.{name}": value for side, dream in both.items() for name, value in vars(dream).items()}
        np.savez(folder / ".writing.npz", **arrays)
        (folder / ".writing.npz").replace(kept)
    with np.load(kept, allow_pickle=False) as file:
        sides = {
            side: Dreamed(**{n.split(".")[1]: file[n] for n in file.files if n.startswith(side)}) for side in SIDES
        }
    figures = json.loads((folder / "result.json").read_text())["figures"]
    sensors = dict(zip(store.world.sensors.names, store.world.sensors.units, strict=True))
    return {**sides, "codec": figures[model.figure("psnr_full")]["value"], "sensors": sensors}


def _report(name: str, alone: list[dict[str, Any]], shared: list[dict[str, Any]], run: Run) -> None:
    """A table of the store ``name``: seeds are averaged window by window, so that intervals are over windows."""
    rows = [("psnr_codec [dB]", *(f"{np.mean([m['codec'] for m in side]):.2f}" for side in (alone, shared)), "")]
    sides = [_all_seeds(side) for side in (alone, shared)]
    scores = [drive_scores(side["right"], side["wrong"], HORIZONS) for side in sides]
    stretch, rng = sides[0]["right"].stretch, np.random.default_rng(23)
    for key, own in scores[0].items():
        both = scores[1][key]
        rows.append((f"{key} [{own.unit}]", _said(own), _said(both), _difference(key, sides, stretch, rng)))
        for arm, score in (("alone", own), ("both", both)):
            run.figure(f"{name}_{arm}_{key}", score.value, score.low, score.high, score.n, score.unit)
    last = HORIZONS[-1]
    for column, (sensor, unit) in enumerate(alone[0]["sensors"].items()):
        errors = [side["right"].sensor_error[:, last - 1, column] for side in sides]
        said = [
            bootstrap(e, lambda r: float(r.mean()), rng, stretch, unit=unit) for e in (*errors, errors[1] - errors[0])
        ]
        rows.append((f"{sensor} after {last} steps [{unit}]", *map(_said, said)))
    title = f"{name}: held-out drives, {len(alone)} seed(s), {len(stretch)} dreams"
    run.table(title, ("figure", "alone", "shared", "shared - alone"), rows)


def _all_seeds(measured: list[dict[str, Any]]) -> dict[str, Dreamed]:
    """The dreams of all seeds from the same windows, one after the other: stretches stay what is resampled."""
    return {
        side: Dreamed(**{n: np.concatenate([vars(m[side])[n] for m in measured]) for n in vars(measured[0][side])})
        for side in SIDES
    }


def _difference(key: str, sides: list[dict[str, Dreamed]], stretch: np.ndarray, rng: np.random.Generator) -> str:
    """Of the pictures, which are compared window by window; "" of any other figure: each model has latents of its own,
    and what is one standard deviation in one is not in the other."""
    kind, _, horizon = key.rpartition("_")
    if kind != "psnr" or not horizon.isdigit():
        return ""
    alone, shared = (side["right"].psnr[:, int(horizon) - 1] for side in sides)
    return _said(bootstrap(shared - alone, lambda rows: float(rows.mean()), rng, stretch))


def _said(figure: Estimate) -> str:
    return f"{figure.value:.3g} [{figure.low:.3g}, {figure.high:.3g}]"


if __name__ == "__main__":
    main(sys.argv[1:])
