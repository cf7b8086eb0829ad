"""One model of several stores: what has one name is one thing, what a store does not say teaches nothing, and every
body is steered by its own actions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from sum_world import MODEL, SIZE, SPEC, STEPS, episode

from videosim import cli, gate, generating, mixture, train
from videosim.agents.settings import fingerprint
from videosim.checkpoint import load_checkpoint, save_checkpoint
from videosim.compose import compose, to_dataclass
from videosim.config import GapConfig, GenerateConfig, TrainConfig
from videosim.corpus import Corpus
from videosim.data.store import EpisodeStore
from videosim.embodiments import Embodiment, body_of, joined
from videosim.envs.physics import PhysicsEnv
from videosim.envs.twin import load_with_physics
from videosim.errors import VideoSimError
from videosim.losses import imagination_loss
from videosim.missing import filled
from videosim.model_config import FlowConfig
from videosim.one_body import load_body, one_body
from videosim.run import Console, Run
from videosim.types import ActionSpec, Episode, FrameSpec, SensorSpec, WorldSpec
from videosim.world_model import WorldModel

NOTHING = SensorSpec((), (), (), ())
LOG = replace(SPEC, name="log", action=ActionSpec((0.0, -2.0), (1.0, 2.0), ("brake", "push")), sensors=NOTHING)
FILM = replace(SPEC, name="film", action=ActionSpec((), (), ()), sensors=NOTHING)
WORLDS = {"sum": SPEC, "log": LOG, "film": FILM}
JOINED, BODIES = joined(list(WORLDS.values()), list(WORLDS))


def part(seen: Episode, world: WorldSpec) -> Episode:
    """What a store of ``world`` keeps of an episode: the log steers the other way round, and neither is ever paid."""
    if world is SPEC:
        return seen
    actions = np.concatenate([np.zeros_like(seen.actions), -seen.actions], 1)[:, : world.action.size]
    return replace(
        seen, actions=actions, sensors=seen.sensors[:, :0], physics=seen.physics[:, :0], rewards=0 * seen.rewards
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Stores of three worlds that look alike, of which two know less."""
    root = tmp_path_factory.mktemp("worlds")
    for number, (name, world) in enumerate(WORLDS.items()):
        store = EpisodeStore.create(root / name, world)
        for seed in range(12):
            store.append(part(episode(100 * number + seed), world))
    return {name: str(root / name) for name in WORLDS}


def settings(data: object, **changed: object) -> TrainConfig:
    base = TrainConfig(
        data=data, model=MODEL, held_out=0.2, threads=1, tokenizer_steps=6, tokenizer_batch=6, transition_steps=7,
        dynamics_steps=8, course_steps=5, course_batch=6, filter_steps=5, painter_steps=5, painter_batch=6, batch=8,
        belief_steps=5, window=8, evaluate_every=3, score_horizon=8, score_windows=8, contexts=9, task_contexts=6,
        context_frames=3,
    )  # fmt: skip
    return replace(base, **changed)


def trained_in(folder: Path, cfg: TrainConfig) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "PROBE_STEPS", 5)
        with Run("train", cfg, folder, Console(quiet=True)) as run:
            train.main(cfg, run)
    return run


