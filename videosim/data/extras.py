"""Packages that only some formats need: a missing one is told together with the extra that installs it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from videosim.errors import VideoSimError


def needed(module: str, extra: str) -> ModuleType:
    """The module ``module``; VideoSimError naming the ``extra`` of this package where it is not installed."""
    try:
        return import_module(module)
    except ImportError as fault:
        raise VideoSimError(
            f"this needs the package {module.split('.')[0]!r}, which is not installed; pip install 'videosim[{extra}]'"
        ) from fault
