"""What a result depends on, as a short hash; and the note in a run folder that says with which settings it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videosim.errors import VideoSimError
from videosim.run import plain, write_atomically
from videosim.world_model import WorldModel


def digest(facts: Any) -> str:
    """16 hexadecimal digits that name ``facts`` (anything ``run.plain`` understands)."""
    text = json.dumps(plain(facts), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_tensors(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """The same of named tensors: name, shape and every number."""
    total = hashlib.sha256()
    for name, value in tensors:
        array = np.ascontiguousarray(value.detach().cpu().numpy())
        total.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return total.hexdigest()[:16]


def fingerprint(model: WorldModel) -> str:
    """The same of a model's weights and scales, and of the body that acts where there are several."""
    bodies = [("body", torch.tensor(model.body))] if len(model.embodiments) > 1 else []
    return digest_tensors([*sorted(model.state_dict().items()), *bodies])


def keep_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Note ``settings`` in ``folder/settings.json``, or compare them with the note of the run that is resumed there.

    Raises VideoSimError naming the first setting that differs: what is there was made with other settings.
    """
    path, settings = folder / "settings.json", plain(settings)
    if not path.is_file():
        write_atomically(path, json.dumps(settings, indent=1) + "\n")
        return
    try:
        before = json.loads(path.read_text())
    except ValueError as error:
        raise VideoSimError(f"{path} is not readable JSON; choose another folder with out=DIR") from error
    for name in settings:
        if before.get(name) != settings[name]:
            raise VideoSimError(
                f"{folder} holds a run whose {name} was {before.get(name)!r} and not {settings[name]!r}; "
                "choose another folder with out=DIR, or delete that one"
            )
