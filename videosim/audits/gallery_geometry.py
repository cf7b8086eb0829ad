"""Geometry of a camera that moves in the plane and looks level: where a ball is seen from a pose, and where it must be
to be seen as it was.

Poses are (x, y, heading) with the camera EYE_M above the floor; pixels are (column, row) of a square picture.
"""

from __future__ import annotations

import numpy as np

from videosim.envs.gallery import EYE_M, FOVY_DEG, SPEED_MPS, TURN_RADPS, moved

LEAST_VIEWS = 6  # of a ball that is to be triangulated
LEAST_SPREAD = 0.02  # rad: root mean square angle between its lines of sight and their mean


def poses(first: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Where the camera is, from ``first`` (3,) on, under ``actions`` (T, 3): float64 (T+1, 3)."""
    found = [np.asarray(first, np.float64)]
    for action in actions:
        found.append(moved(found[-1], np.asarray(action, np.float64) * (SPEED_MPS, SPEED_MPS, TURN_RADPS)))
    return np.stack(found)


def focal_px(side: int) -> float:
    """Of a picture of ``side`` pixels."""
    return side / 2.0 / float(np.tan(np.radians(FOVY_DEG) / 2.0))


def seen_from(pose: np.ndarray, balls: np.ndarray) -> np.ndarray:
    """Balls (n, 3) or more columns along the camera's axes: forward, left, up, float64 (T, n, 3) for poses (T, 3)."""
    cos, sin = np.cos(pose[:, 2]), np.sin(pose[:, 2])
    away = balls[None, :, :2] - pose[:, None, :2]
    forward = away[..., 0] * cos[:, None] + away[..., 1] * sin[:, None]
    left = away[..., 1] * cos[:, None] - away[..., 0] * sin[:, None]
    return np.stack([forward, left, np.broadcast_to(balls[:, 2] - EYE_M, forward.shape)], -1)


def project(pose: np.ndarray, balls: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where ``balls`` (n, 4), places and radius in metres, are seen from poses (T, 3): pixels float64 (T, n, 2), of the
    middle of the ellipse as which a ball is seen, and its half breadth (T, n); NaN behind the camera.

    A ball of radius r at depth d is seen with its middle 1 / (1 - r^2 / d^2) as far out as its centre.
    """
    at, radius, focal = seen_from(pose, balls), balls[:, 3], focal_px(side)
    depth = np.where(at[..., 0] > 2.0 * radius, at[..., 0], np.nan)
    out = focal / (depth * (1.0 - (radius / depth) ** 2))
    middle = (side - 1) / 2.0
    place = np.stack([middle - out * at[..., 1], middle - out * at[..., 2]], -1)
    off = np.linalg.norm(at, axis=-1) / depth
    return place, focal * radius / depth * off


def in_sight(place: np.ndarray, breadth: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Which balls are wholly in the picture and clear of one another, and of which nothing is in it: bool (T, n)."""
    known = np.where(np.isfinite(place), place, 1e6)
    wide = np.nan_to_num(breadth, nan=0.0)
    edge = np.minimum(known, side - 1 - known).min(-1)
    apart = np.linalg.norm(known[:, :, None] - known[:, None], axis=-1) - wide[:, :, None] - wide[:, None]
    apart[:, np.arange(place.shape[1]), np.arange(place.shape[1])] = np.inf
    return (edge > wide + 1.0) & (apart.min(-1) > 2.0), edge < -wide - 2.0


def triangulate(
    pose: np.ndarray, seen: np.ndarray, radius: float, side: int, spread: float = LEAST_SPREAD
) -> np.ndarray | None:
    """The place (3,) in metres from which a ball would be seen at pixels ``seen`` (T, 2), NaN where it was not, by
    least squares over the distances from the lines of sight; None where there are too few or they are no more than
    ``spread`` (rad) apart."""
    there = np.isfinite(seen[:, 0])
    if there.sum() < LEAST_VIEWS:
        return None
    pose, seen = pose[there], seen[there]
    middle, focal = (side - 1) / 2.0, focal_px(side)
    eyes = np.column_stack([pose[:, :2], np.full(len(pose), EYE_M)])
    found = None
    for _ in range(3):  # the ellipse's middle hangs on the depth
        depth = np.full(len(pose), np.inf) if found is None else seen_from(pose, found[None])[:, 0, 0]
        shrink = 1.0 - (radius / np.maximum(depth, 2.0 * radius)) ** 2
        left, up = ((middle - seen) * (shrink / focal)[:, None]).T
        cos, sin = np.cos(pose[:, 2]), np.sin(pose[:, 2])
        rays = np.stack([cos - left * sin, sin + left * cos, up], 1)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        across = np.eye(3) - rays[:, :, None] * rays[:, None]
        if np.linalg.eigvalsh(across.mean(0))[0] < spread**2:
            return None
        found = np.linalg.lstsq(across.sum(0), np.einsum("tij,tj->i", across, eyes), rcond=None)[0]
    return found
