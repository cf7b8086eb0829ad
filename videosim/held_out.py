"""How far a model can be trusted on episodes it has not seen: open-loop error, reward error, and whether its
uncertainty knows. Works on cached latents, so training can afford it often."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.stats import spearmanr

from videosim.corpus import Corpus
from videosim.dynamics import State
from videosim.metrics import STATE_ERROR_LIMIT
from videosim.world_model import StepOut, WorldModel

EARLY = 15  # steps
LATENT_ERROR_LIMIT = 0.5  # standard deviations
CONTEXT = 8  # frames absorbed before the model is on its own


def scoring_windows(corpus: Corpus, horizon: int, count: int, seed: int) -> tuple[np.ndarray, int]:
    """``(n, 2)`` random starts of ``corpus``, at most ``count``, and the transitions of their windows: a context and
    ``horizon`` steps, fewer where no episode is as long. Raises VideoSimError when there is none."""
    length = min(CONTEXT - 1 + horizon, int(np.max(corpus.lengths)))
    starts = corpus.starts(length)
    rng = np.random.default_rng([seed, 13])
    return starts[rng.choice(len(starts), size=min(count, len(starts)), replace=False)], length


def open_loop(model: WorldModel, batch: dict[str, torch.Tensor]) -> Iterator[tuple[State, StepOut, torch.Tensor]]:
    """Dream through windows under the recorded actions, after CONTEXT frames: the state after each step, what the step
    gives, and the state error ``(B,)``."""
    state = model.start(batch["latents"][:, :CONTEXT], batch["actions"][:, : CONTEXT - 1])
    for t in range(CONTEXT - 1, batch["actions"].shape[1]):
        state, out = model.step(state, batch["actions"][:, t])
        yield state, out, model.state_error(state, batch["sensors"][:, t + 1], batch["latents"][:, t + 1])


@torch.no_grad()
def open_loop_scores(model: WorldModel, corpus: Corpus, horizon: int, count: int, seed: int) -> dict[str, float]:
    """Dream ``horizon`` steps from ``count`` random starts of ``corpus`` under the recorded actions.

    ``horizon_frames``: median first step at which the error (``WorldModel.state_error``) passes 10 % of the sensors'
    range, without sensors half a standard deviation of the latents; ``error_{5,15,50}``; ``error_early``, the mean over
    the first 15 steps, and ``error_mean``, over the horizon; ``reward_error``: absolute error of the mean reward per
    step, in rewards, where there is a task; ``uncertainty_spearman``: rank correlation of uncertainty with the true
    error; ``filter_error``: the state error while every frame is seen, after the first half of the window, of a log
    with sensors;
    ``uncertainty_threshold``: the uncertainty that 95 % of the steps within the limit stay below, once it has
    been multiplied by ``uncertainty_scale``, so that it is as large as the error on average. Raises VideoSimError
    when no episode is long enough.
    """
    where, length = scoring_windows(corpus, horizon, count, seed)
    batch = corpus.windows(where, length)
    errors, doubts, rewards = [], [], []
    for _, out, error in open_loop(model, batch):
        errors.append(error)
        doubts.append(out.uncertainty)
        rewards.append(out.rewards)
    error = torch.stack(errors, 1)
    filtered = {"filter_error": _filter_error(model, batch, length)} if model.has_sensors else {}
    passed = error > (STATE_ERROR_LIMIT if model.has_sensors else LATENT_ERROR_LIMIT)
    first = torch.where(passed.any(1), passed.int().argmax(1) + 1, error.shape[1])
    reward_error = (torch.stack(rewards, 1) - batch["rewards"][:, CONTEXT - 1 :]).abs().mean()
    paid = {"reward_error": float(reward_error)} if corpus.task else {}
    doubt = torch.stack(doubts, 1)
    ratio = float((error.square().mean() / doubt.square().mean()).sqrt())
    rank = spearmanr(doubt.flatten().numpy(), error.flatten().numpy()).statistic
    sound = doubt[~passed] if bool((~passed).any()) else doubt.flatten()
    return {
        "horizon_frames": float(first.float().median()),
        **{f"error_{h}": float(error[:, h - 1].mean()) for h in (5, 15, 50) if h <= error.shape[1]},
        "error_early": float(error[:, :EARLY].mean()),
        "error_mean": float(error.mean()),
        **paid,
        **filtered,
        "uncertainty_spearman": float(np.nan_to_num(rank)),
        "uncertainty_scale": ratio * model.caution(),
        "uncertainty_threshold": ratio * float(sound.quantile(0.95)),
    }


def _filter_error(model: WorldModel, batch: dict[str, torch.Tensor], length: int) -> float:
    """What a policy in physics lives on: the mean state error of the belief in the second half of the windows."""
    state = model.start(batch["latents"][:, :1], batch["actions"][:, :0])
    errors = []
    for t in range(length):
        state = model.observe(state, batch["actions"][:, t], batch["latents"][:, t + 1])
        errors.append(model.state_error(state, batch["sensors"][:, t + 1], batch["latents"][:, t + 1]))
    return float(torch.stack(errors[length // 2 :]).mean())
