"""Films with little or nothing beside them: a speed for every frame, a GPS track on its own clock, no action at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from logs import brought_in, burnt, figures, picture, steering

from videosim.config import CheckConfig
from videosim.data import alignment
from videosim.data.formats import detect, read
from videosim.data.formats.pictures import Film
from videosim.errors import VideoSimError
from videosim.run import Console, Run
from videosim.video import write_film

COUNT = 40


def write_drive(path: Path, count: int = COUNT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_film(path, np.stack([picture(value) for value in steering(0, count)]), fps=20)


def test_the_speed_of_every_frame(tmp_path: Path) -> None:
    write_drive(tmp_path / "data" / "train.mp4")
    (tmp_path / "data" / "train.txt").write_text("\n".join(str(20.0 + 5.0 * v) for v in steering(0, COUNT)))
    assert detect(tmp_path / "data") == "comma_speed"
    store = brought_in(tmp_path / "data", tmp_path / "out")
    assert store.world.action.size == 0 and store.world.sensors.names == ("speed",)
    shown, speed = burnt(store.frames(0)), store.column("sensors", 0)[:, 0]
    assert np.abs(shown - (speed - 20.0) / 5.0).max() < 0.06
    asked = brought_in(tmp_path / "data", tmp_path / "asked", action="motion")
    assert asked.world.action.names == ("speed",)


def test_labels_for_another_number_of_frames_are_refused(tmp_path: Path) -> None:
    write_drive(tmp_path / "data" / "train.mp4")
    (tmp_path / "data" / "train.txt").write_text("1.0\n" * 50)
    with pytest.raises(VideoSimError, match=r"40 pictures and 50 rows of train\.txt do not belong together"):
        brought_in(tmp_path / "data", tmp_path / "out")
    (tmp_path / "data" / "train.txt").write_text("1.0\n" * 39)  # the recorder stopped between the two
    assert brought_in(tmp_path / "data", tmp_path / "out").frames_total == 39


def test_a_track_on_a_clock_of_its_own(tmp_path: Path) -> None:
    write_drive(tmp_path / "cam" / "dashcam.mp4", 80)
    rows = [f"{t:.2f},52.0,13.0,{10.0 + 2.0 * t}" for t in (0.0, 1.0, 2.0, 3.0)]
    (tmp_path / "cam" / "track.csv").write_text("\n".join(["time,latitude,longitude,speed", *rows]))
    assert detect(tmp_path / "cam") == "dashcam_gps"
    store = brought_in(tmp_path / "cam", tmp_path / "out")
    assert store.world.action.size == 0
    np.testing.assert_allclose(store.column("sensors", 0)[:61, 0], 10.0 + 0.1 * np.arange(61), rtol=1e-5)


def test_films_alone_have_no_action(tmp_path: Path) -> None:
    write_drive(tmp_path / "cam" / "a.mp4")
    write_drive(tmp_path / "cam" / "b.mp4", 20)
    (tmp_path / "cam" / "README.md").write_text("mine")
    assert detect(tmp_path / "cam") == "films"
    store = brought_in(tmp_path / "cam", tmp_path / "out")
    assert [n + 1 for n in store.lengths] == [COUNT, 20] and store.world.action.size == 0
    assert store.column("actions", 0).shape == (COUNT - 1, 0) == store.episode(0).actions.shape
    assert not store.column("action_valid", 1)[-1]
    cfg = CheckConfig(data=str(tmp_path / "out"))
    with Run("check", cfg, tmp_path / "check", Console(quiet=True)) as run:
        alignment.main(cfg, run)
    assert "accepted" not in run.figures
    shutil.copy(tmp_path / "cam" / "README.md", tmp_path / "cam" / "a.txt")  # may be its labels
    with pytest.raises(VideoSimError, match="no known format"):
        read(tmp_path / "cam")


def test_any_frame_of_a_film_is_found_in_any_order(tmp_path: Path) -> None:
    write_drive(tmp_path / "long.mp4", 400)
    film, truth = Film(tmp_path / "long.mp4"), steering(0, 400)
    for number in (0, 1, 1, 399, 5, 250, 251, 90, 200, 0):
        assert abs(burnt(film(number)[None])[0] - truth[number]) < 0.06
    with pytest.raises(VideoSimError, match="before its frame 400"):
        film(400)


def test_what_follows_damage_is_lost_up_to_the_next_key_frame(tmp_path: Path) -> None:
    """No frame may pass for its neighbour, nor for what a decoder made up."""
    rng, truth = np.random.default_rng(0), steering(0, 600)
    frames = np.stack([picture(value) for value in truth])
    frames[:, :24] = rng.integers(0, 256, (600, 24, 48, 3), np.uint8)  # many bytes a frame
    path = tmp_path / "cam" / "damaged.mp4"
    path.parent.mkdir()
    write_film(path, frames, fps=20)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = rng.bytes(3000)
    path.write_bytes(content)
    store = brought_in(tmp_path / "cam", tmp_path / "out", episode_frames=601)
    assert len(store) == 2
    assert figures(tmp_path / "out")["damaged_pictures"] == 600 - store.frames_total
    first, last = sorted((store.column("time", k)[0], k) for k in range(2))
    assert round(last[0] * 20) in Film(path)._keys
    for start, k in (first, last):
        shown = burnt(store.frames(k)[:, 26:])
        assert np.abs(shown - truth[round(start * 20) :][: len(shown)]).max() < 0.06
