"""A19 on a little log of the test's own: a round wall, and a camera that turns as it is steered."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from videosim import auditing
from videosim.audits.catalogue import log_scene
from videosim.audits.exam import Exam
from videosim.audits.log_truth import CONTEXT, LogTruth
from videosim.audits.matrix import examine_control, score
from videosim.audits.turns import draw_pairs
from videosim.audits.verdict import FAIL
from videosim.audits.world import DreamWorld
from videosim.cli import main
from videosim.config import AuditConfig
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.types import ActionSpec, Episode, FrameSpec, SensorSpec, WorldSpec

SIDE, STEPS, LATE, TURN_PX = 48, 70, 1, 3.0
SPEC = WorldSpec(
    name="wall",
    frame=FrameSpec(SIDE, SIDE),
    action=ActionSpec((-1.0, -1.0), (1.0, 1.0), ("steer", "throttle")),
    sensors=SensorSpec((), (), (), ()),
    dt_s=0.1,
    horizon=STEPS,
)


def drive(seed: int, sign: float = 1.0) -> Episode:
    """Steering that changes every second or so, and what the camera saw: the wall turns LATE steps later."""
    rng = np.random.default_rng(seed)
    steer = np.repeat(rng.uniform(-1.0, 1.0, STEPS // 10), 10)
    turned = np.concatenate([np.zeros(LATE), steer])[:STEPS] * TURN_PX * sign
    heading = np.concatenate([[0.0], np.cumsum(turned)]) + rng.uniform(0, 300)
    wall = np.random.default_rng(0).uniform(0, 255, (SIDE // 4, 100, 3)).repeat(4, 0).repeat(3, 1)
    columns = (np.arange(SIDE) - np.round(heading)[:, None]).astype(int) % wall.shape[1]
    frames = wall[:, columns].transpose(1, 0, 2, 3).astype(np.uint8)
    return Episode(
        frames=np.ascontiguousarray(frames),
        actions=np.stack([steer, np.zeros(STEPS)], 1).astype(np.float32),
        rewards=np.zeros(STEPS, np.float32),
        sensors=np.zeros((STEPS + 1, 0), np.float32),
        physics=np.zeros((STEPS + 1, 0)),
        terminated=np.zeros(STEPS, bool),
        seed=seed,
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    store = EpisodeStore.create(tmp_path_factory.mktemp("log") / "store", SPEC, source="a test")
    for seed in range(4):
        store.append(drive(seed))
    return store.folder


@pytest.fixture(scope="module")
def exam(log):
    return Exam(log_scene(str(log), held_out=1.0), "smoke")


def test_lag_and_gain_of_the_log_are_found(log):
    truth = LogTruth(str(log), held_out=1.0)
    assert truth.lag == LATE and truth.gain == pytest.approx(TURN_PX, rel=0.1)
    clip = truth.clips[0]
    assert len(clip.actions) == 10 and len(clip.start.frames) == CONTEXT == len(clip.start.actions) + 1
    np.testing.assert_array_equal(clip.start.frames[-1], clip.frames[0])


def test_what_a_training_held_out_of_a_drive_is_examined_and_nothing_else(tmp_path):
    store = EpisodeStore.create(tmp_path / "store", SPEC, source="a test")
    pieces = [drive(seed) for seed in range(3)]
    for number, piece in enumerate(pieces):
        store.append(piece, (number * STEPS + np.arange(STEPS + 1)) * SPEC.dt_s)
    truth = LogTruth(str(store.folder), held_out=60)  # of the last piece its last 60 frames: 52 behind a first context
    assert [len(clip.actions) for clip in truth.clips] == [10] * 5
    tail = pieces[-1].frames[-60:]
    for number, clip in enumerate(truth.clips):
        at = CONTEXT - 1 + 10 * number
        np.testing.assert_array_equal(clip.start.frames, tail[at - CONTEXT + 1 : at + 1])
        np.testing.assert_array_equal(clip.frames, tail[at : at + 11])
        np.testing.assert_array_equal(clip.actions, pieces[-1].actions[-59:][at : at + 10])
    assert truth.lag == LATE and truth.gain == pytest.approx(TURN_PX, rel=0.1)


@pytest.mark.parametrize("control", ["steered", "freeze", "blind", "inverted"])
def test_every_control_gets_its_verdict(exam, control):
    found = examine_control(exam, control)
    assert score({control: found.verdicts}, exam.scene.expected()).wrong == []
    failed = set(found.results["A19"].failed)
    if control == "blind":  # it shows the record itself, and heeds nothing
        assert failed == {"swap_motion_excess", "swap_latent_excess", "swap_psnr_loss"}
    if control in ("freeze", "inverted"):
        assert "turn_sign" in failed


def test_clips_are_told_what_a_clip_says_that_steers_otherwise(exam):
    pairs = exam.bench.once(draw_pairs)
    apart = [abs(float(clip.actions[:, 0].mean() - other.actions[:, 0].mean())) for clip, other in pairs]
    assert len(pairs) == 16 and min(apart) > 0.2


def test_an_untrained_model_fails_and_its_report_is_json(exam, make_model):
    world = DreamWorld(make_model(spec=SPEC))
    found = exam.examine(world)
    world.close()
    assert found.results["A19"].verdict == FAIL
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["audits"]["A0"]["verdict"] == "PASS"


def test_labels_that_do_not_belong_to_the_frames_are_refused(tmp_path):
    store = EpisodeStore.create(tmp_path / "store", SPEC, source="a test")
    for seed in range(4):
        store.append(drive(seed, sign=-1.0))
    with pytest.raises(VideoSimError, match="instrument does not pass A0"):
        Exam(log_scene(str(store.folder), held_out=1.0), "smoke")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action": ActionSpec((-1.0,), (1.0,), ("push",))}, "no steering to be followed"),
        ({"dt_s": 0.01}, "no held-out episode of .* has 108 frames"),
    ],
)
def test_a_log_without_turns_or_too_short_is_refused(tmp_path, change, said):
    spec = WorldSpec(**{**vars(SPEC), **change})
    store = EpisodeStore.create(tmp_path / "store", spec, source="a test")
    episode = drive(0)
    episode.actions = episode.actions[:, : spec.action.size]
    store.append(episode)
    with pytest.raises(VideoSimError, match=said):
        log_scene(str(store.folder), held_out=1.0)


def trained(**data: float) -> SimpleNamespace:
    return SimpleNamespace(recorded=lambda title, name: {"Data": data}[title].get(name))


def test_a_model_is_examined_on_what_its_training_held_out(monkeypatch):
    asked = []
    monkeypatch.setattr("videosim.audits.catalogue.log_scene", lambda folder, held_out: asked.append(held_out))
    told, older = trained(**{"held out": 150}), trained(frames=800)
    for cfg, models in (({}, [told]), ({}, [older]), ({}, []), ({"held_out": 1.0}, [told]), ({"held_out": 7.0}, [])):
        auditing._scene(auditing._settled(AuditConfig(data="log", **cfg), models))
    assert asked == [150.0, 0.1, 0.1, 1.0, 7.0]
    with pytest.raises(VideoSimError, match="give held_out="):
        auditing._settled(AuditConfig(data="log"), [told, older])


@pytest.mark.slow
def test_from_a_store_to_the_page(log, tmp_path):
    main(["audit", f"data={log}", "held_out=1", "controls=[all]", "size=smoke", f"out={tmp_path}"])
    measured = json.loads((tmp_path / "measurements.json").read_text())
    assert measured["scene"] == "log" and measured["controls_wrong"] == []
    assert measured["figures"]["control_sensitivity"]["value"] == 1.0
    assert "the picture turn with the steering" in (tmp_path / "report.html").read_text()
