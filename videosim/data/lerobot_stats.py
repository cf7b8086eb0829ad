"""The statistics that a LeRobotDataset v3 keeps of every feature, for an episode and over all of them.

Of numbers: over the frames, shape (size,). Of pictures: over frames and pixels, in [0, 1], shape (3, 1, 1), from at
most ``LOOKED_AT`` frames of an episode. Quantiles over all episodes are the weighted means of theirs, as LeRobot's are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LOOKED_AT = 100
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


def number_stats(values: np.ndarray) -> dict[str, Any]:
    """Of ``(T,)`` or ``(T, size)``: name -> list of ``size`` numbers, and "count" -> [T]."""
    return _stats(np.asarray(values, np.float64).reshape(len(values), -1), len(values))


def image_stats(frames: np.ndarray) -> dict[str, Any]:
    """Of uint8 ``(T, H, W, 3)``: name -> nested list (3, 1, 1) in [0, 1], and "count" -> [frames looked at]."""
    few = frames[np.unique(np.linspace(0, len(frames) - 1, LOOKED_AT).astype(int))]
    found = _stats(few.reshape(-1, 3) / 255.0, len(few))
    return {name: values if name == "count" else [[[value]] for value in values] for name, values in found.items()}


def aggregated(episodes: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """One entry a feature over all ``episodes``, each weighted by its count."""
    return {key: _joined([episode[key] for episode in episodes]) for key in (episodes[0] if episodes else {})}


def _stats(values: np.ndarray, count: int) -> dict[str, Any]:
    found = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
    found |= dict(zip(QUANTILES, quantiles, strict=True))
    return {name: value.tolist() for name, value in found.items()} | {"count": [count]}


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    def stacked(name: str) -> np.ndarray:
        return np.array([part[name] for part in parts])

    counts = stacked("count")[:, 0].astype(np.float64)

    def weighted(values: np.ndarray) -> np.ndarray:
        return np.average(values, axis=0, weights=counts)

    mean = weighted(stacked("mean"))
    spread = np.sqrt(weighted(stacked("std") ** 2 + (stacked("mean") - mean) ** 2))
    found = {"min": stacked("min").min(0), "max": stacked("max").max(0), "mean": mean, "std": spread}
    found |= {name: weighted(stacked(name)) for name in QUANTILES}
    return {name: value.tolist() for name, value in found.items()} | {"count": [int(counts.sum())]}
