"""Films in another size of picture than that of the training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from sum_world import MODEL, SPEC, STEPS, episode
from test_embodiments import LOG, part
from test_generate import FRAMES, model_of, wish

from videosim import buckets, fit, gate, train
from videosim.buckets import SIZED, Bucket, beside
from videosim.checkpoint import load_checkpoint
from videosim.config import TrainConfig
from videosim.data.store import EpisodeStore
from videosim.embodiments import Embodiment, joined
from videosim.errors import VideoSimError
from videosim.footage import Footage
from videosim.generate import generate
from videosim.model_config import FlowConfig
from videosim.resized import drawn_to, resized
from videosim.run import Run
from videosim.types import ActionSpec, FrameSpec, LatentLayout, SensorSpec, WorldSpec
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


def square_store(folder: Path, world: WorldSpec = SPEC) -> Path:
    store = EpisodeStore.create(folder, world)
    for seed in range(8):
        store.append(part(episode(seed), world))
    return folder


def wide_store(folder: Path, world: WorldSpec = SPEC) -> Path:
    """As ``square_store``, the picture three times and then half as wide."""
    store = EpisodeStore.create(folder, replace(world, frame=FrameSpec(16, 24)))
    for seed in range(8):
        one = part(episode(seed), world)
        store.append(replace(one, frames=one.frames.repeat(3, 2)[:, :, ::2]))
    return folder


def sized(world: WorldSpec, bodies: list[Embodiment]) -> WorldModel:
    torch.manual_seed(0)
    dynamics = FlowConfig(width=24, layers=2, heads=2, patch=2, joint=1.0)
    return WorldModel(replace(MODEL, dynamics=dynamics, embodiments=max(1, len(bodies))), world, bodies)


SMALL = TrainConfig(batch=4, tokenizer_batch=4, window=5)


def test_one_run_of_two_worlds_learns_several_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PROBE_STEPS", 5)
    monkeypatch.setattr(fit, "LOG_EVERY", 1)
    monkeypatch.setattr(buckets, "SIZED", 0.7)  # of few steps enough for all
    dynamics = FlowConfig(width=24, layers=2, heads=2, past=4, patch=2, joint=1.0)
    cfg = TrainConfig(
        data=[str(square_store(tmp_path / "sum")), str(square_store(tmp_path / "log", LOG))], held_out=[0.2, 0.5],
        sizes=[str(wide_store(tmp_path / "log-wide", LOG)), str(wide_store(tmp_path / "sum-wide"))],
        model=replace(MODEL, dynamics=dynamics),
        threads=1, tokenizer_steps=8, transition_steps=4, filter_steps=4, painter_steps=4, course_steps=4,
        course_batch=8, dynamics_steps=8, batch=4, tokenizer_batch=4, window=5, evaluate_every=0,
        score_horizon=4, score_windows=4, contexts=4, task_contexts=2, context_frames=2,
    )  # fmt: skip
    with Run("train", cfg, tmp_path / "run", Console(quiet=True)) as run:
        train.main(cfg, run)
    assert all(run.figures[f"psnr_full_24x16_{body}"]["value"] > 0.0 for body in ("sum", "log"))
    logged = (tmp_path / "run" / "dynamics.csv").read_text()
    assert all(f",{name}," in logged for name in ("joint", "joint_24x16_sum", "joint_24x16_log"))  # lessons of all
    model = load_checkpoint(tmp_path / "run")
    made = generate(model, VERBS["image"], Wish(FrameSpec(16, 24)), 0, passes=2)
    assert made.film.shape == (1, 16, 24, 3)


def test_a_lesson_in_another_size_teaches_the_model(data: Path, tmp_path: Path) -> None:
    model = sized(SPEC, [])
    bucket = Bucket(model, str(wide_store(tmp_path / "wide")), SMALL)
    bucket.train.encode(bucket.view)
    for lesson, learner in ((bucket.tokenizer_lesson, model.tokenizer), (bucket.clip_lesson, model.dynamics)):
        lesson(0, torch.Generator().manual_seed(0))[0].backward()
        taught = {name for name, p in learner.named_parameters() if p.grad is not None and bool(p.grad.any())}
        assert any("weight" in name for name in taught) and not any("probe" in n or "reader" in n for n in taught)
    with pytest.raises(VideoSimError, match="one rate"):
        Bucket(WorldModel(MODEL, replace(SPEC, dt_s=0.1)), str(tmp_path / "wide"), TrainConfig())
    with pytest.raises(VideoSimError, match="give it in data"):
        Bucket(model, str(data), SMALL)
    with pytest.raises(VideoSimError, match="joint=1"):
        Bucket(WorldModel(MODEL, SPEC), str(tmp_path / "wide"), TrainConfig())


def test_a_store_is_of_the_body_that_has_its_actions_and_sensors(tmp_path: Path) -> None:
    model = sized(*joined([SPEC, LOG], ["sum", "log"]))
    folder = str(wide_store(tmp_path / "any", LOG))
    bucket = Bucket(model, folder, replace(SMALL, held_out=[0.2, 0.9]))
    assert len(bucket.test.lengths) > len(bucket.train.lengths)  # as the second one is split
    bucket.train.encode(bucket.view)
    batch = bucket.train.windows(bucket.train.starts(5)[:1], 5)
    assert batch["embodiment"].tolist() == [[1]] and bool(batch["sensors"].isnan().all())
    seed = EpisodeStore.open(folder).split(0.9)[0][0]
    torch.testing.assert_close(bucket.train.actions[:STEPS, 0], torch.as_tensor(-episode(seed).actions[:, 0] / 2.0))
    bucket.clip_lesson(0, torch.Generator().manual_seed(0))[0].backward()
    taught = model.action_tokens.embodiment.weight.grad
    assert taught is not None and bool(taught[1].any()) and not bool(taught[0].any())
    assert Bucket(model, str(wide_store(tmp_path / "other")), SMALL).train.embodiment == 0


def test_of_bodies_alike_a_store_is_of_the_one_after_which_it_is_called(tmp_path: Path) -> None:
    model = sized(*joined([SPEC, SPEC, SPEC], ["log", "push", "push2"]))
    for name, number in (("push-24x16", 1), ("push2-24x16", 2)):
        assert Bucket(model, str(wide_store(tmp_path / name)), SMALL).train.embodiment == number
    with pytest.raises(VideoSimError, match="may be of log or push or push2"):
        Bucket(model, str(wide_store(tmp_path / "24x16")), SMALL)


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, action=ActionSpec((-2.0,), (2.0,), ("pull",))),
        replace(SPEC, action=ActionSpec((-3.0,), (2.0,), ("push",))),  # of which -3 would lie beyond all that it knows
        replace(SPEC, action=LOG.action),  # the second one's actions and the first one's sensors
    ],
)
def test_a_store_of_no_body_is_refused(other: WorldSpec, tmp_path: Path) -> None:
    model = sized(*joined([SPEC, LOG], ["sum", "log"]))
    EpisodeStore.create(tmp_path / "else", replace(other, frame=FrameSpec(16, 24)))
    with pytest.raises(VideoSimError, match="are not those of sum or log"):
        Bucket(model, str(tmp_path / "else"), SMALL)


def test_units_of_another_size_are_those_of_the_model(tmp_path: Path) -> None:
    inches = SensorSpec(("x",), ("in",), (-1.0,), (1.0,))
    EpisodeStore.create(tmp_path / "else", replace(SPEC, sensors=inches, frame=FrameSpec(16, 24)))
    with pytest.raises(VideoSimError, match="x is in m elsewhere and in in"):
        Bucket(sized(SPEC, []), str(tmp_path / "else"), SMALL)


@pytest.mark.parametrize("sizes", [1, 2, 5])
def test_other_sizes_share_a_small_part_of_the_steps_however_many_they_are(sizes: int) -> None:
    own = [(1.0, lambda step, rng: None), (3.0, lambda step, rng: None)]
    together = beside(own, [lambda step, rng: None] * sizes)  # type: ignore[arg-type, list-item]
    weights = np.array([weight for weight, _ in together])
    np.testing.assert_allclose(weights[2:].sum() / weights.sum(), SIZED)
    assert len(set(weights[2:])) == 1 and together[:2] == own
    assert beside(own, []) == own  # type: ignore[arg-type]


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
