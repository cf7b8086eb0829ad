"""Captions are true to the sensors, follow from them alone, and use no word beyond the grammar's."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.captions import CAPTIONERS, captioner_of, told_of, vocabulary
from videosim.captions import push as captions
from videosim.captions.captioner import DETAILS, HEADINGS, Columns, Facts
from videosim.captions.push import MOVED_M
from videosim.captions.words import words_of
from videosim.envs import push as scene

DT_S = 0.04
NAMES = sorted(CAPTIONERS)
MIRROR = {"left": "right", "right": "left"}
SIGNED = {  # sensors whose sign a mirror with left for right turns
    "push": [name for name in CAPTIONERS["push"].sensors if name.endswith("_x")],
    "cartpole-swingup": ["cart_position", "sin_pole_angle"],
    "reacher-easy": ["finger_x", "target_x", "cos_shoulder"],
    "driving": ["yaw_rate"],
}


def ramp(start: float, end: float, frames: int = 9) -> np.ndarray:
    return np.linspace(start, end, frames)


def push(frames: int = 9, **moving: tuple[float, float]) -> Columns:
    """Things at rest in the lower half of the table but for those in ``moving``, by sensor."""
    rest = {"pusher_x": -0.4, "pusher_y": -0.4, "red_x": 0.0, "red_y": -0.1, "green_x": 0.4, "green_y": -0.4,
            "blue_x": -0.2, "blue_y": -0.3, "goal_x": 0.3, "goal_y": 0.0}  # fmt: skip
    return {name: ramp(*moving.get(name, (value, value)), frames) for name, value in rest.items()}


def cartpole(angles: np.ndarray, x: np.ndarray) -> Columns:
    return {"cart_position": x, "cos_pole_angle": np.cos(angles), "sin_pole_angle": np.sin(angles)}


def reacher(shoulder: np.ndarray, finger: np.ndarray, target: tuple[float, float]) -> Columns:
    count = len(shoulder)
    return {
        "cos_shoulder": np.cos(shoulder), "sin_shoulder": np.sin(shoulder), "finger_x": finger[:, 0],
        "finger_y": finger[:, 1], "target_x": np.full(count, target[0]), "target_y": np.full(count, target[1]),
    }  # fmt: skip


def cheetah(pitch: np.ndarray, speed: float) -> Columns:
    return {"cos_root_pitch": np.cos(pitch), "sin_root_pitch": np.sin(pitch), "root_x_velocity": 0 * pitch + speed}


FLAT, WALK = np.zeros(9), ramp(0.0, 0.0)
ALL = "a table with a pusher, a red ball, a green ball and a blue box"
GOLDEN: list[tuple[str, Columns, tuple[str, str, str]]] = [
    ("push", push(), (ALL, "nothing moves", f"nothing moves on {ALL}")),
    (
        "push",
        push(pusher_x=(-0.4, -0.1)),
        (ALL, "the pusher moves right", "the pusher moves right fast from the bottom left"),
    ),
    (
        "push",
        push(blue_y=(-0.3, -0.24), pusher_x=(-0.2, -0.4)),
        (ALL, "the blue box moves up", "the blue box moves up slowly from the bottom left, the pusher moves left"),
    ),
    (
        "push",
        push(red_x=(0.0, 0.25), green_y=(-0.4, 0.0)),
        (
            ALL,
            "the red ball rolls into the goal",
            "the red ball rolls into the goal fast from the middle, the pusher stands still",
        ),
    ),
    (
        "push",
        push(red_x=(-0.35, -0.33), red_y=(0.35, 0.33)),  # behind the screen
        (ALL.replace("a red ball, ", ""), "nothing moves", f"nothing moves on {ALL.replace('a red ball, ', '')}"),
    ),
    ("push", push(1), (ALL, ALL, "a table, the red ball in the middle")),
    (
        "cartpole-swingup",
        cartpole(ramp(3.0, 0.2), ramp(1.0, 0.0)),
        ("a cart-pole", "the pole swings up", "the pole swings up fast, the cart moves left in the middle"),
    ),
    (
        "cartpole-swingup",
        cartpole(FLAT, FLAT - 1.5),
        ("a cart-pole", "the pole stands up", "the pole stands up slowly, the cart stands still at the left"),
    ),
    (
        "cartpole-swingup",
        cartpole(ramp(0.1, -2.5), FLAT),
        ("a cart-pole", "the pole falls down", "the pole falls down fast, the cart stands still in the middle"),
    ),
    (
        "cartpole-swingup",
        cartpole(ramp(2.0, 9.0), FLAT),
        ("a cart-pole", "the pole spins", "the pole spins fast, the cart stands still in the middle"),
    ),
    (
        "cartpole-swingup",
        cartpole(FLAT[:1] + 1.5, FLAT[:1] + 1.5),
        ("a cart-pole", "the pole points right", "the pole points right, the cart at the right"),
    ),
    (
        "reacher-easy",
        reacher(ramp(0, 0.2), np.stack([ramp(0.2, 0.12), FLAT], 1), (0.1, 0.0)),
        (
            "an arm and a red target",
            "the arm reaches the target",
            "the arm reaches the target slowly, the target at the right",
        ),
    ),
    (
        "reacher-easy",
        reacher(ramp(0, -1.2), np.stack([ramp(0.2, 0.2), FLAT], 1), (0.0, 0.15)),
        ("an arm and a red target", "the arm turns right", "the arm turns right fast, the target at the top"),
    ),
    (
        "reacher-easy",
        reacher(FLAT, np.zeros((9, 2)), (0.02, 0.0)),
        (
            "an arm and a red target",
            "the arm touches the target",
            "the arm touches the target slowly, the target in the middle",
        ),
    ),
    (
        "cheetah-run",
        cheetah(FLAT, 2.5),
        ("a cheetah", "the cheetah runs forwards", "the cheetah runs forwards fast on its feet"),
    ),
    (
        "cheetah-run",
        cheetah(FLAT + 3.0, -1.0),
        ("a cheetah", "the cheetah slides backwards", "the cheetah slides backwards slowly on its back"),
    ),
    (
        "cheetah-run",
        cheetah(FLAT + 1.5, 0.1),
        ("a cheetah", "the cheetah lies still", "the cheetah lies still on its nose"),
    ),
    (
        "cheetah-run",
        cheetah(ramp(0.1, 2.5), 0.1),
        ("a cheetah", "the cheetah falls over", "the cheetah falls over slowly on its nose"),
    ),
    ("cheetah-run", cheetah(FLAT[:1], 2.0), ("a cheetah", "a cheetah on its feet", "a cheetah on its feet")),
    (
        "driving",
        {"speed": FLAT + 9.0, "yaw_rate": FLAT + 0.3},
        ("a road", "the car turns left", "the car turns left fast"),
    ),
    (
        "driving",
        {"speed": FLAT + 2.0, "yaw_rate": FLAT},
        ("a road", "the car drives straight", "the car drives straight slowly"),
    ),
    ("driving", {"speed": FLAT, "yaw_rate": FLAT}, ("a road", "the car stands still", "the car stands still")),
    ("driving", {"speed": FLAT[:1], "yaw_rate": FLAT[:1]}, ("a road", "a road", "a road")),
]


@pytest.mark.parametrize(("world", "columns", "told"), GOLDEN)
def test_what_is_said(world: str, columns: Columns, told: tuple[str, str, str]) -> None:
    captioner = CAPTIONERS[world]
    assert tuple(captioner.caption(columns, DT_S, detail) for detail in DETAILS) == told


@st.composite
def clips(draw: st.DrawFn, world: str, most: int = 12) -> Columns:
    """Anything that such sensors may say."""
    frames, seed = draw(st.integers(1, most)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    scale = draw(st.sampled_from([0.01, 0.1, 0.5]))
    columns = {}
    for name in CAPTIONERS[world].sensors:
        path = rng.uniform(-0.45, 0.45) + np.cumsum(rng.normal(0.0, scale / 3, frames))
        columns[name] = np.clip(path, -0.45, 0.45)
    for name in [name for name in columns if name.startswith("cos_")]:
        angle = rng.uniform(-3.1, 3.1) + np.cumsum(rng.normal(0.0, scale, frames))
        columns[name], columns["sin" + name[3:]] = np.cos(angle), np.sin(angle)
    if world == "driving":
        columns["speed"] = columns["speed"] * 30
    if world == "cheetah-run":
        columns["root_x_velocity"] = columns["root_x_velocity"] * 10
    return columns


@pytest.mark.parametrize("world", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_facts_and_words_are_those_of_the_grammar(world: str, data: st.DataObject) -> None:
    captioner, columns = CAPTIONERS[world], data.draw(clips(world))
    facts = captioner.read(columns, DT_S)
    assert all(facts[kind] in captioner.facts[kind] for kind in facts) and facts["object"]
    told = [captioner.caption(columns, DT_S, detail) for detail in DETAILS]
    assert told == [captioner.write(facts, detail) for detail in DETAILS] and all(told)
    assert set(words_of(" ".join(told))) <= set(vocabulary())
    unknown = columns | {captioner.sensors[-1]: columns[captioner.sensors[-1]] + np.nan}
    assert captioner.caption(unknown, DT_S, 3) == ""


@settings(max_examples=100, deadline=None)
@given(columns=clips("push"))
def test_what_moves_on_the_table_moves_as_is_said(columns: Columns) -> None:
    """The way of the thing lies within 45 degrees of its heading, and no other thing but the pusher goes farther."""
    facts = CAPTIONERS["push"].read(columns, DT_S)
    ways = {}
    for name in ("pusher", "red", "green", "blue"):
        x, y = columns[f"{name}_x"], columns[f"{name}_y"]
        ways[name] = np.array([x[-1] - x[0], y[-1] - y[0]])
    if facts.get("motion") in HEADINGS:
        mover = facts["mover"].split()[0]
        axis = {"left": (-1, 0), "right": (1, 0), "up": (0, 1), "down": (0, -1)}[facts["motion"]]
        far = np.linalg.norm(ways[mover])
        assert ways[mover] @ axis >= 0.7 * far > 0.7 * MOVED_M
        spoken = {name for name in ("red", "green", "blue") if name in facts["things"]}
        assert mover == "pusher" or all(np.linalg.norm(ways[name]) <= far for name in spoken)


def turned(world: str, columns: Columns) -> Columns:
    return {name: -value if name in SIGNED[world] else value for name, value in columns.items()}


def swapped(facts: Facts) -> Facts:
    return {kind: " ".join(MIRROR.get(word, word) for word in value.split()) for kind, value in facts.items()}


@pytest.mark.parametrize("world", sorted(SIGNED))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_mirror_swaps_left_and_right(world: str, data: st.DataObject) -> None:
    columns = dict(data.draw(clips(world)))
    captioner = CAPTIONERS[world]
    if world == "push":  # the screen hangs in one corner: nothing near it
        columns |= {name: value - 0.55 for name, value in columns.items() if name.endswith("_y")}
    facts, mirrored = captioner.read(columns, DT_S), captioner.read(turned(world, columns), DT_S)
    if (
        world == "reacher-easy"
        and abs(np.ptp(np.unwrap(np.arctan2(columns["sin_shoulder"], columns["cos_shoulder"])))) > 3
    ):
        return  # from one frame to the next half a turn has no direction
    assert mirrored == swapped(facts)


@pytest.mark.parametrize("world", sorted(set(NAMES) - {"cheetah-run"}))
def test_film_backwards_goes_the_other_way(world: str) -> None:
    there = {
        "push": push(blue_x=(-0.2, 0.1)),
        "cartpole-swingup": cartpole(ramp(3.0, 0.1), ramp(0.5, -0.5)),
        "reacher-easy": reacher(ramp(0.0, 1.0), np.stack([FLAT, FLAT + 0.2], 1), (0.1, -0.1)),
        "driving": {"speed": FLAT + 5, "yaw_rate": FLAT + 0.2},
    }[world]
    back = {name: -value[::-1] if world == "driving" else value[::-1] for name, value in there.items()}
    captioner = CAPTIONERS[world]
    one, other = (captioner.write(captioner.read(c, DT_S), 2) for c in (there, back))
    assert one != other


def test_the_table_is_that_of_the_scene() -> None:
    half = scene.BOX_M
    assert list(captions.RADII_M.values()) == [scene.PUSHER_M, scene.BALL_M, scene.BALL_M, half]
    assert (captions.ARENA_M, captions.GOAL_M) == (scene.ARENA_M, scene.GOAL_M)
    assert captions.SCREEN_M[:2] == scene.SCREEN_CENTRE and scene.SCREEN_HALF[0] == captions.SCREEN_HALF_M
    assert 'pos="0 -.28 1.25"' in scene.XML and captions.EYE_M == (0.0, -0.28, 1.25)
    assert captions.HEIGHT_M == scene.BALL_M and set(captions.SENSOR.values()) == {"pusher", *scene.OBJECTS}


def test_every_word_of_the_vocabulary_is_used() -> None:
    used: set[str] = set()
    for captioner in CAPTIONERS.values():
        kinds = sorted(captioner.facts)
        values = [[*captioner.facts[kind][:: 5 if kind == "things" else 1], None] for kind in kinds]
        for choice in product(*values):
            facts = {kind: value for kind, value in zip(kinds, choice, strict=True) if value is not None}
            for detail in DETAILS:
                try:
                    used |= set(words_of(captioner.write(facts, detail)))
                except KeyError:
                    continue  # facts that never come together
    assert used == set(vocabulary())


def test_a_world_is_known_by_its_sensors() -> None:
    for name, captioner in CAPTIONERS.items():
        found = captioner_of((*captioner.sensors[::-1], "another"))
        assert found is not None and found.name == name
    assert captioner_of(("x", "v")) is None and captioner_of(()) is None


def test_a_text_says_whose_it_is() -> None:
    bodies = [captioner.sensors for captioner in CAPTIONERS.values()]
    for number, captioner in enumerate(CAPTIONERS.values()):
        for facts in captioner.asks:
            assert told_of(captioner.write(facts, 2), bodies) == number
    assert told_of("zebras", bodies) is None and told_of("", bodies) is None
    assert told_of("a cheetah", []) is None and told_of("a cheetah", [("x",)]) is None
