"""The controls of a scene as the parameters of a test."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from videosim.audits.scene import Scene


def controls(scene: Scene, fast: Collection[str]) -> list[Any]:
    """All that the scene has a verdict for; those that are not ``fast`` are slow."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in scene.expected()]
