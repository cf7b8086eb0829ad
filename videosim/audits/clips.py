"""Clips: short episodes that several audits look at, filmed once in each world beside what truly happens."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from videosim.audits.audit import Bench, Viewing
from videosim.audits.push_reader import Reading
from videosim.audits.truth import Case
from videosim.audits.world import see

FIRST_NUMBER = 5_300_000  # of the starts
FRAMES = 16


@dataclass(frozen=True)
class Clip:
    """A world's answer to a case.

    frames     uint8 (T+1, H, W, 3), the start's first, and ``read``, what the reader finds in them
    true       uint8 (T+1, H, W, 3), the true frames as the world's own codec keeps them, and ``known``, what the
               reader finds in those
    context_s  seconds to take in the frames that lead to the start
    frame_s    float64 (T,), seconds for each step and its picture
    """

    frames: np.ndarray
    read: Reading
    true: np.ndarray
    known: Reading
    context_s: float
    frame_s: np.ndarray


def draw_clips(bench: Bench) -> list[Case]:
    """As many as the bars ask for, of random and of scripted actions."""
    return [bench.truth.case(FIRST_NUMBER + i, FRAMES) for i in range(bench.bars.sizes["clips"])]


def clips(viewing: Viewing) -> list[tuple[Case, Clip]]:
    """The cases, as far as the look goes, with the world's clips."""
    return viewing.each(draw_clips, _clip)


def _clip(viewing: Viewing, case: Case) -> Clip:
    world = viewing.world
    began = time.perf_counter()
    world.reset(case.start)
    context_s = time.perf_counter() - began
    frames, seconds = [see(world)], []
    for action in case.actions:
        began = time.perf_counter()
        world.step(action)
        frames.append(see(world))
        seconds.append(time.perf_counter() - began)
    read, shown, true = viewing.bench.reader.read, np.stack(frames), world.codec(case.truth.frames)
    return Clip(shown, read(shown), true, read(true), context_s, np.array(seconds, np.float64))
