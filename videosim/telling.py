"""What is said in training of the clips of a batch: captions written from the sensors that were recorded with them."""

from __future__ import annotations

import torch
from torch import Tensor

from videosim.captions import CAPTIONERS, captioner_of
from videosim.captions.captioner import DETAILS
from videosim.dynamics import Telling
from videosim.errors import VideoSimError
from videosim.world_model import WorldModel


def telling(model: WorldModel, batch: dict[str, Tensor]) -> Telling | None:
    """Captions of a batch of windows (see ``Corpus.windows``), each in a detail drawn at random and of those of its
    frames that exist; "" for a body whose sensors nobody can caption. None where the core reads no text."""
    if model.dynamics.text is None:
        return None
    names = model.spec.sensors.names
    captioners = [captioner_of(body.sensors) for body in model.embodiments]
    sensors, bodies = batch["sensors"].double().cpu().numpy(), batch["embodiment"][:, 0].tolist()
    lengths = (1 + batch["valid"].sum(1)).tolist()

    def tell(frames: int, rng: torch.Generator) -> list[str]:
        details = torch.randint(len(DETAILS), (len(bodies),), generator=rng).tolist()
        said = []
        for row, body, length, detail in zip(sensors, bodies, lengths, details, strict=True):
            captioner = captioners[body]
            if captioner is None:
                said.append("")
                continue
            columns = {name: row[: min(frames, length), names.index(name)] for name in captioner.sensors}
            said.append(captioner.caption(columns, model.spec.dt_s, DETAILS[detail]))
        return said

    return tell


def check_told(model: WorldModel) -> None:
    """VideoSimError where the core reads text and no world of the model has a captioner, or what it reads with is not
    installed."""
    if model.dynamics.text is None:
        return
    model.dynamics.text([""])
    if not any(captioner_of(body.sensors) for body in model.embodiments):
        raise VideoSimError(
            f"nobody can caption {' and '.join(body.name for body in model.embodiments)}, so no text can be learned; "
            f"there are captions of {', '.join(CAPTIONERS)}: leave model.dynamics.text.kind at none"
        )
