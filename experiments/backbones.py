"""Which core dreams best for the same training? `python experiments/backbones.py data=data/push minutes=10`

One store, and one tokenizer of each sort (continuous, and discrete for the masked core), trained once and shared. Every
core trains for the same compute, seconds of one thread's own processor time: ``minutes`` of them, and 1/8 and 1/32 of
that for the curve over compute. What a step takes is measured once for each core, heads included, and decides how many
it gets. A core that trains a part by itself (its transition, its filter, what paints its dreams) pays for it out of the
same purse. All dream the same held-out windows, scored as `videosim train` scores them.

Measured of each: state error against horizon, PSNR, processor time of a frame at batch 1 and frames a second at batch
64, both decoded. The denoiser is the flow core taking ``DENOISER`` steps; token by token is the masked core deciding
one token a pass, the surest first. Neither keeps anything between the passes of a frame.

A cell, which is a core of one seed and compute, is a folder in ``out/cells``; one that is done is not done again, one
that was interrupted goes on. A fully trained core stays there as a checkpoint, for `videosim audit` to examine. Writes
``cells.csv``, ``table.md`` and plots into ``out``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from backbones_report import Cell, report
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import Tensor

from videosim import train
from videosim.checkpoint import save_checkpoint
from videosim.clips import start_clips
from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.filtering import sharpen_beliefs, train_filter
from videosim.held_out import CONTEXT, open_loop, scoring_windows
from videosim.latent_cache import LatentCache
from videosim.metrics import psnr
from videosim.model_config import (
    ConvTokenizerConfig,
    DynamicsConfig,
    FlowConfig,
    FsqTokenizerConfig,
    MaskedConfig,
    ModelConfig,
    RecurrentConfig,
)
from videosim.moving import train_transition
from videosim.painting import train_painter
from videosim.run import Run, write_atomically
from videosim.scales import set_limits, set_scales
from videosim.spacetime import SpaceTimeDynamics
from videosim.world_model import WorldModel

FRACTIONS = (1.0, 1 / 8, 1 / 32)  # of the training compute
MOVED, READ, PAINTED = 0.25, 0.1, 0.1  # shares of it for transition, filter and painter, of a core that has them
TIMED = 16  # steps whose time says how many the compute is worth
DENOISER = 32  # steps of the flow core as a denoiser
ROWS, REPEATS = 64, 7  # of the measurement of speed
FILMED = 32  # windows whose pictures are compared


@dataclass
class Settings:
    """Words of the command line, ``key=value``."""

    data: str = "data/push"  # episode store
    out: str = "runs/backbones"
    minutes: float = 10.0  # of one thread's processor time, for the full training of one core of one seed
    tokenizer_minutes: float = 10.0  # the same for each of the two tokenizers
    seeds: int = 3
    kinds: list[str] = field(default_factory=lambda: ["recurrent", "flow", "masked"])
    width: int = 96  # of the transformers
    patch: int = 2  # cells on a side of their patches
    widths: list[int] = field(default_factory=lambda: [16, 32, 48, 64])  # of the tokenizers, one for each halving
    memory: int = 256  # of the recurrent core, and its other layers
    batch: int = 16  # windows, of the transformers; the recurrent core has four times as many
    window: int = 24  # transitions of one
    horizon: int = 32  # steps of a dream
    windows: int = 64  # dreams of a score


def core(s: Settings, kind: str) -> DynamicsConfig:
    shape = {"width": s.width, "patch": s.patch}
    known: dict[str, DynamicsConfig] = {
        "recurrent": RecurrentConfig(memory=s.memory, hidden=s.memory),
        "flow": FlowConfig(**shape),
        "masked": MaskedConfig(**shape),
    }
    if kind not in known:
        raise VideoSimError(f"there is no core {kind!r}; kinds are of {', '.join(known)}")
    return known[kind]


def arms(model: WorldModel, full: bool) -> dict[str, int]:
    """Names of what a trained core can be used as, and its passes for a frame; only the one that stands for it in the
    curve over compute where training was not ``full``."""
    kind, tokens = model.config.dynamics.kind, model.tokenizer.tokens
    if kind == "recurrent":
        return {"recurrent": 1}
    if kind == "flow":
        return {f"flow K={k}": k for k in (1, 2, 4)} | {f"denoiser K={DENOISER}": DENOISER} if full else {"flow K=4": 4}
    return {f"masked K={k}": k for k in (1, 4, 8)} | {"token by token": tokens} if full else {"masked K=8": 8}


class Comparison:
    """The store, the shared tokenizers and the cells of one comparison."""

    def __init__(self, s: Settings, console: Console) -> None:
        self.s, self.console, self.out = s, console, Path(s.out)
        store = EpisodeStore.open(s.data)
        rows, held_out = store.split(0.1)
        self.world, self.train, self.test = store.world, Corpus(store, rows), Corpus(store, held_out)
        self.where, self.length = scoring_windows(self.test, s.horizon, s.windows, 0)

    def training(self, kind: str, seed: int) -> TrainConfig:
        s, recurrent = self.s, kind == "recurrent"
        tokenizer = (FsqTokenizerConfig if kind == "masked" else ConvTokenizerConfig)(widths=list(s.widths))
        return TrainConfig(
            data=s.data, seed=seed, threads=1, model=ModelConfig(tokenizer=tokenizer, dynamics=core(s, kind)),
            batch=4 * s.batch if recurrent else s.batch, window=s.window, evaluate_every=0,
        )  # fmt: skip

    def steps(self, stage: str, seconds: float, some: Callable[[int, Run], object]) -> int:
        """How many of a stage's steps ``seconds`` pay for; ``some(steps, run)`` trains something for the bin."""
        file = self.out / "seconds_per_step.json"
        known: dict[str, float] = json.loads(file.read_text()) if file.is_file() else {}
        if stage not in known:
            spent = []
            for count in (2, 2, 2 + TIMED):
                with tempfile.TemporaryDirectory() as bin:
                    before = time.process_time()
                    some(count, Run("backbones", self.s, bin, Console(quiet=True)))
                    spent.append(time.process_time() - before)
            # The first pays for all that is kept afterwards. Not all of the last can be overhead, whatever the clock
            # says of steps that take no time.
            known[stage] = max(spent[2] - spent[1], 0.1 * spent[2]) / TIMED
            write_atomically(file, json.dumps(known, indent=1))
        return max(1, round(seconds / known[stage]))

    def tokenized(self, kind: str, seed: int) -> WorldModel:
        """An untrained model of that core with the shared tokenizer; the corpora hold its latents."""
        cfg = self.training(kind, seed)
        name = cfg.model.tokenizer.kind
        folder = self.out / f"tokenizer-{name}"

        def fitted(model: WorldModel, steps: int, run: Run) -> object:
            return train.train_tokenizer(model, replace(cfg, seed=0, tokenizer_steps=steps), [self.train], run)

        def fresh(seed: int) -> WorldModel:
            torch.manual_seed(seed)
            return WorldModel(cfg.model, self.world)

        file = folder / "tokenizer.safetensors"
        if not file.is_file():
            steps = self.steps(name, 60 * self.s.tokenizer_minutes, lambda n, run: fitted(fresh(0), n, run))
            model = fresh(0)
            with Run("backbones", self.s, folder, self.console) as run:
                fitted(model, steps, run)
                save_file(model.tokenizer.state_dict(), file.with_suffix(".tmp"))
                file.with_suffix(".tmp").replace(file)
        model = fresh(seed)
        model.tokenizer.load_state_dict(load_file(file))
        run = Run("backbones", self.s, folder, self.console)
        LatentCache(folder).fill([self.train, self.test], model, run)
        set_scales(model, [self.train])
        set_limits(model, [self.train], anew=True)
        return model

    def cell(self, kind: str, seed: int, fraction: float) -> Cell:
        folder = self.out / "cells" / f"{kind}-{seed}-1of{round(1 / fraction)}"
        if (folder / "result.json").is_file():
            return Cell.read(folder)
        cfg, seconds = self.training(kind, seed), 60 * self.s.minutes * fraction
        model = self.tokenized(kind, seed)

        def moving(model: WorldModel, steps: int, run: Run) -> object:
            return train_transition(model, replace(cfg, transition_steps=steps), [self.train], run)

        def reading(model: WorldModel, steps: int, run: Run) -> object:
            return train_filter(model, replace(cfg, filter_steps=steps), [self.train], run)

        def painting(model: WorldModel, steps: int, run: Run) -> object:
            return train_painter(model, replace(cfg, painter_steps=steps), [self.train], run)

        def dreaming(model: WorldModel, steps: int, run: Run) -> object:
            return train.train_dynamics(model, replace(cfg, dynamics_steps=steps), [self.train], [self.test], run)

        def sharpening(model: WorldModel, steps: int, run: Run) -> object:
            return sharpen_beliefs(model, replace(cfg, belief_steps=steps), [self.train], run)

        own = {
            "transition": (moving, MOVED if model.dynamics.transition is not None and self.world.sensors.size else 0.0),
            "filter": (reading, READ if model.dynamics.filter else 0.0),
            "painter": (painting, PAINTED if model.painter or model.dynamics.guess else 0.0),
        }
        again = {"beliefs": (sharpening, READ if model.dynamics.believers() else 0.0)}
        left = 1.0 - sum(share for _, share in [*own.values(), *again.values()])
        stages = own | {"dynamics": (dreaming, left)} | again
        with Run("backbones", self.s, folder, self.console) as run:
            for stage, (fitted, share) in stages.items():
                if not share:
                    continue
                steps = self.steps(
                    f"{kind} {stage}", share * seconds, lambda n, r, f=fitted: f(self.tokenized(kind, 0), n, r)
                )
                fitted(model, steps, run)
                run.figure(f"{stage}_steps", steps)
            run.figure("training_minutes", seconds / 60, unit="min of one thread")
            parts = (model.dynamics, model.painter)
            run.figure("parameters", sum(p.numel() for part in parts if part is not None for p in part.parameters()))
            run.seeds = [seed]
            tensors: dict[str, Tensor] = {}
            for arm, passes in arms(model, fraction == 1.0).items():
                if isinstance(model.dynamics, SpaceTimeDynamics):
                    model.dynamics.config = replace(model.dynamics.config, steps=passes)
                tensors |= {f"{arm}/{name}": value for name, value in self.dreamed(model).items()}
                if fraction == 1.0 and seed == 0:
                    run.figure(f"{arm}/ms_frame", 1e3 * self.seconds(model, 1), unit="ms of one thread")
                    run.figure(f"{arm}/frames_per_s", ROWS / self.seconds(model, ROWS), unit="1/s of one thread")
            if fraction == 1.0 and seed == 0:
                tensors |= {f"frozen {kind}/{name}": value for name, value in self.frozen(model).items()}
            save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "dreams.safetensors")
            if fraction == 1.0:
                self.kept(model, cfg, folder / "checkpoint")
        return Cell.read(folder)

    def kept(self, model: WorldModel, cfg: TrainConfig, folder: Path) -> None:
        """A fully trained core as a checkpoint for `videosim audit`, with the passes that stand for it in the curve
        over compute."""
        if isinstance(model.dynamics, SpaceTimeDynamics):
            model.dynamics.config = replace(model.dynamics.config, steps=next(iter(arms(model, full=False).values())))
            model.config = replace(model.config, dynamics=model.dynamics.config)
        model.contexts = start_clips([self.train], cfg)
        save_checkpoint(folder, model, {"Training": {"seed": cfg.seed, "minutes": self.s.minutes, "threads": 1}})

    @torch.no_grad()
    def dreamed(self, model: WorldModel) -> dict[str, Tensor]:
        """State error ``(windows, horizon)`` of dreams, and PSNR ``(FILMED, horizon)`` of their pictures."""
        errors, likeness = [], []
        for t, (state, _, error) in enumerate(open_loop(model, self.test.windows(self.where, self.length))):
            errors.append(error)
            likeness.append(self._likeness(model.decode(model.latents(state)[:FILMED]), t))
        return {"error": torch.stack(errors, 1).float(), "psnr": torch.stack(likeness, 1).float()}

    @torch.no_grad()
    def frozen(self, model: WorldModel) -> dict[str, Tensor]:
        """The same of a world that stands still; and the PSNR of what the codec alone makes of the truth."""
        batch = self.test.windows(self.where, self.length)
        state = model.start(batch["latents"][:, :CONTEXT], batch["actions"][:, : CONTEXT - 1])
        after = range(CONTEXT, self.length + 1)
        errors = [model.state_error(state, batch["sensors"][:, t], batch["latents"][:, t]) for t in after]
        last = model.decode(batch["latents"][:FILMED, CONTEXT - 1])
        codec = [self._likeness(model.decode(batch["latents"][:FILMED, t]), t - CONTEXT) for t in after]
        still = [self._likeness(last, t - CONTEXT) for t in after]
        found = {"error": torch.stack(errors, 1), "psnr": torch.stack(still, 1), "codec": torch.stack(codec, 1)}
        return {name: value.float() for name, value in found.items()}

    def _likeness(self, frames: Tensor, t: int) -> Tensor:
        """PSNR of frames uint8 ``(FILMED, H, W, 3)`` beside those recorded ``t`` steps into the dream."""
        truth = np.stack([self.test.frames[row][start + CONTEXT + t] for row, start in self.where[:FILMED]])
        return torch.from_numpy(psnr(frames.cpu().numpy(), truth))

    @torch.no_grad()
    def seconds(self, model: WorldModel, rows: int) -> float:
        """Median processor time of one step of ``rows`` dreams, decoded."""
        where = self.where[np.arange(rows) % len(self.where)]
        batch = self.test.windows(where, CONTEXT)
        state = model.start(batch["latents"][:, :CONTEXT], batch["actions"][:, : CONTEXT - 1])
        spent = []
        for _ in range(REPEATS + 1):
            before = time.process_time()
            after, _ = model.step(state, batch["actions"][:, CONTEXT - 1])
            model.decode(model.latents(after))
            spent.append(time.process_time() - before)
        return float(np.median(spent[1:]))  # the first warms up


