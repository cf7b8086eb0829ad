"""Logs as they come: what is damaged is left out, counted and named, and nothing leads over it; a log that is damaged
as a whole is refused in one sentence and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logs import brought_in, burnt, figures, picture, steering
from PIL import Image

from videosim.data import converting
from videosim.data.formats.log import sampled, together
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError

COUNT = 60
MAPPING = "table: log.csv\npicture: {column: file}\ntime: {column: t}\nchannels: {steer: {column: wheel}}\n"


def write_log(folder: Path, count: int = COUNT, changed: dict[int, dict[str, Any]] | None = None) -> Path:
    """Pictures and a table; ``changed``: of a row, other texts of its columns."""
    folder.mkdir(parents=True)
    lines = ["file,t,wheel"]
    for n, value in enumerate(steering(0, count)):
        Image.fromarray(picture(float(value))).save(folder / f"{n}.png")
        row = {"file": f"{n}.png", "t": f"{n * 0.05:.3f}", "wheel": f"{value:.4f}"} | (changed or {}).get(n, {})
        lines.append(",".join(row.values()))
    (folder / "log.csv").write_text("\n".join(lines))
    (folder / "mine.yaml").write_text(MAPPING)
    return folder


def imported(folder: Path, out: Path, **settings: Any) -> EpisodeStore:
    return brought_in(folder, out, format=str(folder / "mine.yaml"), **settings)


def frames_of(store: EpisodeStore) -> list[int]:
    return [n + 1 for n in store.lengths]


def assert_aligned(store: EpisodeStore) -> None:
    for k in range(len(store)):
        shown, steer = burnt(store.frames(k))[:-1], store.column("actions", k)[:, 0]
        assert np.abs(shown - steer).max() < 0.006


def test_damaged_pictures_are_left_out_and_cut_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_log(tmp_path / "log")
    (log / "20.png").write_bytes(b"no")
    (log / "21.png").unlink()
    whole = (log / "40.png").read_bytes()
    (log / "40.png").write_bytes(whole[: len(whole) // 2])  # the disk was full
    store = imported(log, tmp_path / "out")
    assert sorted(frames_of(store)) == [18, 19, 20]
    assert_aligned(store)
    found = figures(tmp_path / "out")
    assert found["damaged_pictures"] == 3 and found["records_kept"] == COUNT - 3


def test_pictures_of_another_size_are_left_out(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    for n in (0, 30):
        Image.fromarray(picture(0.0, 64)).save(log / f"{n}.png")
    store = imported(log, tmp_path / "out")
    assert sorted(frames_of(store)) == [29, 29] and figures(tmp_path / "out")["damaged_pictures"] == 2
    assert_aligned(store)


@pytest.mark.parametrize("word", ["nan", "", "none", "inf"])
def test_a_value_that_is_none(word: str, tmp_path: Path) -> None:
    store = imported(write_log(tmp_path / "log", changed={25: {"wheel": word}}), tmp_path / "out")
    assert frames_of(store) == [25, 34] and figures(tmp_path / "out")["records_without_a_value"] == 1
    assert_aligned(store)


@pytest.mark.parametrize(
    ("changed", "lengths", "what"),
    [
        ({30: {"t": "1.450"}}, [30, 29], "times_that_do_not_rise"),  # as the one before
        ({n: {"t": f"{(n - 40) * 0.05:.3f}"} for n in range(30, 60)}, [30, 30], "times_that_do_not_rise"),
        ({n: {"t": f"{n * 0.05 + 5:.3f}"} for n in range(45, 60)}, [45, 15], "gaps_in_time"),
        ({30: {"t": "soon"}}, [30, 29], "times_that_do_not_rise"),
    ],
)
def test_times_that_go_back_stand_still_or_jump(
    changed: dict[int, dict[str, Any]], lengths: list[int], what: str, tmp_path: Path
) -> None:
    store = imported(write_log(tmp_path / "log", changed=changed), tmp_path / "out")
    assert frames_of(store) == lengths
    assert figures(tmp_path / "out")[what] >= 1
    assert_aligned(store)
    for k in range(2):
        assert (np.diff(store.column("time", k)) > 0).all()
    assert store.column("time", 0)[:2].tolist() == [0.0, 0.05]


def test_values_beyond_their_range_are_told(tmp_path: Path) -> None:
    imported(write_log(tmp_path / "log", changed={7: {"wheel": "40"}}), tmp_path / "out")
    assert figures(tmp_path / "out")["values_of_steer_clipped"] == 1


def test_runs_that_are_too_short_are_counted(tmp_path: Path) -> None:
    changed = {n: {"wheel": ""} for n in (5, 10, 40)}
    store = imported(write_log(tmp_path / "log", changed=changed), tmp_path / "out", shortest=10)
    assert frames_of(store) == [29, 19]
    assert figures(tmp_path / "out")["records_in_runs_that_are_too_short"] == 9


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            lambda log: [path.write_bytes(b"no") for path in log.glob("*.png")],
            r"no 2 pictures in a row are sound .*0\.png",
        ),
        (lambda log: [path.unlink() for path in log.glob("*.png")], r"no 2 pictures in a row.*0\.png is missing"),
        (lambda log: (log / "log.csv").write_text("file,t\n"), "no column 'wheel'|no two consecutive"),
        (lambda log: (log / "log.csv").write_text("file,t,wheel\n0.png,0,0\n"), "no two consecutive records"),
        (lambda log: (log / "log.csv").write_text("file,wheel\n0.png,0\n1.png,0\n"), "no column 't'"),
        (lambda log: (log / "log.csv").write_bytes(b"\xff\xfe\x00"), "no readable table"),
        (lambda log: (log / "log.csv").unlink(), "no readable table"),
        (
            lambda log: (log / "log.csv").write_text("file,t,wheel\n" + "".join(f"{n}.png,{n},\n" for n in range(9))),
            "holds no 2 records without a gap or a cut .records without a value: 9 .first: record 0 of log, steer",
        ),
    ],
)
def test_a_log_that_is_damaged_as_a_whole_leaves_nothing(damage: Any, sentence: str, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    damage(log)
    with pytest.raises(VideoSimError, match=sentence):
        imported(log, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- several processes -----------------------------------------------------------------------------------------------


def test_several_processes_make_the_store_that_one_makes(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    (log / "30.png").write_bytes(b"no")
    one = imported(log, tmp_path / "one", episode_frames=12, workers=1)
    three = imported(log, tmp_path / "three", episode_frames=12, workers=3)
    assert one.seeds == three.seeds and one.lengths == three.lengths
    for k in range(len(one)):
        np.testing.assert_array_equal(one.frames(k), three.frames(k))
        np.testing.assert_array_equal(one.column("actions", k), three.column("actions", k))
    assert figures(tmp_path / "three")["damaged_pictures"] == 1


def test_an_interrupted_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write_log(tmp_path / "log")
    whole = imported(log, tmp_path / "whole", episode_frames=12)
    made = converting._convert

    def stops(recording: Any, piece: Any, *rest: Any) -> Any:
        if piece.records[0] > 30:
            raise KeyboardInterrupt
        return made(recording, piece, *rest)

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(converting, "_convert", stops)
        imported(log, tmp_path / "out", episode_frames=12)
    assert 0 < len(EpisodeStore.open(tmp_path / "out")) < len(whole)
    again = imported(log, tmp_path / "out", episode_frames=12)
    assert again.seeds == whole.seeds
    again.verify()
    assert figures(tmp_path / "out")["records_kept"] == COUNT


def test_a_film_stays_with_one_process(tmp_path: Path) -> None:
    recordings = [type("R", (), {"film": film})() for film in ("a", "b", "", "a")]
    pieces = [converting.Piece(n, np.arange(10), (0, 10)) for n in (0, 0, 1, 1, 2, 2, 3)]
    hands = converting._dealt(recordings, pieces, 2)  # type: ignore[arg-type]
    holders = [{recordings[piece.recording].film for piece in hand} - {""} for hand in hands]
    assert holders[0].isdisjoint(holders[1]) and sorted(map(len, hands)) == [3, 4]


# --- values on another clock -----------------------------------------------------------------------------------------


def test_a_sample_counts_only_near_its_time() -> None:
    clock, values = np.array([0.0, 1.0, 1.1, 5.0]), np.array([0.0, 10.0, np.nan, 50.0])
    found = sampled(np.array([-0.6, -0.4, 0.5, 1.4, 3.0, 5.2]), clock, values, 0.5)
    np.testing.assert_allclose(found, [np.nan, 0.0, 5.0, np.nan, np.nan, 50.0])
    shuffled = sampled(np.array([0.5]), clock[::-1], values[::-1], 0.5)
    assert shuffled == 5.0
    assert np.isnan(sampled(np.zeros(3), np.zeros(0), np.zeros(0))).all()


def test_lengths_that_differ_by_a_record_or_by_many() -> None:
    assert together(100, {"poses": 100, "times": 100}) == (100, [])
    shared, notes = together(100, {"poses": 99, "times": 101})
    assert shared == 99 and len(notes) == 2 and "the first 99 are used" in notes[0]
    with pytest.raises(VideoSimError, match="100 pictures and 90 rows of poses and 101 rows of times do not"):
        together(100, {"poses": 90, "times": 101})


def test_an_import_of_damaged_pictures_adds_nothing_the_second_time(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    for n in (0, 30, 33):
        (log / f"{n}.png").unlink()
    first = imported(log, tmp_path / "out", episode_frames=20, shortest=5)
    assert imported(log, tmp_path / "out", episode_frames=20, shortest=5).seeds == first.seeds
