"""How long would `videosim train` take? `python experiments/training_time.py data=data/push`

Trains every stage for a twentieth of its steps, throws the model away, and multiplies what each took. What has no steps
(opening the store, the gate, encoding the frames, the scores at the end) is counted once, as it is; scores on the way
are left out. Ask it of a machine that does nothing else. Words are settings of `videosim train`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields, replace

from rich.console import Console

from videosim import train
from videosim.compose import compose, to_dataclass
from videosim.config import TrainConfig
from videosim.errors import VideoSimError
from videosim.run import Run

SHARE = 0.05  # of the steps of a stage
STEPS = [field.name for field in fields(TrainConfig) if field.name.endswith("_steps")]


def estimated(cfg: TrainConfig, console: Console) -> dict[str, float]:
    """Minutes that ``cfg`` would train: of every stage; "else", of what has no steps; and "all"."""
    few = {name: max(1, round(SHARE * getattr(cfg, name))) for name in STEPS if getattr(cfg, name)}
    short = replace(cfg, evaluate_every=0, **few)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        with Run("train", short, folder, console) as run:
            train.main(short, run)
        spent = (time.monotonic() - begun) / 60.0
    figures = {name: figure["value"] for name, figure in run.figures.items()}
    taken = {name: figures.get(f"training_minutes_{name.removesuffix('_steps')}", 0.0) for name in few}
    minutes = {name.removesuffix("_steps"): taken[name] * getattr(cfg, name) / few[name] for name in few}
    minutes["else"] = spent - sum(taken.values())
    return {**{stage: each for stage, each in minutes.items() if each}, "all": sum(minutes.values())}


def main(words: Sequence[str]) -> None:
    cfg = to_dataclass(compose("train", TrainConfig, list(words)), "train")
    for stage, minutes in estimated(cfg, Console(stderr=True)).items():
        print(f"{stage:<12}{minutes:6.1f} min")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except VideoSimError as fault:
        raise SystemExit(f"training_time: {fault}") from fault
