"""`videosim loop`: what a round does, that nothing finished is repeated, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from videosim import cli, gate
from videosim.agents import loop
from videosim.agents.policy import Policy
from videosim.checkpoint import load_checkpoint, save_checkpoint
from videosim.data.store import EpisodeStore
from videosim.envs.physics import PhysicsEnv, load_world

SIZE = ["world=cartpole-swingup", "world.horizon=14", "world.height=32", "world.width=32"]
SMALL = [
    *SIZE, "base_frames=450", "frames_per_round=60", "workers=1", "episodes=2", "train.threads=1",
    "train.tokenizer_steps=4", "train.transition_steps=4", "train.dynamics_steps=4", "train.belief_steps=4",
    "train.painter_steps=2", "fine_tune_steps=3", "train.batch=4", "train.window=6",
    "train.tokenizer_batch=4", "train.evaluate_every=2", "train.score_windows=4", "train.contexts=5",
    "train.model.tokenizer.widths=[4,4,8]", "train.held_out=0.3",
    "agent.steps=64", "agent.envs=4", "agent.rollout=16", "agent.batch=64", "agent.epochs=1",
    "agent.imagined_horizon=8",
]  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PROBE_STEPS", 3)


def command(*words: str) -> int:
    try:
        cli.main(["loop", *words])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def results(folder: Path) -> dict[str, int]:
    """When each finished stage was written."""
    return {
        str(path.parent.relative_to(folder)): path.stat().st_mtime_ns for path in folder.glob("round-*/*/result.json")
    }


def test_rounds_grow_the_data_and_resume_by_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SMALL, "rounds=1", f"out={tmp_path}"]
    with monkeypatch.context() as patch:  # the user presses Ctrl-C when fine-tuning begins
        begin = loop.train.main
        patch.setattr(loop.train, "main", lambda cfg, run: stop() if cfg.init else begin(cfg, run))
        assert command(*words) == 130
    done = results(tmp_path)
    assert set(done) == {"round-0/collect", "round-0/model", "round-0/policy", "round-1/collect"}
    assert not (tmp_path / "result.json").exists() and not (tmp_path / "checkpoint").exists()

    assert command(*words) == 0
    after = results(tmp_path)
    assert {stage: after[stage] for stage in done} == done
    assert set(after) - set(done) == {"round-1/model", "round-1/policy"}

    store = EpisodeStore.open(tmp_path / "data")
    assert store.frames_total == 510 and len(set(store.seeds)) == len(store)
    assert "policy:round-0" in store.behaviours[-4:] and not any("policy" in b for b in store.behaviours[:30])
    figures = json.loads((tmp_path / "result.json").read_text())["figures"]
    assert {"return_real_round_0", "return_real_round_1", "return_dreamed_round_1"} <= set(figures)
    assert figures["physics_frames"]["value"] == 510
    text = capsys.readouterr().out
    assert "real return" in text and "510" in text

    model, first, last = (load_checkpoint(tmp_path / name) for name in ("checkpoint", "round-0/model", "round-1/model"))
    assert equal(model, last) and not equal(model, first)
    assert np.array_equal(model.latent_mean, first.latent_mean)
    assert Policy.load(tmp_path / "policy").mode == "state"

    assert command(*words, "frames_per_round=70") == 2  # would make a mixture of two settings
    assert "frames_per_round" in capsys.readouterr().err
    assert results(tmp_path) == after


def stop() -> None:
    raise KeyboardInterrupt


def equal(left, right) -> bool:
    return all(np.array_equal(value, right.state_dict()[name]) for name, value in left.state_dict().items())


def test_a_checkpoint_to_start_from_must_be_of_the_world(
    tmp_path: Path, make_model, capsys: pytest.CaptureFixture[str]
) -> None:
    env = PhysicsEnv(load_world("cartpole-swingup"))
    env.close()
    model = make_model(spec=env.world_spec)
    save_checkpoint(tmp_path / "model", model, {"Open loop on held-out episodes": {"horizon_frames": 3.0}}, bits=32)
    assert loop._horizon(load_checkpoint(tmp_path / "model")) == 3.0
    assert command(*SMALL, "rounds=1", f"checkpoint={tmp_path / 'model'}", f"out={tmp_path / 'run'}") == 2
    assert "size of the frames" in capsys.readouterr().err  # the world asked for has smaller ones than the model
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("rounds=0", "rounds"),
        ("frames_per_round=1", "frames_per_round"),
        ("train.data=somewhere", "data="),
        ("checkpoint=nowhere", "nowhere"),
        ("policy_share=2", "policy_share"),
    ],
)
def test_bad_settings_leave_nothing(word: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*SIZE, word, f"out={tmp_path / 'run'}") == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
