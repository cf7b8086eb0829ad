"""A16, likeness: can a classifier tell the world's clips from true ones, and do they tell as much of the state?

Two-sample tests by a classifier (Lopez-Paz and Oquab 2017): true clips against the world's from the same starts under
the same actions, a start being in one of FOLDS as a whole; the truth goes through the world's own codec first, so that
not the codec is what is detected. AUC over the clips of folds that were not learned from; at a half nothing tells them.

    clip auc   from pictures: mean and mean absolute change, over the clip, of each BLOCK x BLOCK pixels
    state auc  from what is read of them: the moves of all things over four quarters of the clip, and their lengths
    richness   of the places and moves that true frames tell (R^2 >= TOLD of the true value on the read one), the share
               that the world's frames tell as well, at the end of the clip

The classifier is a ridge regression on the COMPONENTS principal components of each kind of features and on their
squares. A world that is like the truth need not be right: what it answers to actions is A3's. Bits of the state that
the frames tell, sum of log2(1 / (1 - R^2)) / 2, are among the details.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videosim.audits.audit import Audit, Viewing
from videosim.audits.clips import FRAMES, clips
from videosim.audits.push_reader import Reading
from videosim.audits.push_scene import ARENA_M
from videosim.audits.surprise import auroc
from videosim.audits.truth import Case
from videosim.audits.verdict import Result, Sample

FOLDS, COMPONENTS = 5, 6
RIDGE = 0.2  # of the regression, a row that it learns from
BLOCK = 4  # pixels
QUARTER = FRAMES // 4
TOLD, WHOLE = 0.9, 0.9  # of R^2; share in sight from which a value is compared
MOST = 1.0 - 1e-6  # of R^2, for the bits


def audit_likeness(viewing: Viewing) -> Result:
    """Look at the world's clips beside the truth's."""
    pairs = clips(viewing)
    pictures = scores([_picture(clip.frames) for _, clip in pairs], [_picture(clip.true) for _, clip in pairs])
    states = scores([_moves(clip.read) for _, clip in pairs], [_moves(clip.known) for _, clip in pairs])
    told = np.stack([_values(case, clip.read) for case, clip in pairs])
    known = np.stack([_values(case, clip.known) for case, clip in pairs])
    samples = {
        "clip_auc": Sample(pictures, lambda rows: auroc(*rows.T)),
        "state_auc": Sample(states, lambda rows: auroc(*rows.T)),
        "richness": Sample(np.concatenate([told, known], axis=-1), richness),
    }
    bits = -0.5 * np.log2(1.0 - np.clip(determined(told), 0.0, MOST))
    return viewing.judge("A16", samples, {"r2": determined(told).tolist(), "bits": float(bits.sum())})


Features = tuple[np.ndarray, ...]  # one (F,) of each kind


def _picture(frames: np.ndarray) -> Features:
    """Of a clip's pictures, uint8 (T+1, H, W, 3)."""
    grey = frames.astype(np.float64).mean(-1)
    height, width = grey.shape[1:]
    inside = grey[:, : height // BLOCK * BLOCK, : width // BLOCK * BLOCK]
    shape = (-1, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    mean = inside.mean(0, keepdims=True).reshape(shape).mean((2, 4))
    change = np.abs(np.diff(inside, axis=0)).mean(0, keepdims=True).reshape(shape).mean((2, 4))
    return mean.ravel(), change.ravel()


def _moves(read: Reading) -> Features:
    """Of what is read: a thing that is not found has moved by an arena."""
    moves = np.diff(read.position[::QUARTER], axis=0)
    moves = np.where(np.isfinite(moves), moves, ARENA_M)
    return moves.ravel(), np.linalg.norm(moves, axis=-1).ravel()


def scores(ours: Sequence[Features], true: Sequence[Features]) -> np.ndarray:
    """How much each of the n clips on either side is taken for ours, by a classifier that did not learn from its fold:
    (n, 2). The same number on both sides is the same start, and lies in one fold."""
    n = len(ours)
    fold, label, found = np.arange(2 * n) % n % FOLDS, np.repeat([1.0, -1.0], n), np.zeros(2 * n)
    kinds = [np.stack(rows) for rows in zip(*ours, *true, strict=True)]
    for k in range(FOLDS if n > 1 else 0):
        learned = fold != k
        if learned.all():
            break
        flat = np.concatenate([_components(rows, learned) for rows in kinds], axis=1)
        terms = np.concatenate([flat, flat**2], axis=1)
        terms = (terms - terms[learned].mean(0)) / (terms[learned].std(0) + 1e-9)
        known = terms[learned]
        ridge = RIDGE * len(known) * np.eye(known.shape[1])
        found[~learned] = terms[~learned] @ np.linalg.solve(known.T @ known + ridge, known.T @ label[learned])
    return found.reshape(2, n).T


def _components(rows: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """``rows`` (m, F) along the principal components of those that are ``learned`` from."""
    apart = rows - rows[learned].mean(0)
    return apart @ np.linalg.svd(apart[learned], full_matrices=False)[2][:COMPONENTS].T


def _values(case: Case, read: Reading) -> np.ndarray:
    """Of each coordinate of each thing at the end, and of its move over the last quarter: what is read, what is true,
    and whether truth shows it whole at both: float64 (values, 3). What is not found is read as an arena off."""
    ends = [-1 - QUARTER, -1]
    shown = (case.truth.share[ends] >= WHOLE).all(0)
    both = []
    for place in (read.position, case.truth.position):
        last = np.where(np.isfinite(place[ends]), place[ends], ARENA_M)
        both.append(np.concatenate([last[1].ravel(), (last[1] - last[0]).ravel()]))
    return np.stack([*both, np.tile(shown.repeat(2), 2)], axis=1)


def determined(values: np.ndarray) -> np.ndarray:
    """R^2 of the true on the read value, as it is read, for each of (n, values, 3): (values,), 0 where truth does not
    vary."""
    read, true, shown = np.moveaxis(values, -1, 0)
    counted = np.maximum(shown.sum(0), 1.0)
    mean = (true * shown).sum(0) / counted
    left, varied = (((read - true) ** 2) * shown).sum(0), (((true - mean) ** 2) * shown).sum(0)
    return 1.0 - np.divide(left, varied, out=np.ones_like(left), where=varied > 0)


def richness(rows: np.ndarray) -> float:
    """Of rows (n, values, 6), the world's and the truth's; 0 where true frames tell nothing."""
    told, known = (determined(part) >= TOLD for part in (rows[..., :3], rows[..., 3:]))
    return float((told & known).sum() / known.sum()) if known.any() else 0.0


AUDIT = Audit(
    "A16",
    "likeness: can its clips be told from true ones, and do they tell as much?",
    audit_likeness,
    level=0,
    figures=(("clip_auc", "clip_auc"), ("state_auc", "state_auc"), ("richness", "richness")),
)
