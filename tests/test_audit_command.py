"""`videosim audit`: what it writes, that it goes on where it was stopped, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from videosim.audits.exam import Exam
from videosim.cli import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["controls=[lag,nonsense]"], "a control 'nonsense'"),
        (["controls=[]"], "nothing to audit"),
        (["checkpoint=no-such-model"], "no-such-model"),
        (["checkpoint='push,push'"], "two different ones side by side"),
        (["size=enormous"], "no size 'enormous'"),
        (["bars=no/such/file.yaml"], "cannot be read"),
        (["checkpoint=cartpole-swingup"], "no audits for the world 'cartpole-swingup'; there are for push, driving"),
        (["checkpoint=push", "world=driving"], "one world is audited at a time; got push and driving"),
        (["world=driving", "controls=[swap]"], "a control 'swap'"),
        (["workers=-1"], "workers is a number of processes"),
    ],
)
def test_bad_input_is_one_sentence(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["audit", *words, f"out={tmp_path / 'run'}"])
    assert stop.value.code == 2 and said in capsys.readouterr().err and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_controls_from_start_to_measurements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["audit", "size=smoke", "controls=[oracle,vanish]", f"out={tmp_path}"]
    main(words)
    measured = json.loads((tmp_path / "measurements.json").read_text())
    assert (
        measured["figures"]["control_sensitivity"]["value"] == measured["figures"]["control_specificity"]["value"] == 1
    )
    assert measured["figures"]["probe_floor_fraction"]["high"] < 0.005 and measured["controls_wrong"] == []
    assert measured["worlds"]["vanish"]["audits"]["A1"]["verdict"] == "FAIL"
    assert len(measured["bars_sha256"]) == 64 and "Audit of the audits" in (tmp_path / "report.html").read_text()
    monkeypatch.setattr(Exam, "examine", lambda *_: pytest.fail("examined again"))
    main(words)
    assert json.loads((tmp_path / "measurements.json").read_text())["worlds"] == measured["worlds"]


@pytest.mark.slow
def test_two_models_side_by_side(tmp_path: Path, make_model) -> None:
    from videosim.checkpoint import save_checkpoint
    from videosim.envs.physics import PhysicsEnv

    spec = PhysicsEnv("push").world_spec
    folders = [tmp_path / name for name in ("a", "b")]
    for seed, folder in enumerate(folders):
        save_checkpoint(folder, make_model(seed, spec=spec), {}, bits=32)
    main(["audit", f"checkpoint='{folders[0]},{folders[1]}'", "controls=[]", "size=smoke", f"out={tmp_path / 'run'}"])
    measured = json.loads((tmp_path / "run" / "measurements.json").read_text())
    assert set(measured["worlds"]) == set(measured["weights"]) == {str(folder) for folder in folders}
    assert len(set(measured["weights"].values())) == 2
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<video") == 8 and all(f"<h2>{folder}, metric by metric" in page for folder in folders)
    assert len(list((tmp_path / "run" / "films").rglob("*.mp4"))) == 8 and "paired over the same episodes" in page
    found = measured["differences"]["A9"]["worst_skill"]
    first, second = (measured["worlds"][str(f)]["audits"]["A9"]["metrics"]["worst_skill"] for f in folders)
    assert found["value"] == pytest.approx(second["value"] - first["value"]) and found["low"] <= found["high"]
