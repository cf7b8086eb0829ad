"""The true side of the gallery: tours on which the camera goes out, looks round, and comes back the way it went."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from videosim.audits.gallery_geometry import in_sight, poses, project, triangulate
from videosim.audits.truth import FIRST_SEED
from videosim.audits.world import Start
from videosim.envs.gallery import COLOURS, REACH_M, XML
from videosim.envs.physics import PhysicsEnv
from videosim.types import WorldSpec

CONTEXT = 4  # frames before, with the one at the start
OUT = 32  # frames out; as many back
HALVES = (slice(0, OUT + 1), slice(OUT, None))  # of the frames
LEGS = 2  # pieces of the way out, each with a velocity of its own
GLIDES, TURNS = 0.8, (0.4, 1.0)  # of full action: most along either axis; of turning, all the way to one side
SPREAD = 0.04  # rad, between lines of sight to a ball that is to be placed: twice what a world's own pictures must have
CLEAR_M = 0.02  # of the camera from where it may not go on


@dataclass(frozen=True)
class Tour:
    """A way out and back.

    actions  float32 (T, 3), of which the second half undoes the first
    frames   uint8 (T+1, H, W, 3), what is truly seen, the start's first
    pose     float64 (T+1, 3), x, y and heading, which follow from the actions
    balls    float64 (6, 4), places and radius of COLOURS in metres
    place    float64 (T+1, 6, 2), pixels at which each is truly seen, NaN behind the camera
    seen     bool (T+1, 6), wholly in sight and clear of all others; at the start some ball is
    absent   bool (T+1, 6), out of sight altogether
    placed   columns of the balls whose place follows from their pictures, on the way out and on the way back; not none
    """

    start: Start
    actions: np.ndarray
    frames: np.ndarray
    pose: np.ndarray
    balls: np.ndarray
    place: np.ndarray
    seen: np.ndarray
    absent: np.ndarray
    placed: tuple[int, ...]


class GalleryTruth:
    """MuJoCo's gallery."""

    def __init__(self) -> None:
        self.env = PhysicsEnv("gallery")
        names = self.spec.sensors.names
        self._pose = [names.index(name) for name in ("x", "y", "cos_heading", "sin_heading")]
        ends = ("x", "y", "z", "radius")
        self._balls = [[names.index(f"{colour}_{end}") for end in ends] for colour in COLOURS]

    @property
    def spec(self) -> WorldSpec:
        return self.env.world_spec

    def close(self) -> None:
        self.env.close()

    def tours(self, first: int, wanted: int) -> list[Tour]:
        """``wanted`` tours that stay clear of the edge and see enough, from start number ``first`` on."""
        found: list[Tour] = []
        number = first
        while len(found) < wanted:
            tour = self._tour(FIRST_SEED + number)
            found += [] if tour is None else [tour]
            number += 1
        return found

    def _tour(self, seed: int) -> Tour | None:
        env, rng = self.env, np.random.default_rng([seed, 1])
        env.reset(seed=seed)
        legs = [[*rng.uniform(-GLIDES, GLIDES, 2), rng.uniform(*TURNS)] for _ in range(LEGS)]
        out = np.repeat(np.array(legs) * (1.0, 1.0, rng.choice([-1.0, 1.0])), OUT // LEGS, axis=0).astype(np.float32)
        before = np.repeat(out[:1], CONTEXT - 1, axis=0)
        actions = np.concatenate([out, -out[::-1]])
        pose = poses(self._where(), np.concatenate([before, actions]))
        pose, balls = pose[len(before) :], np.asarray(env.sensors(), np.float64)[self._balls]
        side = self.spec.frame.height
        place, breadth = project(pose, balls, side)
        seen, absent = in_sight(place, breadth, side)
        views = np.where(seen[..., None], place, np.nan)
        placed = tuple(i for i in range(len(balls)) if _twice(pose, views[:, i], balls[i, 3], side))
        if np.abs(pose[:, :2]).max() > REACH_M - CLEAR_M or not seen[0].any() or not placed:
            return None
        context = [env.render()]
        for action in before:
            env.step(action)
            context.append(env.render())
        start = Start(env.save(), np.stack(context), before, seed)
        frames = [context[-1]]
        for action in actions:
            env.step(action)
            frames.append(env.render())
        return Tour(start, actions, np.stack(frames), pose, balls, place, seen, absent, placed)

    def _where(self) -> np.ndarray:
        x, y, cos, sin = np.asarray(self.env.sensors(), np.float64)[self._pose]
        return np.array([x, y, np.arctan2(sin, cos)])


def _twice(pose: np.ndarray, views: np.ndarray, radius: float, side: int) -> bool:
    return all(triangulate(pose[half], views[half], radius, side, SPREAD) is not None for half in HALVES)


def gallery_sha256() -> str:
    """Of the scene as MuJoCo compiles it."""
    return hashlib.sha256(XML.encode()).hexdigest()
