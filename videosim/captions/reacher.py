"""Reacher: whether the arm comes to the target, and which way it turns, seen from above."""

from __future__ import annotations

import numpy as np

from videosim.captions.captioner import PACES, PLACES, Captioner, Columns, Facts, at, pace, place

MOTIONS = ("reaches the target", "leaves the target", "touches the target", "turns left", "turns right", "waits")
TOUCH_M = 0.05  # of the finger's tip from the middle of the target
TURNED_RAD = 0.4
FAST_RADPS = 1.5
REACH_M = 0.2  # of the targets


def read(columns: Columns, dt_s: float) -> Facts:
    cos, sin, finger_x, finger_y, target_x, target_y = (columns[name] for name in SENSORS)
    near = np.hypot(finger_x - target_x, finger_y - target_y) < TOUCH_M
    facts = {"object": "arm", "place": place(float(target_x[0]) / REACH_M, float(target_y[0]) / REACH_M)}
    if len(near) == 1:
        return facts | ({"motion": "touches the target"} if near[0] else {})
    angle = np.unwrap(np.arctan2(sin, cos))
    turn = float(angle[-1] - angle[0])
    if near.all():
        motion = "touches the target"
    elif near[0] != near[-1]:
        motion = "reaches the target" if near[-1] else "leaves the target"
    elif abs(turn) < TURNED_RAD:
        motion = "waits"
    else:
        motion = "turns left" if turn > 0 else "turns right"  # left: against the clock
    return facts | {"motion": motion, "speed": pace(float(np.abs(np.diff(angle)).mean()) / dt_s, FAST_RADPS)}


def write(facts: Facts, detail: int) -> str:
    told = f"the arm {facts['motion']}" if "motion" in facts else "an arm and a red target"
    if detail == 1:
        return "an arm and a red target"
    if detail == 2:
        return told
    pace = f" {facts['speed']}" if "speed" in facts else ""
    return f"{told}{pace}, the target {at(facts['place'])}"


SENSORS = ("cos_shoulder", "sin_shoulder", "finger_x", "finger_y", "target_x", "target_y")
REACHER = Captioner(
    name="reacher-easy",
    sensors=SENSORS,
    facts={"object": ("arm",), "motion": MOTIONS, "place": PLACES, "speed": PACES},
    glue="an arm and a red target the at in",
    read=read,
    write=write,
    asks=tuple({"motion": motion} for motion in MOTIONS),
)
