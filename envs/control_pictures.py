"""Controls that show wrongly what happens rightly: the picture of the push scene is edited, its physics is not."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from videosim.envs.faults import Draw, Fault, FaultySource
from videosim.envs.push import OBJECTS

AWAY_M = 5.0  # so far off that no camera sees it


def noise(sigma: float = 8.0) -> Fault:
    """Pixels carry white noise of ``sigma`` grey levels; no audit may mind."""

    def picture(world: FaultySource, draw: Draw) -> np.ndarray:
        frame = draw()
        return np.clip(frame + world.rng(world.steps).normal(0.0, sigma, frame.shape) + 0.5, 0, 255).astype(np.uint8)

    return Fault(picture=picture)


def blur(sigma_px: float = 1.0) -> Fault:
    """Pictures are blurred with a Gaussian of ``sigma_px`` pixels; no audit may mind."""
    return Fault(picture=lambda world, draw: gaussian_filter(draw(), (sigma_px, sigma_px, 0)))


def codec(checkpoint: str) -> Fault:
    """Pictures have gone through the tokenizer of ``checkpoint``; no audit may mind, or the tokenizer is to blame."""
    import torch

    from videosim.one_body import load_body

    model = load_body(checkpoint)

    def picture(world: FaultySource, draw: Draw) -> np.ndarray:
        return model.decode(model.encode(torch.from_numpy(draw())[None]))[0].numpy()

    return Fault(picture=picture)


def duplicate(t0: float = 20) -> Fault:
    """From frame ``t0`` on there is a second red ball, 25 cm beside the first; A1 must see it, at that frame."""

    def picture(world: FaultySource, draw: Draw) -> np.ndarray:
        frame = draw()
        if world.steps < t0:
            return frame
        place = world.data.geom("red").xpos
        here = place.copy()
        place[:2] = AWAY_M
        without = draw()
        place[:2] = here[0], here[1] + (-0.25 if here[1] > -0.1 else 0.25)  # never under the screen
        second = draw()
        place[:] = here
        return np.where((second != without).any(-1, keepdims=True), second, frame)

    return Fault(picture=picture)


def recolour(t0: float = 20) -> Fault:
    """From frame ``t0`` on the red ball is olive; A1 must see it, at that frame."""

    def picture(world: FaultySource, draw: Draw) -> np.ndarray:
        paint = world.model.geom("red").rgba
        kept = paint.copy()
        if world.steps >= t0:
            paint[:3] = 0.6, 0.6, 0.1
        frame = draw()
        paint[:] = kept
        return frame

    return Fault(picture=picture)


def mid_collapse(centre: float = 50) -> Fault:
    """Around frame ``centre`` the objects are seen 6 cm north of where they are, later rightly again; A9 must see it,
    by its worst segment."""
    width, offset_m = 12.0, 0.06

    def picture(world: FaultySource, draw: Draw) -> np.ndarray:
        shift = offset_m * np.exp(-(((world.steps - centre) / width) ** 2))
        places = [world.data.geom(name).xpos for name in (*OBJECTS, "nose")]
        for place in places:
            place[1] += shift
        frame = draw()
        for place in places:
            place[1] -= shift
        return frame

    return Fault(picture=picture)


def warp(zoom: float = 0.01) -> Fault:
    """The camera's sway is answered by stretching a flat picture, up to ``zoom``, without parallax; A8 must see it."""

    def picture(world: FaultySource, draw: Draw) -> np.ndarray:
        frame = draw()
        scale = 1.0 + zoom * np.sin(2 * np.pi * world.steps / 64)
        middle = (np.array(frame.shape[:2]) - 1) / 2
        offset = np.append(middle * (1 - scale), 0.0)
        return affine_transform(frame, [scale, scale, 1.0], offset, order=1, mode="nearest")

    return Fault(picture=picture)
