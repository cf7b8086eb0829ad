"""The true side of the law scene: trials of every law, as recordings show them and held out, and what truly comes of
them when nothing is done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from videosim.audits.truth import FIRST_SEED
from videosim.audits.world import Start
from videosim.envs.law_trials import FACTORS, LAWS, SPLITS
from videosim.envs.laws import COLOURS, ROOM_M, TALL_M, XML
from videosim.envs.physics import PhysicsEnv
from videosim.types import WorldSpec

CONTEXT = 4  # frames before, with the one at the start: place, speed and acceleration
FRAMES = 20  # at most that are judged
LEAST = 9  # frames that a trial must have to be judged
CLEAR_M = 0.04  # between a thing that flies and what it may not touch yet
WORLDS = dict(zip(SPLITS, ("laws", "laws-pairs", "laws-ood"), strict=True))
FLIES = ("uniform", "fall", "projectile", "elastic", "inelastic")  # laws under which nothing may touch the room


@dataclass(frozen=True)
class Trial:
    """One episode of ``law``.

    frames    uint8 (T+1, H, W, 3), those that are judged, the start's first
    place     float64 (T+1, 3, 2), x and z in metres of the red, green and blue thing, NaN for one that is not there
    half      float64 (3,), half the side of each (m)
    tilt, friction, length  of the ramp (rad) and the pendulum (m)
    """

    law: str
    start: Start
    frames: np.ndarray
    place: np.ndarray
    half: np.ndarray
    tilt: float
    friction: float
    length: float

    @property
    def there(self) -> np.ndarray:
        """Columns of the things that there are."""
        return np.flatnonzero(self.half > 0.0)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.frames) - 1


class LawsTruth:
    """MuJoCo's law scene."""

    def __init__(self) -> None:
        self._envs = {split: PhysicsEnv(world) for split, world in WORLDS.items()}
        names = self.spec.sensors.names
        self._place = [[names.index(f"{colour}_{axis}") for axis in "xz"] for colour in COLOURS]
        self._velocity = [[names.index(f"{colour}_velocity_{axis}") for axis in "xz"] for colour in COLOURS]
        self._half = [names.index(f"{colour}_half") for colour in COLOURS]
        self._kind = [names.index(f"law_{law}") for law in LAWS]
        self._rest = [names.index(name) for name in ("tilt", "friction", "length")]

    @property
    def spec(self) -> WorldSpec:
        return self._envs["id"].world_spec

    def close(self) -> None:
        for env in self._envs.values():
            env.close()

    def trials(self, split: str, first: int, each: int) -> list[list[Trial]]:
        """``each`` trials of every law, out of the starts from number ``first`` on, in turns: (each, laws)."""
        found: dict[str, list[Trial]] = {law: [] for law in LAWS}
        for trial in self._drawn(split, first, found, each):
            found[trial.law].append(trial)
        return [list(turn) for turn in zip(*found.values(), strict=True)]

    def _drawn(self, split: str, first: int, found: dict[str, list[Trial]], each: int) -> Iterator[Trial]:
        env, number = self._envs[split], first
        while any(len(trials) < each for trials in found.values()):
            env.reset(seed=FIRST_SEED + number)
            law = LAWS[int(np.argmax(env.sensors()[self._kind]))]
            if len(found[law]) < each:
                trial = self._follow(env, law, FIRST_SEED + number)
                if trial is not None:
                    yield trial
            number += 1

    def _follow(self, env: PhysicsEnv, law: str, seed: int) -> Trial | None:
        """What comes of the trial that ``env`` stands at, or None where too little of it can be judged."""
        actions = np.zeros((CONTEXT - 1, env.world_spec.action.size), np.float32)
        context = [env.render()]
        for action in actions:
            env.step(action)
            context.append(env.render())
        start = Start(env.save(), np.stack(context), actions, seed)
        sensors, frames = [env.sensors()], [context[-1]]
        half = np.asarray(sensors[0][self._half], np.float64)
        while len(frames) <= FRAMES:
            place, velocity = (np.asarray(sensors[-1][at], np.float64) for at in (self._place, self._velocity))
            if law in FLIES and not _clear(place, velocity, half, self.spec.dt_s):
                break
            env.step(actions[0])
            sensors.append(env.sensors())
            frames.append(env.render())
        if len(frames) <= LEAST:
            return None
        places = np.stack(sensors).astype(np.float64)[:, self._place]
        places[:, half == 0.0] = np.nan
        tilt, friction, length = (float(sensors[0][i]) for i in self._rest)
        return Trial(law, start, np.stack(frames), places, half, tilt, friction, length)


def _clear(place: np.ndarray, velocity: np.ndarray, half: np.ndarray, dt_s: float) -> bool:
    """Whether nothing touches walls, floor or ceiling before the next frame."""
    there = half > 0.0
    for at in (place[there], place[there] + dt_s * velocity[there]):
        (x, z), reach = at.T, half[there] + CLEAR_M
        if (np.abs(x) + reach > ROOM_M).any() or (z - reach < 0.0).any() or (z + reach > TALL_M).any():
            return False
    return True


def still(trial: Trial) -> np.ndarray:
    """The actions of a trial: none, float32 (T, A)."""
    return np.zeros((trial.steps, trial.start.actions.shape[1]), np.float32)


def pooled(trials: Sequence[Sequence[Trial]]) -> list[Trial]:
    """All of them, in turns."""
    return [trial for turn in trials for trial in turn]


def laws_sha256() -> str:
    """Of the scene as MuJoCo compiles it, and of what varies in it."""
    return hashlib.sha256(f"{XML}{FACTORS}".encode()).hexdigest()
