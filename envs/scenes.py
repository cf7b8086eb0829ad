"""What the own scenes share: a model made of its text and stepped at the agent's rate, walls round a floor, and rows of
sensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from videosim.envs.sources import settle
from videosim.envs.worlds import Knowledge, Row

import mujoco  # isort: skip


class OwnScene:
    """A source of physics out of ``xml``, with ``knowledge`` of it. A scene adds ``action``, ``dt_s``, ``begin`` and
    ``advance``."""

    derived: tuple[str, ...] = ()

    def __init__(self, xml: str, knowledge: Knowledge) -> None:
        self.model = mujoco.MjModel.from_xml_string(xml)
        self.data = mujoco.MjData(self.model)
        self.knowledge = knowledge

    def hold(self, substeps: int) -> None:
        """Step the physics, with places of bodies as of now for the picture."""
        mujoco.mj_step(self.model, self.data, substeps)
        settle(self.model, self.data)

    def observation(self) -> dict[str, np.ndarray]:
        source: Any = self
        return {"state": self.knowledge.read(source)}


def walls(half_m: float) -> str:
    """The four walls of a square floor with sides of 2 ``half_m``, seen from above."""
    beside, along = half_m + 0.02, half_m + 0.04
    rows = (
        ("east", f"{beside} 0 .05", f".02 {along} .05"),
        ("west", f"{-half_m - 0.02} 0 .05", f".02 {along} .05"),
        ("north", f"0 {beside} .05", f"{along} .02 .05"),
        ("south", f"0 {-half_m - 0.02} .05", f"{along} .02 .05"),
    )
    geoms = (f'<geom name="{name}" type="box" pos="{at}" size="{size}" rgba=".5 .5 .55 1"/>' for name, at, size in rows)
    return "\n    ".join(geoms)


def plane_rows(what: str, reach: float, unit: str) -> list[Row]:
    """Two sensors of what lies or moves in the plane."""
    return [(f"{what}_x", unit, -reach, reach), (f"{what}_y", unit, -reach, reach)]
