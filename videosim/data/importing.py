"""``videosim import``: somebody's log into an episode store, resized once and cut where the log is.

Episodes are runs of records that belong together, cut to ``episode_frames``; a cut repeats its frame, so that no
transition is lost. One episode is in memory at a time, whatever the length of the log, and what is in the store already
is not imported again.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from videosim.config import ImportConfig
from videosim.data.formats import read
from videosim.data.formats.log import CHANNELS, VIEWS, Recording
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.types import ActionSpec, Episode, FrameSpec, SensorSpec, WorldSpec

GAP = 1.5  # median intervals between two records: more is a gap, and nothing leads over it
SAME = 1.05  # ratio of two rates that are one
RATES_HZ = (0.5, 120.0)  # what a camera's time stamps can mean


def main(cfg: ImportConfig, run: Run) -> None:
    """Import ``cfg.source`` into the store in ``run.folder``; appends to one of the same world, and continues."""
    _check(cfg)
    name, recordings = read(Path(cfg.source), cfg.format)
    rates = [_rate(recording, cfg.rate, run) for recording in recordings]
    if max(rates) > SAME * min(rates):
        raise VideoSimError(
            f"the recordings in {cfg.source} run at {min(rates):.3g} to {max(rates):.3g} frames/s; import them apart"
        )
    world = _world(cfg, name, recordings, rates[0])
    root = run.folder
    store = (
        EpisodeStore.open(root, world)
        if (root / "meta" / "info.json").exists()
        else EpisodeStore.create(root, world, f"{name}: {Path(cfg.source).name}", cfg.licence)
    )
    pieces = [
        (recording, records)
        for recording, rate in zip(recordings, rates, strict=True)
        for records in _pieces(recording, rate, [*world.action.names, *world.sensors.names], cfg)
    ]
    if not pieces:
        raise VideoSimError(f"{cfg.source} holds no {cfg.shortest} records without a gap or a cut; lower shortest=")
    present = set(store.seeds)
    total = sum(len(records) for _, records in pieces)
    with run.progress(total, "importing", "frames") as bar:
        for recording, records in pieces:
            seed = zlib.crc32(f"{recording.name}|{records[0]}|{recording.times[records[0]]}".encode())
            if seed not in present:
                episode, times = _episode(recording, records, seed, name, world, cfg)
                store.append(episode, times)
            bar.advance(len(records))
    run.figure("episodes", len(store))
    run.figure("frames", store.frames_total)
    run.figure("rate", 1.0 / world.dt_s, unit="frames/s")
    run.table(
        f"{len(store)} episodes, {store.frames_total} frames in {root}",
        ("what", "value"),
        [
            ("format", name),
            ("frames a second", f"{1.0 / world.dt_s:.3g}"),
            ("actions", ", ".join(world.action.names)),
            ("sensors", ", ".join(world.sensors.names) or "none"),
            (
                "records left out",
                str(sum(map(len, recordings)) - sum(_kept(pieces, recording) for recording in recordings)),
            ),
        ],
    )


def _kept(pieces: list[tuple[Recording, np.ndarray]], recording: Recording) -> int:
    own = [records for other, records in pieces if other is recording]
    return len(np.unique(np.concatenate(own))) if own else 0


def _check(cfg: ImportConfig) -> None:
    if not cfg.source:
        raise VideoSimError("there is nothing to import; give source=FOLDER of a log")
    if cfg.action and cfg.action not in VIEWS:
        raise VideoSimError(
            f"action is {' or '.join(VIEWS)}, or empty for the first that the log has; got {cfg.action!r}"
        )
    if cfg.rate < 0.0 or not np.isfinite(cfg.rate):
        raise VideoSimError(f"rate is in frames a second, or 0 for the log's own; got {cfg.rate}")
    if min(cfg.height, cfg.width) < 16 or cfg.shortest < 2 or cfg.episode_frames < cfg.shortest:
        raise VideoSimError("height and width are 16 or more, and episode_frames >= shortest >= 2")
    top, left, bottom, right = cfg.crop if len(cfg.crop) == 4 else (1.0, 1.0, 0.0, 0.0)
    if not (0.0 <= top < bottom <= 1.0 and 0.0 <= left < right <= 1.0):
        raise VideoSimError(f"crop is [top, left, bottom, right] as fractions of the picture; got {list(cfg.crop)}")


def _rate(recording: Recording, forced: float, run: Run) -> float:
    """Frames a second: forced, or what the time stamps say."""
    steps = np.diff(recording.times)[~recording.breaks[1:]]
    steps = steps[steps > 0]
    # To a tenth of a millisecond: no two drives of one camera differ by more than jitter.
    implied = 1.0 / max(round(float(np.median(steps)), 4), 1e-4) if len(steps) else np.inf
    absurd = not RATES_HZ[0] <= implied <= RATES_HZ[1]
    said = f"the time stamps of {recording.name} say {implied:.3g} frames/s"
    if absurd and not forced:
        raise VideoSimError(f"{said}, which no camera does; give the true one as rate=")
    if absurd:
        run.say(f"{said}, which no camera does; rate={forced:g} is used instead")
    return forced or implied


def _world(cfg: ImportConfig, name: str, recordings: list[Recording], rate: float) -> WorldSpec:
    shared = [key for key in CHANNELS if all(key in recording.channels for recording in recordings)]
    views = {view: [key for key in keys if key in shared] for view, keys in VIEWS.items()}
    controls = views[cfg.action] if cfg.action else views["control"] or views["motion"]
    sensors = [key for key in shared if key not in controls]
    if not controls:
        asked = " or ".join(VIEWS[cfg.action] if cfg.action else [key for keys in VIEWS.values() for key in keys])
        raise VideoSimError(f"{cfg.source} does not say {asked} for every record: there is no action to learn")
    steered, felt = ([CHANNELS[key] for key in keys] for keys in (controls, sensors))
    action = ActionSpec(tuple(c.low for c in steered), tuple(c.high for c in steered), tuple(controls))
    spec = SensorSpec(
        tuple(sensors), tuple(c.unit for c in felt), tuple(c.low for c in felt), tuple(c.high for c in felt)
    )
    return WorldSpec(
        cfg.world or name, FrameSpec(cfg.height, cfg.width), action, spec, 1.0 / rate, cfg.episode_frames - 1
    )


def _pieces(recording: Recording, rate: float, needed: list[str], cfg: ImportConfig) -> Iterator[np.ndarray]:
    """Record numbers of one episode after the other; records that do not say all that is ``needed`` are left out."""
    cuts = recording.breaks.copy()
    if not cfg.rate:
        steps = np.diff(recording.times)
        cuts[1:] |= (steps <= 0.0) | (steps > GAP / rate)
    known = np.isfinite(np.stack([recording.channels[key] for key in needed])).all(0)
    cuts |= ~known
    cuts[1:] |= ~known[:-1]
    # A command shows in the picture ``action_offset_s`` later, so that the action which moves a frame was logged before
    # it, and the first frames of a run have none; with a negative offset the last.
    late, early = (max(0, int(np.ceil(side * cfg.action_offset_s * rate - 1e-6))) for side in (1, -1))
    edges = np.flatnonzero(cuts)
    for run in np.split(np.arange(len(recording)), edges):
        run = run[known[run]]
        usable = run[late : len(run) - early]
        for start in range(0, max(1, len(usable) - 1), cfg.episode_frames - 1):
            piece = usable[start : start + cfg.episode_frames]
            if len(piece) >= cfg.shortest:
                yield piece


def _episode(
    recording: Recording, records: np.ndarray, seed: int, name: str, world: WorldSpec, cfg: ImportConfig
) -> tuple[Episode, np.ndarray]:
    """The episode of these ``records`` and its capture times (T+1,) in seconds."""
    times = recording.times[records] if not cfg.rate else records / cfg.rate
    clock = recording.times if not cfg.rate else np.arange(len(recording)) / cfg.rate

    def at(key: str, when: np.ndarray) -> np.ndarray:
        return np.interp(when, clock, recording.channels[key])

    low, high = np.asarray(world.action.low), np.asarray(world.action.high)
    actions = np.stack([at(key, times[:-1] - cfg.action_offset_s) for key in world.action.names], 1)
    sensors = (
        np.stack([at(key, times) for key in world.sensors.names], 1)
        if world.sensors.size
        else np.zeros((len(times), 0))
    )
    steps = len(records) - 1
    episode = Episode(
        frames=np.stack([_picture(recording.picture(int(number)), world.frame, cfg) for number in records]),
        actions=np.clip(actions, low, high).astype(np.float32),
        rewards=np.zeros(steps, np.float32),
        sensors=sensors.astype(np.float32),
        physics=np.zeros((steps + 1, 0)),
        terminated=np.zeros(steps, bool),
        behaviour=f"log:{name}",
        seed=seed,
    )
    return episode, times


def _picture(picture: np.ndarray, frame: FrameSpec, cfg: ImportConfig) -> np.ndarray:
    """Cropped and resized by averaging, uint8 ``(H, W, 3)``."""
    height, width = picture.shape[:2]
    top, left, bottom, right = cfg.crop
    box = (left * width, top * height, right * width, bottom * height)
    image = Image.fromarray(picture).convert("RGB")
    shown = np.asarray(image.resize((frame.width, frame.height), Image.Resampling.BOX, box))
    return shown[..., ::-1] if cfg.swap_channels else shown
