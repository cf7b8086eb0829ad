"""The scenes there are, and their audits in the order in which they are asked: an audit comes after its gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from videosim.audits import (
    coasts,
    coherence,
    doses,
    efficiency,
    explanation,
    identity,
    intervention,
    lasting,
    laws,
    likeness,
    loops,
    manoeuvres,
    permanence,
    push_scene,
    pushes,
    resampling,
    rewards,
    successor,
    surprise,
    turns,
)
from videosim.audits.audit import Audit
from videosim.audits.door_instrument import prepare_door
from videosim.audits.door_truth import door_sha256
from videosim.audits.driving_instrument import prepare_driving
from videosim.audits.driving_truth import driving_sha256
from videosim.audits.gallery_instrument import prepare_gallery
from videosim.audits.gallery_truth import gallery_sha256
from videosim.audits.instrument import prepare_push
from videosim.audits.law_instrument import prepare_laws
from videosim.audits.law_truth import laws_sha256
from videosim.audits.log_truth import LogTruth, log_control
from videosim.audits.scene import Scene
from videosim.audits.turns import prepare_log
from videosim.audits.world import PhysicsWorld, World
from videosim.errors import VideoSimError

PUSH_AUDITS: dict[str, Audit] = {
    module.AUDIT.name: module.AUDIT
    for module in (
        *(intervention, identity, permanence, coasts, resampling, doses, lasting, coherence),
        *(surprise, explanation, efficiency, rewards, likeness, successor),
    )
}


def _zoo(scene: str) -> Callable[[str], World]:
    """Opens the controls of ``scene`` by their names."""
    return lambda name: PhysicsWorld(f"control:{scene}.{name}")


SCENES: dict[str, Scene] = {
    scene.name: scene
    for scene in (
        Scene(
            name="push",
            audits=PUSH_AUDITS,
            prepare=prepare_push,
            control=_zoo("push"),
            sha256=push_scene.scene_sha256,
            few=("oracle", "freeze", "blind"),
            figures=(("floor_fraction", "probe_floor_fraction"),),
        ),
        Scene(
            name="driving",
            audits={manoeuvres.AUDIT.name: manoeuvres.AUDIT},
            prepare=prepare_driving,
            control=_zoo("driving"),
            sha256=driving_sha256,
            few=("oracle", "freeze", "straight_slow"),
            figures=(("speed_r2", "reader_speed_r2"), ("yaw_rate_r2", "reader_yaw_rate_r2")),
        ),
        Scene(
            name="laws",
            audits={laws.AUDIT.name: laws.AUDIT},
            prepare=prepare_laws,
            control=_zoo("laws"),
            sha256=laws_sha256,
            few=("oracle", "freeze", "retrieval"),
            figures=(("floor_fraction", "law_floor_fraction"),),
        ),
        Scene(
            name="gallery",
            audits={loops.AUDIT.name: loops.AUDIT},
            prepare=prepare_gallery,
            control=_zoo("gallery"),
            sha256=gallery_sha256,
            few=("oracle", "freeze", "two_d_warp"),
            figures=(("floor_px", "gallery_floor_px"),),
        ),
        Scene(
            name="door",
            audits={pushes.AUDIT.name: pushes.AUDIT},
            prepare=prepare_door,
            control=lambda name: PhysicsWorld(f"control:door.{name}"),
            sha256=door_sha256,
            few=("oracle", "freeze", "attenuated"),
            figures=(("floor_deg", "door_floor_deg"), ("hinge_floor_fraction", "door_hinge_floor_fraction")),
        ),
    )
}
LOG_AUDITS = {turns.AUDIT.name: turns.AUDIT}
AUDITS: dict[str, Mapping[str, Audit]] = {name: scene.audits for name, scene in SCENES.items()} | {"log": LOG_AUDITS}


def log_scene(folder: str, held_out: float) -> Scene:
    """The scene of a recorded log: the episodes of the store in ``folder`` that training with this ``held_out``
    has not seen. VideoSimError where there are none, or nothing to steer by."""
    log = LogTruth(folder, held_out)
    return Scene(
        name="log",
        audits=LOG_AUDITS,
        prepare=lambda bars, rng: prepare_log(log, bars, rng),
        control=lambda name: log_control(log, name),
        sha256=log.sha256,
        few=("steered", "freeze", "blind"),
        figures=(("turn_sign", "recorded_turn_sign"),),
    )


def scene_of(world: str) -> Scene:
    """The scene whose worlds are called ``world``; VideoSimError where there is none."""
    if world not in SCENES:
        raise VideoSimError(f"there are no audits for the world {world!r}; there are for {', '.join(SCENES)}")
    return SCENES[world]