def compared(s: Settings, console: Console) -> Path:
    """Do every cell that is not done, and write the report. Returns the folder.

    Raises VideoSimError where the folder holds a comparison with other settings.
    """
    out = Path(s.out)
    mine = {name: value for name, value in asdict(s).items() if name not in ("out", "seeds", "kinds")}
    kept = out / "settings.json"
    if kept.is_file() and json.loads(kept.read_text()) != mine:
        raise VideoSimError(f"{out} holds a comparison with other settings; give another out=, or these again: {kept}")
    for kind in s.kinds:
        core(s, kind)
    torch.set_num_threads(1)
    comparison = Comparison(s, console)
    write_atomically(kept, json.dumps(mine, indent=1))
    cells = [
        comparison.cell(kind, seed, fraction) for fraction in FRACTIONS for seed in range(s.seeds) for kind in s.kinds
    ]
    with Run("backbones", s, out, console) as run:
        run.seeds = list(range(s.seeds))
        report(cells, run)
    return out


def settings(words: list[str]) -> Settings:
    """Raises VideoSimError on a word that is no setting."""
    try:
        chosen = OmegaConf.merge(OmegaConf.structured(Settings), OmegaConf.from_dotlist(words))
        return OmegaConf.to_object(chosen)  # type: ignore[return-value]
    except OmegaConfBaseException as fault:
        raise VideoSimError(f"settings are key=value: {' '.join(str(fault).split())}") from fault


if __name__ == "__main__":
    try:
        compared(settings(sys.argv[1:]), Console())
    except VideoSimError as fault:
        raise SystemExit(f"backbones: {fault}") from fault
