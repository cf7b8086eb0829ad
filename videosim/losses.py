"""What a window of several stores' recordings teaches dynamics and heads. Knows no corpus and no schedule."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from videosim.missing import as_input, filled
from videosim.telling import telling
from videosim.world_model import WorldModel

UNLABELLED = 0.03  # share of training windows shown without their actions


def scaled_sensors(model: WorldModel, batch: dict[str, Tensor]) -> Tensor:
    return (batch["sensors"] - model.sensor_mean) / model.sensor_std


def shown_tokens(model: WorldModel, batch: dict[str, Tensor], rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Action tokens, and which are of actions that are shown: now and then a window comes without labels, so that "no
    action" means the average of what may have been done."""
    actions, body = batch["actions"], batch["embodiment"]
    shown = torch.rand(len(actions), 1, generator=rng) >= UNLABELLED
    labelled = (shown & model.action_tokens.steered(body)).expand(actions.shape[:2])
    return model.action_tokens(actions, body, labelled), labelled


def imagination_loss(
    model: WorldModel, batch: dict[str, Tensor], rng: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Loss of dynamics and heads on one batch of windows (raw latents and sensors in units, see ``Corpus.windows``)."""
    latents = (batch["latents"] - model.latent_mean) / model.latent_std
    sensors, (tokens, _) = scaled_sensors(model, batch), shown_tokens(model, batch, rng)
    valid = batch["valid"]
    core = model.dynamics.loss(latents, tokens, sensors, valid, rng)

    before, after = core.features[:, :-1], core.features[:, 1:]
    shown = as_input(sensors)
    outcome = model.heads(before, tokens, after, shown[:, :-1], shown[:, 1:])
    reward_term, end_term = outcome_loss(model, batch, *outcome)
    dreamt, rows = core.dreamt, len(core.dreamt.age)
    real = valid[:rows]
    missed = (latents[:rows].flatten(2) - dreamt.latents).square().mean(-1, keepdim=True).sqrt()
    if sensors.shape[-1]:  # where a store has none, it is the latents' error that all of the columns tell
        off = sensors[:rows] - dreamt.sensors
        missed = torch.where(off.isnan(), missed, off)
    error = missed[:, 1:][real]
    error_term = model.heads.error_loss(
        tokens[:rows][real], dreamt.features[:, 1:][real], dreamt.age[:, 1:][real], error, rng
    )
    total = core.total + reward_term + end_term + 0.1 * error_term
    terms = {**core.terms, "reward": reward_term, "termination": end_term, "error_nll": error_term}
    return total, {name: float(value.detach()) for name, value in terms.items()}


def clip_loss(
    model: WorldModel, view: WorldModel, batch: dict[str, Tensor], rng: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Loss of whole clips on one batch of windows, of the size of ``view``: ``model`` itself, or what it is in another
    size of picture (``resized``)."""
    latents = (batch["latents"] - view.latent_mean) / view.latent_std
    tokens, _ = shown_tokens(model, batch, rng)
    lost = view.dynamics.clip_loss(
        latents, tokens, scaled_sensors(model, batch), batch["valid"], rng, telling(model, batch)
    )
    return lost, {"joint": float(lost.detach())}


def outcome_loss(model: WorldModel, batch: dict[str, Tensor], reward: Tensor, logit: Tensor) -> tuple[Tensor, Tensor]:
    """Mean errors of standardised rewards and of the logits of termination, both ``(B, T)``."""
    valid = batch["valid"]
    rewards = (batch["rewards"] - model.reward_mean) / model.reward_std
    over = filled(batch["terminated"], torch.sigmoid(logit))
    ended = F.binary_cross_entropy_with_logits(logit[valid], over[valid])
    return (reward - filled(rewards, reward))[valid].square().mean(), ended