@pytest.fixture(scope="module")
def run(folders: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained_in(tmp_path_factory.mktemp("run"), settings(list(folders.values())))


@pytest.fixture(scope="module")
def model(run: Run) -> WorldModel:
    return load_checkpoint(run.folder)


def corpora(folders: dict[str, str]) -> list[Corpus]:
    """Of every store all episodes, with latents of its own."""
    found = []
    for number, (name, folder) in enumerate(folders.items()):
        store = EpisodeStore.open(folder)
        found.append(Corpus(store, range(len(store)), JOINED, number, task=name == "sum"))
        found[-1].latents = torch.rand(int(found[-1].first[-1]), 16, 3, generator=torch.Generator().manual_seed(number))
    return found


def untrained(config: object = MODEL) -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(replace(config, embodiments=3), JOINED, BODIES)


# --- what the worlds have in common ----------------------------------------------------------------------------------


def test_what_has_one_name_is_one_thing() -> None:
    assert JOINED.name == "sum" and JOINED.action.names == ("push", "brake") and JOINED.sensors == SPEC.sensors
    assert [body.steers(JOINED).tolist() for body in BODIES] == [[True, False], [True, True], [False, False]]
    assert [body.measures(JOINED).tolist() for body in BODIES] == [[True], [False], [False]]
    wider = replace(SPEC, action=ActionSpec((-1.0,), (5.0,), ("push",)))
    both, _ = joined([SPEC, wider], ["a", "b"])
    assert (both.action.low, both.action.high) == ((-2.0,), (5.0,))
    assert joined([SPEC], ["a"]) == (SPEC, [Embodiment("a", ("push",), ("x",))])


@pytest.mark.parametrize(
    ("worlds", "names", "fault"),
    [
        ([SPEC, LOG], ["a", "a"], "two stores are called 'a'"),
        ([SPEC, replace(LOG, frame=FrameSpec(32, 32))], ["a", "b"], "one size"),
        ([SPEC, replace(LOG, dt_s=0.05)], ["a", "b"], "25 frames/s and b 20"),
        ([SPEC, replace(SPEC, sensors=SensorSpec(("x",), ("cm",), (0.0,), (1.0,)))], ["a", "b"], "x is in m"),
        ([FILM], ["film"], "film has no recorded actions"),
    ],
)
def test_worlds_that_cannot_be_one_are_refused(worlds: list[WorldSpec], names: list[str], fault: str) -> None:
    with pytest.raises(VideoSimError, match=fault):
        joined(worlds, names)


def test_a_corpus_puts_everything_in_its_place(folders: dict[str, str]) -> None:
    own, log, film = corpora(folders)
    torch.testing.assert_close(own.actions[:STEPS, 0], torch.as_tensor(episode(0).actions[:, 0] / 2.0))
    torch.testing.assert_close(log.actions[:STEPS, 0], torch.as_tensor(-episode(100).actions[:, 0] / 2.0))
    assert bool((log.actions[:STEPS, 1] == -1.0).all())  # no brake is its lowest value, and not its middle
    assert bool((own.actions[:, 1] == 0.0).all()) and bool((film.actions == 0.0).all())
    assert not own.sensors.isnan().any() and log.sensors.isnan().all() and film.rewards.isnan().all()


# --- what a store does not say ---------------------------------------------------------------------------------------


def test_what_is_not_known_teaches_nothing() -> None:
    guess = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    error = (guess - filled(torch.tensor([0.5, torch.nan, 5.0]), guess)).square().sum()
    error.backward()
    assert error.item() == 0.25 + 4.0 and guess.grad is not None and guess.grad.tolist() == [1.0, 0.0, -4.0]


@pytest.mark.parametrize("config", [MODEL, replace(MODEL, dynamics=FlowConfig(width=32, layers=2, heads=2, past=6))])
def test_a_mixed_batch_teaches_every_part_and_shows_a_film_without_its_actions(
    config: object, folders: dict[str, str]
) -> None:
    model, parts = untrained(config), corpora(folders)
    where = [corpus.starts(6)[:5] for corpus in parts]
    losses = []
    for film_actions in (0.0, 1.0):
        parts[2].actions[:] = film_actions
        model.zero_grad()
        batch = mixture.windows(parts, where, 6)
        total, _ = imagination_loss(model, batch, torch.Generator().manual_seed(0))
        losses.append(float(total.detach()))
        total.backward()
        for part_of in (model.action_tokens, model.dynamics, model.heads):
            for name, weight in part_of.named_parameters():
                assert weight.grad is None or bool(torch.isfinite(weight.grad).all()), name
        told = model.action_tokens.embodiment.weight.grad.abs().sum(1) > 0
        assert told.tolist() == [True, True, False]
        assert bool(model.action_tokens.no_action.grad.abs().sum() > 0)
    assert losses[0] == losses[1]
    parts[1].actions[:] = 1.0
    total, _ = imagination_loss(model, mixture.windows(parts, where, 6), torch.Generator().manual_seed(0))
    assert float(total.detach()) != losses[0]  # while those of a log do count


def test_a_log_without_sensors_leaves_what_is_learned_of_sensors_as_it_is(folders: dict[str, str]) -> None:
    model, (own, log, _) = untrained(), corpora(folders)
    where = own.starts(6)[:4]
    gradients = []
    for parts in ([own], [own, log]):
        model.zero_grad()
        batch = mixture.windows(parts, [where] * len(parts), 6)
        latents = torch.zeros_like(batch["latents"])  # so that nothing but sensors differs between rows
        tokens = model.action_tokens(batch["actions"], batch["embodiment"])
        core = model.dynamics.loss(latents, tokens, batch["sensors"], batch["valid"], torch.Generator().manual_seed(1))
        (core.total * len(parts)).backward()
        gradients.append(model.dynamics.reader[-1].bias.grad.clone())
        assert bool(gradients[-1].abs().sum() > 0)
        assert bool(torch.isfinite(gradients[-1]).all())
    assert float(gradients[1].abs().max()) < 3.0 * float(gradients[0].abs().max())


def test_every_store_has_its_share_of_a_batch(folders: dict[str, str]) -> None:
    parts = corpora(folders)
    assert mixture.shares(8, 3) == [3, 3, 2]
    batch = mixture.windows(parts, [corpus.starts(4)[:n] for corpus, n in zip(parts, (3, 3, 2), strict=True)], 4)
    assert batch["embodiment"][:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    alone = mixture.windows(parts[:1], [parts[0].starts(4)[:3]], 4)
    assert all(torch.equal(value, parts[0].windows(parts[0].starts(4)[:3], 4)[key]) for key, value in alone.items())
    few, many = torch.tensor([1.0, 3.0]), torch.zeros(6)
    assert mixture.alike([few, many]).tolist() == [1.0, 1.0, 1.0, 3.0, 3.0, 3.0, *[0.0] * 6]
    with pytest.raises(VideoSimError, match="batch of 2"):
        mixture.shares(2, 3)


# --- the model that comes of it --------------------------------------------------------------------------------------


def test_a_checkpoint_knows_its_bodies(run: Run, model: WorldModel) -> None:
    assert model.embodiments == BODIES and model.spec == JOINED
    figures = {name: figure["value"] for name, figure in run.figures.items()}
    assert {"psnr_full_sum", "psnr_full_log", "psnr_full_film", "error_early_log", "probe_x_sum"} <= set(figures)
    assert "reward_error_sum" in figures and "reward_error_log" not in figures and "probe_x_log" not in figures
    assert "## Uncertainty, film" in (run.folder / "checkpoint" / "README.md").read_text()
    clips = model.contexts
    assert clips is not None and clips.embodiment.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert clips.task.tolist() == [False, False, False, True, True] * 3
    assert bool(clips.physics[:5].any()) and not bool(clips.physics[5:].any())
    assert model.embodied("log").body == 1 and model.body == 0  # the same weights in another part


def test_a_body_is_asked_for_by_name_or_number(run: Run, model: WorldModel) -> None:
    frames = []
    for wanted in (None, "sum", 0, "log", 1):
        env = gymnasium.make("videosim:VideoSim-v0", checkpoint=run.folder / "checkpoint", embodiment=wanted)
        own = BODIES[1 if wanted in ("log", 1) else 0]
        assert env.unwrapped.world_spec.action.names == own.actions
        assert env.unwrapped.world_spec.sensors.names == own.sensors
        assert env.action_space.shape == (len(own.actions),)
        _, info = env.reset(seed=3)
        assert model.contexts is not None
        assert int(model.contexts.embodiment[info["context_id"]]) == (wanted in ("log", 1))
        frames.append(env.step(np.array([1.0, 0.5], np.float32)[: len(own.actions)])[0])
        assert env.unwrapped._dream.uncertainty[0] > 0.0
    for other, same in ((1, 0), (2, 0), (4, 3)):
        assert np.array_equal(frames[other], frames[same])
    for unknown in ("car", 3, -1):
        with pytest.raises(VideoSimError, match=r"has no embodiment .*; it has sum, log, film"):
            gymnasium.make("videosim:VideoSim-v0", checkpoint=model, embodiment=unknown)
    with pytest.raises(VideoSimError, match="film have no actions"):
        gymnasium.make("videosim:VideoSim-v0", checkpoint=model, embodiment="film")
    limited = gymnasium.make("videosim:VideoSim-v0", checkpoint=model, embodiment="log", max_uncertainty="calibrated")
    assert limited.unwrapped._dream._limit == model.card["Uncertainty, log"]["threshold"]


def test_a_body_feels_its_own_actions_only(model: WorldModel) -> None:
    actions = torch.tensor([[0.3, -1.0], [0.3, 1.0]])
    by_body = [model.embodied(name).action_tokens(actions, number) for number, name in enumerate(WORLDS)]
    assert torch.equal(by_body[0][0], by_body[0][1])  # the first has no brake
    assert not torch.allclose(by_body[1][0], by_body[1][1])
    assert bool((by_body[2] == model.action_tokens.no_action).all())


def test_one_body_dreams_as_the_whole_model_does(run: Run, model: WorldModel) -> None:
    """In its own numbers, which stand among those of the whole world where its names do."""
    clips = model.contexts
    assert clips is not None and one_body(model, "sum").embodied("log").spec == one_body(model, "log").spec
    for number, body in enumerate(BODIES[:2]):
        whole, alone = model.embodied(number), load_body(f"{run.folder / 'checkpoint'}:{body.name}")
        assert one_body(alone) is alone and alone.spec.name == body.name
        acts = [JOINED.action.names.index(name) for name in body.actions]
        feels = [JOINED.sensors.names.index(name) for name in body.sensors]
        own = torch.rand(3, len(body.actions), generator=torch.Generator().manual_seed(number)) * 2 - 1
        spread = torch.zeros(3, JOINED.action.size)
        spread[:, acts] = own
        states = [m.start(clips.latents[:3], clips.actions[:3], clips.embodiment[:3]) for m in (whole, alone)]
        for _ in range(2):
            (first, out), (second, ours) = whole.step(states[0], spread), alone.step(states[1], own)
            states = [
                whole.observe(first, spread, clips.latents[3:6, 0]),
                alone.observe(second, own, clips.latents[3:6, 0]),
            ]
            assert torch.equal(out.rewards, ours.rewards) and torch.equal(out.uncertainty, ours.uncertainty)
            assert torch.equal(out.sensors[:, feels], ours.sensors)
            assert torch.equal(whole.latents(first), alone.latents(second))
            true = torch.rand(3, JOINED.sensors.size)
            near = alone.state_error(second, true[:, feels], clips.latents[:3, 0])
            assert torch.equal(whole.state_error(first, true, clips.latents[:3, 0]), near)
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
        assert alone.contexts.sensors.shape == (len(clips), len(body.sensors))
    with pytest.raises(VideoSimError, match="no embodiment 'car'"):
        load_body(f"{run.folder / 'checkpoint'}:car")


def test_a_checkpoint_may_name_its_body(tmp_path: Path) -> None:
    """A folder's own colon is none before a body, runs of two bodies do not meet, and each world has its own agent."""
    save_checkpoint(tmp_path / "12:30" / "checkpoint", untrained(), {})
    known = str(tmp_path / "12:30" / "checkpoint")
    assert body_of(known) == (known, "") and body_of(f"{known}:log") == (known, "log")
    assert body_of("push:driving") == ("push", "driving") and body_of("a:b/c") == ("a:b/c", "")
    assert [load_body(text).spec.name for text in (known, f"{known}:log")] == ["sum", "log"]
    for text, subject in ((known, "12:30"), (f"{known}:log", "12:30-log"), ("video:push", "video-push")):
        assert cli._subject(GapConfig(checkpoint=text)) == subject
    own, other = (
        to_dataclass(compose("gap", GapConfig, [f"checkpoint={text}"]), "gap").agent
        for text in ("video:cheetah-run", "cheetah-run")
    )
    assert own == other != GapConfig().agent


def test_a_body_lasts_as_long_as_its_physics(tmp_path: Path) -> None:
    env = PhysicsEnv("cartpole-swingup")
    cart = env.world_spec
    env.close()
    world, bodies = joined([replace(cart, name="short", horizon=7), cart], ["short", cart.name])
    assert world.horizon == 7
    save_checkpoint(tmp_path / "model", WorldModel(replace(MODEL, embodiments=2), world, bodies), {})
    model, physics = load_with_physics(f"{tmp_path / 'model'}:{cart.name}")
    assert model.spec.horizon == physics.horizon == cart.horizon > 7


def test_bodies_have_results_of_their_own() -> None:
    """What was trained or scored as one body is not taken for another's, and the weights of one body say it all."""
    model = untrained()
    assert len({fingerprint(one_body(model, body.name)) for body in BODIES}) == len(BODIES)
    torch.manual_seed(0)
    single = WorldModel(MODEL, SPEC)
    assert fingerprint(single) == fingerprint(one_body(single))


def test_a_dream_begins_from_a_film_and_is_steered(model: WorldModel, folders: dict[str, str]) -> None:
    env = gymnasium.make("videosim:VideoSim-v0", checkpoint=model, embodiment="sum", obs="latent").unwrapped
    clips = model.contexts
    assert clips is not None
    env.reset(seed=0, options={"context": 12})
    clips.actions[12] = 0.7  # nobody has seen them
    state = model.start(clips.latents[12:13], clips.actions[12:13], clips.embodiment[12:13])
    for name, value in env._dream.simulator.state.items():
        torch.testing.assert_close(state[name], value)
    before = env.snapshot()
    futures = []
    for push in (-2.0, 2.0):
        env.restore(before)
        futures.append(env.step(np.array([push], np.float32))[0])
    assert not np.allclose(*futures)
    log = gymnasium.make("videosim:VideoSim-v0", checkpoint=model, embodiment="log", data=folders["log"])
    log.reset(seed=0, options={"episode": 3, "t": 5})


def test_a_film_is_made_as_the_body_that_is_asked_for(model: WorldModel, run: Run, tmp_path: Path) -> None:
    films = []
    for wanted in ("", "sum", "log"):
        cfg = GenerateConfig(str(run.folder), wanted, "extend-forward", str(run.config.data[2]), frames=12)
        cfg.actions = "push:2"
        with Run("generate", cfg, tmp_path / f"as_{wanted}", Console(quiet=True)) as made:
            generating.main(cfg, made)
        films.append((tmp_path / f"as_{wanted}" / "clip.gif").read_bytes())
    assert films[0] == films[1] != films[2]
    with pytest.raises(VideoSimError, match="no embodiment 'car'"), Run("generate", cfg, tmp_path / "no") as made:
        generating.main(replace(cfg, embodiment="car"), made)


def test_one_folder_in_a_list_is_one_folder(folders: dict[str, str], tmp_path: Path) -> None:
    for name, data in (("bare", folders["sum"]), ("listed", [folders["sum"]])):
        trained_in(tmp_path / name, settings(data))
    bare, listed = (load_checkpoint(tmp_path / name) for name in ("bare", "listed"))
    assert bare.embodiments == [Embodiment("sum", ("push",), ("x",))] and bare.spec == SPEC
    assert all(torch.equal(value, listed.state_dict()[name]) for name, value in bare.state_dict().items())


@pytest.mark.slow
def test_bodies_that_steer_the_other_way_round_are_told_apart(folders: dict[str, str], tmp_path: Path) -> None:
    steps = {
        "tokenizer_steps": 300,
        "transition_steps": 100,
        "dynamics_steps": 500,
        "painter_steps": 200,
        "course_steps": 100,
    }
    sizes = {
        "dynamics_rate": 3e-3,
        "batch": 48,
        "tokenizer_batch": 48,
        "evaluate_every": 100,
        "score_horizon": 10,
        "score_windows": 32,
    }
    trained_in(tmp_path, settings(list(folders.values()), **steps, **sizes))
    model = load_checkpoint(tmp_path)
    places = {}
    for name in ("sum", "log"):
        env = gymnasium.make("videosim:VideoSim-v0", checkpoint=model, embodiment=name).unwrapped
        for push in (-1.0, 1.0):
            moved, done = [], {"push": push, "brake": 0.0}
            for context in np.flatnonzero(model.contexts.embodiment.numpy() == 2):  # all of them from the film
                first, _ = env.reset(options={"context": int(context)})
                for _ in range(2):
                    last = env.step(np.array([done[number] for number in WORLDS[name].action.names], np.float32))[0]
                moved.append(centre(last) - centre(first))
            places[name, push] = np.mean(moved)
    assert places["sum", 1.0] > places["sum", -1.0] + 1.0
    assert places["log", 1.0] < places["log", -1.0] - 1.0


def centre(frame: np.ndarray) -> float:
    light = frame.astype(float).mean((0, 2))
    return float((light * np.arange(SIZE)).sum() / light.sum())
