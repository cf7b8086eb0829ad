"""The page of an audit: it holds every verdict and no bar of its own; films of a model mark the break where it is."""

from __future__ import annotations

import copy
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.audit_films import BRANCHES_SCALE, branch_film, break_film, by_break
from videosim.audit_page import page, words
from videosim.audit_tables import verdicts
from videosim.audits.audit import Bench
from videosim.audits.catalogue import SCENES
from videosim.audits.forks import first_fork
from videosim.audits.identity import draw_case, first_break
from videosim.audits.instrument import Instrument
from videosim.audits.ledger import join, load_claims
from videosim.audits.matrix import score
from videosim.audits.push_reader import PushReader
from videosim.audits.push_scene import ARENA_M
from videosim.audits.truth import Case, Moments, Truth
from videosim.audits.verdict import FAIL, INCONCLUSIVE, PASS, Result, load_bars
from videosim.audits.world import PhysicsWorld, film
from videosim.report import render
from videosim.video import EDGE, GAP, LABEL_HEIGHT, MAX_BYTES, RED, SCALE, mp4_bytes

BARS = load_bars("smoke")
COST = {"look": {"share": 0.5, "confidence": 0.99}, "seconds": 1.5}
WANTED = {"oracle": {"A1": PASS, "A3": PASS, "A6": PASS}, "lag": {"A1": PASS, "A3": FAIL}}


class SCENE:
    """Push, with a smaller matrix."""

    audits = SCENES["push"].audits
    expected = staticmethod(lambda: WANTED)


def report(said: dict[str, str], notes: dict[str, str] | None = None) -> dict[str, Any]:
    """Of a world, with the details that plots are drawn from."""
    frames, near = BARS.sizes["identity_frames"] + 1, BARS.sizes["intervention_frames"] + 1
    details: dict[str, Any] = {
        "A1": {
            "kinds": {"vanish": 3},
            "median_first_break": math.inf,
            "curve": [1.0] * frames,
            "curve_low": [0.8] * frames,
            "curve_high": [1.0] * frames,
        },
        "A3": {"cai4_by_frame": [0.25 + 0.75 * t / near for t in range(near)]},
        "A6": {"true_m": [[0.01 * i for i in range(15)]] * 2, "answers_m": [[0.02 * i for i in range(15)]] * 2},
        "A9": {"error_floors": [1.0 + i for i in range(8)]},
    }
    audits = {}
    for audit, verdict in {"A0": PASS, **said}.items():
        found = {"value": 0.123456, "low": 0.1, "high": None, "n": 6, "unit": "", "verdict": verdict}
        if verdict == INCONCLUSIVE:
            found["n_wanted"] = 4321
        metrics = {metric: dict(found) for metric in BARS.audits[audit]}
        audits[audit] = {"verdict": verdict, "metrics": metrics, "details": details.get(audit, {}), **COST}
    return {"audits": audits, "notes": notes or {}}


def measured(**changes: Any) -> dict[str, Any]:
    worlds = {
        "push": report({"A1": PASS, "A3": INCONCLUSIVE, "A9": FAIL}, {"A1": "not gated <through>: A3 failed"}),
        "oracle": report({"A1": PASS, "A3": PASS, "A6": PASS}),
        "lag": report({"A1": PASS, "A3": FAIL}),
    }
    run = {
        **{"command": "audit", "figures": {"cai4_h16": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 6, "unit": ""}}},
        **{
            "scene": "push",
            "size": "smoke",
            "bars_sha256": BARS.sha256,
            "scene_sha256": "of-the-scene",
            "weights": {"push": "w"},
        },
        **{"worlds": worlds, "differences": {}, "controls": ["oracle", "lag"], "controls_wrong": [], "graded": []},
    }
    return copy.deepcopy(run | changes)


def shown(run: dict[str, Any]) -> str:
    judged = score({name: verdicts(run["worlds"][name]) for name in run["controls"]}, WANTED)
    claims = [claim for claim in load_claims() if claim.model in run["weights"]]
    return render(page(run, SCENE, judged, BARS, join(claims, [run]), []))


def section(text: str, title: str) -> str:
    return text.split(f"<h2>{title}</h2>")[1].split("</section>")[0]


