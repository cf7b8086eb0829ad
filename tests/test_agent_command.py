"""`videosim agent`, its settings by world, resumption, and a trained policy as a behaviour for collecting."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from videosim import cli
from videosim.agents import learn as learning
from videosim.agents.imagined import ImaginedPolicy, imagined_policy, share_with
from videosim.agents.learn import learn
from videosim.agents.policy import Policy
from videosim.agents.resume import FILE
from videosim.agents.settings import keep_settings
from videosim.checkpoint import save_checkpoint
from videosim.compose import choices, compose, default_folder, to_dataclass
from videosim.config import AgentCommandConfig, AgentConfig
from videosim.envs.observations import Filter
from videosim.envs.physics import PhysicsEnv, load_world
from videosim.envs.pool import PoolStep
from videosim.envs.twin import check_world
from videosim.errors import VideoSimError
from videosim.run import Bar, Console
from videosim.types import WorldSpec
from videosim.world_model import Contexts, WorldModel

WORLD = replace(load_world("cartpole-swingup"), horizon=6)
AGENT = AgentConfig(steps=256, envs=4, rollout=16, batch=32, epochs=1, hidden=[8], imagined_horizon=8)
WORDS = ["agent.steps=64", "agent.envs=4", "agent.rollout=16", "agent.batch=64", "agent.epochs=1", "episodes=2"]


@pytest.fixture(scope="module")
def spec() -> WorldSpec:
    env = PhysicsEnv(WORLD)
    env.close()
    return env.world_spec


@pytest.fixture
def model(spec: WorldSpec, make_model) -> WorldModel:
    made = make_model(spec=spec)
    n, d = made.tokenizer.tokens, made.tokenizer.width
    made.contexts = Contexts(
        torch.rand(6, 3, n, d), torch.zeros(6, 2, 1), torch.zeros(6, 5), torch.zeros(6, 0).double(),
        torch.arange(6) > 3,
    )  # fmt: skip
    return made


@pytest.fixture
def checkpoint(model: WorldModel, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "model", model, {}, bits=32)
    return tmp_path / "model"


def bar() -> Bar:
    return Bar(Console(quiet=True), None, 256, "test", "steps", 0)


def command(*words: str) -> int:
    try:
        cli.main(list(words))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_every_world_and_both_algorithms_have_settings() -> None:
    names = choices("agent", default_folder())
    unpaid = {"gallery", "laws", "laws-pairs", "laws-ood"}  # nothing is to be reached there
    assert {"ppo", "sac", *choices("world", default_folder())} - unpaid <= set(names)
    for name in names:
        config = compose("agent", AgentCommandConfig, ["checkpoint=anything", f"agent={name}"])
        assert to_dataclass(config, "agent").agent.algorithm in ("ppo", "sac")


@pytest.mark.parametrize(("text", "said"), [("stepz: 3", "stepz"), ("steps: many", "many"), ("steps: [", "parsing")])
def test_a_bad_file_of_settings_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "ppo.yaml").write_text(f"{text}\n")
    (tmp_path / "agent.yaml").write_text("defaults: [agent_schema, {agent: ppo}, _self_]\n")
    with pytest.raises(VideoSimError, match=said):
        compose("agent", AgentCommandConfig, ["checkpoint=anything"], tmp_path)


def test_the_agent_of_the_checkpoints_world_is_the_default(checkpoint: Path, tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    for name, steps in (("ppo", 1), ("sac", 2), ("cartpole-swingup", 3)):
        (configs / "agent").mkdir(parents=True, exist_ok=True)
        (configs / "agent" / f"{name}.yaml").write_text(f"steps: {steps}\n")
    (configs / "agent.yaml").write_text("defaults: [agent_schema, {agent: ppo}, _self_]\n")

    def steps(*words: str) -> int:
        return to_dataclass(compose("agent", AgentCommandConfig, words, configs), "agent").agent.steps

    assert steps(f"checkpoint={checkpoint}") == 3
    assert steps("checkpoint=cartpole-swingup") == 3
    assert steps(f"checkpoint={checkpoint}", "agent=sac") == 2
    assert steps("checkpoint=nowhere") == 1
    assert steps(f"checkpoint={checkpoint}", "agent.steps=9") == 9


def test_agent_trains_scores_and_is_not_repeated(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spec: WorldSpec,
) -> None:
    monkeypatch.setattr("videosim.envs.twin.world_of", lambda spec: WORLD)
    words = ["agent", f"checkpoint={checkpoint}", f"out={tmp_path / 'run'}", *WORDS]
    assert command(*words) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {"return_real", "return_dreamed"} <= set(result["figures"]) and result["figures"]["return_real"]["n"] == 2
    assert "imagination" in capsys.readouterr().out
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert [len(values) for values in scores["returns"].values()] == [2, 2]
    assert Policy.load(tmp_path / "run" / "policy").mode == "state"

    written = (tmp_path / "run" / "policy" / "policy.safetensors").stat().st_mtime_ns
    assert command(*words) == 0
    assert (tmp_path / "run" / "policy" / "policy.safetensors").stat().st_mtime_ns == written
    assert command(*words, "seed=7") == 2 and "seed" in capsys.readouterr().err
    assert command(*words, "train_in=dreams") == 2 and "imagination" in capsys.readouterr().err
    assert command("agent") == 2 and "checkpoint" in capsys.readouterr().err


def test_the_physics_must_be_the_models(model: WorldModel) -> None:
    check_world(model, WORLD)
    with pytest.raises(VideoSimError, match="size of the frames"):
        check_world(model, replace(WORLD, height=32, width=32))
    with pytest.raises(VideoSimError, match="actions"):
        check_world(model, replace(load_world("reacher-easy"), height=64))


def test_a_stopped_ppo_training_goes_on(model: WorldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "SAVE_EVERY_S", 0.0)
    stop_at(monkeypatch, 170)
    with pytest.raises(KeyboardInterrupt):
        learn("imagination", model, WORLD, AGENT, 0, tmp_path, bar())
    assert (tmp_path / FILE).is_file() and not (tmp_path / "curve.json").exists()
    monkeypatch.undo()

    weights: list[torch.Tensor] = []
    resume = learning.restore_training

    def look(algorithm, folder, about):  # type: ignore[no-untyped-def]
        fresh = algorithm.policy.state_dict()["log_std"].clone()
        found = resume(algorithm, folder, about)
        assert algorithm.num_timesteps == 128  # two of the four rollouts were learnt from
        assert len(algorithm.policy.optimizer.state_dict()["state"]) > 0
        weights.extend([fresh, algorithm.policy.state_dict()["log_std"].clone()])
        return found

    monkeypatch.setattr(learning, "restore_training", look)
    progress = bar()
    learn("imagination", model, WORLD, AGENT, 0, tmp_path, progress)
    assert not torch.equal(*weights) and progress.first == 128
    assert not (tmp_path / FILE).exists() and (tmp_path / "curve.json").is_file()


def stop_at(patch: pytest.MonkeyPatch, steps: int) -> None:
    """The user presses Ctrl-C after ``steps`` steps of a training."""
    step = learning._Watch._on_step

    def stopping(self) -> bool:  # type: ignore[no-untyped-def]
        if self.num_timesteps >= steps:
            raise KeyboardInterrupt
        return step(self)

    patch.setattr(learning._Watch, "_on_step", stopping)


def test_a_stopped_sac_training_says_that_it_starts_again(
    model: WorldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sac = replace(AGENT, algorithm="sac", steps=64, learning_starts=16, gradient_steps=1, batch=8)
    monkeypatch.setattr(learning, "SAVE_EVERY_S", 0.0)
    with monkeypatch.context() as patch:
        stop_at(patch, 40)
        with pytest.raises(KeyboardInterrupt):
            learn("imagination", model, WORLD, sac, 0, tmp_path, bar())
    loud = Bar(Console(), None, 64, "test", "steps", 0)
    learn("imagination", model, WORLD, sac, 0, tmp_path, loud)
    assert "starts again" in capsys.readouterr().out and (tmp_path / "curve.json").is_file()


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    keep_settings(tmp_path, {"seed": 1, "agent": AGENT})
    keep_settings(tmp_path, {"seed": 1, "agent": AGENT})
    with pytest.raises(VideoSimError, match="out="):
        keep_settings(tmp_path, {"seed": 2, "agent": AGENT})


@pytest.fixture
def policy(model: WorldModel, tmp_path: Path) -> Path:
    learn("imagination", model, WORLD, replace(AGENT, steps=64), 0, tmp_path / "policy", bar())
    return tmp_path / "policy"


def test_an_imagined_policy_acts_as_it_is_scored(model: WorldModel, checkpoint: Path, policy: Path) -> None:
    env, seen, acting = PhysicsEnv(WORLD), Filter(model, "state"), Policy.load(policy)
    name, behaviour = imagined_policy(str(checkpoint), str(policy), WORLD)
    behaviour = pickle.loads(pickle.dumps(behaviour))
    assert name == "policy" and len(pickle.dumps(behaviour)) < 2000  # two names travel, no weights
    no = np.zeros(1, bool)
    for start in (1, 2):
        env.reset(seed=start)
        behaviour.reset()
        observation, done = None, np.zeros(1, np.float32)
        for t in range(4):
            step = PoolStep(env.render()[None], env.sensors()[None], np.zeros(1, np.float32), no, no, no, {})
            observation = seen.begin(step) if observation is None else seen.after(done[None], step)[0]
            wanted = model.spec.action.denormalise(acting.act(observation))[0]
            np.testing.assert_allclose(behaviour(env.render(), env.sensors() * np.nan), wanted, atol=1e-5)
            done = np.clip(wanted + 0.3 * (-1) ** t, -1.0, 1.0).astype(np.float32)  # noise the policy did not choose
            behaviour.executed(done)
            env.step(done)
    env.close()


def test_share_of_a_policy() -> None:
    mixture = share_with({"random": 3.0, "noise": 1.0}, "mine", 0.8)
    assert mixture == pytest.approx({"random": 0.15, "noise": 0.05, "policy:mine": 0.8})
    with pytest.raises(VideoSimError, match="policy_share"):
        share_with({}, "mine", 1.5)


def test_collect_with_a_policy(
    checkpoint: Path, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["collect", "world=cartpole-swingup", "world.horizon=6", "frames=42", "workers=1", f"out={tmp_path / 's'}"]
    assert command(*words, f"checkpoint={checkpoint}", f"policy={policy}", "policy_share=1") == 0
    assert "policy:policy" in capsys.readouterr().out
    assert command(*words, f"policy={policy}") == 2 and "checkpoint=" in capsys.readouterr().err
    other = ["world.height=32", "world.width=32", f"out={tmp_path / 'other'}"]
    assert command(*words, *other, f"checkpoint={checkpoint}", f"policy={policy}") == 2
    assert "size of the frames" in capsys.readouterr().err and not (tmp_path / "other").exists()
    assert command(*words, f"checkpoint={checkpoint}", f"policy={checkpoint}") == 2
    assert "no policy" in capsys.readouterr().err


def test_a_world_by_id_is_found_again_by_its_name() -> None:
    world = load_world("dm_control:finger-spin")
    assert (world.name, world.id) == ("dm_control:finger-spin", "dm_control:finger-spin")
    assert load_world(world.name) == world
    assert cli._subject(AgentCommandConfig(checkpoint="")) == "default"
    for given in ("cartpole-swingup", "runs/train/cartpole-swingup", "runs/train/cartpole-swingup/checkpoint/"):
        assert cli._subject(AgentCommandConfig(checkpoint=given)) == "cartpole-swingup"
    cfg = type("Cfg", (), {"world": world})()
    assert cli._subject(cfg) == "dm_control-finger-spin"
    assert ImaginedPolicy("a", "b") == ImaginedPolicy("a", "b")
