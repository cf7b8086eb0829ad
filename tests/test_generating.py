"""`videosim generate`: what it reads, what it writes, and what it refuses without leaving anything behind."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_tiny_model, tiny_spec
from PIL import Image
from test_generate import ACTIONS, FRAMES, MASK, SPEC, model_of

from videosim import cli, generating
from videosim.checkpoint import save_checkpoint
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.footage import Footage, read, read_mask, rectangle
from videosim.metrics import psnr
from videosim.sheet import BAR, GAP, KNOWN, MADE, NUMBER, contact_sheet
from videosim.types import Episode, FrameSpec
from videosim.video import write_film

Place = dict[str, Path]
SMOOTH = np.stack([np.full((48, 48, 3), 40 + 10 * t, np.uint8) for t in range(14)])  # kind to codecs


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Checkpoints of two kinds, and footage of every kind; not to be written to."""
    root = tmp_path_factory.mktemp("generate")
    for kind in ("flow", "recurrent"):
        save_checkpoint(root / kind, model_of(kind), {}, bits=32)
    nothing = np.zeros((13, 0))
    store = EpisodeStore.create(root / "store", SPEC)
    sensors, physics = np.zeros((14, 3), np.float32), np.zeros((14, 0))
    store.append(Episode(FRAMES, ACTIONS, nothing.sum(1).astype(np.float32), sensors, physics, np.zeros(13, bool)))
    EpisodeStore.create(root / "empty", SPEC)
    write_film(root / "film.mp4", SMOOTH.repeat(2, 1).repeat(3, 2), 20)
    write_film(root / "film.gif", SMOOTH, 20)
    write_film(root / "film.webp", SMOOTH, 20)
    Image.fromarray(FRAMES[3]).save(root / "picture.png")
    Image.fromarray(FRAMES[3]).convert("RGBA").save(root / "channels.png")
    Image.fromarray(MASK).save(root / "mask.png")
    Image.fromarray(MASK[:40]).save(root / "small.png")
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(root / "black.png")
    (root / "nothing.mp4").write_bytes(b"")
    (root / "nothing.png").write_bytes(b"")
    (root / "text.mp4").write_text("no film\n" * 100)
    (root / "cut.mp4").write_bytes((root / "film.mp4").read_bytes()[:200])
    (root / "cut.png").write_bytes((root / "picture.png").read_bytes()[:60])
    return {path.name: path for path in root.iterdir()} | {"root": root}


def run(out: Path, **settings: Any) -> int:
    words = [f"{key}={value}" for key, value in settings.items()]
    try:
        cli.main(["generate", *words, f"out={out}"])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def result(out: Path) -> dict[str, Any]:
    return json.loads((out / "result.json").read_text())


# --- what is written -------------------------------------------------------------------------------------------------


