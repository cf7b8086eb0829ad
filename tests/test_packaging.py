"""What is installed: every package that exists, under one name; and the guard against importing a file twice."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = ROOT / "pyproject.toml"
SETUPTOOLS = tomllib.loads(PYPROJECT.read_text())["tool"]["setuptools"]


def test_every_package_is_listed() -> None:
    mapped = {folder: name for name, folder in SETUPTOOLS["package-dir"].items()}
    found = {mapped[top] for top in mapped if (ROOT / top / "__init__.py").exists()}
    for init in (ROOT / "videosim").rglob("__init__.py"):
        if not any(parent.is_symlink() for parent in init.parents):
            found.add(".".join(init.parent.relative_to(ROOT).parts))
    assert found == set(SETUPTOOLS["packages"])


@pytest.mark.parametrize("name", ["envs", "agents"])
def test_a_package_has_one_name(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"videosim.{name}" in done.stderr


@pytest.mark.parametrize("name", ["envs", "agents", "configs", "experiments", "tests"])
def test_nothing_else_is_importable_from_elsewhere(name: str, tmp_path: Path) -> None:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0


def test_links_point_to_the_folders() -> None:
    for name in ("envs", "agents", "configs"):
        link = ROOT / "videosim" / name
        if link.is_symlink():  # a checkout without links works too
            assert link.resolve() == ROOT / name