def cells(text: str, title: str) -> dict[str, list[str]]:
    """First cell of each row -> the others, as text without tags."""
    rows = re.findall(r"<tr>(.*?)</tr>", section(text, title).split("<tbody>")[1])
    found = [[re.sub(r"<[^>]*>", " ", cell).split() for cell in re.split(r"</t[hd]>", row)[:-1]] for row in rows]
    return {" ".join(first): [" ".join(cell) for cell in rest] for first, *rest in found}


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_holds_every_verdict_and_what_it_must_be() -> None:
    text = shown(measured())
    assert cells(text, "Verdicts") == {
        "push": ["PASS*", "INCONCLUSIVE", "–", "FAIL"],
        "oracle": ["PASS must PASS", "PASS must PASS", "PASS must PASS", "–"],
        "lag": ["PASS must PASS", "FAIL must FAIL", "–", "–"],
    }
    assert "odd" not in section(text, "Verdicts")
    assert (
        "push passes 1 of 3 audits, fails 1 and leaves 1 open" in text and "Of 5 verdicts on 2 controls 5 are" in text
    )
    assert "not gated &lt;through&gt;: A3 failed" in text
    assert cells(text, "What the audits of push took")["A3"] == ["50%", "99.00%", "1.5"]
    metrics = cells(text, "push, metric by metric")
    assert len(metrics) == sum(len(BARS.audits[audit]) for audit in ("A1", "A3", "A9"))
    assert cells(text, "Claims, and what was measured of them")["Everything in its picture stays itself."][2] == (
        "A1 survival ≥ 0.95"
    )
    assert metrics["A3 cai4"] == ["≥ 0.95, interval ≥ 0.6", "0.123", "0.1 to –", "6", "INCONCLUSIVE", "4,321"]


def test_a_wrong_control_is_outlined_and_voids_what_it_was_asked_about() -> None:
    run = measured(controls_wrong=[["lag", "A3", "FAIL", "PASS"]])
    run["worlds"]["lag"] = report({"A1": PASS, "A3": PASS})
    text = shown(run)
    table = section(text, "Verdicts")
    (odd,) = re.findall(r"<td class='said [a-z]+ odd'>.*?</td>", table)
    assert "PASS" in odd and "must FAIL" in odd
    assert "Of 5 verdicts on 2 controls 4 are" in text and "Void, for having erred about a control: A3." in text
    ledger = section(text, "Claims, and what was measured of them")
    assert "void" in ledger and "gave the control lag the wrong verdict" in ledger


def test_every_bar_on_the_page_is_of_the_bar_file() -> None:
    text = shown(measured())
    stated = {words(bar) for rows in BARS.audits.values() for bar in rows.values()}
    for title in ("push, metric by metric", "The instrument"):
        assert {row[0] for row in cells(text, title).values()} <= stated
    signs = re.findall(r"[≥≤] [\d.]+", re.sub(r"<style>.*</style>", "", text))
    assert set(signs) <= {sign for said in stated for sign in re.findall(r"[≥≤] [\d.]+", said)}
    numbers = {
        f"{end:g}" for rows in BARS.audits.values() for bar in rows.values() for end in (*bar.limits, *bar.bound)
    }
    assert {sign.split()[1] for sign in signs} <= numbers
    assert (
        words(BARS.audits["A3"]["cai4"]) == "≥ 0.95, interval ≥ 0.6"
        and words(BARS.audits["A6"]["slope"]) == "0.95 to 1.05"
    )


def test_the_page_fetches_nothing_and_draws_what_was_stored() -> None:
    text = shown(measured(graded=[{"control": "lag", "audit": "A3", "figure": "latency", "numbers": [0, 1, 2, 3, 4],
                                   "figures": [0.0, 1.0, 2.0, 3.0, 4.0], "spearman": 1.0}]))  # fmt: skip
    links = re.findall(r"\b(?:src|href|xlink:href|action|data)=\"([^\"]*)\"", text)
    assert all(link.startswith(("data:", "#")) for link in links) and "<script" not in text and "@import" not in text
    assert text.count("<svg") == 4 and cells(text, "How identities broke")["push"] == ["3", "after the end"]
    assert "chance" in text and "strength of the action" not in text  # which nobody but the oracle was asked
    run = measured()
    run["worlds"]["push"] = report({"A6": FAIL})
    assert "strength of the action" in shown(run) and "attenuated" not in section(shown(run), "Plots")


def test_what_was_not_run_leaves_no_empty_figure() -> None:
    run = measured(controls=[])
    run["worlds"] = {"push": report({"A7": FAIL})}
    text = shown(run)
    assert "<svg" not in text and "nothing shows that the audits could have found a fault" in text
    kept = measured()
    for world in kept["worlds"].values():  # of a version that stored less
        for result in world["audits"].values():
            result["details"] = {}
    assert "<svg" not in shown(kept)


