"""A checkpoint is a folder that describes itself: ``config.json`` + ``model.safetensors`` + ``contexts.safetensors`` +
``README.md`` (model card). Nothing on the load path can run code: no pickle, no import path.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from videosim.embodiments import Embodiment
from videosim.errors import VideoSimError
from videosim.model_config import ModelConfig, from_dict, to_dict
from videosim.rounding import restored, rounded
from videosim.run import write_atomically
from videosim.types import WorldSpec
from videosim.world_model import Contexts, WorldModel

FORMAT = 1
MAX_PATH = 1024  # a longer text is no folder; the system would raise an error of its own
MAX_SIDE = 4096  # pixels of a frame
ASSETS = Path(__file__).parent / "assets"


def bundled() -> list[str]:
    """Names of the models that ship with the package."""
    return sorted(p.parent.name for p in ASSETS.glob("*/config.json"))


def save_checkpoint(folder: Path | str, model: WorldModel, card: dict[str, Any], bits: int = 16) -> None:
    """Write ``model`` to ``folder``, replacing what is there only when everything is on disk.

    ``bits`` of a stored weight: 32, 16 or 8 (``rounding``); it is loaded as float32.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Weights are rounded; scales, limits and clips' physics are not: a reset must be exact, and a cosine at most 1.
    exact = {name for name, _ in model.named_buffers()}
    tensors = rounded(model.state_dict(), bits, exact)
    config = {
        "format": FORMAT,
        "model": to_dict(model.config),
        "spec": model.spec.to_dict(),
        "embodiments": [asdict(body) for body in model.embodiments],
        "card": card,
    }
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
    try:
        (staging / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        (staging / "README.md").write_text(_card_text(model, card))
        save_file(tensors, staging / "model.safetensors")
        if model.contexts is not None:
            clips = vars(model.contexts) | ({"latents": model.contexts.latents.half()} if bits < 32 else {})
            save_file({k: v.contiguous() for k, v in clips.items()}, staging / "contexts.safetensors")
        staging.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=".replaced-", dir=folder.parent))
            os.rename(folder, old / "checkpoint")
            os.rename(staging, folder)
            shutil.rmtree(old)
        else:
            os.rename(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def amend_card(folder: Path, section: str, content: dict[str, Any]) -> None:
    """Replace one section of the card of the checkpoint in ``folder``; weights and clips stay as they are.

    Raises VideoSimError on a bundled model, which belongs to the installation."""
    if ASSETS.resolve() in folder.resolve().parents:
        raise VideoSimError(f"the bundled model {folder.name!r} is not changed; copy its folder and name the copy")
    config = _read_config(folder)
    config["card"][section] = content
    write_atomically(folder / "README.md", _card_text(_build(folder, config), config["card"]))
    write_atomically(folder / "config.json", json.dumps(config, indent=1) + "\n")


def find_checkpoint(name: str | Path) -> Path:
    """The folder of a bundled model's name, a checkpoint folder, or a run folder that holds one.

    Raises VideoSimError naming the bundled models when there is none.
    """
    text = str(name)
    for folder in (ASSETS / text, Path(text), Path(text) / "checkpoint"):
        if text and len(text) < MAX_PATH and (folder / "config.json").is_file():
            return folder
    raise VideoSimError(
        f"no checkpoint {text!r}: give a folder written by `videosim train`, or one of the bundled models "
        f"({', '.join(bundled()) or 'none installed'})"
    )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise VideoSimError(f"{folder}/config.json is not readable JSON; restore the file or train again") from error
    if not isinstance(config, dict) or "format" not in config:
        raise VideoSimError(f"{folder}/config.json is no videosim checkpoint; it has no format number")
    if config["format"] != FORMAT:
        raise VideoSimError(
            f"{folder} has checkpoint format {config['format']} and this version of videosim reads {FORMAT}; "
            "upgrade videosim or train the model again"
        )
    missing = {"model", "spec", "card"} - set(config)
    if missing:
        raise VideoSimError(f"{folder}/config.json lacks {sorted(missing)[0]!r}; restore the file or train again")
    return config


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise VideoSimError(f"{path} is missing; train the model again or restore the file")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise VideoSimError(f"{path} is damaged or truncated; train the model again or restore the file") from error


def load_checkpoint(name: str | Path, device: str = "cpu") -> WorldModel:
    """Load a model in evaluation mode. ``name``: a bundled model or a folder (see ``find_checkpoint``).

    Raises VideoSimError on anything missing, damaged, of another format, or with unknown settings.
    """
    folder = find_checkpoint(name)
    config = _read_config(folder)
    tensors = restored(_read_tensors(folder / "model.safetensors"))
    if not all(bool(torch.isfinite(v).all()) for v in tensors.values()):
        raise VideoSimError(f"{folder}/model.safetensors holds NaN or infinity; train the model again or restore it")
    with torch.device("meta"):  # shapes only: settings that do not fit the file must not make us allocate anything
        expected = _build(folder, config).state_dict()
    wrong = [k for k in expected if k not in tensors or tensors[k].shape != expected[k].shape]
    if wrong or set(tensors) - set(expected):
        fault = (wrong or sorted(set(tensors) - set(expected)))[0]
        raise VideoSimError(f"{folder}/model.safetensors does not fit its config.json (at {fault}); restore both files")
    model = _build(folder, config)
    model.load_state_dict(tensors, strict=True)
    if (folder / "contexts.safetensors").is_file():
        model.contexts = _read_contexts(folder / "contexts.safetensors", model)
    model.card, model.folder = config["card"], folder
    try:
        return model.eval().to(device)
    except (RuntimeError, AssertionError) as error:
        raise VideoSimError(f"the device {device!r} is not to be had here; use device='cpu'") from error


def _build(folder: Path, config: dict[str, Any]) -> WorldModel:
    try:
        spec = WorldSpec.from_dict(config["spec"])
        bodies = [Embodiment.from_dict(body) for body in config.get("embodiments", [])]  # older files name none
        fault = _spec_fault(spec) if isinstance(config["card"], dict) else "the card is no mapping"
        fault = fault or _body_fault(bodies, spec)
        if not fault:
            core = {"products": 0} | config["model"]["dynamics"]  # older files do not say, and have none
            return WorldModel(from_dict(ModelConfig, config["model"] | {"dynamics": core}), spec, bodies)
    except VideoSimError as error:
        raise VideoSimError(f"{folder}/config.json: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, IndexError) as error:
        fault = " ".join(str(error).split()) or type(error).__name__
    raise VideoSimError(f"{folder}/config.json does not describe a model ({fault}); restore the file")


def _spec_fault(spec: WorldSpec) -> str:
    """What is wrong with a spec read from a file; "" if nothing."""
    parts = ((spec.action, ("names",)), (spec.sensors, ("names", "units")))
    for part, texts in parts:
        if not all(isinstance(t, str) for name in texts for t in getattr(part, name)):
            return "a name or unit is no text"
        numbers = np.array([part.low, part.high], np.float64)
        sizes = {len(getattr(part, name)) for name in texts} | {numbers.shape[-1]}
        if numbers.ndim != 2 or len(sizes) != 1 or not np.isfinite(numbers).all() or (numbers[0] >= numbers[1]).any():
            return "the bounds and names of actions or sensors do not fit each other"
    if not spec.action.size or not isinstance(spec.name, str):
        return "the world has no name or no action"
    if not (1 <= spec.frame.height <= MAX_SIDE and 1 <= spec.frame.width <= MAX_SIDE):
        return "the frames have no possible size"
    return "" if 0.0 < spec.dt_s < np.inf and spec.horizon >= 1 else "the time step or the horizon is not above 0"


def _body_fault(bodies: list[Embodiment], spec: WorldSpec) -> str:
    """What is wrong with the embodiments read from a file; "" if nothing."""
    names = [body.name for body in bodies]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return "two embodiments have one name, or a name is no text"
    known = [(set(spec.action.names), body.actions) for body in bodies]
    known += [(set(spec.sensors.names), body.sensors) for body in bodies]
    return "" if all(set(own) <= all_names for all_names, own in known) else "an embodiment has what the world has not"


def _read_contexts(path: Path, model: WorldModel) -> Contexts:
    """The start clips, which must fit the model."""
    clips = _read_tensors(path)
    needed = {"latents", "actions", "sensors", "physics", "task"}
    if len(model.embodiments) > 1:  # older files, of one body, do not say which
        needed |= {"embodiment"}
    missing = needed - set(clips)
    if missing:
        raise VideoSimError(f"{path} lacks {sorted(missing)[0]!r}; restore the file")
    contexts = Contexts(
        clips["latents"].float(), clips["actions"].float(), clips["sensors"].float(), clips["physics"].double(),
        clips["task"].bool(), clips.get("embodiment", torch.zeros(0)).long(),
    )  # fmt: skip
    n, frames = (*contexts.latents.shape, 0, 0)[:2]
    shapes = (
        (contexts.latents, (n, frames, model.tokenizer.tokens, model.tokenizer.width)),
        (contexts.actions, (n, frames - 1, model.spec.action.size)),
        (contexts.sensors, (n, model.spec.sensors.size)),
        (contexts.physics, (n, *contexts.physics.shape[1:2])),
        (contexts.task, (n,)),
        (contexts.embodiment, (n,)),
    )
    if not n or not frames or any(tensor.shape != shape for tensor, shape in shapes) or contexts.physics.ndim != 2:
        raise VideoSimError(f"{path} does not fit the model; restore the files of the checkpoint")
    if not ((contexts.embodiment >= 0) & (contexts.embodiment < len(model.embodiments))).all():
        raise VideoSimError(f"{path} shows an embodiment that the model has not; restore the files of the checkpoint")
    if not all(bool(torch.isfinite(tensor).all()) for tensor, _ in shapes):
        raise VideoSimError(f"{path} holds NaN or infinity; restore the file")
    return contexts


def _card_text(model: WorldModel, card: dict[str, Any]) -> str:
    """The model card: only what the run recorded."""
    spec = model.spec
    parameters = sum(p.numel() for p in model.parameters())
    lines = [
        f"# {spec.name}: a videosim world model",
        "",
        f"{spec.frame.height}x{spec.frame.width} RGB frames every {spec.dt_s:g} s, {spec.action.size} action number(s) "
        f"({', '.join(spec.action.names)}), {parameters / 1e6:.2f} M parameters "
        f"(tokenizer {model.config.tokenizer.kind}, dynamics {model.config.dynamics.kind}).",
        "",
        "Trained with the recorded sensors as labels; when used it sees frames and actions only.",
        "",
    ]
    for section, content in card.items():
        lines += [f"## {section}", ""]
        if isinstance(content, dict):
            lines += ["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in content.items())]
        else:
            lines.append(str(content))
        lines.append("")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
