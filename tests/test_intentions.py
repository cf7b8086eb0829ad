"""Do films show what their text asks for: the arithmetic of hits and chance, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY_CORES, make_tiny_model
from sum_world import SPEC as SUM
from sum_world import episode
from test_captions import DT_S, push
from test_generate import ACTIONS, FRAMES
from test_text import SMALL, SPEC

from videosim import cli, intending
from videosim.captions import CAPTIONERS, vocabulary
from videosim.captions.captioner import Captioner, Facts
from videosim.captions.words import words_of
from videosim.checkpoint import save_checkpoint
from videosim.config import IntendConfig
from videosim.data.store import EpisodeStore
from videosim.embodiments import Embodiment
from videosim.errors import VideoSimError
from videosim.intending import push_columns
from videosim.intentions import Ask, agreements, asks_of, columns_of, made_of, scored, world_of
from videosim.model_config import NoTextConfig
from videosim.run import Console, Run
from videosim.types import Episode
from videosim.world_model import Contexts, WorldModel

WAYS = ("left", "right")
LINE = Captioner(
    name="line", sensors=("x",), facts={"object": ("line",), "motion": WAYS}, glue="",
    read=lambda columns, dt_s: {"object": "line", "motion": WAYS[int(columns["x"][-1] > columns["x"][0])]},
    write=lambda facts, detail: facts["motion"] if detail == 2 else "",
    asks=({"motion": "left"}, {"motion": "right"}),
)  # fmt: skip


# --- the arithmetic --------------------------------------------------------------------------------------------------


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def asks(count: int = 4) -> list[Ask]:
    ways = [f"way {number}" for number in range(count)]
    return [Ask(0, LINE, way, {"motion": way}) for way in ways]


def test_films_that_do_as_they_are_told_are_all_hits_and_none_is_chance() -> None:
    which = np.repeat(np.arange(4), 5)
    shown: list[Facts] = [{"motion": f"way {number}"} for number in which]
    (score,) = scored(asks(), which.tolist(), shown, rng())
    assert (score.hits.value, score.chance, score.lift.value, score.hits.n) == (1.0, 0.0, 1.0, 4)
    (never,) = scored(asks(), which.tolist(), [{"motion": "another"}] * 20, rng())
    assert (never.hits.value, never.chance, never.lift.value) == (0.0, 0.0, 0.0)
    (absent,) = scored(asks(), which.tolist(), [{}] * 20, rng())
    assert absent.hits.value == 0.0


def test_what_every_film_shows_is_no_hit_above_chance() -> None:
    which = np.repeat(np.arange(4), 5)
    (score,) = scored(asks(), which.tolist(), [{"motion": "way 1"}] * 20, rng())
    assert score.hits.value == 0.25 and score.chance == 0.25 and abs(score.lift.value) < 1e-12


def test_films_that_do_not_listen_hit_by_chance() -> None:
    which, draw = np.repeat(np.arange(4), 200), rng()
    shown: list[Facts] = [{"motion": f"way {n}"} for n in draw.choice(4, 800, p=[0.7, 0.1, 0.1, 0.1])]
    (score,) = scored(asks(), which.tolist(), shown, rng())
    assert abs(score.lift.value) < 0.05 and score.lift.low <= 0.0 <= score.lift.high


def test_chance_is_that_of_other_texts_of_the_same_world() -> None:
    """The films of another world say nothing about a motion in this one; about what world it is they do."""
    two = [Ask(body, LINE, way, {"object": str(body), "motion": way}) for body in (0, 1) for way in WAYS]
    which = [0, 1, 2, 3]
    seen = [("0", "left"), ("0", "left"), ("0", "left"), ("1", "right")]
    shown = [{"object": world, "motion": way} for world, way in seen]
    motion, world = scored(two, which, shown, rng())
    assert (motion.kind, world.kind) == ("motion", "object")
    assert motion.hits.value == 0.75 and motion.chance == pytest.approx(np.mean([1, 0, 0, 0]))
    assert world.hits.value == 0.75 and world.chance == pytest.approx(np.mean([0.5, 0.5, 0, 0]))
    alone = scored(asks(1), [0, 0], [{"motion": "way 0"}] * 2, rng())
    assert alone == []  # nothing else was asked for


# --- what is asked, and what is seen ---------------------------------------------------------------------------------


def test_what_is_asked_states_its_facts_in_known_words() -> None:
    for captioner in CAPTIONERS.values():
        assert captioner.asks
        texts = [captioner.write(facts, 2) for facts in captioner.asks]
        assert len(set(texts)) == len(texts) and set(words_of(" ".join(texts))) <= set(vocabulary())
        for facts in captioner.asks:
            stated = captioner.stated(facts, 2)
            assert stated and stated.items() <= facts.items()
            assert all(value in captioner.facts[kind] for kind, value in facts.items())
        captioner.write(captioner.asks[0], 1)
    assert CAPTIONERS["push"].stated({"mover": "red ball", "motion": "left"}, 2) == {
        "mover": "red ball",
        "motion": "left",
    }
    assert CAPTIONERS["push"].stated({"mover": "nothing", "motion": "still"}, 2) == {"mover": "nothing"}


def test_places_read_off_frames_give_the_facts_of_the_sensors() -> None:
    columns = push(red_x=(0.0, 0.25))
    names = ("pusher", "red", "green", "blue")
    places = np.stack([np.stack([columns[f"{name}_x"], columns[f"{name}_y"]], 1) for name in names], 1)
    captioner = CAPTIONERS["push"]
    assert captioner.read(push_columns(places), DT_S) == captioner.read(columns, DT_S)
    places[[0, 4, 8], 1] = np.nan  # out of sight for a while
    seen = push_columns(places)
    assert seen["red_x"][0] == columns["red_x"][1] and seen["red_x"][4] == columns["red_x"][3]
    assert seen["red_x"][8] == columns["red_x"][7]
    places[:, 1] = np.nan
    facts = captioner.read(push_columns(places), DT_S)
    assert "red" not in facts["things"] and facts["mover"] == "nothing"


def model_of(text: Any = SMALL, bodies: int = 1) -> WorldModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TINY_CORES, "flow", replace(TINY_CORES["flow"], joint=1.0, text=text))  # type: ignore[type-var]
        plain = make_tiny_model(kind="flow")
    if bodies == 1:
        return plain
    own = [Embodiment(f"body {number}", SPEC.action.names, SPEC.sensors.names) for number in range(bodies)]
    model = WorldModel(replace(plain.config, embodiments=bodies), SPEC, own).eval()
    assert plain.contexts is not None
    model.contexts = Contexts(**{**vars(plain.contexts), "embodiment": torch.arange(6) % bodies})
    return model


def test_recorded_films_that_are_read_as_they_were_recorded_agree(tmp_path: Path) -> None:
    x = np.cumsum(np.random.default_rng(0).normal(size=14)).astype(np.float32)
    frames = np.zeros((14, 48, 48, 3), np.uint8)
    frames[:, 0, 0, 0] = np.arange(14)
    store = EpisodeStore.create(tmp_path / "store", SPEC)
    sensors = np.stack([x, x, x], 1)
    store.append(Episode(frames, ACTIONS, np.zeros(13, np.float32), sensors, np.zeros((14, 0)), np.zeros(13, bool)))
    right = agreements(store, LINE, lambda film: {"x": x[film[:, 0, 0, 0]]}, 4, 30, rng())
    wrong = agreements(store, LINE, lambda film: {"x": -x[film[:, 0, 0, 0]]}, 4, 30, rng())
    assert right["motion"].value == 1.0 and wrong["motion"].value == 0.0 and set(right) == {"motion"}
    with pytest.raises(VideoSimError, match="no episode of tiny has 15 frames"):
        agreements(store, LINE, lambda film: {}, 15, 30, rng())


def test_the_world_of_a_film_is_that_of_the_nearest_clips() -> None:
    model = model_of(bodies=2)
    frames = torch.randint(0, 256, (6, 3, 48, 48, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert model.contexts is not None
    model.contexts.latents = model.encode(frames)
    assert [world_of(model, film.numpy()) for film in frames] == [0, 1] * 3
    model.contexts = None
    with pytest.raises(VideoSimError, match="no start clips"):
        world_of(model, frames[0].numpy())


@torch.no_grad()
def test_a_film_is_watched_as_it_is_absorbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sensors of its frames are those of a state that has seen the frames before, and none of those after."""
    model = model_of()
    latents = torch.rand(2, 5, model.tokenizer.tokens, model.tokenizer.width) * 2 - 1
    read = model.watch(latents)
    assert read.shape == (2, 5, 3)
    torch.testing.assert_close(model.watch(latents[:, :3]), read[:, :3])
    torch.testing.assert_close(read[:, 0], model.sensors(model.start(latents[:, :1], torch.zeros(2, 0, 2))))
    film = model.decode(latents)[0].numpy()
    columns = columns_of(model, 0, LINE, film)
    assert list(columns) == ["x"]
    expected = model.watch(model.encode(torch.from_numpy(film))[None])[0, :, 0]
    np.testing.assert_allclose(columns["x"], expected, rtol=1e-6)


