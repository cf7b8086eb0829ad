"""The true side of every audit: where episodes start, what is done in them, what MuJoCo then shows and knows.

Seeds from ``FIRST_SEED`` on are used by audits alone: ``videosim collect`` draws its episodes' seeds below it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from videosim.audits.push_scene import NAMES, positions
from videosim.audits.world import Start
from videosim.envs.physics import PhysicsEnv
from videosim.types import WorldSpec

FIRST_SEED = 2**32
SCATTERED = 400


@dataclass(frozen=True)
class Moments:
    """True frames with what MuJoCo knows about them.

    frames    uint8 (n, H, W, 3)
    position  float64 (n, 4, 2) in metres
    share     float64 (n, 4), the share of each object in sight, in [0, 1]
    """

    frames: np.ndarray
    position: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class Case:
    """An episode of the truth: ``actions`` (T, A) from ``start``; ``truth`` its T+1 moments, the start's first;
    ``random`` where no script, which looks where it goes, chose the actions."""

    start: Start
    actions: np.ndarray
    truth: Moments
    random: bool


Policy = Callable[[np.ndarray], np.ndarray]  # sensors (S,) -> action (A,)


def wander(rng: np.random.Generator, size: int) -> Policy:
    """Smooth random actions: an Ornstein-Uhlenbeck process, clipped to the bounds."""
    state = rng.normal(0.0, 0.7, size)

    def act(sensors: np.ndarray) -> np.ndarray:
        nonlocal state
        state = 0.85 * state + 0.53 * rng.normal(0.0, 0.9, size)
        return np.clip(state, -1.0, 1.0).astype(np.float32)

    return act


class Truth:
    """MuJoCo's push, and its share of each object in sight.

    ``scattered`` holds SCATTERED moments of as many wide starts, things anywhere in the arena: for calibration.
    """

    def __init__(self) -> None:
        self.env = PhysicsEnv("push")
        rows = []
        for number in range(SCATTERED):
            self.env.reset(seed=FIRST_SEED + number, options={"wide": True})
            rows.append(self._look())
        frames, position, pixels = (np.stack(part) for part in zip(*rows, strict=True))
        self._whole = _fit_whole(position, pixels)
        self.scattered = self._moments(frames, position, pixels)

    @property
    def spec(self) -> WorldSpec:
        return self.env.world_spec

    def close(self) -> None:
        self.env.close()

    def start(self, number: int, context: int = 8) -> tuple[Start, Policy]:
        """Start ``number`` (from 0), reached by ``context`` - 1 steps of the behaviour that is returned with it: by
        turns from the task's starts and wide ones, with random actions and with scripts of random skill."""
        env, seed = self.env, FIRST_SEED + number
        rng = np.random.default_rng([seed, 1])
        env.reset(seed=seed, options={"wide": number % 2 == 1})
        policy = env.scripted(rng, rng.uniform(0.3, 1.0)) if number % 4 >= 2 else None
        act = policy or wander(rng, env.world_spec.action.size)
        frames, actions = [env.render()], []
        for _ in range(context - 1):
            actions.append(act(env.sensors()))
            env.step(actions[-1])
            frames.append(env.render())
        asked = np.array(actions, np.float32).reshape(context - 1, env.world_spec.action.size)
        return Start(env.save(), np.stack(frames), asked, seed), act

    def case(self, number: int, steps: int, context: int = 8, stride: int = 1) -> Case:
        """An episode of ``steps`` steps from start ``number``, in which its behaviour goes on; of its moments, every
        ``stride``-th."""
        start, act = self.start(number, context)
        actions: list[np.ndarray] = []

        def go_on(t: int) -> np.ndarray:
            actions.append(act(self.env.sensors()))
            return actions[-1]

        truth = self.play(start, steps, go_on, stride)
        return Case(start, np.stack(actions), truth, number % 4 < 2)

    def follow(self, start: Start, actions: np.ndarray, stride: int = 1) -> Moments:
        """What truly happens from ``start`` under ``actions`` (T, A): T+1 moments, or every ``stride``-th of them."""
        return self.play(start, len(actions), lambda t: actions[t], stride)

    def pay(self, start: Start, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rewards float64 (T,), and success bool (T,), that truly come of ``actions`` (T, A) from ``start``."""
        self.env.reset(seed=start.seed, options={"state": start.physics})
        steps = [self.env.step(action) for action in actions]
        return np.array([step[1] for step in steps]), np.array([step[4]["success"] for step in steps])

    def go(self, start: Start, actions: np.ndarray) -> Start:
        """The start at the end of ``actions`` (T, A), with the frames that lead to it."""
        env = self.env
        env.reset(seed=start.seed, options={"state": start.physics})
        frames = [env.render()]
        for action in actions:
            env.step(action)
            frames.append(env.render())
        return Start(env.save(), np.stack(frames), np.asarray(actions, np.float32), start.seed)

    def play(self, start: Start, steps: int, act: Callable[[int], np.ndarray], stride: int = 1) -> Moments:
        """T+1 moments from ``start`` (or every ``stride``-th of them) when ``act(t)`` chooses the action of step t."""
        self.env.reset(seed=start.seed, options={"state": start.physics})
        rows = [self._look()]
        for t in range(steps):
            self.env.step(act(t))
            if (t + 1) % stride == 0:
                rows.append(self._look())
        frames, position, pixels = (np.stack(part) for part in zip(*rows, strict=True))
        return self._moments(frames, position, pixels)

    def moments(self, numbers: Sequence[int], each: int = 8, stride: int = 4) -> Moments:
        """``each`` moments, ``stride`` steps apart, out of every episode of ``numbers``."""
        parts = [self.case(number, (each - 1) * stride, stride=stride).truth for number in numbers]
        return Moments(*(np.concatenate([getattr(part, name) for part in parts]) for name in Moments.__annotations__))

    def _look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        position = positions(self.env.sensors())
        return self.env.render(), position, self.env.pixels(NAMES)

    def _moments(self, frames: np.ndarray, position: np.ndarray, pixels: np.ndarray) -> Moments:
        whole = np.stack([_quadratic(position[:, i]) @ self._whole[i] for i in range(len(NAMES))], axis=1)
        return Moments(frames, position, np.clip(pixels / whole, 0.0, 1.0))


def _fit_whole(position: np.ndarray, pixels: np.ndarray) -> list[np.ndarray]:
    """For each object, coefficients (6,) of the pixels it has when all of it is seen, a quadratic of its place.

    Fitted twice without what falls short of the fit, which are the objects that something hides.
    """
    fits = []
    for i in range(len(NAMES)):
        terms, count = _quadratic(position[:, i]), pixels[:, i].astype(np.float64)
        kept = count > 0.8 * np.median(count)
        for _ in range(2):
            fit = np.linalg.lstsq(terms[kept], count[kept], rcond=None)[0]
            kept = count > 0.85 * (terms @ fit)
        fits.append(fit)
    return fits


def _quadratic(place: np.ndarray) -> np.ndarray:
    x, y = place.T
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
