"""Training the model on a world whose frame *is* the integral of its actions: what it must learn, and what it must keep
when it is stopped."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from sum_world import GAIN, MODEL, SIZE, SPEC, episode, picture

from videosim import fit as fitting
from videosim import gate, losses, train
from videosim.checkpoint import load_checkpoint
from videosim.config import TrainConfig
from videosim.corpus import Corpus
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.fit import Schedule, fit
from videosim.fsq import codes, indices
from videosim.held_out import open_loop_scores
from videosim.model_config import FlowConfig, FsqTokenizerConfig, KlTokenizerConfig, MaskedConfig
from videosim.run import Bar, Console, Run
from videosim.scales import set_limits, set_scales
from videosim.types import SensorSpec
from videosim.world_model import WorldModel


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PROBE_STEPS", 40)


def settings(data: Path, **changed: object) -> TrainConfig:
    base = TrainConfig(
        data=str(data), model=MODEL, held_out=0.2, threads=1, tokenizer_steps=300, tokenizer_batch=32,
        transition_steps=400, dynamics_steps=350, dynamics_rate=3e-3, painter_steps=40, filter_steps=100,
        course_steps=40, course_batch=16, batch=32, window=8, evaluate_every=100, score_horizon=10, score_windows=64,
        contexts=9, task_contexts=4, context_frames=3, belief_steps=60,
    )  # fmt: skip
    return replace(base, **changed)


TINY = {
    "tokenizer_steps": 6,
    "transition_steps": 7,
    "dynamics_steps": 8,
    "painter_steps": 5,
    "course_steps": 5,
    "course_batch": 8,
    "filter_steps": 5,
    "belief_steps": 5,
    "evaluate_every": 3,
    "batch": 4,
    "tokenizer_batch": 4,
}


def trained_in(folder: Path, cfg: TrainConfig) -> Run:
    with Run("train", cfg, folder, Console(quiet=True)) as run:
        train.main(cfg, run)
    return run


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "PROBE_STEPS", 40)
        return trained_in(tmp_path_factory.mktemp("run"), settings(data))


@pytest.fixture(scope="module")
def model(run: Run) -> WorldModel:
    return load_checkpoint(run.folder)


def held_out(model: WorldModel, data: Path) -> Corpus:
    store = EpisodeStore.open(data)
    corpus = Corpus(store, store.split(0.2)[1])
    corpus.encode(model)
    return corpus


def test_held_out_dreams_follow_the_actions(run: Run, model: WorldModel, data: Path) -> None:
    corpus = held_out(model, data)
    right = open_loop_scores(model, corpus, 10, 200, 0)
    assert right["error_mean"] < 0.06
    actions = corpus.actions
    for shift in (-1, 1):
        corpus.actions = actions.roll(shift, 0)
        wrong = open_loop_scores(model, corpus, 10, 200, 0)
        assert wrong["error_mean"] > 1.5 * right["error_mean"], shift


def test_an_action_moves_the_very_next_frame(model: WorldModel) -> None:
    latents = model.encode(torch.as_tensor(np.stack([picture(0.0)] * 3)))[:, None]
    actions = torch.tensor([[-1.0], [0.0], [1.0]])
    with torch.no_grad():
        state = model.start(latents, torch.zeros(3, 0, 1))
        state, out = model.step(state, actions)
        frames = model.decode(model.latents(state))
        for _ in range(2):  # then hands off: nothing that comes late
            state, later = model.step(state, torch.zeros(3, 1))
    torch.testing.assert_close(out.sensors[:, 0], GAIN * actions[:, 0], atol=0.07, rtol=0)
    torch.testing.assert_close(later.sensors[:, 0], GAIN * actions[:, 0], atol=0.1, rtol=0)
    light = frames.float().mean((1, 3))
    centre = (light * torch.arange(SIZE)).sum(1) / light.sum(1)
    assert centre[0] < centre[1] < centre[2]


def test_what_the_state_tells_of_the_reward_is_learned_from_the_state(model: WorldModel, data: Path) -> None:
    corpus = held_out(model, data)
    window = corpus.windows(corpus.starts(3), 3)
    sensors = (window["sensors"] - model.sensor_mean) / model.sensor_std
    with torch.no_grad():
        tokens = model.action_tokens(window["actions"])
        told = model.heads.from_sensors(sensors[:, :-1], tokens, sensors[:, 1:])[..., 0]
    left = (told * model.reward_std + model.reward_mean - window["rewards"]).square().mean()
    assert left < 0.2 * window["rewards"].var()


def test_the_run_reports_its_gate_and_its_scores(run: Run) -> None:
    figures = {name: figure["value"] for name, figure in run.figures.items()}
    assert figures["psnr_full"] > 18.0 and figures["psnr_moving"] > 15.0
    assert 0.0 < figures["probe_x"] < 0.5
    assert figures["horizon_frames"] >= 5
    spent = {name.removeprefix("training_minutes"): v for name, v in figures.items() if name.startswith("training_m")}
    assert list(spent) == ["_tokenizer", "_transition", "_painter", "_dynamics", "_belief", ""]
    assert spent.pop("") == pytest.approx(sum(spent.values())) and min(spent.values()) > 0.0
    assert (run.folder / "dynamics.csv").is_file() and (run.folder / "tokenizer.csv").is_file()
    assert list((run.folder / "tensorboard").iterdir())
    card = (run.folder / "checkpoint" / "README.md").read_text()
    assert "error_mean" in card and "held-out episodes" in card
    assert load_checkpoint(run.folder).card["Data"]["held out"] == 0.2


def test_contexts_are_clips_of_the_data(model: WorldModel, data: Path) -> None:
    clips = model.contexts
    assert clips is not None and clips.latents.shape[:2] == (13, 3) and clips.actions.shape == (13, 2, 1)
    store = EpisodeStore.open(data)
    begun = [store.column("physics", i)[2] for i in range(len(store)) if not store.wide[i]]
    assert clips.task.tolist() == [False] * 9 + [True] * 4
    assert all(any(np.array_equal(last, first) for first in begun) for last in clips.physics[clips.task].numpy())
    torch.testing.assert_close(clips.physics.float(), clips.sensors, atol=1e-5, rtol=0)  # of the same, last, frame
    light = model.decode(clips.latents[:, -1]).float().mean((1, 3))
    centre = (light * torch.arange(SIZE)).sum(1) / light.sum(1)
    assert np.corrcoef(centre, clips.sensors[:, 0])[0, 1] > 0.9


def test_a_log_without_sensors_makes_a_model(tmp_path: Path) -> None:
    blind = replace(SPEC, sensors=SensorSpec((), (), (), ()))
    store = EpisodeStore.create(tmp_path / "store", blind)
    for seed in range(8):
        seen = episode(seed)
        store.append(replace(seen, sensors=seen.sensors[:, :0], physics=seen.physics[:, :0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run = trained_in(tmp_path / "run", settings(tmp_path / "store", **TINY))
    assert run.figures["error_early"]["value"] > 0.0
    assert "filter_error" not in run.figures  # of a picture that is shown there is nothing to find out
    made = load_checkpoint(tmp_path / "run")
    assert made.contexts is not None
    with torch.no_grad():
        state = made.start(made.contexts.latents, made.contexts.actions)
        state, out = made.step(state, torch.zeros(len(made.contexts), 1))
    assert bool((out.uncertainty > 0).all()) and out.sensors.shape[1] == 0
    assert float(made.state_error(state, out.sensors, made.latents(state)).max()) < 1e-5


def test_a_stopped_run_ends_with_the_same_weights(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = settings(data, **TINY)
    trained_in(tmp_path / "whole", cfg)
    monkeypatch.setattr(fitting, "SAVE_EVERY_S", 0.0)
    for part, stop in (("tokenizer", 4), ("painter", 3), ("dynamics", 5)):
        with monkeypatch.context() as patch:
            interrupt(patch, part, stop)
            with pytest.raises(KeyboardInterrupt):
                trained_in(tmp_path / "stopped", cfg)
        assert not (tmp_path / "stopped" / "checkpoint").exists()
        assert not (tmp_path / "stopped" / "result.json").exists()
    trained_in(tmp_path / "stopped", cfg)
    whole, stopped = (load_checkpoint(tmp_path / name).state_dict() for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def interrupt(patch: pytest.MonkeyPatch, stage: str, stop: int) -> None:
    """The user presses Ctrl-C in step ``stop`` of ``stage``."""

    def interrupted(name, module, loss, *rest, **more):  # type: ignore[no-untyped-def]
        def stopping(step: int, rng: torch.Generator):  # type: ignore[no-untyped-def]
            if name == stage and step == stop:
                raise KeyboardInterrupt
            return loss(step, rng)

        return fit(name, module, stopping, *rest, **more)

    for module in (train, fitting):
        patch.setattr(module, "fit", interrupted)


CORES = {"width": 32, "layers": 2, "heads": 2, "past": 6}
GENERATIVE = {
    "flow": replace(MODEL, dynamics=FlowConfig(**CORES, joint=0.5)),
    "masked": replace(
        MODEL,
        tokenizer=FsqTokenizerConfig(channels=3, widths=[8, 12], levels=9),
        dynamics=MaskedConfig(**{**CORES, "patch": 1}, joint=0.5),
    ),
    "windows": replace(
        MODEL,
        tokenizer=KlTokenizerConfig(channels=3, keypoints=0, widths=[8, 12]),
        dynamics=FlowConfig(**CORES, patch=1, joint=0.5, attention="windows"),
    ),
}


@pytest.mark.parametrize("kind", GENERATIVE)
def test_every_kind_trains_stops_and_opens_as_an_environment(
    kind: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = settings(data, model=GENERATIVE[kind], **TINY)
    trained_in(tmp_path / "whole", cfg)
    monkeypatch.setattr(fitting, "SAVE_EVERY_S", 0.0)
    with monkeypatch.context() as patch:
        interrupt(patch, "dynamics", 5)
        with pytest.raises(KeyboardInterrupt):
            trained_in(tmp_path / "stopped", cfg)
    trained_in(tmp_path / "stopped", cfg)
    whole, stopped = (load_checkpoint(tmp_path / name) for name in ("whole", "stopped"))
    assert whole.config == stopped.config == GENERATIVE[kind]
    assert all(torch.equal(value, stopped.state_dict()[name]) for name, value in whole.state_dict().items())
    env = gymnasium.make("videosim:VideoSim-v0", checkpoint=tmp_path / "whole")
    env.reset(seed=0)
    frame, _, _, _, info = env.step(env.action_space.sample())
    assert frame.shape == (SIZE, SIZE, 3) and info["uncertainty"] > 0.0
    if kind == "masked":
        latents = env.unwrapped._dream.simulator.state["latents"]
        assert torch.equal(latents, codes(indices(latents, 9), 9))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flow", "windows"])
def test_dreams_of_a_transformer_follow_the_actions(kind: str, data: Path, tmp_path: Path) -> None:
    trained_in(tmp_path, settings(data, model=GENERATIVE[kind], dynamics_steps=450))
    model = load_checkpoint(tmp_path)
    corpus = held_out(model, data)
    right = open_loop_scores(model, corpus, 10, 200, 0)
    assert right["error_mean"] < 0.12
    corpus.actions = -corpus.actions
    assert open_loop_scores(model, corpus, 10, 200, 0)["error_mean"] > 1.5 * right["error_mean"]


def test_fine_tuning_keeps_tokenizer_and_scales(run: Run, model: WorldModel, data: Path, tmp_path: Path) -> None:
    trained_in(tmp_path, settings(data, **{**TINY, "init": str(run.folder)}))
    tuned = load_checkpoint(tmp_path)
    for name, value in model.state_dict().items():
        same = torch.equal(value, tuned.state_dict()[name])
        if name.startswith("tokenizer.") or name.endswith(("_mean", "_std")):
            assert same, name
        elif name == "dynamics.cell.weight_hh":
            assert not same


NONE = {"transition_steps": 0, "dynamics_steps": 0, "painter_steps": 0, "belief_steps": 0}


@pytest.mark.parametrize(
    ("part", "taught", "anew", "also"),
    [
        ("transition", "transition_steps", ("dynamics.transition.",), ("heads.known.",)),
        ("filter", "belief_steps", ("dynamics.reader.", "dynamics.correction."), ()),
    ],
)
def test_a_part_is_begun_anew_and_nothing_else(
    part: str, taught: str, anew: tuple[str, ...], also: tuple[str, ...], run: Run, model: WorldModel, data: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    sizes = replace(MODEL.dynamics, products=4, transition_hidden=9, filter_hidden=10)
    only = {**TINY, **NONE, "init": str(run.folder), "model": replace(MODEL, dynamics=sizes), taught: TINY[taught]}
    trained_in(tmp_path / "kept", settings(data, **only))
    assert load_checkpoint(tmp_path / "kept").config == model.config  # fine-tuning begins nothing anew unasked
    trained_in(tmp_path / "anew", settings(data, **only, anew=[part]))
    renewed, before = load_checkpoint(tmp_path / "anew"), model.state_dict()
    resized = {
        name for name, value in renewed.state_dict().items() if name not in before or value.shape != before[name].shape
    }
    assert resized and all(name.startswith(anew) for name in resized)
    for name, value in renewed.state_dict().items():
        if name.startswith("dynamics.sensor_increment.") and part == "transition":
            assert not value.any()
        elif not name.startswith((*anew, *also)):
            assert torch.equal(value, before[name]), name


def test_only_a_part_of_a_checkpoint_can_begin_anew(run: Run, data: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoSimError, match=r"'tokenizer'.*transition and filter"):
        trained_in(tmp_path, settings(data, **TINY, init=str(run.folder), anew=["tokenizer"]))
    with pytest.raises(VideoSimError, match="needs init"):
        trained_in(tmp_path, settings(data, **TINY, anew=["filter"]))


def test_the_filter_alone_is_sharpened(run: Run, model: WorldModel, data: Path, tmp_path: Path) -> None:
    only = {**TINY, **NONE, "belief_steps": TINY["belief_steps"]}
    trained_in(tmp_path, settings(data, **only, init=str(run.folder)))
    before = model.state_dict()
    changed = {n for n, value in load_checkpoint(tmp_path).state_dict().items() if not torch.equal(value, before[n])}
    assert changed and all(name.startswith(("dynamics.reader.", "dynamics.correction.")) for name in changed)


def test_a_store_of_another_world_is_refused(run: Run, tmp_path: Path) -> None:
    other = EpisodeStore.create(tmp_path / "other", replace(SPEC, name="difference"))
    for seed in range(12):
        other.append(episode(seed))
    with pytest.raises(VideoSimError, match="difference"):
        trained_in(tmp_path / "run", settings(tmp_path / "other", init=str(run.folder)))
    assert not (tmp_path / "run").exists()


def quiet_bar(steps: int) -> Bar:
    return Bar(Console(quiet=True), None, steps, "test", "steps", 0)


def test_one_batch_can_be_learnt_by_heart(data: Path, tmp_path: Path) -> None:
    store = EpisodeStore.open(data)
    torch.manual_seed(0)
    model = WorldModel(MODEL, SPEC)
    corpus = Corpus(store, range(6))
    frames, backgrounds, sensors = corpus.pairs(corpus.starts(1)[::10])
    loss = lambda step, rng: model.tokenizer.loss(frames, backgrounds, sensors, rng)  # noqa: E731
    before = float(loss(0, torch.Generator())[0].detach())
    fit("tokenizer", model.tokenizer, loss, Schedule(150, 3e-3, average=0.9), tmp_path, 0, quiet_bar(150))
    assert float(loss(0, torch.Generator())[0].detach()) < 0.2 * before

    corpus.encode(model)
    set_scales(model, [corpus])
    set_limits(model, [corpus], anew=True)
    batch = corpus.windows(corpus.starts(6)[::12], 6)
    terms: list[dict[str, float]] = []

    def imagine(step: int, rng: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        total, parts = losses.imagination_loss(model, batch, rng)
        terms.append(parts)
        return total, parts

    whole = train._Imagination(model)
    fit("dynamics", whole, imagine, Schedule(250, 5e-3, average=0.9), tmp_path, 0, quiet_bar(250))
    for name in ("latents", "filter", "moved", "reward"):
        assert terms[-1][name] < 0.35 * terms[0][name], name


def test_the_time_of_a_stage_is_kept_with_it(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 1)
    loss = lambda step, rng: (layer(torch.ones(1, 2)).square().sum(), {})  # noqa: E731
    seconds = [fit("line", layer, loss, Schedule(20, 1e-3), tmp_path, 0, quiet_bar(20)) for _ in range(2)]
    assert seconds[0] > 0.0 and 0.5 * seconds[0] < seconds[1] < 1.0 + seconds[0]


def test_the_loss_is_finite_and_reaches_every_part(data: Path) -> None:
    store = EpisodeStore.open(data)
    torch.manual_seed(0)
    model = WorldModel(MODEL, SPEC)
    corpus = Corpus(store, range(6))
    corpus.encode(model)
    batch = corpus.windows(corpus.starts(6)[::5], 6)
    batch["terminated"][:, 3] = 1.0
    total, terms = losses.imagination_loss(model, batch, torch.Generator().manual_seed(0))
    total.backward()
    wanted = {"latents", "filter", "reading", "moved", "reward", "termination", "error_nll"}
    assert bool(torch.isfinite(total)) and set(terms) == wanted
    for part in (model.action_tokens, model.dynamics, model.heads):
        for name, weight in part.named_parameters():
            assert weight.grad is not None and bool(torch.isfinite(weight.grad).all()), name
    assert all(weight.grad is None for weight in model.tokenizer.parameters())  # it stays as it is
    assert float(model.action_tokens.embed.weight.grad.abs().sum()) > 0.0


def test_no_action_is_a_token_of_its_own(data: Path) -> None:
    tokens = WorldModel(MODEL, SPEC).action_tokens
    torch.nn.init.normal_(tokens.no_action)
    actions = torch.rand(2, 3, 1)
    known = torch.tensor([[True, False, True], [True, True, False]])
    mixed = tokens(actions, labelled=known)
    assert torch.equal(mixed[known], tokens(actions)[known])
    assert bool((mixed[~known] == tokens.no_action).all())
    assert torch.equal(tokens(actions, labelled=torch.ones_like(known)), tokens(actions))
    absent = tokens(torch.zeros(1, 1))  # a zero that was given is not a number that does not exist
    assert not torch.allclose(absent, tokens(torch.zeros(1, 2)))
    with pytest.raises(VideoSimError, match="at most 2"):
        tokens(torch.zeros(1, 3))


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    layer = torch.nn.Linear(1, 1)
    loss = lambda step, rng: (layer.weight.sum() / 0.0 * 0.0, {})  # noqa: E731
    with pytest.raises(VideoSimError, match="step 0"):
        fit("x", layer, loss, Schedule(3, 0.1), tmp_path, 0, quiet_bar(3))