# --- films -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_the_worst_breaks_first_and_the_best_last(first) -> None:
    picked = by_break(first)
    ends = [99 if frame is None else frame for frame in first]
    best, median, worst = (ends[picked[place]] for place in ("best", "median", "worst"))
    assert best == max(ends) and worst == min(ends) and median == sorted(ends, reverse=True)[len(ends) // 2]


def red_from(strip: np.ndarray, panel: int, width: int) -> list[bool]:
    """For each frame, whether there is red left of the ``panel``-th picture, and nowhere else between pictures."""
    left = GAP + panel * (width * SCALE + GAP)
    red = (strip[:, LABEL_HEIGHT + 5] == RED).all(-1)
    sides = {*range(left - EDGE, left), *range(left + width * SCALE, left + width * SCALE + EDGE)}
    marked = [set(np.flatnonzero(row)) for row in red]
    assert all(found in (set(), sides) for found in marked)
    return [bool(found) for found in marked]


@given(broke=st.one_of(st.none(), st.integers(0, 8)), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_the_red_frame_begins_at_the_break_and_hides_no_pixel(broke, seed) -> None:
    truth, dream = np.random.default_rng(seed).integers(0, 200, (2, 9, 16, 16, 3), dtype=np.uint8)
    strip = break_film(truth, truth, dream, broke)
    assert red_from(strip, 1, 16) == [broke is not None and t >= broke for t in range(9)]
    left = GAP + 16 * SCALE + GAP
    small = strip[:, LABEL_HEIGHT::SCALE, left::SCALE][:, :16, :16]
    np.testing.assert_array_equal(small, dream)


@pytest.fixture(scope="module")
def bench() -> Any:
    """The truth and a reader, without the audit of the instrument."""
    truth = Truth()
    reader = PushReader(truth.scattered.frames, truth.scattered.position, truth.scattered.share)
    yield Bench(truth, Instrument(reader, 0.0025 * ARENA_M, Result("A0", "truth", {})), BARS, 0)
    truth.close()


@pytest.fixture(scope="module")
def case(bench) -> Case:
    """One that shows the red ball all the time."""
    return next(c for c in (draw_case(bench, e) for e in range(20)) if (c.truth.share[:, 1] > 0.9).all())


@pytest.mark.parametrize("gone", [5, 11])
def test_a_film_is_marked_from_the_frame_at_which_a_known_world_breaks(bench, case, gone) -> None:
    """The red ball is taken away at frame ``gone``."""
    world = PhysicsWorld(f"control:vanish{gone}")
    seen = film(world, case.start, case.actions)
    world.close()
    broke = first_break(bench.reader.read(seen), case.truth.share, case.truth.position[0])
    strip = break_film(case.truth.frames, case.truth.frames, seen, broke.frame)
    assert red_from(strip, 1, 64) == [t >= gone for t in range(len(seen))]
    assert len(mp4_bytes(strip, 25)) <= MAX_BYTES


def test_branches_stand_below_their_truth_and_those_of_another_are_marked(bench) -> None:
    far = first_fork(bench)
    near = BARS.sizes["intervention_frames"]
    fork = replace(far, actions=far.actions[:, : near + 2], truths=[cut(truth, near + 3) for truth in far.truths])
    grids = {}
    for name in ("oracle", "blind"):
        world = PhysicsWorld(f"control:{name}")
        grids[name] = branch_film(bench.reader, world, fork, near)
        world.close()
    above, below = np.split(grids["oracle"], 2, axis=1)
    assert len(above) == near + 3
    np.testing.assert_array_equal(above[:, LABEL_HEIGHT:], below[:, LABEL_HEIGHT:])
    column = 64 * BRANCHES_SCALE + GAP
    first, second = (above[near, LABEL_HEIGHT:, GAP + i * column : GAP + (i + 1) * column] for i in range(2))
    assert (first[:, :-GAP] != second[:, :-GAP]).any()
    below = np.split(grids["blind"], 2, axis=1)[1]
    left = (below[:, LABEL_HEIGHT + 5, GAP - 1 :: column] == RED).all(-1)[:, :4]
    assert not left[:near].any() and (left[near:].sum(1) == 3).all()  # all alike: one truth is nearest to them all


def cut(truth: Moments, frames: int) -> Moments:
    return Moments(*(getattr(truth, name)[:frames] for name in Moments.__annotations__))
