"""A store as flat tensors: time is kept, episodes stay apart, and what stands still is not forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sum_world import GAIN, MODEL, SIZE, STEPS, picture

from videosim.corpus import Corpus
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.world_model import WorldModel


def test_the_corpus_keeps_time(data: Path) -> None:
    store = EpisodeStore.open(data)
    corpus = Corpus(store, range(len(store)))
    corpus.latents = torch.arange(int(corpus.first[-1]))[:, None, None].float()
    window = corpus.windows(corpus.starts(5)[::7], 5)
    moved = window["sensors"][:, 1:, 0] - window["sensors"][:, :-1, 0]
    torch.testing.assert_close(moved, GAIN * window["actions"][..., 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(window["rewards"], 1.0 - window["sensors"][:, 1:, 0].abs(), atol=1e-5, rtol=0)
    assert bool((window["latents"][:, 1:] - window["latents"][:, :-1] == 1).all())
    frames, _, sensors = corpus.pairs(corpus.starts(1)[3:4])
    assert np.array_equal(frames[0, 1].numpy(), picture(float(sensors[0, 0])))


def test_a_target_that_never_moves_is_of_interest_to_the_tokenizer(data: Path) -> None:
    store = EpisodeStore.open(data)
    corpus = Corpus(store, range(len(store)))
    corpus.background[5, :4, :4] = 255  # one episode's own mark, in every frame of it
    corpus.common = np.zeros_like(corpus.common)
    _, backgrounds, _ = corpus.pairs(np.array([[5, 0], [6, 0]]))
    assert backgrounds.shape[1] == 2 and torch.equal(backgrounds[0, 1], backgrounds[1, 1])
    assert int(backgrounds[0, 0, 0, 0, 0]) == 255 and int(backgrounds[:, 1].max()) == 0
    frames = torch.full((1, 2, *store.world.frame.shape), 128, dtype=torch.uint8)
    frames[..., :4, :4, :] = 255
    torch.manual_seed(0)
    tokenizer = WorldModel(MODEL, store.world).tokenizer
    with_mark = float(tokenizer.loss(frames, frames[:, :1], torch.zeros(1, 0), torch.Generator())[0].detach())
    empty = torch.cat([frames[:, :1], torch.full_like(frames[:, :1], 128)], 1)
    assert float(tokenizer.loss(frames, empty, torch.zeros(1, 0), torch.Generator())[0].detach()) > 1.5 * with_mark


def test_sudden_starts_are_where_something_is_hit(data: Path) -> None:
    corpus = Corpus(EpisodeStore.open(data), range(6))
    corpus.sensors = torch.zeros(len(corpus.sensors), 2)
    corpus.sensors[:, 0] = torch.arange(len(corpus.sensors)) * 0.01
    hit = int(corpus.first[3]) + 7
    corpus.sensors[hit:, 1] += torch.arange(len(corpus.sensors) - hit) * 0.5
    windows = len(corpus.starts(4))
    found = corpus.sudden_starts(4, 3 / windows)
    assert sorted(map(tuple, found.tolist())) == [(3, 4), (3, 5), (3, 6)]  # the step before and the step after it
    assert len(corpus.sudden_starts(STEPS + 1, 0.2)) == 6  # too short to tell: any


def test_no_window_crosses_an_episode(data: Path) -> None:
    store = EpisodeStore.open(data)
    corpus = Corpus(store, range(4))
    starts = corpus.starts(STEPS - 1)
    assert starts.tolist() == [[row, t] for row in range(4) for t in (0, 1)]
    with pytest.raises(VideoSimError, match="longer episodes"):
        corpus.starts(STEPS + 1)


def test_an_episode_too_short_for_a_window_teaches_to_its_end(data: Path) -> None:
    store = EpisodeStore.open(data)
    corpus = Corpus(store, range(4))
    corpus.latents = torch.arange(int(corpus.first[-1]))[:, None, None].float()
    starts = corpus.training_starts(STEPS + 3)
    assert starts.tolist() == [[row, 0] for row in range(4)]
    long = corpus.windows(starts, STEPS + 3)
    assert long["valid"].sum(1).tolist() == [STEPS] * 4
    short = corpus.windows(starts, STEPS)
    for name, value in short.items():
        assert torch.equal(long[name][:, : value.shape[1]], value), name
    assert torch.equal(long["latents"][:, -1], short["latents"][:, -1])  # the last frame, and not the next episode's
    assert corpus.training_starts(STEPS - 1).tolist() == corpus.starts(STEPS - 1).tolist()


def test_a_mirror_turns_the_picture_and_what_is_named(data: Path) -> None:
    store = EpisodeStore.open(data)
    plain, turned = Corpus(store, range(4)), Corpus(store, range(4), mirror=["push", "x"])
    where = plain.starts(1)[5:9]
    assert torch.equal(plain.pairs(where)[0].flip(3), turned.pairs(where)[0])
    assert torch.equal(plain.actions, -turned.actions) and torch.equal(plain.sensors, -turned.sensors)
    assert torch.equal(plain.rewards, turned.rewards)
    light = turned.pairs(where)[0][:, 1].float().mean((1, 3))
    centre = (light * torch.arange(SIZE)).sum(1) / light.sum(1)
    assert np.corrcoef(centre, turned.pairs(where)[2][:, 0])[0, 1] > 0.99  # picture and sensor still agree
    unnamed = Corpus(store, range(4), mirror=["push"])
    assert unnamed.sensors.isnan().all() and not unnamed.measured.any()
