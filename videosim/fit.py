"""One training loop for every network: AdamW, warm-up and cosine, clipping, an average of the weights, exact
resumption.

Batches are a function of (seed, stage, step, part) alone, so a run that was stopped and resumed ends with the same
weights, in as many processes as there may be.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from videosim import states
from videosim.crew import ALONE, Crew, Loss
from videosim.errors import VideoSimError
from videosim.run import Bar, Run

WARMUP = 100
SAVE_EVERY_S = 60.0
LOG_EVERY = 50
APART = 2_654_435_761  # between the seeds of two parts; torch's generator takes their lower 32 bits


@dataclass
class Schedule:
    """How long and how fast a stage trains."""

    steps: int
    learning_rate: float  # the peak, after the warm-up; a cosine takes it to nothing
    evaluate_every: int = 0  # 0: never
    average: float = 0.999  # decay of the averaged weights
    weight_decay: float = 1e-4


class Log:
    """Loss curves to ``<folder>/<stage>.csv`` and TensorBoard."""

    def __init__(self, folder: Path, stage: str, resume_at: int) -> None:
        self.path = folder / f"{stage}.csv"
        self.stage = stage
        rows: list[list[str]] = []
        if resume_at and self.path.is_file():
            with self.path.open(newline="") as file:
                rows = [row for row in list(csv.reader(file))[1:] if int(row[0]) < resume_at]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([["step", "name", "value"], *rows])
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=resume_at)

    def write(self, step: int, values: dict[str, float]) -> None:
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows([[step, name, f"{value:.6g}"] for name, value in values.items()])
        for name, value in values.items():
            self.board.add_scalar(f"{self.stage}/{name}", value, step)


def settle(
    stage: str, module: nn.Module, loss: Loss, schedule: Schedule, run: Run, seed: int, crew: Crew = ALONE
) -> float:
    """``fit`` in the folder and under the progress bar of ``run``; ``module`` stays as it is from then on."""
    with run.progress(schedule.steps, stage, "steps") as bar:
        seconds = fit(stage, module, loss, schedule, run.folder, seed, bar, crew=crew)
    module.requires_grad_(False)
    return seconds


def fit(
    stage: str,
    module: nn.Module,
    loss: Loss,
    schedule: Schedule,
    folder: Path,
    seed: int,
    bar: Bar,
    evaluate: Callable[[], dict[str, float]] | None = None,
    crew: Crew = ALONE,
) -> float:
    """Train ``module``'s trainable parameters in place and leave it with its averaged weights. Returns the seconds it
    took, those before an interruption included.

    ``loss(step, rng)`` builds its own batch, or one of the parts that the processes of ``crew`` share. ``evaluate()``
    scores the averaged weights; its entry ``"score"`` (lower is better) chooses which average is kept. Resumes from
    ``folder`` when a state of this stage is there; returns at once when it is finished.

    Raises VideoSimError when the loss is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    crew.make_alike([*module.parameters(), *module.buffers()])
    hold = crew.hold(module, loss)
    parameters = hold.parameters
    average = [p.detach().clone() for p in parameters]
    best = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    progress: dict[str, Any] = {"step": 0, "score": math.inf, "seconds": 0.0}

    if found := states.last(folder, stage):
        progress |= found.progress
        bar.done = bar.first = progress["step"]
        used = progress.pop("used", [progress["step"]] * len(parameters))  # a lesson need not use every weight
        with found as state, torch.no_grad():
            for i, (p, rows) in enumerate(zip(parameters, hold.rows, strict=True)):
                p.copy_(state.rows(f"weight.{i}", rows))
                average[i].copy_(state.rows(f"average.{i}", rows))
                best[i].copy_(state.rows(f"best.{i}", rows))
                optimizer.state[p] = {
                    "step": torch.tensor(float(used[i])),
                    "exp_avg": state.rows(f"first.{i}", rows),
                    "exp_avg_sq": state.rows(f"second.{i}", rows),
                }

    def save(step: int) -> None:
        state: dict[str, Tensor] = {}
        for i, p in enumerate(parameters):
            state |= {f"weight.{i}": p.detach(), f"average.{i}": average[i], f"best.{i}": best[i]}
            moments = optimizer.state[p]  # empty for a weight that no batch has used yet
            state[f"first.{i}"] = moments.get("exp_avg", torch.zeros_like(p))
            state[f"second.{i}"] = moments.get("exp_avg_sq", torch.zeros_like(p))
        counts = [int(optimizer.state[p].get("step", 0)) for p in parameters]
        states.write(folder, stage, state, {**progress, "step": step, "seconds": seconds(), "used": counts}, hold.share)
        hold.settle()
        if crew.first:
            states.forget_others(folder, stage, step, hold.share[1])

    def seconds() -> float:
        return float(progress["seconds"]) + time.monotonic() - started

    def use(weights: list[Tensor]) -> list[Tensor]:
        """Put ``weights`` into the module and return what was there."""
        before = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, w in zip(parameters, weights, strict=True):
                p.copy_(w)
        return before

    log = Log(folder, stage, progress["step"]) if crew.first else None
    started = last_save = time.monotonic()
    module.train()
    for step in range(progress["step"], schedule.steps):
        done = step / schedule.steps
        rate = schedule.learning_rate * min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        share = torch.zeros(())
        for part in crew.own:
            begin = (seed * 1_000_003 + step) * 17 + sum(map(ord, stage)) + part * APART
            with crew.passing():
                total, terms = hold.loss(step, torch.Generator().manual_seed(begin))
            (total / crew.parts).backward()
            share += total.detach() / crew.parts
        value = float(crew.sum(share))
        if not math.isfinite(value):
            raise VideoSimError(f"the {stage} loss is not finite at step {step}; lower the learning rate and run again")
        hold.gather()
        norm = hold.clip().norm()
        optimizer.step()
        decay = min(schedule.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1.0 - decay)

        if step % LOG_EVERY == 0 and log:
            log.write(step, {"loss": value, "gradient_norm": float(norm), "learning_rate": rate, **terms})
            bar.update(step + 1)
            bar.note(" ".join(f"{k} {v:.4f}" for k, v in terms.items()))
        last = step + 1 == schedule.steps
        if evaluate and schedule.evaluate_every and ((step + 1) % schedule.evaluate_every == 0 or last):
            before = use(average)
            module.eval()
            with hold.whole():
                scores = crew.agreed(evaluate())
            module.train()
            use(before)
            if log:
                log.write(step, {f"held_out_{k}": v for k, v in scores.items()})
            if scores["score"] < progress["score"]:
                progress["score"], progress["best_step"] = scores["score"], step + 1
                best = [a.clone() for a in average]
        if hold.due(last or time.monotonic() - last_save > SAVE_EVERY_S):
            save(step + 1)
            last_save = time.monotonic()
    use(best if evaluate and math.isfinite(progress["score"]) else average)
    hold.release()
    if log:
        log.board.close()
    crew.wait()  # for the state to be on the disk
    module.eval()
    bar.update(schedule.steps)
    return seconds()
