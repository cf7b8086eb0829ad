"""Driving: which way the car that looks out turns, and how fast it is; also of logs that say its speed and yaw rate."""

from __future__ import annotations

from videosim.captions.captioner import PACES, Captioner, Columns, Facts, pace

MOTIONS = ("turns left", "turns right", "drives straight", "stands still", "drives backwards")
TURN_RADPS = 0.1
STILL_MPS = 0.3
FAST_MPS = 6.0


def read(columns: Columns, dt_s: float) -> Facts:
    facts, speed, turn = {"object": "road"}, float(columns["speed"].mean()), float(columns["yaw_rate"].mean())
    if len(columns["speed"]) == 1:
        return facts
    if abs(speed) < STILL_MPS:
        motion = "stands still"
    elif speed < 0:
        motion = "drives backwards"
    elif abs(turn) < TURN_RADPS:
        motion = "drives straight"
    else:
        motion = "turns left" if turn > 0 else "turns right"  # against the clock, seen from above
    return facts | {"motion": motion, "speed": pace(abs(speed), FAST_MPS)}


def write(facts: Facts, detail: int) -> str:
    if detail == 1 or "motion" not in facts:
        return "a road"
    told = f"the car {facts['motion']}"
    return told if detail == 2 or facts["motion"] == "stands still" else f"{told} {facts['speed']}"


DRIVING = Captioner(
    name="driving",
    sensors=("speed", "yaw_rate"),
    facts={"object": ("road",), "motion": MOTIONS, "speed": PACES},
    glue="a road the car",
    read=read,
    write=write,
    asks=tuple({"motion": motion} for motion in MOTIONS[:4]),
)
