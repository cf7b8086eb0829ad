"""Cart-pole: what the pole does, and where the cart goes. The picture shows the rail from the side."""

from __future__ import annotations

import numpy as np

from videosim.captions.captioner import PACES, Captioner, Columns, Facts, at, heading, pace

POLE = ("swings up", "falls down", "stands up", "hangs down", "spins", "swings")
POINTS = ("points up", "points down", "points left", "points right")
CART = ("left", "right", "still")
PLACES = ("left", "middle", "right")
UPRIGHT = 0.8  # cosine of a pole that stands; of one that hangs its negative
HIGH, LOW = 0.7, 0.3  # cosine at the ends of a swing that leads up
MOVED_M = 0.3
MIDDLE_M = 0.6  # half of the middle part of the rail
FAST_RADPS = 3.0


def read(columns: Columns, dt_s: float) -> Facts:
    x, cos, sin = (columns[name] for name in SENSORS)
    middle = float(x.mean())
    facts = {
        "object": "cart-pole",
        "place": "middle" if abs(middle) < MIDDLE_M else "right" if middle > 0 else "left",
    }
    if len(x) == 1:
        return facts | {"motion": f"points {heading(float(sin[0]), float(cos[0]))}"}
    angle = np.unwrap(np.arctan2(sin, cos))
    way = float(x[-1] - x[0])
    return facts | {
        "motion": _motion(angle, cos),
        "cart": "still" if abs(way) < MOVED_M else "right" if way > 0 else "left",
        "speed": pace(float(np.abs(np.diff(angle)).mean()) / dt_s, FAST_RADPS),
    }


def _motion(angle: np.ndarray, cos: np.ndarray) -> str:
    if np.ptp(angle) > 2 * np.pi:
        return "spins"
    if cos.min() > UPRIGHT:
        return "stands up"
    if cos.max() < -UPRIGHT:
        return "hangs down"
    if cos[0] < LOW and cos[-1] > HIGH:
        return "swings up"
    return "falls down" if cos[0] > HIGH and cos[-1] < LOW else "swings"


def write(facts: Facts, detail: int) -> str:
    if detail == 1:
        return "a cart-pole"
    told = f"the pole {facts['motion']}"
    if detail == 2:
        return told
    if "cart" not in facts:
        return f"{told}, the cart {at(facts['place'])}"
    cart = "stands still" if facts["cart"] == "still" else f"moves {facts['cart']}"
    return f"{told} {facts['speed']}, the cart {cart} {at(facts['place'])}"


SENSORS = ("cart_position", "cos_pole_angle", "sin_pole_angle")
CARTPOLE = Captioner(
    name="cartpole-swingup",
    sensors=SENSORS,
    facts={
        "object": ("cart-pole",),
        "motion": (*POLE, *POINTS),
        "cart": CART,
        "place": PLACES,
        "speed": PACES,
    },
    glue="a the pole cart moves stands at in",
    read=read,
    write=write,
    asks=tuple({"motion": motion} for motion in POLE),
)
