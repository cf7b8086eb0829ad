"""Every audit says of every control what the specification's matrix says: the audit of the audits, at small size."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from videosim.audits import exam as exam_module
from videosim.audits import identity
from videosim.audits.exam import Exam
from videosim.audits.matrix import examine_control, expected, score
from videosim.audits.verdict import FAIL, INCONCLUSIVE, PASS
from videosim.audits.world import DreamWorld, PhysicsWorld
from videosim.errors import VideoSimError


@pytest.fixture(scope="module")
def exam():
    made = Exam("smoke")
    yield made
    made.close()


@pytest.fixture(scope="module")
def report(exam):
    """A control's report; each is examined once."""
    return cache(lambda control: examine_control(exam, control))


@pytest.mark.parametrize("control", expected())
def test_every_control_gets_its_verdict(report, control):
    assert score({control: report(control).verdicts}, expected()).wrong == []


@pytest.mark.parametrize("control", ["swap", "vanish", "duplicate", "recolour"])
def test_a_break_is_found_at_its_frame(report, control):
    details = report(control).results["A1"].details
    assert abs(details["median_first_break"] - 20) <= 1
    assert max(details["kinds"], key=details["kinds"].get) == {"recolour": "vanish"}.get(control, control)


def test_who_fails_and_by_which_metric(report):
    """Lag by the latency, attenuation by the ratio, a frozen world by the motion gate; and what is said about it."""
    names = ("lag", "attenuated", "freeze")
    failed = {name: {a: set(result.failed) for a, result in report(name).results.items()} for name in names}
    assert "latency_frames" in failed["lag"]["A3"] and not {"cai4", "effect_ratio"} & failed["lag"]["A3"]
    assert failed["attenuated"]["A3"] == {"effect_ratio"} and failed["freeze"]["A1"] == {"motion_ratio"}
    assert report("attenuated").notes == {name: "not gated through: A3 failed" for name in ("A1", "A4")}
    assert report("freeze").notes == {"A1": identity.UNMOVED}


def test_an_untrained_model_fails_and_its_report_is_json(exam, make_model):
    world = DreamWorld(make_model(spec=exam.spec))
    report = exam.examine(world, ["A1", "A3"])
    world.close()
    assert report.results["A0"].verdict == PASS and report.results["A3"].verdict == FAIL
    assert report.results["A1"].verdict in (FAIL, INCONCLUSIVE)
    written = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert len(written["bars_sha256"]) == 64 and written["audits"]["A3"]["metrics"]["cai4"]["verdict"] == FAIL


def test_worlds_of_other_scenes_and_unknown_audits_are_refused(exam, make_model):
    with pytest.raises(VideoSimError, match="not a world of the push scene: its frame"):
        exam.examine(DreamWorld(make_model()))
    with pytest.raises(VideoSimError, match="no audit 'A99'"):
        exam.examine(DreamWorld(make_model(spec=exam.spec)), ["A99"])


def test_a_failing_instrument_blocks_everything(exam, monkeypatch):
    passed = exam.instrument
    finding = replace(passed.result.findings["miss_rate"], verdict=FAIL)
    failed = replace(passed, result=replace(passed.result, findings={"miss_rate": finding}))
    monkeypatch.setattr(exam_module, "audit_instrument", lambda *_: failed)
    with pytest.raises(VideoSimError, match=r"does not pass A0 \(FAIL: miss_rate"):
        Exam("smoke")


@pytest.mark.slow
def test_severity_is_ranked(exam):
    """Five strengths of the actions, five frames of a vanishing: effect ratio and first break follow them."""
    ratios, breaks = [], []
    for factor, t0 in zip((0.9, 0.7, 0.5, 0.3, 0.1), (20, 16, 12, 8, 4), strict=True):
        weak, gone = (PhysicsWorld(f"control:{name}") for name in (f"attenuated{factor}", f"vanish{t0}"))
        ratios.append(exam.examine(weak, ["A3"]).results["A3"].findings["effect_ratio"].estimate.value)
        breaks.append(exam.examine(gone, ["A1"]).results["A1"].details["median_first_break"])
        weak.close(), gone.close()
    assert (np.diff(ratios) < 0).all() and (np.diff(breaks) < 0).all()
