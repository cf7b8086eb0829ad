"""Imports point one way, and what must load fast loads neither torch nor mujoco."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Lower layers first; a module may import from its own layer and from those above it in this list.
LAYERS = [
    {"errors", "captions"},
    {
        "types",
        "agent_config",
        "config",
        "generate_config",
        "model_config",
        "run",
        "statistics",
        "registration",
        "__init__",
    },
    {"embodiments", "beside"},
    {
        "data",
        "metrics",
        "calibration",
        "ranking",
        "video",
        "plots",
        "report",
        "report_style",
        "actions",
        "fsq",
        "tokenizers",
        "layers",
        "rounding",
        "missing",
        "bridge",
    },
    {"transition", "filter"},
    {"footage", "outline", "presets", "sheet"},
    {"verbs"},
    {"transformer", "windows", "patches", "paths", "whole_clips", "text"},
    {"around"},
    {"dynamics", "heads", "painter"},
    {"recurrent", "flow", "masked"},
    {"course"},
    {"storyline"},
    {"spacetime"},
    {"world_model"},
    {"checkpoint", "simulator"},
    {"one_body"},
    {"resized"},
    {"generate", "intentions"},
    {"crew", "states"},
    {"sharding"},
    {"processes"},
    {"telling"},
    {"corpus", "fit", "losses"},
    {"gate", "held_out", "latent_cache", "mixture", "drives"},
    {"lessons"},
    {"buckets", "clips", "training_card", "painting", "charting", "filtering", "moving", "renewal", "scales"},
    {"train"},
    {"envs"},
    {"audits", "agents"},
    {"findings", "examiners"},
    {
        "commands",
        "auditing",
        "generating",
        "intending",
        "trending",
        "audit_films",
        "audit_page",
        "audit_plots",
        "audit_tables",
        "compose",
        "cli",
    },
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
NEEDS = {  # of all that lies below, these packages may see no more
    "captions": {"captions"},
    "data": {"types", "config", "errors", "run", "beside", "data"},
    "audits": {"envs", "data", "types", "statistics", "metrics", "errors", "config", "audits"},
}
TORCH_FREE = [
    "types.py",
    "config.py",
    "agent_config.py",
    "generate_config.py",
    "model_config.py",
    "embodiments.py",
    "errors.py",
    "beside.py",
    "run.py",
    "cli.py",
    "compose.py",
    "registration.py",
    "__init__.py",
]
TORCH_FREE_FOLDERS = ["videosim/captions", "videosim/data"]
TORCH_FREE_FILES = [f"envs/{n}.py" for n in ("physics", "push", "door", "driving", "laws", "gallery", "spaces")]


def modules() -> list[tuple[str, Path]]:
    """(top-level name below videosim, file) of every module of the package."""
    found = [(path.stem, path) for path in sorted((ROOT / "videosim").glob("*.py"))]
    found += [(top, path) for top in NEEDS for path in sorted((ROOT / "videosim" / top).rglob("*.py"))]
    return found + [(top, path) for top in ("envs", "agents") for path in sorted((ROOT / top).rglob("*.py"))]


def imports(tree: ast.AST, nested: bool) -> set[str]:
    """Dotted names imported by a module; those inside functions and TYPE_CHECKING blocks only if ``nested``."""
    names: set[str] = set()
    todo = [tree]
    while todo:
        for node in ast.iter_child_nodes(todo.pop()):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
            elif nested or not (isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or checks_types(node)):
                todo.append(node)
    return names


def checks_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def upward(own: str, path: Path) -> list[str]:
    used = {name.split(".")[1] for name in imports(ast.parse(path.read_text()), False) if name.startswith("videosim.")}
    bad = [name for name in used & set(RANK) if RANK[name] > RANK[own]]
    return sorted(bad + list((used & set(RANK)) - NEEDS.get(own, set(RANK))))


@pytest.mark.parametrize(("own", "path"), modules(), ids=lambda value: getattr(value, "name", value))
def test_no_module_imports_upwards(own: str, path: Path) -> None:
    assert own in RANK, f"give videosim.{own} its place in LAYERS"
    assert not upward(own, path), f"{path.name} imports from a higher layer"


def test_an_upward_import_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "types.py"
    bad.write_text("from videosim.agents import sb3\n")
    assert upward("types", bad) == ["agents"]
    bad.write_text("def late():\n    from videosim.agents import sb3\n")
    assert upward("types", bad) == []


def test_audits_see_worlds_and_no_training_code(tmp_path: Path) -> None:
    bad = tmp_path / "exam.py"
    for name in ("train", "fit", "simulator", "checkpoint", "world_model", "agents"):
        bad.write_text(f"from videosim.{name} import anything\n")
        assert upward("audits", bad) == [name]


def torch_free_files() -> list[Path]:
    files = [ROOT / "videosim" / name for name in TORCH_FREE] + [ROOT / name for name in TORCH_FREE_FILES]
    return files + [path for folder in TORCH_FREE_FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", torch_free_files(), ids=lambda path: path.name)
def test_no_torch_on_import(path: Path) -> None:
    assert "torch" not in {name.split(".")[0] for name in imports(ast.parse(path.read_text()), False)}


@pytest.mark.parametrize("module", ["videosim", "videosim.cli", "videosim.compose", "videosim.run"])
def test_import_loads_neither_torch_nor_mujoco(module: str) -> None:
    code = f"import sys, {module}; assert 'torch' not in sys.modules and 'mujoco' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
