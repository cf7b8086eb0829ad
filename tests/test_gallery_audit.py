"""A8: its geometry on known rooms, and its controls."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import controls

from videosim.audit_films import model_films
from videosim.audits.catalogue import SCENES
from videosim.audits.gallery_geometry import in_sight, poses, project, triangulate
from videosim.audits.loops import draw_tours
from videosim.audits.matrix import score
from videosim.audits.verdict import FAIL
from videosim.audits.world import DreamWorld

GALLERY, SIDE = SCENES["gallery"], 64

# --- identities ------------------------------------------------------------------------------------------------------


def test_a_ball_straight_ahead_is_in_the_middle_and_one_to_the_left_is_left():
    pose = np.array([[0.5, 0.0, np.pi / 2]])  # looks along y
    ahead, left, above, behind = (0.5, 2.0, 1.1, 0.1), (0.2, 2.0, 1.1, 0.1), (0.5, 2.0, 1.4, 0.1), (0.5, -2.0, 1.1, 0.1)
    place, breadth = project(pose, np.array([ahead, left, above, behind]), SIDE)
    np.testing.assert_allclose(place[0, 0], [31.5, 31.5])
    assert place[0, 1, 0] < 31.0 and place[0, 1, 1] == pytest.approx(31.5)
    assert place[0, 2, 1] < 31.0 and np.isnan(place[0, 3]).all()
    seen, absent = in_sight(place, breadth, SIDE)
    assert not seen[0, 0] and not absent[0, 0]  # touched by its neighbours
    assert absent[0].tolist() == [False, False, False, True]
    assert in_sight(place[:, :1], breadth[:, :1], SIDE)[0].all()


@given(seed=st.integers(0, 2**32 - 1), radius=st.floats(0.05, 0.25))
@settings(max_examples=30, deadline=None)
def test_a_ball_is_found_where_it_is_seen_from(seed, radius):
    rng = np.random.default_rng(seed)
    ball = np.array([rng.uniform(1.5, 2.5), rng.uniform(-0.5, 0.5), rng.uniform(0.6, 1.6), radius])
    pose = np.column_stack([rng.uniform(-0.3, 0.3, 12), np.linspace(-0.5, 0.5, 12), rng.uniform(-0.2, 0.2, 12)])
    place, _ = project(pose, ball[None], SIDE)
    found = triangulate(pose, place[:, 0], radius, SIDE)
    np.testing.assert_allclose(found, ball[:3], atol=0.01)


def test_what_is_seen_too_seldom_or_from_one_place_has_no_place():
    ball = np.array([2.0, 0.0, 1.0, 0.1])
    still = np.column_stack([np.zeros(12), np.zeros(12), np.linspace(-0.2, 0.2, 12)])
    assert triangulate(still, project(still, ball[None], SIDE)[0][:, 0], 0.1, SIDE) is None
    glide = still + np.column_stack([np.zeros(12), np.linspace(-0.5, 0.5, 12), np.zeros(12)])
    seen = project(glide, ball[None], SIDE)[0][:, 0]
    assert triangulate(glide, seen, 0.1, SIDE) is not None
    seen[5:] = np.nan
    assert triangulate(glide, seen, 0.1, SIDE) is None


def test_poses_follow_from_the_actions():
    """Straight ahead for a second, and a circle: a chord of which the radius is speed over rate."""
    straight = poses(np.zeros(3), np.tile([1.0, 0.0, 0.0], (25, 1)))
    np.testing.assert_allclose(straight[-1], [1.0, 0.0, 0.0], atol=1e-12)
    round_ = poses(np.array([0.0, -1.0 / 1.5, 0.0]), np.tile([1.0, 0.0, 1.0], (60, 1)))
    assert np.linalg.norm(round_[:, :2], axis=1) == pytest.approx(1.0 / 1.5, rel=1e-3)


# --- the audit -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene():
    return GALLERY


FAST = ("oracle", "noise", "no_parallax", "zoom_only", "slow_drift")


@pytest.mark.parametrize("control", controls(GALLERY, FAST))
def test_every_control_gets_its_verdict(report, control):
    assert score({control: report(control).verdicts}, GALLERY.expected()).wrong == []


def test_who_fails_and_by_which_metric(report):
    """Drift by the place to which it comes back; a world without parallax comes back exactly, and balls are elsewhere
    on the way."""
    failed = {name: set(report(name).results["A8"].failed) for name in ("slow_drift", "no_parallax")}
    assert "loop_closure_px" in failed["slow_drift"]
    assert "reprojection_px" in failed["no_parallax"] and "loop_closure_px" not in failed["no_parallax"]


def test_tours_come_back_and_the_reader_agrees_with_geometry(exam):
    for tour in exam.bench.once(draw_tours):
        np.testing.assert_allclose(tour.pose[-1], tour.pose[0], atol=1e-5)
        apart = np.linalg.norm(exam.bench.reader.read(tour.frames) - tour.place, axis=-1)
        assert apart[tour.seen].mean() < 0.06 and np.isfinite(apart[tour.seen]).all()


def test_an_untrained_model_fails_and_its_report_is_json(exam, make_model, tmp_path):
    model = make_model(spec=exam.spec)
    world = DreamWorld(model)
    found = exam.examine(world)
    world.close()
    assert found.results["A8"].verdict == FAIL
    (film,) = model_films(exam.bench, "untrained", model, found.to_dict()["audits"], tmp_path)
    assert (tmp_path / "tour.mp4").read_bytes() == film.mp4
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["audits"]["A8"]["details"]["codec_reprojection_px"]
