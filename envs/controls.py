"""The control zoo: worlds broken in one known way each, opened as ``control:<name>`` on the push scene and as
``control:<scene>.<name>`` on another.

They are the negative and positive controls of the audits: each says what is broken and which audit must see it. They
live beside the physics and not among the audits because ``load_world`` opens them by name for every command, and
``envs`` may not import ``audits``. A number after a name is its parameter (``lag2``, ``driving.attenuated0.5``).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from videosim.envs import control_door as door
from videosim.envs import control_driving as driving
from videosim.envs import control_gallery as gallery
from videosim.envs import control_laws as laws
from videosim.envs import control_physics as physics
from videosim.envs import control_pictures as pictures
from videosim.envs.faults import Fault, FaultySource
from videosim.envs.sources import own_scene
from videosim.errors import VideoSimError

Zoo = dict[str, Callable[..., Fault]]


def _named(*faults: Callable[..., Fault]) -> Zoo:
    return {make.__name__: make for make in faults}


ANYWHERE = _named(
    *(physics.oracle, pictures.noise, pictures.blur, pictures.codec),
    *(physics.freeze, physics.blind, physics.inverted, physics.attenuated, physics.lag),
)
CONTROLS = ANYWHERE | _named(  # of push
    *(physics.wrong_physics, physics.half_gravity, physics.ghost, physics.leaky),
    *(physics.swap, physics.vanish, pictures.duplicate, pictures.recolour),
    *(physics.occlusion_reset, physics.context_limited, physics.state_reset),
    *(pictures.warp, physics.retrieval, physics.reward_bug, physics.optimist),
    *(physics.drift, physics.jitter, pictures.mid_collapse),
)
ZOOS: dict[str, Zoo] = {
    "push": CONTROLS,
    "driving": ANYWHERE | _named(driving.straight_slow),
    "gallery": ANYWHERE
    | _named(gallery.two_d_warp, gallery.no_parallax, gallery.zoom_only, gallery.slow_drift, gallery.forget),
    "laws": ANYWHERE
    | _named(physics.half_gravity, laws.constant_velocity, laws.rough, laws.dull, laws.equal_masses, laws.damped)
    | _named(laws.ghost, laws.vanish, laws.creep, laws.retrieval),
    "door": ANYWHERE
    | _named(door.heavy, door.loose, door.one_lever, door.retrieval, door.nearest_seen)
    | _named(door.ghost, door.unhinged, door.vanish),
}
NAME = re.compile(
    r"((?P<scene>[a-z-]+)\.)?(?P<kind>[a-z_]+?)(?P<number>\d+(\.\d+)?)?(@(?P<checkpoint>.+))?",
)


def make_control(name: str) -> FaultySource:
    """The control ``<kind>``, ``<kind><number>`` or ``codec@<checkpoint>``, after ``<scene>.`` where that is not push;
    VideoSimError where there is none."""
    match = NAME.fullmatch(name)
    scene = (match["scene"] if match else None) or "push"
    zoo = ZOOS.get(scene)
    if zoo is None:
        raise VideoSimError(f"there are no controls of a scene {scene!r}; choose {', '.join(ZOOS)}")
    if match is None or match["kind"] not in zoo:
        raise VideoSimError(f"there is no control {name!r}; choose {', '.join(sorted(zoo))}")
    make, number, checkpoint = zoo[match["kind"]], match["number"], match["checkpoint"]
    if (make is pictures.codec) != (checkpoint is not None):
        raise VideoSimError("the control codec, and no other, names a model: write control:codec@<checkpoint>")
    given = [checkpoint] if checkpoint else [float(number)] if number else []
    if number and (checkpoint or not make.__defaults__):
        raise VideoSimError(f"the control {match['kind']} takes no number; write control:{match['kind']}")
    return FaultySource(own_scene(scene), make(*given), scene)