@torch.no_grad()
def test_each_film_has_a_seed_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model, texts = model_of(), ["the pusher moves left"] * 3
    monkeypatch.setattr("videosim.intentions.AT_ONCE", 2)
    parts = list(made_of(model, texts, 3, 1, None, 5))
    assert [len(part) for part in parts] == [2, 1]
    films = torch.cat(parts)
    assert not torch.allclose(films[0], films[1])
    torch.testing.assert_close(films[1:], torch.cat(list(made_of(model, texts[1:], 3, 1, None, 6))))


def test_what_a_model_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VideoSimError, match="no world of this checkpoint"):
        asks_of(model_of())
    with pytest.raises(VideoSimError, match="not trained for text"):
        asks_of(model_of(NoTextConfig()))
    monkeypatch.setitem(CAPTIONERS, "line", LINE)
    assert [ask.facts for ask in asks_of(model_of())] == [{"motion": "left"}, {"motion": "right"}]
    both = asks_of(model_of(bodies=2))
    assert [ask.body for ask in both] == [0] * 3 + [1] * 3
    assert both[0].facts == {"object": "line"} and both[1].facts == {"object": "line", "motion": "left"}


def test_two_logs_of_one_kind_are_one_world(tmp_path: Path) -> None:
    two = [Ask(body, LINE, way, {"motion": way}) for body in (0, 1) for way in WAYS]
    other = replace(LINE, name="other")
    asks = [*two, *(Ask(2, other, way, {"motion": way}) for way in WAYS)]
    shown: list[Facts] = [{"motion": way} for way in WAYS] * 2 + [{}, {}]
    with Run("intend", IntendConfig(checkpoint="none"), tmp_path / "out", Console(quiet=True)) as run:
        rows = intending._scores(run, asks, np.arange(6), shown, 0, "nobody")
    assert [(row[1], row[3]) for row in rows] == [("all", "6"), ("line", "4"), ("other", "2")]
    assert run.figures["hits_motion_line"]["value"] == 1.0 and run.figures["hits_motion_other"]["value"] == 0.0


