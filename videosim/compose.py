"""From the words of a command line to a config dataclass: Hydra composes the groups, we check every key and value.

A command's settings are a dataclass in ``videosim.config`` (the schema) and ``configs/<command>.yaml`` (its defaults
list). Hydra's search path, group choices, override grammar and sweeps are used as they are; its output folders and its
stack traces are not. Every fault becomes one VideoSimError sentence.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from videosim.config import AgentConfig
from videosim.embodiments import body_of
from videosim.errors import VideoSimError
from videosim.model_config import KINDS

TYPE_WORDS = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "String": "a text"}
FOREIGN_WORLDS = ("dm_control:<domain>-<task>", "gymnasium:<Id>", "control:<name>")


def default_folder() -> Path:
    """The installed ``configs/``."""
    return Path(str(resources.files("videosim.configs")))


def choices(group: str, folder: Path) -> list[str]:
    """Names that ``group=…`` accepts."""
    return sorted(path.stem for path in (folder / group).glob("*.yaml"))


def expand_sweep(words: Sequence[str]) -> Iterator[list[str]]:
    """Every combination of the comma lists, ranges and choices in ``words``: Hydra's ``-m``, one list a job."""
    axes = [
        list(o.sweep_string_iterator()) if o.is_sweep_override() else [o.get_value_element_as_str()]
        for o in parse(words)
    ]
    for values in itertools.product(*axes):
        yield [f"{o.get_key_element()}={value}" for o, value in zip(parse(words), values, strict=True)]


def sweeps(words: Sequence[str]) -> list[str]:
    """The keys in ``words`` that hold more than one value."""
    return [o.get_key_element() for o in parse(words) if o.is_sweep_override()]


def parse(words: Sequence[str]) -> list[Override]:
    """Parse ``key=value`` words by Hydra's grammar."""
    for word in words:
        if "=" not in word or word.startswith(("-", "=", "~")):
            raise VideoSimError(f"cannot read {word!r}; a setting is written key=value, and --help lists the keys")
    try:
        return OverridesParser.create().parse_overrides(list(words))
    except HydraException as error:
        reason = str(error).splitlines()[0]
        raise VideoSimError(f"cannot read the settings: {reason}; put special characters into single quotes") from error


def compose(command: str, schema: type, words: Sequence[str], folder: Path | None = None) -> DictConfig:
    """The configuration of ``command`` after ``words``, checked against ``schema``.

    folder   where the YAML files lie; the installed ``configs/`` if None

    Raises VideoSimError on an unknown key, group choice or world, and on a value of the wrong type.
    """
    folder = folder or default_folder()
    types = {field.name: field.type for field in fields(schema)}
    groups = {path.name for path in folder.iterdir() if path.is_dir()}
    chosen: list[str] = []
    settings: list[Override] = []
    for word, override in zip(words, parse(words), strict=True):
        if override.is_sweep_override():
            raise VideoSimError(f"{word!r} holds several values; add -m to run one job for each, or quote the value")
        key = override.key_or_group.split("@")[0]
        if key in groups and types.get(key) not in ("str", str):
            chosen.append(_choose(key, override, folder))
        else:
            settings.append(override)
    if types.get("agent") in ("AgentConfig", AgentConfig) and not any(c.startswith("agent=") for c in chosen):
        chosen += [f"agent={name}" for name in [_subject_world(words)] if name in choices("agent", folder)]
    config = _compose_groups(command, schema, chosen, folder)
    for override in sorted(settings, key=_turn):
        _set(config, command, override)
    return config


