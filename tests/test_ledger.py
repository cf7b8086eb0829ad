"""The ledger: each verdict by the interval, level by level, and what makes a measurement void."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from videosim.audits.catalogue import AUDITS, SCENES
from videosim.audits.ledger import join, load_claims, load_measurements
from videosim.audits.push_scene import scene_sha256
from videosim.audits.verdict import load_bars
from videosim.cli import main
from videosim.errors import VideoSimError

BARS = load_bars("full").sha256
LAWS = {
    **{"scene": "laws", "bars_sha256": load_bars("full", scene="laws").sha256},
    "scene_sha256": SCENES["laws"].sha256(),
}
CLAIM = {
    **{"id": "a", "sentence": "It does as it is told.", "level": 4, "scene": "push", "model": "m"},
    **{"audit": "A3", "metric": "cai4", "asks": {"at_least": 0.9}, "conditions": "none", "source": "a test"},
}


def claims(folder: Path, *changes: dict) -> Path:
    path = folder / "claims.yaml"
    path.write_text(yaml.safe_dump([CLAIM | change for change in changes]))
    return path


def measured(low: float, value: float, high: float, **changes) -> dict:
    found = {"value": value, "low": low, "high": high, "n": 20, "unit": "", "verdict": "PASS"}
    result = {"audits": {"A3": {"metrics": {"cai4": found}}, "A1": {"metrics": {"survival": found}}}}
    run = {
        **{
            "size": "full",
            "bars_sha256": BARS,
            "scene_sha256": scene_sha256(),
            "weights": {"m": "w"},
            "controls": ["oracle"],
        },
        **{
            "worlds": {"m": result, "oracle": copy.deepcopy(result)},
            "controls_wrong": [],
        },
    }
    return run | changes


@pytest.mark.parametrize(
    ("claim", "run", "verdict", "why"),
    [
        ({}, measured(0.92, 0.95, 0.97), "supported", ""),
        ({}, measured(0.5, 0.6, 0.7), "contradicted", ""),
        ({}, measured(0.88, 0.95, 0.97), "inconclusive", "n = 40 would settle it"),
        ({"model": "other"}, measured(0.92, 0.95, 0.97), "unmeasured", "checkpoint=other"),
        ({"metric": "nothing"}, measured(0.92, 0.95, 0.97), "unmeasured", "run videosim audit"),
        ({"audit": "A1", "metric": "survival"}, measured(0.92, 0.95, 0.97), "level mismatch", "evidence of L1"),
        ({}, measured(0.92, 0.95, 0.97, controls_wrong=[["lag", "A3", "FAIL", "PASS"]]), "void", "control lag"),
        ({}, measured(0.92, 0.95, 0.97, controls_wrong=[["lag", "A2", "FAIL", "PASS"]]), "supported", ""),
        ({}, measured(0.92, 0.95, 0.97, controls=[]), "void", "met no control"),
        ({}, measured(0.92, 0.95, 0.97, bars_sha256="other"), "void", "not those that are registered"),
        ({}, measured(0.92, 0.95, 0.97, scene_sha256="other"), "void", "scene has changed"),
        ({}, measured(0.92, None, 0.97), "contradicted", ""),
    ],
)
def test_each_verdict(tmp_path, claim, run, verdict, why):
    (entry,) = join(load_claims(claims(tmp_path, claim)), [run])
    assert entry.verdict == verdict and why in entry.why


def test_the_last_run_counts_and_no_run_is_unmeasured(tmp_path):
    stated = load_claims(claims(tmp_path, {}))
    runs = [measured(0.5, 0.6, 0.7), measured(0.92, 0.95, 0.97)]
    assert [join(stated, order)[0].verdict for order in (runs, runs[::-1], [])] == [
        *("supported", "contradicted", "unmeasured")
    ]


def test_our_own_claims_name_metrics_that_have_bars():
    bars = {scene: load_bars("full", scene=scene).audits for scene in SCENES}
    for claim in load_claims():
        assert claim.metric in bars[claim.scene][claim.audit], claim.id
        assert AUDITS[claim.scene][claim.audit].level >= claim.level, claim.id


def test_a_claim_is_joined_with_the_audit_and_the_runs_of_its_own_scene(tmp_path, monkeypatch):
    """Two scenes may each have an A3; neither stands in for the other."""
    low, high = AUDITS["push"]["A3"], replace(AUDITS["push"]["A3"], level=6)
    for order in ({"push": {"A3": low}, "laws": {"A3": high}}, {"laws": {"A3": high}, "push": {"A3": low}}):
        monkeypatch.setattr("videosim.audits.ledger.AUDITS", order)
        stated = load_claims(claims(tmp_path, {"level": 6}, {"level": 6, "id": "b", "scene": "laws"}))
        held, failed = measured(0.92, 0.95, 0.97, **LAWS), measured(0.5, 0.6, 0.7)
        assert [entry.verdict for entry in join(stated, [held, failed])] == ["level mismatch", "supported"]
        assert [entry.verdict for entry in join(stated, [failed])] == ["level mismatch", "unmeasured"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda t: load_claims(t / "none.yaml"), "cannot be read"),
        (lambda t: load_claims(claims(t, {"level": 9})), "level from 0 to 7; got 9"),
        (lambda t: load_claims(claims(t, {"audit": "A99"})), "names no audit of push: 'A99'; choose A3, "),
        (lambda t: load_claims(claims(t, {"audit": "A8"})), "names no audit of push: 'A8'"),
        (lambda t: load_claims(claims(t, {"scene": "moon"})), "names no scene: 'moon'; choose push, "),
        (lambda t: load_claims(claims(t, {"extra": 1})), "mend 'extra'"),
        (lambda t: load_claims(claims(t, {}, {})), "two claims 'a'"),
        (lambda t: load_claims(claims(t, {"asks": {"about": 1}})), "must state one of"),
        (lambda t: load_measurements(t), "run videosim audit first"),
    ],
)
def test_bad_input_is_named(tmp_path, make, sentence):
    with pytest.raises(VideoSimError, match=sentence):
        make(tmp_path)


@pytest.mark.parametrize(
    ("content", "lacks"),
    [({"figures": {"cai4": 1.0}}, "size"), ([], "size"), (measured(0.92, 0.95, 0.97, weights="w"), "weights")],
)
def test_what_no_audit_wrote_is_refused(tmp_path, content, lacks):
    (tmp_path / "measurements.json").write_text(json.dumps(content))
    with pytest.raises(VideoSimError, match=f"not written by this videosim audit: it lacks '{lacks}'"):
        load_measurements(tmp_path)


def test_the_command_writes_the_ledger(tmp_path, capsys):
    (tmp_path / "measurements.json").write_text(json.dumps(measured(0.92, 0.95, 0.97)))
    path = claims(tmp_path, {}, {"id": "b", "metric": "nothing"})
    main(["ledger", f"measurements=[{tmp_path}]", f"claims={path}", f"out={tmp_path / 'out'}"])
    entries = json.loads((tmp_path / "out" / "ledger.json").read_text())
    assert [entry["verdict"] for entry in entries] == ["supported", "unmeasured"]
    figures = json.loads((tmp_path / "out" / "result.json").read_text())["figures"]
    assert figures["claims_supported"]["value"] == figures["claims_unmeasured"]["value"] == 1
    assert "It does" in (tmp_path / "out" / "ledger.json").read_text() and "supported" in capsys.readouterr().out
