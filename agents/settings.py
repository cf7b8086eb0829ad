"""Settings of agents by world, and the note in a run folder that says with which settings it was made."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from videosim.config import AgentConfig, WorldConfig
from videosim.envs.physics import PhysicsEnv
from videosim.errors import VideoSimError
from videosim.run import plain, write_atomically
from videosim.world_model import WorldModel


def load_agent(world_name: str) -> AgentConfig:
    """The agent meant for a world: ``configs/agent/<world>.yaml`` where it exists, else ``configs/agent/ppo.yaml``.

    Raises VideoSimError when the file holds an unknown setting or a value of the wrong type.
    """
    folder = files("videosim.configs") / "agent"
    path = folder / f"{world_name}.yaml"
    if not path.is_file():
        path = folder / "ppo.yaml"
    try:
        return OmegaConf.to_object(  # type: ignore[return-value]
            OmegaConf.merge(OmegaConf.structured(AgentConfig), OmegaConf.create(path.read_text()))
        )
    except OmegaConfBaseException as error:
        raise VideoSimError(f"configs/agent/{path.name} does not fit: {str(error).splitlines()[0]}") from error


def fingerprint(model: WorldModel) -> str:
    """Twelve hexadecimal digits that differ between models with different weights."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def check_world(model: WorldModel, world: WorldConfig) -> None:
    """Raise VideoSimError unless ``world`` shows, takes and lasts what ``model`` was trained on."""
    env = PhysicsEnv(world)
    ours, theirs = model.spec, env.world_spec
    env.close()
    pairs = {
        "size of the frames": (ours.frame.shape, theirs.frame.shape),
        "actions": (ours.action, theirs.action),
        "sensors": (ours.sensors.names, theirs.sensors.names),
        "time step": (ours.dt_s, theirs.dt_s),
    }
    for what, (in_model, in_physics) in pairs.items():
        if in_model != in_physics:
            raise VideoSimError(
                f"the model of {ours.name} and the physics of {theirs.name} differ in {what} ({in_model} and "
                f"{in_physics}); use the world of the model"
            )


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
