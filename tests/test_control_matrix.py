"""Every audit says of every control what the specification's matrix says: the audit of the audits, at small size."""

from __future__ import annotations

import json

import numpy as np
import pytest

from videosim.audits import exam as exam_module
from videosim.audits.exam import Exam
from videosim.audits.matrix import expected, measured, score
from videosim.audits.verdict import FAIL, INCONCLUSIVE, PASS
from videosim.audits.world import DreamWorld, PhysicsWorld
from videosim.errors import VideoSimError


@pytest.fixture(scope="module")
def exam():
    return Exam("smoke")


@pytest.mark.parametrize("control", expected())
def test_every_control_gets_its_verdict(exam, control):
    found = measured(exam, [control])
    assert score(found, expected()).wrong == []


@pytest.mark.parametrize("control", ["swap", "vanish", "duplicate", "recolour"])
@pytest.mark.parametrize("t0", [11, 20])
def test_a_break_is_found_at_its_frame(exam, control, t0):
    world = PhysicsWorld(f"control:{control}{t0}")
    details = exam.examine(world, ["A1"]).results["A1"].details
    world.close()
    assert abs(details["median_first_break"] - t0) <= 1


def test_who_fails_and_by_which_metric(exam):
    """Lag by the latency and not by the choice; attenuation by the ratio; a frozen world by the motion gate."""
    failed, notes = {}, {}
    for name in ("lag", "attenuated", "freeze"):
        world = PhysicsWorld(f"control:{name}")
        report = exam.examine(world)
        world.close()
        failed[name] = {audit: set(result.failed) for audit, result in report.results.items()}
        notes[name] = report.notes
    assert "latency_frames" in failed["lag"]["A3"] and "cai4" not in failed["lag"]["A3"]
    assert failed["attenuated"]["A3"] == {"effect_ratio"} and notes["attenuated"] == {"A1": exam_module.UNGATED}
    assert failed["freeze"]["A1"] == {"motion_ratio"} and notes["freeze"] == {"A1": exam_module.UNMOVED}


def test_an_untrained_model_fails_and_its_report_is_json(exam, make_model):
    world = DreamWorld(make_model(spec=exam.spec))
    report = exam.examine(world)
    assert report.results["A0"].verdict == PASS and report.results["A3"].verdict == FAIL
    assert report.results["A1"].verdict in (FAIL, INCONCLUSIVE)
    written = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert len(written["bars_sha256"]) == 64 and written["audits"]["A3"]["metrics"]["cai4"]["verdict"] == FAIL


def test_worlds_of_other_scenes_and_unknown_audits_are_refused(exam, make_model):
    with pytest.raises(VideoSimError, match="not a world of the push scene: its frame"):
        exam.examine(DreamWorld(make_model()))
    with pytest.raises(VideoSimError, match="no audit 'A9'"):
        exam.examine(DreamWorld(make_model(spec=exam.spec)), ["A9"])


def test_a_failing_instrument_blocks_everything(monkeypatch):
    def blurred(self, frames):
        reading = read(self, frames)
        return type(reading)(reading.position + 0.02, reading.area, reading.strength, reading.blobs)

    from videosim.audits.push_reader import PushReader

    read = PushReader.read
    monkeypatch.setattr(PushReader, "read", blurred)
    with pytest.raises(VideoSimError, match="does not pass A0"):
        Exam("smoke")


@pytest.mark.slow
def test_shift_severity_is_ranked(exam):
    """Spearman of severity and effect ratio over five attenuations: 1."""
    ratios = []
    for factor in (0.9, 0.7, 0.5, 0.3, 0.1):
        world = PhysicsWorld(f"control:attenuated{factor}")
        ratios.append(exam.examine(world, ["A3"]).results["A3"].findings["effect_ratio"].estimate.value)
        world.close()
    assert (np.diff(ratios) < 0).all()
