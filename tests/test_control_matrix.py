"""Every audit says of every control what the specification's matrix says: the audit of the audits, at small size."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from videosim.audits import identity
from videosim.audits.catalogue import SCENES
from videosim.audits.exam import Exam
from videosim.audits.matrix import score
from videosim.audits.severity import LADDERS, RANKED, climb
from videosim.audits.verdict import FAIL, INCONCLUSIVE, PASS
from videosim.audits.world import DreamWorld, PhysicsWorld
from videosim.errors import VideoSimError

PUSH = SCENES["push"]


@pytest.fixture(scope="module")
def scene():
    return PUSH


@pytest.mark.parametrize("control", PUSH.expected())
def test_every_control_gets_its_verdict(report, control):
    assert score({control: report(control).verdicts}, PUSH.expected()).wrong == []


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
    assert report("attenuated").notes == {name: "not gated through: A3 failed" for name in ("A1", "A4", "A5")}
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


def test_a_failing_instrument_blocks_everything(exam):
    passed = exam.instrument
    finding = replace(passed.result.findings["miss_rate"], verdict=FAIL)
    failed = replace(passed, result=replace(passed.result, findings={"miss_rate": finding}))
    truth = SimpleNamespace(spec=exam.spec, close=lambda: closed.append(True))
    closed: list[bool] = []
    with pytest.raises(VideoSimError, match=r"does not pass A0 \(FAIL: miss_rate"):
        Exam(replace(PUSH, prepare=lambda *_: (truth, failed)), "smoke")
    assert closed


def result(exam, control, audit):
    world = PhysicsWorld(f"control:{control}")
    found = exam.examine(world, [audit]).results[audit]
    world.close()
    return found


def test_a_world_forgets_exactly_what_was_hidden_for_longer_than_it_remembers(exam):
    details = result(exam, "context_limited20", "A2").details
    assert details["correct"] == [frames <= 20 for frames in details["hidden_frames"]]
    assert 0 < sum(details["correct"]) < len(details["correct"])


def test_a_late_swap_passes_up_to_the_middle_and_fails_at_the_end(exam):
    findings = result(exam, "swap64", "A18").findings
    assert (findings["successor_rate_half"].estimate.value, findings["successor_rate"].estimate.value) == (1.0, 0.0)


def test_what_the_audits_measure_is_what_was_broken(report):
    """Half the dry friction lets a ball with 0.55 m/s coast 1.1 times as far; 0.75 of the action is a slope of 0.75."""

    def value(control, audit, metric):
        return report(control).results[audit].findings[metric].estimate.value

    assert value("half_gravity", "A4", "coast_ratio") == pytest.approx(1.11, abs=0.02)
    assert value("attenuated", "A6", "slope") == pytest.approx(0.75, abs=0.01)
    assert value("lag", "A2", "time_error_frames") == 2.0
    assert value("occlusion_reset", "A2", "abandoned_state") == 1.0


def test_a_difference_of_two_worlds_is_paired(exam, report):
    """What weakens all actions alike is told from the physics far more sharply than the two intervals would allow."""
    weak, right = report("attenuated"), report("oracle")
    apart = exam.compare(right, weak)
    slopes = [found.results["A6"].findings["slope"].estimate for found in (right, weak)]
    assert apart["A6"]["slope"].value == pytest.approx(slopes[1].value - slopes[0].value)
    assert apart["A6"]["slope"].high < 0.0 and apart["A18"]["successor_rate"].high < 0.0
    assert apart["A1"]["survival"].value == 0.0 and "A9" not in apart
    same = exam.compare(right, right)
    assert all(found.low == found.value == found.high == 0.0 for rows in same.values() for found in rows.values())


@pytest.mark.slow
@pytest.mark.parametrize("ladder", LADDERS["push"], ids=lambda ladder: f"{ladder.control}-{ladder.audit}")
def test_severity_is_ranked(exam, ladder):
    assert climb(exam, ladder).spearman >= RANKED
