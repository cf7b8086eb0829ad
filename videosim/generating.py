"""`videosim generate`: a verb, a checkpoint and somebody's footage into a film, a GIF and a contact sheet."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from videosim.config import GenerateConfig
from videosim.errors import VideoSimError
from videosim.footage import read, read_mask, rectangle
from videosim.metrics import psnr
from videosim.outline import Outline
from videosim.run import Run
from videosim.sheet import contact_sheet, png_bytes
from videosim.types import ActionSpec, FrameSpec
from videosim.verbs import Wish, find_verb
from videosim.video import gif_bytes, mp4_bytes

OTHER_RATE = 0.1  # share by which the rate of footage may be off before it is told
SHOWN = 256  # pixels that a small film is enlarged to
FILM_BYTES = 50_000_000


def main(cfg: GenerateConfig, run: Run) -> None:
    """``videosim generate``: ``clip.mp4``, ``clip.gif`` and ``sheet.png`` in the run folder, all or none. The sheet
    shows the frames without loss."""
    verb = find_verb(cfg.verb)
    from videosim.generate import check, generate
    from videosim.one_body import load_body, one_body
    from videosim.resized import resized

    model = one_body(load_body(cfg.checkpoint), cfg.embodiment or None)
    if min(cfg.height, cfg.width) < 0:
        raise VideoSimError(f"height and width of a film are pixels, or 0; got {cfg.height} and {cfg.width}")
    frame = FrameSpec(cfg.height or model.spec.frame.height, cfg.width or model.spec.frame.width)
    check(model, verb, cfg.whole or frame != model.spec.frame or bool(cfg.text), bool(cfg.text))
    wish = _wish(cfg, frame, model.spec.action)
    for footage in (wish.source, wish.other):
        if footage is not None and footage.rate and abs(footage.rate * model.spec.dt_s - 1.0) > OTHER_RATE:
            run.say(
                f"{footage.name} has {footage.rate:.3g} frames/s and this model makes {1.0 / model.spec.dt_s:.3g}: "
                "what moves in it will move on at another pace"
            )
    run.say(f"{verb.name}: {verb.summary}; {wish.frames} frames, seed {cfg.seed}")
    made = generate(model, verb, wish, cfg.seed, cfg.whole, cfg.passes, cfg.guidance)
    film, outline, recorded = made.film, made.outline, None
    if wish.actions == "recorded" and wish.source is not None and outline.start is not None:
        recorded = wish.source.frames(outline.start, len(outline))
    rows = {"made": film} | ({} if recorded is None else {"recorded": recorded})
    if recorded is None and outline.start is not None and not outline.whole.any():
        rows["source"] = outline.frames
    known = outline.known[: len(film)].mean((1, 2))
    shown, fps = _enlarged(film), model.spec.fps
    write_together(
        run.folder,
        {
            "clip.mp4": mp4_bytes(shown, fps, FILM_BYTES),
            "clip.gif": gif_bytes(shown, fps),
            "sheet.png": png_bytes(contact_sheet(rows, known)),
        },
    )
    run.figure("frames", len(film))
    run.figure("frames_known", int(outline.whole[: len(film)].sum()))
    for name, (value, unit) in made.measures.items():
        run.figure(name, value, unit=unit)
    if recorded is not None:
        _compared(
            run,
            outline,
            {"made": film, "held": outline.held(), "codec": resized(model, frame).recoded(recorded)},
            recorded,
        )


def _wish(cfg: GenerateConfig, frame: FrameSpec, action: ActionSpec) -> Wish:
    if cfg.region and cfg.mask:
        raise VideoSimError("what is to be made anew is a rectangle or a picture; give region= or mask=, not both")
    for name in ("t", "other_t"):
        if (value := getattr(cfg, name)) is not None and type(value) is not int:
            raise VideoSimError(f"{name} is a whole number, the first frame that is taken, or null; got {value!r}")
    source = read(cfg.source, frame, cfg.crop, cfg.episode, action) if cfg.source else None
    other = read(cfg.other, frame, cfg.crop, cfg.other_episode, action) if cfg.other else None
    mask = rectangle(cfg.region, frame) if cfg.region else None
    if cfg.mask and source is not None:
        mask = read_mask(cfg.mask, source, frame, cfg.crop)
    return Wish(
        frame, source, other, cfg.frames, cfg.known, cfg.t, cfg.other_t, cfg.actions or None, mask, cfg.strength,
        cfg.text or None,
    )  # fmt: skip


def _compared(run: Run, outline: Outline, films: Mapping[str, np.ndarray | None], recorded: np.ndarray) -> None:
    """How near films come to what was recorded, where it was not known: the one that was made, one in which nothing
    moves, and what the codec alone makes of the record, which is as near as any can come."""
    unknown = ~outline.known
    some = unknown.any((1, 2))
    for name, film in films.items():
        if film is not None:
            score = psnr(film[some], recorded[some], unknown[some])
            run.figure(f"psnr_{name}", float(score.mean()), float(score.min()), float(score.max()), len(score), "dB")


def _enlarged(film: np.ndarray) -> np.ndarray:
    """By whole pixels, and to even sides, as H.264 wants."""
    scale = max(1, SHOWN // max(film.shape[1:3]))
    film = film.repeat(scale, 1).repeat(scale, 2)
    return np.pad(film, ((0, 0), (0, film.shape[1] % 2), (0, film.shape[2] % 2), (0, 0)), "edge")


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` by name into ``folder``; none is there before all are on the disk."""
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        for name, content in files.items():
            with open(staging / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name in files:
            os.replace(staging / name, folder / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
