"""Push: which thing moves (a colour is a thing), whither, and whether the red ball comes into the goal.

A thing that the screen hides all the time is not spoken of.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from videosim.captions.captioner import HEADINGS, PACES, PLACES, Captioner, Columns, Facts, at, heading, pace, place

SENSOR = {"pusher": "pusher", "red ball": "red", "green ball": "green", "blue box": "blue"}  # how the sensors call them
RADII_M = {"pusher": 0.055, "red ball": 0.065, "green ball": 0.065, "blue box": 0.06}
ARENA_M, GOAL_M = 0.5, 0.13
HEIGHT_M = 0.065  # of the things' centres
EYE_M, SCREEN_M, SCREEN_HALF_M = (0.0, -0.28, 1.25), (-0.31, 0.31, 0.2), 0.17  # the camera, and what hides a corner
MOVED_M = 0.03  # way of a thing that has been moved
DRIVEN_M = 0.05  # way of a pusher that does not stand still
FAST_MPS = 0.3


def _hidden(where: np.ndarray, radius: float) -> bool:
    """Whether all of a thing at ``where`` (T, 2) lies behind the screen in every frame."""
    eye, scale = np.array(EYE_M[:2]), (EYE_M[2] - SCREEN_M[2]) / (EYE_M[2] - HEIGHT_M)
    seen = eye + scale * (where - eye)  # where the line of sight meets the screen's plane
    return bool((np.abs(seen - SCREEN_M[:2]) + scale * radius < SCREEN_HALF_M).all())


def read(columns: Columns, dt_s: float) -> Facts:
    where = {thing: np.stack([columns[f"{name}_x"], columns[f"{name}_y"]], 1) for thing, name in SENSOR.items()}
    seen = [thing for thing in SENSOR if not _hidden(where[thing], RADII_M[thing])]
    facts = {"object": "table", "things": _listed(seen)}
    if len(where["pusher"]) == 1:
        if not seen:
            return facts
        shown = next((thing for thing in seen if thing != "pusher"), "pusher")
        return facts | {"mover": shown, "place": place(*where[shown][0] / ARENA_M)}
    ways = {thing: where[thing][-1] - where[thing][0] for thing in seen}
    far = {thing: float(np.hypot(*way)) for thing, way in ways.items()}
    pushed = [thing for thing in seen if thing != "pusher" and far[thing] > MOVED_M]
    driven = far.get("pusher", 0.0) > DRIVEN_M
    if not pushed and not driven:
        return facts | {"mover": "nothing", "motion": "still"}
    away = np.hypot(*(where["red ball"] - np.stack([columns["goal_x"], columns["goal_y"]], 1)).T)
    scores = "red ball" in pushed and away[0] >= GOAL_M > away[-1]
    mover = "red ball" if scores else max(pushed, key=far.__getitem__) if pushed else "pusher"
    return facts | {
        "mover": mover,
        "motion": "into the goal" if scores else heading(*ways[mover]),
        "pusher": heading(*ways["pusher"]) if driven else "still",
        "place": place(*where[mover][0] / ARENA_M),
        "speed": pace(far[mover] / (dt_s * (len(away) - 1)), FAST_MPS),
    }


def _listed(seen: Sequence[str]) -> str:
    things = [f"a {thing}" for thing in seen]
    return " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things) or "nothing"


def write(facts: Facts, detail: int) -> str:
    there, mover = f"a table with {facts.get('things', EVERYTHING)}", facts.get("mover")
    if detail == 1 or mover is None:
        return there
    if "motion" not in facts:
        return there if detail == 2 else f"a table, the {mover} {at(facts['place'])}"
    if mover == "nothing":
        return "nothing moves" if detail == 2 else f"nothing moves on {there}"
    told = f"the {mover} {'rolls' if facts['motion'] == 'into the goal' else 'moves'} {facts['motion']}"
    if detail == 2:
        return told
    pusher = facts["pusher"]
    beside = "" if mover == "pusher" else f", the pusher {'stands' if pusher == 'still' else 'moves'} {pusher}"
    return f"{told} {facts['speed']} from the {facts['place']}{beside}"


EVERYTHING = _listed(tuple(SENSOR))
PUSH = Captioner(
    name="push",
    sensors=tuple(f"{name}_{axis}" for name in (*SENSOR.values(), "goal") for axis in "xy"),
    facts={
        "object": ("table",),
        "things": tuple(_listed(some) for count in range(5) for some in combinations(SENSOR, count)),
        "mover": (*SENSOR, "nothing"),
        "motion": (*HEADINGS, "into the goal", "still"),
        "pusher": (*HEADINGS, "still"),
        "place": PLACES,
        "speed": PACES,
    },
    glue="a table with the pusher at in moves rolls stands from on nothing",
    read=read,
    write=write,
    asks=(
        *({"mover": mover, "motion": motion} for mover in SENSOR for motion in HEADINGS),
        {"mover": "red ball", "motion": "into the goal"},
        {"mover": "nothing", "motion": "still"},
    ),
)
