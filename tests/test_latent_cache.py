"""Latents are encoded once for what they are made of, however often a training is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sum_world import MODEL, SPEC, episode
from test_train import TINY, interrupt, settings, trained_in

from videosim import fit, gate, latent_cache
from videosim.checkpoint import load_checkpoint
from videosim.corpus import Corpus
from videosim.data.store import EpisodeStore
from videosim.latent_cache import LatentCache
from videosim.run import Console, Run
from videosim.world_model import WorldModel


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Frames of every corpus that was encoded."""
    counted: list[int] = []
    encode = Corpus.encode

    def counting(corpus: Corpus, *rest: object) -> None:
        counted.append(int(corpus.first[-1]))
        encode(corpus, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Corpus, "encode", counting)
    return counted


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    store = EpisodeStore.create(tmp_path / "store", SPEC)
    for seed in range(3):
        store.append(episode(seed))
    return store


def run_in(folder: Path) -> Run:
    return Run("train", None, folder, Console(quiet=True))


def test_a_resumed_training_encodes_nothing_and_ends_the_same(
    data: Path, tmp_path: Path, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "PROBE_STEPS", 5)
    monkeypatch.setattr(fit, "SAVE_EVERY_S", 0.0)
    cfg = settings(data, **TINY)
    trained_in(tmp_path / "whole", cfg)
    once = len(encoded)
    with monkeypatch.context() as patch:
        interrupt(patch, "dynamics", 5)
        with pytest.raises(KeyboardInterrupt):
            trained_in(tmp_path / "stopped", cfg)
    assert len(encoded) == 2 * once == 2 * len(list((tmp_path / "stopped").glob("latents-*.safetensors")))
    trained_in(tmp_path / "stopped", cfg)
    assert len(encoded) == 2 * once
    assert not [*tmp_path.glob("*/latents-*")]  # large, and needed no more
    whole, stopped = (load_checkpoint(tmp_path / name).state_dict() for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_what_they_are_made_of_is_what_they_are_found_by(
    store: EpisodeStore, tmp_path: Path, encoded: list[int]
) -> None:
    torch.manual_seed(0)
    model, run, cache = WorldModel(MODEL, SPEC), run_in(tmp_path), LatentCache(tmp_path)

    def filled(episodes: list[int], **how: object) -> Corpus:
        corpus = Corpus(EpisodeStore.open(store.folder), episodes, **how)  # type: ignore[arg-type]
        cache.fill([corpus], model, run)
        kept = corpus.latents
        corpus.encode(model)
        encoded.pop()
        assert torch.equal(kept, corpus.latents)
        return corpus

    for _ in range(2):
        filled([0, 1])
    assert encoded == [42]
    filled([0, 1], mirror=["push", "x"])
    filled([1, 2])
    assert encoded == [42, 42, 42]
    with torch.no_grad():
        next(model.tokenizer.parameters()).flatten()[0] += 0.1
    filled([0, 1])
    assert encoded == [42, 42, 42, 42]
    other = EpisodeStore.create(tmp_path / "changed", SPEC)  # of the same episodes by number, and not by what they show
    for seed in (0, 7):
        other.append(episode(seed))
    store.folder = other.folder
    filled([0, 1])
    assert encoded == [42, 42, 42, 42, 42]
    cache.clear()
    assert not [*tmp_path.glob("latents-*")]


def test_a_process_that_does_not_write_leaves_nothing(store: EpisodeStore, tmp_path: Path, encoded: list[int]) -> None:
    model, corpus = WorldModel(MODEL, SPEC), Corpus(store, [0])
    LatentCache(tmp_path, writes=False).fill([corpus], model, run_in(tmp_path))
    assert encoded == [21] and len(corpus.latents) == 21 and not [*tmp_path.glob("latents-*")]


def test_where_there_is_no_room_training_goes_on(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tensors: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(latent_cache, "save_file", full)
    corpus = Corpus(store, [0])
    LatentCache(tmp_path).fill([corpus], WorldModel(MODEL, SPEC), run_in(tmp_path))
    assert len(corpus.latents) == 21 and not [*tmp_path.glob("latents-*")]
