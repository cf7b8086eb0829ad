"""Blobs of colour in frames: what every reader of coloured things begins with. Knows no scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Blobs:
    """Of n frames and C colours: the heaviest blob's centroid in pixels (n, C, 2) as (column, row), its area at half
    height, its contrast (that of the tenth pixel from the top, for noise), and the masses of the two heaviest
    (n, C, 2). The centroid is NaN where there is none."""

    place: np.ndarray
    area: np.ndarray
    contrast: np.ndarray
    mass: np.ndarray


def find_blobs(weights: np.ndarray, offsets: np.ndarray) -> Blobs:
    """The connected blobs of ``weights`` float (n, C, H, W): how much each pixel is of each colour beyond that colour's
    ``offsets`` (C,), and 0 below."""
    shape = weights.shape[:2]
    blobs = Blobs(np.full((*shape, 2), np.nan), np.zeros(shape), np.zeros(shape), np.zeros((*shape, 2)))
    for index in np.ndindex(shape):
        weight = weights[index]
        labels, found = ndimage.label(weight > 0, np.ones((3, 3)))
        if not found:
            continue
        total = np.bincount(labels.ravel(), weight.ravel(), found + 1)
        total[0] = 0.0
        order = np.argsort(-total)[: min(2, found)]
        rows, columns = np.nonzero(labels == order[0])
        inside = weight[rows, columns]
        height = np.sort(inside)[-min(10, len(inside))]
        blobs.place[index] = inside @ columns / total[order[0]], inside @ rows / total[order[0]]
        blobs.area[index], blobs.contrast[index] = (inside > height / 2).sum(), height + offsets[index[1]]
        blobs.mass[index][: len(order)] = total[order]
    return blobs
