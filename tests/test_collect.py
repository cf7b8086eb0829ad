"""Collecting: exact totals, the same episodes from the same seed, survival of `kill -9`, useful behaviours."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from videosim.config import CollectConfig
from videosim.data import layout
from videosim.data.behaviours import BASIC, draw_behaviour
from videosim.data.collect import collect, episode_seed
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.types import ActionSpec, Episode, FrameSpec, SensorSpec, WorldSpec

MIXTURE = {"random": 1.0, "noise": 1.0, "extreme": 1.0, "coast": 1.0, "scripted": 1.0}


class Drift:
    """A point pushed by the action; it is drawn as a grey level and the task is over beyond |x| = ``wall``."""

    def __init__(self, wall: float = np.inf, pause_s: float = 0.0, horizon: int = 20, name: str = "drift") -> None:
        self.wall, self.pause_s = wall, pause_s
        self.world_spec = WorldSpec(
            name,
            FrameSpec(8, 8),
            ActionSpec((-2.0,), (2.0,), ("push",)),
            SensorSpec(("x",), ("m",), (-9.0,), (9.0,)),
            0.04,
            horizon,
        )

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.x = self.rng.normal() * (3.0 if (options or {}).get("wide") else 0.1)
        self.steps = 0
        return self.sensors(), {}

    def step(self, action):
        time.sleep(self.pause_s)
        self.x += 0.3 * float(self.world_spec.action.check(action)[0])
        self.steps += 1
        return self.sensors(), -self.x, bool(abs(self.x) > self.wall), self.steps >= self.world_spec.horizon, {}

    def render(self):
        return np.full((8, 8, 3), int(abs(self.x * 50)) % 256, np.uint8)

    def sensors(self):
        return np.array([self.x], np.float32)

    def save(self):
        return np.array([self.x, self.steps])

    def close(self):
        pass


class Broken(Drift):
    def step(self, action):
        raise ZeroDivisionError("the motor is off")


class Dying(Drift):
    def step(self, action):
        os.kill(os.getpid(), signal.SIGKILL)


def settings(frames: int, **more) -> CollectConfig:
    return CollectConfig(**{"frames": frames, "workers": 2, "mixture": MIXTURE, **more})


def by_seed(store: EpisodeStore) -> dict[int, Episode]:
    return {store.seeds[i]: store.episode(i) for i in range(len(store))}


def push_right(frame: np.ndarray, sensors: np.ndarray) -> np.ndarray:
    return np.array([2.0], np.float32)


def test_exactly_the_frames_asked_and_the_same_episodes_on_any_number_of_workers(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    two = collect(Drift, tmp_path / "two", settings(190), lambda done, total: seen.append((done, total)))
    one = collect(Drift, tmp_path / "one", settings(190, workers=1))
    assert one.frames_total == two.frames_total == 190
    assert seen[0] == (0, 190) and seen[-1] == (190, 190) and seen == sorted(seen)
    left, right = by_seed(one), by_seed(two)
    assert set(left) == {episode_seed(0, number) for number in range(10)} == set(right)
    for seed, episode in left.items():
        for name in ("frames", "actions", "rewards", "sensors", "physics", "terminated", "behaviour"):
            assert np.array_equal(getattr(episode, name), getattr(right[seed], name))
    assert {"random", "noise", "extreme", "coast"} >= set(one.behaviours) and len(set(one.behaviours)) > 1


def test_action_reward_and_frame_belong_together(tmp_path: Path) -> None:
    store = collect(Drift, tmp_path / "s", settings(42, workers=1))
    for i in range(len(store)):
        e = store.episode(i)
        assert np.allclose(e.sensors[1:, 0], e.sensors[:-1, 0] + 0.3 * e.actions[:, 0], atol=1e-5)
        assert np.allclose(e.rewards, -e.sensors[1:, 0], atol=1e-6)
        assert np.array_equal(e.frames[:, 0, 0, 0], (np.abs(e.physics[:, 0] * 50).astype(int) % 256))
        assert np.allclose(store.column("time", i), np.arange(e.length + 1) * 0.04)


def test_a_second_call_continues_with_new_episodes(tmp_path: Path) -> None:
    first = collect(Drift, tmp_path / "s", settings(63))
    before = by_seed(first)
    assert collect(Drift, tmp_path / "s", settings(63)).seeds == first.seeds  # enough is there: nothing to do
    more = collect(Drift, tmp_path / "s", settings(150))
    assert more.frames_total == 150 and len(set(more.seeds)) == len(more)
    assert any(more.wide) and not all(more.wide)
    assert more.seeds[: len(first)] == first.seeds
    assert all(np.array_equal(by_seed(more)[seed].frames, e.frames) for seed, e in before.items())


def test_recording_goes_on_past_termination(tmp_path: Path) -> None:
    make = partial(Drift, wall=1.5)
    store = collect(
        make, tmp_path / "s", settings(301, past_termination=4, mixture={"extreme": 1.0}, wide_fraction=0.0)
    )
    assert store.frames_total == 301 and not any(store.wide)
    beyond = []
    for i in range(len(store) - 2):  # the last two may have been cut to reach the total
        over = store.column("terminated", i)
        assert np.array_equal(over, np.abs(store.column("sensors", i)[1:, 0]) > 1.5)
        if over.any():
            beyond.append(len(over) - 1 - int(np.argmax(over)))
    assert beyond and max(beyond) == 4 and beyond.count(4) > len(beyond) / 2


@pytest.mark.parametrize("frames", (2, 3, 8, 23))
def test_the_total_is_exact_when_episodes_end_anywhere(tmp_path: Path, frames: int) -> None:
    make = partial(Drift, wall=0.5, horizon=6)
    assert collect(make, tmp_path / "s", settings(frames, past_termination=1)).frames_total == frames


def test_strengths_that_are_left_out_are_not_recorded(tmp_path: Path) -> None:
    bands = [[0.0, 0.2], [0.4, 0.6], [0.9, 1.5]]
    store = collect(Drift, tmp_path / "s", settings(190, workers=1, leave_out=bands))
    strength = np.abs(np.concatenate([store.column("actions", i)[:, 0] for i in range(len(store))])) / 2.0
    assert not any(((strength > low + 1e-6) & (strength < high - 1e-6)).any() for low, high in bands)
    assert strength.max() == pytest.approx(0.9) and strength.min() == 0.0 and len(np.unique(strength)) > 20
    e = store.episode(0)
    assert np.allclose(e.sensors[1:, 0], e.sensors[:-1, 0] + 0.3 * e.actions[:, 0], atol=1e-5)


def test_a_strength_goes_to_the_nearer_edge_that_there_is() -> None:
    action, bands = ActionSpec((-1.0, -1.0), (1.0, 1.0), ("x", "y")), ((0.0, 0.2), (0.9, 1.5))

    def strength(x: float, y: float) -> float:
        done = action.leave_out(np.array([x, y], np.float32), bands)
        assert np.allclose(done[0] * y, done[1] * x)  # the same direction
        return float(np.linalg.norm(done))

    assert strength(0.05, 0.0) == 0.0 and strength(0.0, -0.15) == pytest.approx(0.2)
    assert strength(1.0, 0.0) == pytest.approx(0.9)  # nothing is as strong as the other edge in this direction
    assert strength(0.3, 0.4) == pytest.approx(0.5) and strength(0.0, 0.0) == 0.0


def test_a_given_policy_acts(tmp_path: Path) -> None:
    cfg = settings(42, mixture={"policy:right": 1.0}, policy_noise=0.0, workers=1)
    store = collect(Drift, tmp_path / "s", cfg, policies={"right": push_right})
    assert store.behaviours == ["policy:right"] * 2 and (store.column("actions", 0) == 2.0).all()


# --- faults -----------------------------------------------------------------------------------------------------------


def _collect_slowly(folder: Path, frames: int) -> None:
    collect(partial(Drift, pause_s=0.001), folder, settings(frames))


def test_killed_at_random_moments_it_loses_only_episodes_in_progress(tmp_path: Path) -> None:
    """The collecting process is killed five times (its workers must notice by themselves), then run to its end."""
    folder, frames, horizon = tmp_path / "s", 2600, 20
    context, rng = multiprocessing.get_context("spawn"), np.random.default_rng(0)
    kept: dict[int, Episode] = {}
    kills = 0
    for _ in range(5):
        process = context.Process(target=_collect_slowly, args=(folder, frames))
        process.start()
        deadline = time.monotonic() + 20
        while process.is_alive() and time.monotonic() < deadline:  # let it get into its stride
            if (folder / "meta/info.json").exists() and EpisodeStore.open(folder).frames_total > sum(
                e.length + 1 for e in kept.values()
            ):
                break
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.15))
        kills += process.is_alive()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        store = EpisodeStore.open(folder)  # opens at once, workers still alive or not
        store.verify()
        now = by_seed(store)
        assert set(kept) <= set(now) and len(now) == len(store)
        assert all(np.array_equal(now[seed].physics, e.physics) for seed, e in kept.items())
        assert all(length == horizon for length in store.lengths)  # whole episodes or none
        kept = now
    assert kills >= 3
    _collect_slowly(folder, frames)
    store = EpisodeStore.open(folder)
    store.verify()
    assert store.frames_total == frames
    numbers = {episode_seed(0, number) for number in range(len(store))}
    assert set(store.seeds) == numbers  # those lost in progress were recorded after all, none twice


def test_a_worker_killed_alone_is_reported(tmp_path: Path) -> None:
    with pytest.raises(VideoSimError, match="run the same command again to continue"):
        collect(Dying, tmp_path / "s", settings(100))
    assert collect(Drift, tmp_path / "s", settings(100)).frames_total == 100


def test_a_failing_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoSimError, match="ZeroDivisionError: the motor is off"):
        collect(Broken, tmp_path / "s", settings(100))


def test_bad_settings_write_nothing(tmp_path: Path) -> None:
    for change, sentence in (
        ({"mixture": {"dance": 1.0}}, "no behaviour 'dance'"),
        ({"mixture": {"random": -1.0}}, "weight of behaviour 'random'"),
        ({"mixture": {"random": 0.0}}, "weight 0"),
        ({"leave_out": [[0.5, 0.2]]}, r"0 <= low < high; got \[0.5, 0.2\]"),
        ({"frames": 1}, "two frames"),
        ({"seed": -1}, "negative"),
        ({"wide_fraction": 1.5}, "between 0 and 1"),
    ):
        with pytest.raises(VideoSimError, match=sentence):
            collect(Drift, tmp_path / "s", CollectConfig(**change))
    assert not (tmp_path / "s").exists()


def test_another_world_or_another_collection_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    EpisodeStore.create(tmp_path / "s", Drift(name="other").world_spec)
    with pytest.raises(VideoSimError, match="holds episodes of world 'other'"):
        collect(Drift, tmp_path / "s", settings(50))
    EpisodeStore.create(tmp_path / "t", Drift().world_spec)
    monkeypatch.setattr("videosim.data.collect.PATIENCE_S", 0.1)
    with (
        layout.locked(tmp_path / "t" / "meta" / "collecting"),
        pytest.raises(VideoSimError, match="another process is collecting"),
    ):
        collect(Drift, tmp_path / "t", settings(50))


# --- behaviours -------------------------------------------------------------------------------------------------------


def rollout(name: str, spec: ActionSpec, steps: int = 400) -> np.ndarray:
    act = BASIC[name](spec, np.random.default_rng(0))
    return np.stack([act(np.zeros((1, 1, 3), np.uint8), np.zeros(1, np.float32)) for _ in range(steps)])


@pytest.mark.parametrize("name", BASIC)
def test_behaviours_stay_in_bounds_and_repeat_with_their_seed(name: str) -> None:
    spec = ActionSpec((-1.0, 0.0), (3.0, 0.5), ("a", "b"))
    actions = rollout(name, spec)
    assert actions.shape == (400, 2) and actions.dtype == np.float32
    assert np.array_equal(spec.check(actions), actions)
    assert np.array_equal(rollout(name, spec), actions)


def test_behaviours_differ_in_what_they_show() -> None:
    spec = ActionSpec((-1.0,), (1.0,), ("a",))
    actions = {name: rollout(name, spec)[:, 0] for name in BASIC}
    assert set(np.unique(actions["extreme"])) == {-1.0, 1.0}
    assert np.abs(actions["coast"]).max() < 0.5
    edges = np.flatnonzero(np.diff(actions["random"])) + 1
    assert np.diff(edges).min() >= 1 and np.diff(edges).max() <= 8 and np.std(actions["random"]) > 0.4
    noise = np.concatenate([[BASIC["noise"](spec, np.random.default_rng(s))(None, None)[0]] for s in range(300)])
    assert 0.3 < noise.std() < 1.0
    assert np.corrcoef(actions["noise"][:-1], actions["noise"][1:])[0, 1] > 0.3


def test_the_mixture_is_kept_and_a_missing_script_is_shared_out() -> None:
    spec = ActionSpec((-1.0,), (1.0,), ("a",))

    class Scripted:
        @staticmethod
        def scripted(rng, skill):
            return lambda sensors: 5.0 * sensors

    mixture = {"random": 1.0, "extreme": 3.0, "coast": 0.0, "scripted": 4.0}

    def shares(env) -> dict[str, float]:
        names = [draw_behaviour(env, spec, np.random.default_rng(s), mixture, {}, 0.0)[0] for s in range(800)]
        return {name: names.count(name) / 800 for name in mixture}

    assert shares(object()) == pytest.approx({"random": 0.25, "extreme": 0.75, "coast": 0, "scripted": 0}, abs=0.06)
    assert shares(Scripted()) == pytest.approx(
        {"random": 0.125, "extreme": 0.375, "coast": 0, "scripted": 0.5}, abs=0.06
    )
    name, act = draw_behaviour(Scripted(), spec, np.random.default_rng(0), {"scripted": 1.0}, {}, 0.0)
    assert name == "scripted" and act(None, np.array([0.1], np.float32)) == pytest.approx(0.5)
    assert act(None, np.array([1.0], np.float32)) == 1.0  # clipped to the bounds
    with pytest.raises(VideoSimError, match="no script"):
        draw_behaviour(object(), spec, np.random.default_rng(0), {"scripted": 1.0}, {}, 0.0)
