"""Cheetah: whither it runs, and on what it lies. The camera goes with it and sees it from the side, its head on the
right."""

from __future__ import annotations

from videosim.captions.captioner import PACES, Captioner, Columns, Facts, pace

MOTIONS = ("forwards", "backwards", "still", "over", "up")
POSES = ("feet", "back", "nose", "tail")
MOVES_MPS = 0.5
FAST_MPS = 2.0
TURNED = 0.3  # cosine of the pitch on either side of a fall


def read(columns: Columns, dt_s: float) -> Facts:
    cos, sin, speed = (columns[name] for name in SENSORS)
    level, dive, ahead = float(cos.mean()), float(sin.mean()), float(speed.mean())
    pose = ("feet" if level > 0 else "back") if abs(level) >= abs(dive) else "nose" if dive > 0 else "tail"
    facts = {"object": "cheetah", "pose": pose}
    if len(cos) == 1:
        return facts
    if cos[0] > TURNED and cos[-1] < -TURNED:
        motion = "over"
    elif cos[0] < -TURNED and cos[-1] > TURNED:
        motion = "up"
    elif abs(ahead) < MOVES_MPS:
        motion = "still"
    else:
        motion = "forwards" if ahead > 0 else "backwards"
    return facts | {"motion": motion, "speed": pace(abs(ahead), FAST_MPS)}


def write(facts: Facts, detail: int) -> str:
    motion, pose = facts.get("motion"), f"on its {facts['pose']}"
    if detail == 1:
        return "a cheetah"
    if motion is None:
        return f"a cheetah {pose}"
    afoot = facts["pose"] == "feet"
    verb = {"over": "falls", "up": "gets", "still": "stands" if afoot else "lies"}
    told = f"the cheetah {verb.get(motion, 'runs' if afoot else 'slides')} {motion}"
    return told if detail == 2 else f"{told} {'' if motion == 'still' else facts['speed'] + ' '}{pose}"


SENSORS = ("cos_root_pitch", "sin_root_pitch", "root_x_velocity")
CHEETAH = Captioner(
    name="cheetah-run",
    sensors=SENSORS,
    facts={"object": ("cheetah",), "motion": MOTIONS, "pose": POSES, "speed": PACES},
    glue="a the cheetah falls gets stands lies runs slides on its",
    read=read,
    write=write,
    asks=(
        {"motion": "forwards", "pose": "feet"},
        {"motion": "backwards", "pose": "feet"},
        {"motion": "still", "pose": "feet"},
        {"motion": "still", "pose": "back"},
    ),
)