# --- the command -----------------------------------------------------------------------------------------------------


def run(out: Path, **settings: Any) -> int:
    try:
        cli.main(["intend", *(f"{key}={value}" for key, value in settings.items()), f"out={out}"])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(CAPTIONERS, "line", LINE)
    save_checkpoint(tmp_path / "model", model_of(), {"Training": {"window": 4}}, bits=32)
    nothing = np.zeros((13, 0), np.float32)
    sensors = np.cumsum(np.random.default_rng(0).normal(size=(14, 3)), 0).astype(np.float32)
    store = EpisodeStore.create(tmp_path / "store", SPEC)
    store.append(Episode(FRAMES, ACTIONS, nothing.sum(1), sensors, np.zeros((14, 0)), np.zeros(13, bool)))
    EpisodeStore.create(tmp_path / "other", SUM).append(episode(0))
    asked = {"checkpoint": tmp_path / "model", "films": 3, "passes": 1, "data": tmp_path / "store"}
    assert run(tmp_path / "out", **asked) == 0
    figures = json.loads((tmp_path / "out" / "result.json").read_text())["figures"]
    assert {f"{name}_motion_line" for name in ("hits", "lift", "chance", "recorded")} == set(figures)
    assert (
        figures["hits_motion_line"]["n"] == 2
        and 0.0 <= figures["hits_motion_line"]["value"] <= 1.0
        and (tmp_path / "out" / "films.png").is_file()
    )
    assert "6 films of 2 texts, 5 frames" in capsys.readouterr().out
    for changed, words in (
        ({"frames": 9}, "between 2 and 5"),
        ({"films": 1}, "from 2"),
        ({"guidance": "much"}, "guidance"),
        ({"data": tmp_path / "other"}, "no world that this checkpoint has captions of"),
    ):
        assert run(tmp_path / "bad", **{**asked, **changed}) == 2
        assert words in capsys.readouterr().err and not (tmp_path / "bad").exists()
