"""The report is one file that fetches nothing, shows every figure, survives odd text, and fits a telephone."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import av
import matplotlib
import numpy as np
import pytest
from PIL import Image

from videosim.errors import VideoSimError
from videosim.plots import svg
from videosim.report import Report, Table, render, verdict, write_report
from videosim.video import Film, comparison, difference, gif_bytes, mp4_bytes, side_by_side, webp_bytes, write_film

STEPS = 40


def films() -> tuple[np.ndarray, np.ndarray]:
    physics = np.full((STEPS, 32, 32, 3), (40, 60, 90), np.uint8)
    dream = physics.copy()
    for t in range(STEPS):
        physics[t, 12:18, t % 26 : t % 26 + 6] = (240, 180, 60)
        dream[t, 12:18, int(t * 0.9) % 26 : int(t * 0.9) % 26 + 6] = (240, 180, 60)
    return physics, dream


def lines(title: str = "State error") -> dict:
    x = np.arange(STEPS)
    series = [
        {"name": "dream", "y": 0.3 * x, "low": 0.1 * x, "high": 0.5 * x},
        {"name": "copy last", "y": [None, *x[1:]], "low": x * 0.8, "high": x * 1.3},
    ]
    limit = [{"y": 10.0, "label": "10% of range"}]
    return {"title": title, "x_label": "steps", "y_label": "% of range", "x": x, "series": series, "lines": limit}


def example() -> Report:
    figures = {
        "return_ratio": {"value": 0.94, "low": 0.91, "high": 0.97, "n": 50, "unit": ""},
        "open_loop_horizon_frames": {
            "value": 39,
            "low": 30,
            "high": None,
            "n": 12,
            "unit": "frames",
            "flag": "lower bound",
        },
        "return_physics": {"value": 812.4, "low": 700.0, "high": 850.0, "n": 150, "unit": "return"},
        "physics_frames": {"value": 123456, "low": None, "high": None, "n": None, "unit": "frames"},
        "odd": {"value": float("nan"), "low": None, "high": None, "n": None, "unit": "<b>"},
    }
    rows = [
        {"name": "imagination", "value": 760.0, "low": 700.0, "high": 800.0},
        {"name": "physics", "value": 812.4, "low": 780.0, "high": 850.0},
        {"name": "random", "value": 30.0, "low": 20.0, "high": 45.0},
    ]
    physics, dream = films()
    mp4 = mp4_bytes(comparison(physics, dream), 25)
    return Report(
        "Cartpole <swing-up> & back",
        {"command": "gap", "figures": figures, "config": {"world": "cartpole"}, "seeds": [0, 1, 2]},
        "A policy trained only in the learned simulator, tried in MuJoCo.",
        bars={"return_ratio": 0.9, "open_loop_horizon_frames": 50, "return_physics": 800},
        films=[Film("Best by score", mp4, "physics | dream | difference"), Film("Worst by score", mp4)],
        plots=[lines(), {"title": "Return in physics", "x_label": "return of 1000", "rows": rows}],
        tables=[
            Table("Arms", ["arm", "IQM", "upright"], [["imagination", 760.0, "91 %"], ["random", 30.0, None]], "n = 50")
        ],
    )


class Seen(HTMLParser):
    """Collects every tag with its attributes, and whether open and close tags match."""

    VOID = frozenset({"meta", "link", "br", "img", "use", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"


def test_the_page_is_whole_and_fetches_nothing() -> None:
    page = render(example())
    seen = Seen()
    seen.feed(page)
    assert not seen.open
    for tag, attributes in seen.tags:
        assert tag != "script"
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("data:", "#")), f"{tag} fetches {value[:60]}"
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    videos = [attributes for tag, attributes in seen.tags if tag == "video"]
    assert len(videos) == 2
    assert all({"controls", "loop", "muted", "autoplay", "playsinline"} <= set(v) for v in videos)
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_figure_is_shown_and_text_is_escaped() -> None:
    page = render(example())
    for text in (
        "return_ratio",
        "0.94",
        "0.91 to 0.97",
        "123,456",
        "lower bound",
        "812.4",
        "30 or more",
        "PASS",
        "INCONCLUSIVE",
    ):
        assert text in page, text
    assert "<swing-up>" not in page and "&lt;swing-up&gt; &amp; back" in page
    assert "<b></td>" not in page and "nan" not in page.lower().split("</style>")[1].split("base64")[0]


def body(page: str) -> str:
    return page.split("</style>", 1)[1]


def test_what_few_look_up_is_folded_and_the_rest_is_not() -> None:
    report = example()
    assert "<details><summary>1 more" not in render(report) and "2 rows" not in render(report)
    report.plots = [lines("Kept open"), lines("Folded") | {"folded": True}]
    report.tables = [Table("Long", ["a"], [["x"], ["y"]], folded=True)]
    page = body(render(report))
    fold = page.index("<details><summary>1 more")
    assert page.index("Kept open") < fold < page.index("<b>Folded")
    assert re.search(r"<details><summary>2 rows</summary><div class=scroll><table>.*?x.*?y", page)
    assert page.count("<svg") == 2


def test_shares_are_in_per_cent_and_nothing_is_headed_that_is_not_there() -> None:
    upright = {"value": 0.984, "low": 0.95, "high": 1.0, "n": 5, "unit": "fraction"}
    tables = [Table("Lines", ("",), [["only a line"]], "See `videosim gap`.")]
    report = Report("Shares", {"figures": {"upright": upright}}, bars={"upright": 0.9}, tables=tables)
    page = body(render(report))
    assert "98.4 %" in page and "95 % to 100 %" in page and "bar 90 %" in page and "fraction" not in page
    assert "<thead>" not in page.split("Lines</h2>")[1].split("</section>")[0]
    assert "See <code>videosim gap</code>." in page and ">bar</th>" in page
    report.bars = {}
    assert ">bar</th>" not in body(render(report))


def test_dots_of_a_group_share_a_colour() -> None:
    rows = [{"name": name, "group": name[0], "value": 1.0} for name in ("a", "a1", "b", "b1")]
    drawn = svg({"x_label": "", "rows": rows}, "k")
    assert {i for i in range(6) if f"var(--series-{i})" in drawn} == {0, 1}


def test_verdict_is_about_the_interval_not_the_value() -> None:
    def of(value: float | None, low: float | None, high: float | None) -> str:
        return verdict({"value": value, "low": low, "high": high}, 0.9)

    assert of(0.95, 0.91, 0.99) == "PASS"
    assert of(0.95, 0.85, 0.99) == "INCONCLUSIVE"
    assert of(0.80, 0.70, 0.89) == "FAIL"
    assert of(0.85, 0.80, None) == "INCONCLUSIVE"  # a censored interval is open above
    assert of(0.95, None, None) == "PASS" and of(0.85, None, None) == "FAIL" and of(None, None, None) == "FAIL"


def test_plots_take_the_pages_colours_and_leave_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    first, second = svg(lines(), "a"), svg(lines(), "a")
    assert dict(matplotlib.rcParams) == before
    assert first == second  # same input, same file
    assert "var(--ink)" in first and "var(--series-1)" in first and "#0303" not in first and "#0101" not in first
    assert "<text" in first and "viewBox" in first and "10% of range" in first
    with pytest.raises(VideoSimError, match="series"):
        svg({"title": "nothing"}, "a")


def test_bad_reports_are_named() -> None:
    report = example()
    report.films = [Film("huge", b"x" * 2_000_001)]
    with pytest.raises(VideoSimError, match="fewer frames"):
        render(report)
    report = example()
    report.headline = ["no_such"]
    with pytest.raises(VideoSimError, match="no_such"):
        render(report)


def test_a_report_of_nothing_but_figures_is_a_page(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", Report("Bare", {"figures": {"a": {"value": 1}}}))
    text = (tmp_path / "report.html").read_text()
    assert "<h2>Films" not in text and "Bare" in text and [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_strips_show_whole_pixels_in_order() -> None:
    physics, dream = films()
    strip = side_by_side({"physics": physics, "dream": dream}, [f"{t}" for t in range(STEPS)], scale=4)
    assert strip.shape[0] == STEPS and strip.shape[1] % 2 == strip.shape[2] % 2 == 0
    small = strip[:, 26 : 26 + 128 : 4, 8 : 8 + 128 : 4]
    assert np.array_equal(small, physics)
    assert np.array_equal(strip[:, 26 : 26 + 128 : 4, 144 : 144 + 128 : 4], dream)
    assert not np.array_equal(strip[0, :26], strip[1, :26])  # captions change
    assert (difference(physics, physics) == 0).all() and difference(physics, dream).max() > 100


def test_films_can_be_read_back(tmp_path: Path) -> None:
    strip = comparison(*films())
    write_film(tmp_path / "a.mp4", strip, 25)
    write_film(tmp_path / "a.gif", strip, 25)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264" and stream.average_rate == 25
    assert len(frames) == STEPS and frames[0].shape == strip.shape[1:]
    assert np.abs(frames[7].astype(int) - strip[7]).mean() < 4
    webp = Image.open(io.BytesIO(webp_bytes(strip, 25)))
    webp.load()
    assert webp.n_frames == STEPS and webp.info["duration"] == 40 and webp.info["loop"] == 0
    gif = Image.open(io.BytesIO(gif_bytes(strip, 25)))
    assert gif.n_frames == STEPS and gif.info["duration"] == 40 and gif.info["loop"] == 0


def test_films_keep_to_their_size_and_refuse_bad_input(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    large = mp4_bytes(noise, 25)
    assert len(mp4_bytes(noise, 25, max_bytes=len(large) - 1)) < len(large)
    with pytest.raises(VideoSimError, match="fewer frames"):
        mp4_bytes(noise, 25, max_bytes=500)
    with pytest.raises(VideoSimError, match="even"):
        mp4_bytes(noise[:, :63], 25)
    with pytest.raises(VideoSimError, match=r"use \.mp4, \.gif, \.webp"):
        write_film(tmp_path / "a.avi", noise, 25)
    with pytest.raises(VideoSimError, match="one length"):
        side_by_side({"a": noise, "b": noise[:3]})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the chromium browser")
def test_a_browser_shows_the_page_without_complaint(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, example())
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [
        "--enable-logging=stderr",
        "--window-size=1280,900",
        f"--screenshot={tmp_path / 'page.png'}",
        f"file://{page}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "CONSOLE" not in done.stderr
    picture = np.asarray(Image.open(tmp_path / "page.png").convert("L"))
    assert picture.std() > 5  # something is on it
