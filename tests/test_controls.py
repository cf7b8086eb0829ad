"""The control zoo: the oracle is the physics bitwise, every control replays bitwise, and each is broken as it says."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout import same, trace

import videosim  # noqa: F401  (registers the ids)
from videosim.compose import compose
from videosim.config import CollectConfig
from videosim.envs.controls import CONTROLS
from videosim.envs.physics import PhysicsEnv, load_world
from videosim.errors import VideoSimError

NAMES = [name for name in CONTROLS if name != "codec"]
SEED = 2**32 + 5


def draw(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (n, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def truth():
    env = PhysicsEnv("push")
    yield env
    env.close()


@pytest.fixture(scope="module")
def zoo():
    made = {name: PhysicsEnv(f"control:{name}") for name in NAMES}
    yield made
    for env in made.values():
        env.close()


def begin(env: PhysicsEnv, truth: PhysicsEnv, seed: int = SEED) -> None:
    """Both at one state of the truth."""
    truth.reset(seed=seed)
    env.reset(seed=1, options={"state": truth.save()})


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_the_oracle_is_the_physics_bitwise(truth, zoo, seed):
    begin(zoo["oracle"], truth, seed)
    for action in draw(seed, 6):
        mine, right = zoo["oracle"].step(action), truth.step(action)
        np.testing.assert_array_equal(mine[0], right[0])
        assert mine[1:] == right[1:]
        np.testing.assert_array_equal(zoo["oracle"].render(), truth.render())


@pytest.mark.parametrize("name", NAMES)
def test_a_branch_is_a_replay(truth, zoo, name):
    """Also across the frame of the fault, and with the memory of a fault that has one."""
    env = zoo[name]
    begin(env, truth)
    for action in draw(0, 18):
        env.step(action)
    saved, actions = env.save(), draw(1, 5)
    first = trace(env, actions)
    begin(env, truth, SEED + 1)
    env.restore(saved)
    assert same(first, trace(env, actions))


@pytest.mark.parametrize("name", ["blind", "noise"])
def test_one_seed_is_one_world(truth, zoo, name):
    def again(seed):
        truth.reset(seed=SEED)
        zoo[name].reset(seed=seed, options={"state": truth.save()})
        return trace(zoo[name], draw(0, 4))

    assert same(again(3), again(3)) and not same(again(3), again(4))


def test_edits_of_the_actions(truth, zoo):
    """Each equals the physics under the actions it says it does."""
    asked = draw(2, 8)
    done = {
        "inverted": -asked,
        "attenuated": 0.75 * asked,
        "lag": np.vstack([np.zeros((2, 2)), asked[:-2]]),
    }
    for name, actions in done.items():
        begin(zoo[name], truth)
        states = [(zoo[name].step(ask)[0], truth.step(do)[0]) for ask, do in zip(asked, actions, strict=True)]
        for mine, right in states:
            np.testing.assert_array_equal(mine, right)


def test_what_happens_at_t0(truth):
    for name in ("swap3", "vanish3", "duplicate3", "recolour3"):
        env = PhysicsEnv(f"control:{name}")
        begin(env, truth)
        alike = []
        for action in draw(0, 5):
            env.step(action), truth.step(action)
            alike.append(np.array_equal(env.render(), truth.render()))
        assert alike == [True, True, False, False, False], name
        env.close()


def test_the_codec_shows_what_the_tokenizer_keeps(truth, make_model, tmp_path):
    import torch

    from videosim.checkpoint import save_checkpoint

    model = make_model(spec=truth.world_spec)
    save_checkpoint(tmp_path / "model", model, {}, bits=32)
    env = PhysicsEnv(f"control:codec@{tmp_path / 'model'}")
    begin(env, truth)
    expected = model.decode(model.encode(torch.from_numpy(truth.render())[None]))[0].numpy()
    np.testing.assert_array_equal(env.render(), expected)


def test_they_open_by_name_everywhere():
    world = load_world("control:lag2")
    assert (world.name, world.horizon, world.camera) == ("control:lag2", 150, "top")
    assert compose("collect", CollectConfig, ["world=control:lag2"]).world.id == "control:lag2"
    env = gymnasium.make("VideoSimPhysics-v0", world="control:lag2")
    env.reset(seed=0)
    env.close()


def test_every_control_says_what_is_broken_and_which_audit_sees_it():
    for name, make in CONTROLS.items():
        text = " ".join((make.__doc__ or "").split())
        assert text.endswith(".") and any(word in text for word in ("audit", " A")), name


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("lagg", "there is no control 'lagg'; choose"),
        ("freeze3", "takes no number"),
        ("codec", "write control:codec@<checkpoint>"),
        ("lag2@model", "and no other, names a model"),
        ("lag-2", "there is no control"),
        ("driving.swap", "no control 'driving.swap'; choose attenuated, blind"),
        ("sailing.oracle", "no controls of a scene 'sailing'; choose push, driving"),
        ("straight_slow", "no control 'straight_slow'"),
    ],
)
def test_bad_names(name, sentence):
    with pytest.raises(VideoSimError, match=sentence):
        PhysicsEnv(f"control:{name}")
