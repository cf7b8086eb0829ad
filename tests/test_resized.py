"""Films in another size of picture than that of the training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from sum_world import MODEL, SPEC, episode
from test_generate import FRAMES, model_of, wish

from videosim import fit, gate, train
from videosim.buckets import Bucket, among
from videosim.checkpoint import load_checkpoint
from videosim.config import TrainConfig
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.footage import Footage
from videosim.generate import generate
from videosim.model_config import FlowConfig
from videosim.resized import drawn_to, resized
from videosim.run import Run
from videosim.types import FrameSpec, LatentLayout
from videosim.verbs import VERBS, Wish, find_verb
from videosim.world_model import WorldModel

WIDE, HIGH = FrameSpec(48, 80), FrameSpec(80, 48)
WHOLE = ("flow", "masked", "windows")


def test_its_own_size_is_itself() -> None:
    model = model_of("flow")
    assert resized(model, model.spec.frame) is model


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("frame", [WIDE, HIGH])
def test_a_film_of_another_size(kind: str, frame: FrameSpec) -> None:
    model = model_of(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    source = Footage.of(FRAMES, frame)
    for name in ("image-to-video", "extend-backward", "connect", "image"):
        asked = replace(wish(source=source, other=source), frame=frame)
        made = generate(model, VERBS[name], asked, 0, passes=2)
        assert made.film.shape == (1 if name == "image" else 12, *frame.shape)
        known = made.outline.known[: len(made.film)]
        assert np.array_equal(made.film[known], made.outline.frames[: len(made.film)][known])
        assert np.array_equal(made.film, generate(model, VERBS[name], asked, 0, passes=2).film)
        assert not np.array_equal(made.film, generate(model, VERBS[name], asked, 1, passes=2).film)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("kind", WHOLE)
def test_a_cell_is_coded_by_what_is_around_it(kind: str) -> None:
    """Away from the edge a picture's cells have the latents that they have in a larger picture, and are drawn alike."""
    model = model_of(kind)
    small = torch.from_numpy(FRAMES[:2])
    large = torch.nn.functional.pad(small.movedim(-1, 1), (0, 32)).movedim(1, -1)  # more to the right
    one, two = model.encode(small), resized(model, WIDE).encode(large)
    cells = two[:, : 3 * 5].unflatten(1, (3, 5))[:, :, 0]
    torch.testing.assert_close(cells, one[:, : 3 * 3].unflatten(1, (3, 3))[:, :, 0])
    both = torch.cat([one[:, : 3 * 3].unflatten(1, (3, 3)), torch.zeros(2, 3, 2, one.shape[-1])], 2).flatten(1, 2)
    extra = one[:, 9:]
    drawn = resized(model, WIDE).decode(torch.cat([both, extra], 1))
    assert bool((drawn[:, :, :8] == model.decode(one)[:, :, :8]).all())


def test_scales_are_drawn_to_the_grid_and_back() -> None:
    small, large = LatentLayout(2, 2, 1, 3), LatentLayout(2, 4, 1, 3)
    values = torch.rand(5, 3)
    wide = drawn_to(values, small, large)
    assert wide.shape == (9, 3) and torch.equal(wide[8], values[4])
    torch.testing.assert_close(wide[0], values[0])
    torch.testing.assert_close(wide[1], 0.75 * values[0] + 0.25 * values[1])
    torch.testing.assert_close(drawn_to(torch.ones(5, 3), small, large), torch.ones(9, 3))


def wide_store(folder: Path) -> Path:
    """The sum world, its picture twice and then half as wide."""
    store = EpisodeStore.create(folder, replace(SPEC, frame=FrameSpec(16, 24)))
    for seed in range(8):
        one = episode(seed)
        store.append(replace(one, frames=one.frames.repeat(3, 2)[:, :, ::2]))
    return folder


def test_one_run_learns_several_sizes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PROBE_STEPS", 5)
    monkeypatch.setattr(fit, "LOG_EVERY", 1)
    dynamics = FlowConfig(width=24, layers=2, heads=2, past=4, patch=2, joint=1.0)
    cfg = TrainConfig(
        data=str(data), sizes=[str(wide_store(tmp_path / "wide"))], model=replace(MODEL, dynamics=dynamics),
        threads=1, tokenizer_steps=8, dynamics_steps=8, batch=4, tokenizer_batch=4, window=5, evaluate_every=0,
        score_horizon=4, score_windows=4, contexts=2, task_contexts=1, context_frames=2,
    )  # fmt: skip
    with Run("train", cfg, tmp_path / "run", Console(quiet=True)) as run:
        train.main(cfg, run)
    assert run.figures["psnr_full_24x16"]["value"] > 0.0
    logged = (tmp_path / "run" / "dynamics.csv").read_text()
    assert "joint_24x16" in logged and ",joint," in logged  # lessons of both
    model = load_checkpoint(tmp_path / "run")
    made = generate(model, VERBS["image"], Wish(FrameSpec(16, 24)), 0, passes=2)
    assert made.film.shape == (1, 16, 24, 3)


def test_a_lesson_in_another_size_teaches_the_model(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    dynamics = FlowConfig(width=24, layers=2, heads=2, patch=2, joint=1.0)
    model = WorldModel(replace(MODEL, dynamics=dynamics), SPEC)
    bucket = Bucket(model, str(wide_store(tmp_path / "wide")), TrainConfig(batch=4, tokenizer_batch=4, window=5))
    bucket.encode()
    for lesson, part in ((bucket.tokenizer_lesson, model.tokenizer), (bucket.clip_lesson, model.dynamics)):
        lesson(torch.Generator().manual_seed(0))[0].backward()
        taught = {name for name, p in part.named_parameters() if p.grad is not None and bool(p.grad.any())}
        assert any("weight" in name for name in taught) and not any("probe" in n or "reader" in n for n in taught)
    with pytest.raises(VideoSimError, match="differ in more than the size"):
        Bucket(WorldModel(MODEL, replace(SPEC, dt_s=0.1)), str(tmp_path / "wide"), TrainConfig())
    with pytest.raises(VideoSimError, match="joint=1"):
        Bucket(WorldModel(MODEL, SPEC), str(tmp_path / "wide"), TrainConfig())


def test_without_other_sizes_nothing_is_drawn_for_them() -> None:
    loss = lambda step, rng: (torch.rand((), generator=rng), {})  # noqa: E731
    assert among(loss, []) is loss
    seen = [
        float(among(loss, [lambda rng: (torch.tensor(2.0), {})])(0, torch.Generator().manual_seed(n))[0])
        for n in range(40)
    ]
    assert 10 < seen.count(2.0) < 30


def test_what_cannot_be_done_in_another_size_is_said() -> None:
    model = model_of("flow")
    with pytest.raises(VideoSimError, match="multiples of 16"):
        resized(model, FrameSpec(48, 50))
    other = resized(model, WIDE)
    with pytest.raises(VideoSimError, match="whole clips"):
        other.start(other.encode(torch.zeros(1, 1, *WIDE.shape, dtype=torch.uint8)), torch.zeros(1, 0, 2))
    with pytest.raises(VideoSimError, match="joint"):
        generate(model_of("flow", joint=0.0), find_verb("image-to-video"), replace(wish(), frame=WIDE), 0)
    with pytest.raises(VideoSimError, match="recurrent"):
        generate(model_of("recurrent"), find_verb("image-to-video"), replace(wish(), frame=WIDE), 0)
