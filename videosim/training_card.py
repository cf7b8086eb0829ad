"""What the card of a trained model says: its data, its training and how far it can be trusted, body by body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from videosim.config import HELD_OUT, TrainConfig
from videosim.corpus import Corpus
from videosim.data.store import EpisodeStore
from videosim.world_model import WorldModel


def training_card(
    model: WorldModel,
    cfg: TrainConfig,
    stores: Sequence[EpisodeStore],
    sides: Sequence[tuple[Corpus, Corpus]],
    gates: Sequence[dict[str, Any]],
    scores: Sequence[dict[str, float]],
    seconds: float,
) -> dict[str, Any]:
    """Sections of the card; of ``sides``, training and test, ``gates`` and ``scores`` one for each of ``stores``."""
    bodies = [model.embodied(number) for number in range(len(stores))]
    data = {
        body.titled("Data"): {
            "store": store.folder.name,
            "frames": store.frames_total,
            "training episodes": len(train.frames),
            "held-out episodes": len(test.frames),
            HELD_OUT: cfg.held_out[number] if isinstance(cfg.held_out, (list, tuple)) else cfg.held_out,
            **{f"episodes of behaviour {b}": store.behaviours.count(b) for b in sorted(set(store.behaviours))},
        }
        for number, (body, store, (train, test)) in enumerate(zip(bodies, stores, sides, strict=True))
    }
    training: dict[str, dict[str, Any]] = {
        "Training": {
            "seed": cfg.seed,
            "tokenizer steps": cfg.tokenizer_steps,
            "transition steps": cfg.transition_steps,
            "dynamics steps": cfg.dynamics_steps,
            "filter steps": cfg.filter_steps,
            "belief steps": cfg.belief_steps,
            "painter steps": cfg.painter_steps,
            "course steps": cfg.course_steps,
            "window": cfg.window,
            "initialised from": cfg.init or "scratch",
            "minutes": round(seconds / 60.0, 1),
            "threads": torch.get_num_threads(),
        }
    }
    if cfg.mirror:
        training["Training"]["turned by a mirror"] = ", ".join(cfg.mirror)
    trust: dict[str, Any] = {}
    for each in zip(bodies, gates, scores, strict=True):
        trust |= _trust(*each)
    limits = {
        "Limits": "The model knows what its data showed. Figures above hold for held-out episodes of the same "
        "behaviours; a policy may lead it elsewhere. Watch info['uncertainty'] and check every result in the physics."
    }
    return data | training | trust | limits


def _trust(body: WorldModel, gate: dict[str, Any], scores: dict[str, float]) -> dict[str, Any]:
    probes = {f"probe error {k} (fraction of range)": v for k, v in gate["probe"].items()}
    return {
        body.titled("Tokenizer gate"): {k: v for k, v in gate.items() if k != "probe"} | probes,
        body.titled("Open loop on held-out episodes"): scores,
        body.titled("Uncertainty"): {
            "scale": scores["uncertainty_scale"],
            "threshold": scores["uncertainty_threshold"],
            "rank correlation": scores["uncertainty_spearman"],
        },
    }