def test_a_film_a_gif_and_a_sheet(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = {"checkpoint": place["flow"], "source": place["store"], "frames": 9, "known": 3, "seed": 5, "passes": 2}
    assert run(out, verb="extend-backward", t=8, actions="recorded", **asked) == 0
    assert sorted(path.name for path in out.iterdir()) == ["clip.gif", "clip.mp4", "result.json", "sheet.png"]
    found = result(out)
    assert found["seeds"] == [5] and found["config"]["crop"] == [0.0, 0.0, 1.0, 1.0]
    figures = {name: figure["value"] for name, figure in found["figures"].items()}
    assert (figures["frames"], figures["frames_known"], figures["known_pixels_changed"]) == (9, 3, 0)
    held = psnr(np.repeat(FRAMES[8:9], 6, 0), FRAMES[2:8]).mean()  # frames 2 to 10, of which the last 3 are known
    assert figures["psnr_held"] == pytest.approx(held) and {"psnr_made", "psnr_codec"} <= set(figures)

    with Image.open(out / "sheet.png") as page:
        sheet = np.asarray(page)
    left = sheet.shape[1] - 8 * (96 + GAP)
    for t in range(6, 9):  # without loss, twice as large: 8 in a row, each above what was recorded
        row, column = divmod(t, 8)
        top = row * (sheet.shape[0] - GAP) // 2 + NUMBER
        shown = sheet[top : top + 96, left + column * (96 + GAP) :][:, :96]
        assert np.array_equal(shown[::2, ::2], FRAMES[t + 2]) and tuple(sheet[top + 96, left]) == (MADE, KNOWN)[row]
    for name in ("clip.mp4", "clip.gif"):
        film = read(out / name, SPEC.frame)
        assert len(film) == 9 and film.size == (240, 240)
        assert psnr(film.frames(6, 3), FRAMES[8:11]).min() > 24.0  # within what these formats lose
    first = (out / "clip.mp4").read_bytes(), (out / "sheet.png").read_bytes()
    assert run(out, verb="extend-backward", t=8, actions="recorded", **asked) == 0
    assert first == ((out / "clip.mp4").read_bytes(), (out / "sheet.png").read_bytes())


@pytest.mark.parametrize("source", ["film.mp4", "film.gif", "film.webp", "picture.png", "store"])
def test_footage_of_every_kind(place: Place, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(out, checkpoint=place["recurrent"], source=place[source], frames=4) == 0
    assert ("20 frames/s and this model makes 25" in capsys.readouterr().out) == (source == "film.mp4")
    assert result(out)["figures"]["frames"]["value"] == 4
    footage = read(place[source], SPEC.frame, action=SPEC.action)
    assert len(footage) == (1 if source == "picture.png" else 14)
    assert (footage.actions is not None) == (source == "store")
    if source.startswith("film"):
        assert psnr(footage.frames(0, 14), SMOOTH).min() > 35.0
    else:
        assert np.array_equal(footage.frames(0, 1)[0], FRAMES[0 if source == "store" else 3])


@pytest.mark.parametrize("where", [{"region": "[0.25,0.4,0.5,0.6]"}, {"mask": "mask.png"}])
def test_a_region_by_numbers_or_by_a_picture(place: Place, where: dict[str, str], tmp_path: Path) -> None:
    where = {key: str(place.get(value, value)) for key, value in where.items()}
    asked = {"checkpoint": place["flow"], "source": place["store"], "frames": 5, "passes": 1}
    assert run(tmp_path, verb="inpaint", **asked, **where) == 0
    assert result(tmp_path)["figures"]["frames_known"]["value"] == 0
    with Image.open(tmp_path / "sheet.png") as page:  # the film, and below it the source
        sheet = np.asarray(page)
    shown = sheet[NUMBER : NUMBER + 96, -5 * (96 + GAP) :][:, :96][::2, ::2]
    below = sheet[NUMBER + 96 + GAP + BAR :][:96, -5 * (96 + GAP) :][:, :96][::2, ::2]
    assert np.array_equal(below, FRAMES[0])
    changed = (shown != below).any(-1)
    assert changed.any() and not changed[:, :19].any() and not changed[24:].any(0)[30:].any()


def test_a_picture_out_of_nothing(place: Place, tmp_path: Path) -> None:
    assert run(tmp_path, verb="image", checkpoint=place["flow"], passes=2) == 0
    film = read(tmp_path / "clip.mp4", SPEC.frame)
    assert len(film) == 1 and film.size == (240, 240) and result(tmp_path)["figures"]["frames"]["value"] == 1


@pytest.mark.parametrize("size", [(8, 8), (64, 48), (270, 301), (1, 257)])
def test_films_have_even_sides(size: tuple[int, int]) -> None:
    shown = generating._enlarged(np.full((2, *size, 3), 7, np.uint8))
    assert shown.shape[1] % 2 == shown.shape[2] % 2 == 0 and (shown == 7).all() and max(shown.shape) > 192


def test_a_mask_covers_all_that_it_touches(place: Place) -> None:
    source = Footage.of(FRAMES, SPEC.frame)
    assert np.array_equal(read_mask(place["mask.png"], source, SPEC.frame), MASK)
    coarse = Footage.of(FRAMES, FrameSpec(8, 8))
    touched = MASK.reshape(8, 6, 8, 6).any((1, 3))
    assert np.array_equal(read_mask(place["mask.png"], coarse, FrameSpec(8, 8)), touched)
    assert np.array_equal(rectangle([10 / 48, 20 / 48, 30 / 48, 25 / 48], FrameSpec(8, 8)), touched)
    assert np.array_equal(rectangle([10 / 48, 20 / 48, 30 / 48, 25 / 48], SPEC.frame), MASK)


def test_a_long_film_still_fits_its_sheet() -> None:
    long = np.zeros((500, 8, 8, 3), np.uint8)
    long[-1] = 255
    page = contact_sheet({"made": long}, np.zeros(500))
    assert page.shape[1] < 1500 and (page == 255).all(-1).sum() >= 128 * 128  # the last is there


# --- what is refused -------------------------------------------------------------------------------------------------

BAD = [
    ({"verb": "dance"}, "verb is one of"),
    ({"verb": "text-to-video"}, "not trained for text"),
    ({"verb": "loop"}, "recurrent core"),
    ({"source": "nothing.mp4"}, "no video"),
    ({"source": "nothing.png"}, "no picture"),
    ({"source": "text.mp4"}, "no video"),
    ({"source": "cut.mp4"}, "no video"),
    ({"source": "cut.png"}, "damaged"),
    ({"source": "missing.mp4"}, "no video"),
    ({"source": "channels.png"}, "channels RGBA"),
    ({"source": "root"}, "store"),
    ({"source": "empty"}, "0 episodes"),
    ({"episode": 3}, "1 episodes"),
    ({"source": ""}, "needs source="),
    ({"crop": "[0,0,1]"}, "crop"),
    ({"frames": 0}, "1 to 1000"),
    ({"frames": 1}, "frames=2"),
    ({"t": 99}, "no frame 99"),
    ({"t": "late"}, "t is a whole number"),
    ({"passes": 0}, "passes"),
    ({"seed": -1}, "seed"),
    ({"actions": "left"}, "goes left"),
    ({"actions": "recorded", "frames": 30}, "no recorded actions"),
    ({"checkpoint": "flow", "verb": "loop"}, "joint"),
]
REGION = [
    ({}, "needs region="),
    ({"mask": "small.png"}, "48 by 40.*48 by 48"),
    ({"mask": "black.png"}, "marks nothing"),
    ({"mask": "nothing.png"}, "no picture"),
    ({"mask": "mask.png", "region": "[0,0,1,1]"}, "not both"),
    ({"region": "[0,0,0,1]"}, "region"),
    ({"region": "[1]"}, "region"),
]


@pytest.mark.parametrize(
    ("changed", "words"),
    [*BAD, *(({"verb": "inpaint", "checkpoint": "flow", "frames": 5, **c}, words) for c, words in REGION)],
)
def test_bad_input_leaves_nothing(
    place: Place, changed: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"checkpoint": "recurrent", "source": "store", "frames": 6, **changed}
    for key in ("checkpoint", "source", "mask"):
        if asked.get(key):
            asked[key] = place.get(str(asked[key]), place["root"] / str(asked[key]))
    if words == "joint":
        asked["checkpoint"] = tmp_path / "model"
        save_checkpoint(asked["checkpoint"], make_tiny_model(kind="flow"), {})
    assert run(tmp_path / "out", **asked) == 2
    error = capsys.readouterr().err
    assert error.startswith("videosim: ") and error.count("\n") == 1
    assert re.search(words, error), error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_full_disk_leaves_nothing_or_what_was_there(
    place: Place, writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"checkpoint": place["recurrent"], "source": place["store"], "frames": 3}
    assert run(tmp_path / "old", **asked) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    left = [writes]

    def full(_: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "full")

    for name in ("old", "new"):
        left[0] = writes
        with monkeypatch.context() as patch:
            patch.setattr(generating.os, "fsync", full)
            assert run(tmp_path / name, **{**asked, "t": 5}) == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before
    assert not (tmp_path / "new").exists()


def test_actions_of_another_world_are_not_taken(place: Place) -> None:
    other = tiny_spec(force=2.0)
    footage = read(place["store"], other.frame, action=other.action)
    assert footage.actions is None and footage.acted(0, 3) is None
    known = read(place["store"], SPEC.frame, action=SPEC.action)
    assert np.array_equal(known.acted(2, 5), ACTIONS[2:7])  # type: ignore[arg-type]
    assert known.acted(-1, 5) is None and known.acted(9, 5) is None and known.acted(8, 5) is not None


def test_a_film_that_ends_early(place: Place) -> None:
    with pytest.raises(VideoSimError, match="14 frames, and 10"):
        read(place["film.mp4"], SPEC.frame).frames(5, 10)
