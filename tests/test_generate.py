"""Video verbs: what must hold of every film, whatever its length, and whatever made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY_CORES, make_tiny_model, tiny_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.errors import VideoSimError
from videosim.footage import Footage
from videosim.generate import Made, check, generate
from videosim.presets import LEFT, PRESETS, scripted
from videosim.simulator import Simulator
from videosim.types import FrameSpec
from videosim.verbs import MAX_FRAMES, VERBS, Wish, find_verb
from videosim.world_model import WorldModel

SPEC = tiny_spec()
WHOLE = ("flow", "masked")
TEXT = [name for name, verb in VERBS.items() if "text" in verb.needs]  # see test_text
FORWARD = [name for name, verb in VERBS.items() if verb.forward]
SAMPLING = pytest.mark.parametrize("kind", WHOLE)
MASK = np.zeros((48, 48), bool)
MASK[10:30, 20:25] = True
FRAMES = np.random.default_rng(0).integers(0, 256, (14, 3, 3, 3), np.uint8).repeat(16, 1).repeat(16, 2)
FRAMES += np.arange(48, dtype=np.uint8)[:, None]  # no two pixels of a column alike
ACTIONS = np.random.default_rng(1).uniform(-1, 1, (13, 2)).astype(np.float32)


@cache
def model_of(kind: str, joint: float = 1.0) -> WorldModel:
    config = TINY_CORES[kind]
    if kind != "recurrent":
        config = replace(config, joint=joint)  # type: ignore[type-var]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TINY_CORES, kind, config)
        model = make_tiny_model(kind=kind)
    with torch.no_grad():  # as after training: actions move the state, unlike frames have unlike latents of unit scale
        if model.dynamics.transition is not None:
            model.dynamics.transition[-1].amount.weight *= 4.0  # type: ignore[union-attr,operator]
        for layer in model.tokenizer.encoder:
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight *= 4.0
                layer.bias.zero_()  # type: ignore[union-attr]
        if kind != "masked":
            z = model.encode(torch.from_numpy(FRAMES))
            model.latent_mean, model.latent_std = z.mean(0), z.std(0)
    return model


def footage(frames: np.ndarray = FRAMES, actions: np.ndarray | None = ACTIONS) -> Footage:
    return Footage.of(frames, SPEC.frame, actions)


def wish(**changed: Any) -> Wish:
    """One that suits every verb."""
    other = footage(255 - FRAMES, None)
    asked = {"source": footage(), "other": other, "frames": 12, "known": 3, "mask": MASK, "actions": "push:1"}
    return Wish(SPEC.frame, **{**asked, **changed})


def made(kind: str, name: str, seed: int = 0, whole: bool = False, **changed: Any) -> Made:
    return generate(model_of(kind), find_verb(name), wish(**changed), seed, whole, passes=2)


def everyone() -> list[Any]:
    """(kind, verb, whole) of all that a core can do."""
    dreams = [(kind, name, False) for kind in ("recurrent", *WHOLE) for name in FORWARD]
    return dreams + [(kind, name, True) for kind in WHOLE for name in VERBS if name not in TEXT]


# --- what every film keeps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name", "whole"), everyone())
def test_a_film_follows_from_its_seed_and_keeps_what_is_known(kind: str, name: str, whole: bool) -> None:
    film = made(kind, name, whole=whole)
    frames = 1 if name == "image" else 12
    assert film.film.shape == (frames, 48, 48, 3) and film.film.dtype == np.uint8
    known = film.outline.known[:frames]
    assert np.array_equal(film.film[known], film.outline.frames[:frames][known])
    assert film.measures.get("known_pixels_changed", (0.0, ""))[0] == 0.0
    assert np.array_equal(film.film, made(kind, name, whole=whole).film)
    other = made(kind, name, seed=1, whole=whole).film
    if kind == "recurrent":
        assert np.array_equal(film.film, other)  # it does not draw
    else:
        assert not np.array_equal(film.film, other)


def same(film: np.ndarray, truth: np.ndarray) -> bool:
    return np.array_equal(film, truth)


@SAMPLING
def test_where_the_known_frames_are(kind: str) -> None:
    """Each verb puts the user's frames where its name says, and nothing of the user's anywhere else."""
    film = made(kind, "image-to-video", known=0, t=5).film
    assert same(film[0], FRAMES[5]) and not any(same(film[1], frame) for frame in FRAMES)
    film = made(kind, "action-to-video", t=-6).film
    assert same(film[:3], FRAMES[8:11]) and not same(film[3], FRAMES[11])
    film = made(kind, "extend-forward").film
    assert same(film[:3], FRAMES[-3:])
    film = made(kind, "extend-backward").film
    assert same(film[-3:], FRAMES[:3]) and not same(film[-4], FRAMES[0])
    film = made(kind, "connect").film
    assert same(film[:3], FRAMES[-3:]) and same(film[-3:], 255 - FRAMES[:3])
    film = made(kind, "connect", t=2, other_t=7).film
    assert same(film[:3], FRAMES[2:5]) and same(film[-3:], 255 - FRAMES[7:10])
    film = made(kind, "inpaint", t=1).film
    assert same(film[:, ~MASK], FRAMES[1:13][:, ~MASK]) and not (film == FRAMES[1:13])[:, MASK].all(1).any()


@SAMPLING
@settings(max_examples=12, deadline=None)
@given(known=st.integers(1, 5), more=st.integers(2, 6), t=st.integers(0, 8))
def test_a_loop_closes_at_any_length(kind: str, known: int, more: int, t: int) -> None:
    looped = made(kind, "loop", known=known, frames=known + more, t=t)
    assert len(looped.film) == known + more and same(looped.film[0], looped.film[-1])
    assert same(looped.film[:known], FRAMES[t : t + known])
    assert looped.measures["loop_gap"][0] == 0.0 and looped.outline.surplus == known - 1


@settings(max_examples=40, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(set(VERBS) - {"image", "inpaint", "restyle", *TEXT})))
def test_outlines_hold_at_any_length(data: st.DataObject, name: str) -> None:
    """As many frames as asked for; the known ones come from the source; the two ends of a stretch fit its start."""
    known, t = data.draw(st.integers(1, 4)), data.draw(st.integers(-14, 10))
    known = min(known, -t) if t < 0 else known
    frames = data.draw(st.integers(2 * known + 1, 30))
    asked = wish(known=known, t=t, frames=max(frames, known + 2))
    outline = VERBS[name].draw(asked)
    assert len(outline) - outline.surplus == asked.frames
    first = t % len(FRAMES)
    at = int(np.flatnonzero(outline.whole)[0])
    assert same(outline.frames[at : at + known], FRAMES[first : first + known])
    assert outline.start in (None, first - at) and (outline.start is None) == (name in ("loop", "connect"))
    assert (outline.lead == known) == VERBS[name].forward
    assert same(outline.held()[at], FRAMES[first])


# --- what each one makes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TINY_CORES)
def test_a_dream_is_that_of_the_simulator(kind: str) -> None:
    """Under the recorded actions, also those between the frames that are known."""
    model = model_of(kind)
    film = made(kind, "action-to-video", t=1, frames=8, seed=3, actions="recorded").film
    simulator = Simulator(model, 1)
    told = torch.from_numpy(SPEC.action.normalise(ACTIONS[1:8]))[None]
    simulator.reset([0], [3], model.encode(torch.from_numpy(FRAMES[1:4]))[None], told[:, :2])
    for step in range(2, 7):
        simulator.step(told[:, step])
        assert np.array_equal(film[step + 1], simulator.decode()[0].numpy())


def test_what_is_told_reaches_the_dream() -> None:
    films = [
        made("recurrent", "action-to-video", actions=a).film for a in ("push:-1", "push:1", "still", "push:-1/turn:0")
    ]
    assert len({film.tobytes() for film in films[:3]}) == 3 and same(films[0], films[3])
    array = np.tile(np.array([-1.0, 0.0], np.float32), (11, 1))
    array[:2] = ACTIONS[11:13]  # what the footage knows
    assert same(made("recurrent", "extend-forward", actions=array).film[:3], FRAMES[-3:])
    by_name = made("recurrent", "extend-forward", actions="push:-1").film
    assert same(by_name, made("recurrent", "extend-forward", actions=array).film)
    array[:2] = 0.0  # what it does not know
    unknown = made("recurrent", "extend-forward", actions="push:-1", source=footage(FRAMES, None)).film
    assert same(unknown, made("recurrent", "extend-forward", actions=array).film) and not same(unknown, by_name)


@SAMPLING
def test_the_strength_of_a_restyle(kind: str) -> None:
    """0 is what the codec makes of the source; 1 forgets it; between, more strength leaves it farther behind."""
    model = model_of(kind)
    assert same(made(kind, "restyle", strength=0.0).film, model.recoded(FRAMES[:12]))
    other = footage(255 - FRAMES)
    assert same(made(kind, "restyle", strength=1.0).film, made(kind, "restyle", strength=1.0, source=other).film)
    assert not same(made(kind, "restyle").film, made(kind, "restyle", source=other).film)


@SAMPLING
def test_what_is_under_the_mask_is_not_seen(kind: str) -> None:
    painted = FRAMES.copy()
    painted[:, MASK] = (255, 0, 0)
    film = made(kind, "inpaint").film
    assert same(film, made(kind, "inpaint", source=footage(painted)).film)
    painted[:, ~MASK] ^= 128
    assert not same(film[:, MASK], made(kind, "inpaint", source=footage(painted)).film[:, MASK])


@SAMPLING
def test_both_ends_are_looked_at(kind: str) -> None:
    film = made(kind, "connect").film
    other = made(kind, "connect", other=footage(FRAMES[::-1].copy(), None)).film
    assert not same(film[3:9], other[3:9])


# --- what cannot be done ---------------------------------------------------------------------------------------------


def refused(words: str, call: Callable[[], object]) -> None:
    with pytest.raises(VideoSimError, match=words) as fault:
        call()
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("name", sorted(set(VERBS) - set(FORWARD) - set(TEXT)))
def test_verbs_that_a_core_cannot_do(name: str) -> None:
    refused("recurrent core.*image-to-video.*joint", lambda: made("recurrent", name))
    refused("one frame after another.*model.dynamics.joint", lambda: check(model_of("flow", 0.0), find_verb(name)))


def test_whole_clips_need_their_training_and_its_length() -> None:
    refused("joint", lambda: made("recurrent", "extend-forward", whole=True))
    model = make_tiny_model(kind="recurrent")
    check(model, find_verb("extend-forward"))
    trained = model_of("flow")
    trained.card = {"Training": {"window": 8}}
    try:
        assert len(made("flow", "loop", frames=9).film) == 9  # what guides it lies beyond
        refused("up to 9 frames, and 10", lambda: made("flow", "loop", frames=10))
        assert len(made("flow", "extend-forward", frames=40).film) == 40
    finally:
        trained.card = {}


@pytest.mark.parametrize("name", TEXT)
def test_text_was_not_learned(name: str) -> None:
    for kind in TINY_CORES:
        refused("not trained for text.*choose one of image-to-video", lambda: made(kind, name, text="a ball"))  # noqa: B023
        refused("not trained for text", lambda: made(kind, "image-to-video", text="a ball"))  # noqa: B023
    refused("verb is one of", lambda: find_verb("dance"))


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("extend-forward", {"frames": 0}, "1 to 1000"),
        ("extend-forward", {"frames": MAX_FRAMES + 1}, "1 to 1000"),
        ("extend-forward", {"known": -1}, "known is 0 or more"),
        ("extend-forward", {"frames": 3}, "frames=4 or more"),
        ("extend-forward", {"known": 20, "frames": 30}, "has 14 frames, and 20"),
        ("extend-forward", {"t": 14}, "no frame 14"),
        ("extend-forward", {"t": -15}, "no frame -15"),
        ("extend-forward", {"source": None}, "needs source="),
        ("extend-forward", {"actions": "fly"}, "neither a preset"),
        ("extend-forward", {"actions": "push:much"}, "neither a preset"),
        ("extend-forward", {"actions": "push:7"}, "leaves its bounds"),
        ("extend-forward", {"actions": "recorded"}, "no recorded actions"),
        ("extend-forward", {"actions": np.zeros((3, 2), np.float32)}, "needs 11 actions"),
        ("action-to-video", {"actions": None}, "needs actions="),
        ("loop", {"frames": 4}, "frames=5 or more"),
        ("connect", {"frames": 6}, "frames=7 or more"),
        ("connect", {"other": None}, "needs other="),
        ("inpaint", {"frames": 15}, "has 14 frames, and 15"),
        ("inpaint", {"mask": None}, "needs region= or mask="),
        ("inpaint", {"mask": MASK[:40]}, r"bool \(48, 48\)"),
        ("inpaint", {"mask": np.zeros_like(MASK)}, "True in places"),
        ("restyle", {"strength": 1.5}, "strength"),
        ("restyle", {"strength": float("nan")}, "strength"),
    ],
)
def test_impossible_wishes(name: str, changed: dict[str, Any], words: str) -> None:
    refused(words, lambda: made("flow", name, **changed))


@pytest.mark.parametrize("array", [FRAMES[..., :1], FRAMES[0], FRAMES / 255.0, np.zeros((3, 8, 8, 4), np.uint8)])
def test_arrays_that_are_no_footage(array: np.ndarray) -> None:
    refused("red, green and blue", lambda: Footage.of(array, SPEC.frame))
    refused("holds no frame", lambda: Footage.of(FRAMES[:0], SPEC.frame))


def test_presets_mean_what_they_say() -> None:
    """Within bounds, of every world that comes with the package; left is the opposite of right."""
    from videosim.types import ActionSpec

    for names in (("steer", "throttle"), ("pusher_x", "pusher_y")):
        spec = ActionSpec((-0.5, -1.0), (0.5, 2.0), names)
        told = {name: scripted(name, spec, 20, 0) for name in PRESETS}
        assert all(np.array_equal(spec.check(actions), actions) for actions in told.values())
        assert not told["still"].any() and len({tuple(a[0]) for a in told.values()}) == len(PRESETS)
        assert (np.sign(told["left"][:, 0]) == LEFT[names[0]]).all() and same(told["left"], -told["right"] + 0.0)
        assert (told["ahead"][:, 1] == 2.0).all() and (told["back"][:, 1] == -1.0).all()
        assert not same(told["random"], scripted("random", spec, 20, 1))
    refused("no action of this world", lambda: scripted("left", ActionSpec((0.0,), (1.0,), ("lift",)), 3, 0))


def test_a_picture_is_cropped_and_resized_as_declared() -> None:
    """The model's own size stays to the bit; a crop shows its part."""
    assert same(footage().frames(0, 14), FRAMES)
    halves = np.zeros((1, 30, 60, 3), np.uint8)
    halves[:, :, 30:] = 200
    spec = FrameSpec(15, 15)
    right = Footage(halves.__getitem__, 1, spec, crop=(0.0, 0.5, 1.0, 1.0))
    assert right.size == (30, 60) and (right.frames(0, 1) == 200).all()
    assert (Footage.of(halves, spec).frames(0, 1)[0, :, :7] == 0).all()
    refused("crop", lambda: Footage(halves.__getitem__, 1, spec, crop=(0.5, 0.0, 0.5, 1.0)))