def _subject_world(words: Sequence[str]) -> str:
    """The world that ``words`` speak of, by ``world=`` or by the checkpoint; "" where that cannot be told. Agents have
    settings of their own for it."""
    given = {o.key_or_group: str(o.value()) for o in parse(words) if o.key_or_group in ("world", "checkpoint")}
    if "world" in given or "checkpoint" not in given:
        return given.get("world", "")
    checkpoint, body = body_of(given["checkpoint"])
    for folder in () if body else (Path(checkpoint), Path(checkpoint) / "checkpoint"):
        try:
            return str(json.loads((folder / "config.json").read_text())["spec"]["name"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # loading the checkpoint will say what is wrong with it
    return body or checkpoint  # a body has the name of its world, and so has a bundled model


def to_dataclass(config: DictConfig, command: str) -> Any:
    """The config as its dataclass; VideoSimError where a mandatory setting is missing."""
    missing = sorted(str(key) for key in OmegaConf.missing_keys(config))
    if missing:
        raise VideoSimError(f"videosim {command} needs {' and '.join(f'{key}=…' for key in missing)}")
    try:
        return OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise VideoSimError(f"the settings of {command} do not fit: {str(error).splitlines()[0]}") from error


def _turn(override: Override) -> tuple[bool, int]:
    """Kinds come first, for they bring keys with them, among these even further kinds."""
    return not override.key_or_group.endswith(".kind"), override.key_or_group.count(".")


def _choose(group: str, override: Override, folder: Path) -> str:
    """A group choice as Hydra wants it. A world named by a physics library's id becomes the choice ``requested``."""
    choice = str(override.value())
    if group == "world" and ":" in choice:
        from videosim.envs.physics import load_world  # the physics libraries are loaded only for such a name

        ConfigStore.instance().store(group="world", name="requested", node=load_world(choice))
        choice = "requested"
    elif choice not in choices(group, folder):
        raise VideoSimError(f"unknown {group} {choice!r}; choose {_options(group, folder)}")
    return f"{override.get_key_element()}={choice}"


def _options(group: str, folder: Path) -> str:
    return " | ".join(choices(group, folder) + (list(FOREIGN_WORLDS) if group == "world" else []))


def _compose_groups(command: str, schema: type, chosen: list[str], folder: Path) -> DictConfig:
    """The defaults list is the schema, then ``<command>.yaml``: no file can name a key that the dataclass lacks."""
    store = ConfigStore.instance()
    store.store(name=f"{command}_schema", node=schema)
    store.store(name=f"videosim_{command}", node={"defaults": [f"{command}_schema", command, "_self_"]})
    try:
        with initialize_config_dir(str(folder.resolve()), version_base="1.3"):
            config = hydra_compose(f"videosim_{command}", chosen)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        reason = " ".join(str(error).splitlines()[:2])  # the file and, behind it, the fault
        raise VideoSimError(f"cannot compose the settings of {command}: {reason}; correct the file") from error
    OmegaConf.set_struct(config, True)
    return config


def _set(config: DictConfig, command: str, override: Override) -> None:
    key = override.key_or_group
    if not _accepts(config, key):
        near = difflib.get_close_matches(key, flat_keys(config), n=3, cutoff=0.5)
        mend = f"did you mean {' or '.join(near)}?" if near else f"videosim {command} --help lists all"
        raise VideoSimError(f"videosim {command} has no setting {key!r}; {mend}")
    if key.endswith(".kind"):
        _set_kind(config, key.removesuffix(".kind"), str(override.value()))
        return
    try:
        OmegaConf.update(config, key, override.value(), merge=True, force_add=True)
    except OmegaConfBaseException as error:
        found = re.search(r"could not be converted to (\w+)", str(error))
        wanted = TYPE_WORDS.get(found[1], found[1]) if found else str(error).splitlines()[0]
        raise VideoSimError(f"{key} must be {wanted}; got {override.get_value_element_as_str()}") from error


def _set_kind(config: DictConfig, key: str, kind: str) -> None:
    """Put the settings of another kind, with its defaults, where those of one kind are."""
    present = OmegaConf.get_type(OmegaConf.select(config, key)) or dict
    known = [name for name, schema in KINDS.items() if schema.__mro__[-2] is present.__mro__[-2]]
    if kind not in known:
        raise VideoSimError(f"unknown {key}.kind {kind!r}; choose {' | '.join(known)}")
    OmegaConf.update(config, key, OmegaConf.structured(KINDS[kind]), merge=False)


def _accepts(config: DictConfig, key: str) -> bool:
    """Whether ``key`` exists, or may be added because it lies in a mapping without a schema."""
    node: Any = config
    for part in key.split("."):
        if isinstance(node, ListConfig):
            return part.isdigit() and int(part) < len(node)
        if not isinstance(node, DictConfig):
            return False
        if part not in node.keys():  # noqa: SIM118 - a mandatory setting is a key, but not `in` the node
            return OmegaConf.get_type(node) is dict and node is not config
        node = node._get_node(part)
    return True


def flat_keys(config: DictConfig, prefix: str = "") -> list[str]:
    """Every settable key, dotted, in the order of the dataclass."""
    keys = []
    for name in map(str, config):
        node = config._get_node(name)
        if isinstance(node, DictConfig) and not node._is_none() and len(node):
            keys += flat_keys(node, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys


def describe(config: DictConfig, folder: Path | None = None) -> list[tuple[str, str]]:
    """``(key=default, comment)`` for every setting, group choices first. The comments are those of the dataclass."""
    folder = folder or default_folder()
    rows = []
    for name in map(str, config):
        if choices(name, folder) and isinstance(config._get_node(name), DictConfig):
            rows.append((f"{name}=…", _options(name, folder)))
    for key in flat_keys(config):
        *parents, name = key.split(".")
        parent: Any = OmegaConf.select(config, ".".join(parents)) if parents else config
        plain: Any = OmegaConf.to_container(parent)
        value = plain[name]
        shown = "…" if value == "???" else value
        owner = OmegaConf.get_type(parent)
        comment = comments(owner).get(name, "")
        if not comment and choices(key, folder):
            comment = _options(key, folder)
        rows.append((f"{key}={shown}", comment))
    return rows


def comments(schema: type | None) -> dict[str, str]:
    """The comment behind each field of a dataclass, on whichever of its lines, read from its source; empty where there
    is no source."""
    if schema is None or not is_dataclass(schema):
        return {}
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__[:-1]):
        try:
            source = inspect.getsource(base)
        except (OSError, TypeError):
            continue
        lines = source.splitlines()
        for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                said = (line.partition("  # ")[2] for line in lines[node.lineno - 1 : node.end_lineno])
                found[node.target.id] = next(filter(None, said), "")
    return found
