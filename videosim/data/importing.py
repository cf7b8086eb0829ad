"""``videosim import``: somebody's log into an episode store, resized once and cut where the log is.

Episodes are runs of records that belong together, cut to ``episode_frames``; a cut repeats its frame, so that no
transition is lost. What is in the store already is not imported again. A record that is damaged is left out, counted
and told, and cuts the log; a log that is damaged as a whole is refused before anything is written.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from videosim.config import ImportConfig
from videosim.data.converting import converted, identity
from videosim.data.cutting import Account, Piece, pieces
from videosim.data.formats import read
from videosim.data.formats.log import VIEWS, Recording
from videosim.data.formats.pictures import check_crop
from videosim.data.store import EpisodeStore
from videosim.errors import VideoSimError
from videosim.run import Run
from videosim.types import ActionSpec, FrameSpec, SensorSpec, WorldSpec

SAME = 1.05  # ratio of two rates that are one
RATES_HZ = (0.5, 120.0)  # what a camera's time stamps can mean


def main(cfg: ImportConfig, run: Run) -> None:
    """Import ``cfg.source`` into the store in ``run.folder``; appends to one of the same world, and continues."""
    _check(cfg)
    name, recordings = read(Path(cfg.source), cfg.format, cfg.camera)
    for note in dict.fromkeys(note for recording in recordings for note in recording.notes):
        run.say(note)
    rates = [_rate(recording, cfg.rate, run) for recording in recordings]
    if max(rates) > SAME * min(rates):
        raise VideoSimError(
            f"the recordings in {cfg.source} run at {min(rates):.3g} to {max(rates):.3g} frames/s; import them apart"
        )
    world = _world(cfg, name, recordings, rates[0])
    store = EpisodeStore.open(run.folder, world) if (run.folder / "meta" / "info.json").exists() else None
    account, needed = Account(), [*world.action.names, *world.sensors.names]
    planned = [
        piece
        for number, (recording, rate) in enumerate(zip(recordings, rates, strict=True))
        for piece in pieces(number, recording, rate, needed, cfg, account)
    ]
    if not planned:
        why = account.sentence() or f"{sum(map(len, recordings))} records in all"
        raise VideoSimError(
            f"{cfg.source} holds no {cfg.shortest} records without a gap or a cut ({why}); lower shortest="
        )
    _tell_clipped(recordings, world, account)
    kept = [np.zeros(len(recording), bool) for recording in recordings]
    store = _filled(store, recordings, planned, kept, world, name, account, cfg, run)
    run.figure("episodes", len(store))
    run.figure("frames", store.frames_total)
    run.figure("rate", 1.0 / world.dt_s, unit="frames/s")
    records, used = sum(map(len, recordings)), int(sum(mask.sum() for mask in kept))
    run.figure("records_kept", used, n=records, unit="records")
    for what, times in account.counts.items():
        run.figure(what.replace(" ", "_").replace(",", ""), times)
    run.table(
        f"{len(store)} episodes, {store.frames_total} frames in {run.folder}",
        ("what", "value"),
        [
            ("format", name),
            ("frames a second", f"{1.0 / world.dt_s:.3g}"),
            ("actions", ", ".join(world.action.names) or "none"),
            ("sensors", ", ".join(world.sensors.names) or "none"),
            ("records kept", f"{used} of {records}"),
            ("records left out", str(records - used)),
            *account.rows(),
        ],
    )


def _filled(
    store: EpisodeStore | None,
    recordings: list[Recording],
    planned: list[Piece],
    kept: list[np.ndarray],
    world: WorldSpec,
    name: str,
    account: Account,
    cfg: ImportConfig,
    run: Run,
) -> EpisodeStore:
    """Convert what the store does not have; a store is made with the first episode that goes into it. Marks the records
    that are in the store in ``kept``."""
    present = set(store.seeds) if store else set()
    missing = []
    for piece in planned:
        if identity(recordings[piece.recording], int(piece.records[0])) in present:
            kept[piece.recording][piece.records] = True
        else:
            missing.append(piece)
    total, new = (sum(len(piece.records) for piece in some) for some in (planned, missing))
    started, before = time.monotonic(), sum(os.times()[:4])
    with run.progress(total, "importing", "frames", done=total - new) as bar:
        for made in converted(recordings, missing, world, name, cfg):
            for fault in made.damaged:
                account.add("damaged pictures", 1, fault)
            for episode, times, records in made.episodes:
                if store is None:
                    source = f"{name}: {Path(cfg.source).name}"
                    store = EpisodeStore.create(run.folder, world, source, cfg.licence)
                if episode.seed not in present:
                    store.append(episode, times)
                kept[made.piece.recording][records] = True
            bar.advance(len(made.piece.records))
    if store is None:
        raise VideoSimError(
            f"nothing of {cfg.source} could be imported, as no {cfg.shortest} pictures in a row are sound "
            f"({account.sentence()})"
        )
    if missing:
        run.figure("import_rate", new / max(time.monotonic() - started, 1e-9), unit="frames/s")
        spent = sum(os.times()[:4]) - before
        run.figure("cpu_per_frame", 1e3 * spent / new, unit="ms, all processes")
    return store


def _check(cfg: ImportConfig) -> None:
    if not cfg.source:
        raise VideoSimError("there is nothing to import; give source=FOLDER of a log")
    if cfg.action and cfg.action not in (*VIEWS, "none"):
        raise VideoSimError(
            f"action is {', '.join(VIEWS)} or none, or empty for the first that the log has; got {cfg.action!r}"
        )
    if cfg.rate < 0.0 or not np.isfinite(cfg.rate):
        raise VideoSimError(f"rate is in frames a second, or 0 for the log's own; got {cfg.rate}")
    if cfg.workers < 0:
        raise VideoSimError(f"workers is a number of processes, or 0 for one a core; got {cfg.workers}")
    if min(cfg.height, cfg.width) < 16 or cfg.shortest < 2 or cfg.episode_frames < cfg.shortest:
        raise VideoSimError("height and width are 16 or more, and episode_frames >= shortest >= 2")
    check_crop(cfg.crop)


def _rate(recording: Recording, forced: float, run: Run) -> float:
    """Frames a second: forced, or what the source declares, or what the time stamps say."""
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
    return forced or recording.rate or implied


def _world(cfg: ImportConfig, name: str, recordings: list[Recording], rate: float) -> WorldSpec:
    first = recordings[0]
    known = first.known
    order = [*first.channels] if first.controls else [key for key in known if key in first.channels]
    shared = [key for key in order if all(key in recording.channels for recording in recordings)]
    controls = _controls(cfg, first, shared)
    sensors = [key for key in shared if key not in controls]
    steered, felt = ([known[key] for key in keys] for keys in (controls, sensors))
    action = ActionSpec(tuple(c.low for c in steered), tuple(c.high for c in steered), tuple(controls))
    spec = SensorSpec(
        tuple(sensors), tuple(c.unit for c in felt), tuple(c.low for c in felt), tuple(c.high for c in felt)
    )
    return WorldSpec(
        cfg.world or name, FrameSpec(cfg.height, cfg.width), action, spec, 1.0 / rate, cfg.episode_frames - 1
    )


def _controls(cfg: ImportConfig, recording: Recording, shared: list[str]) -> list[str]:
    """Which of the channels are the action. Speed alone is one only where it is asked for."""
    views = {view: [key for key in keys if key in shared] for view, keys in VIEWS.items()}
    if recording.controls and cfg.action in ("", "control"):
        views["control"] = [key for key in recording.controls if key in shared]
    if not cfg.action:
        return views["control"] or (views["motion"] if "yaw_rate" in shared else [])
    if cfg.action != "none" and not views[cfg.action]:
        raise VideoSimError(
            f"{cfg.source} does not say {' or '.join(VIEWS[cfg.action])} for every record; choose another action="
        )
    return views.get(cfg.action, [])


def _tell_clipped(recordings: list[Recording], world: WorldSpec, account: Account) -> None:
    for key, low, high in zip(world.action.names, world.action.low, world.action.high, strict=True):
        for recording in recordings:
            values = recording.channels[key]
            beyond = (values < low - 1e-6) | (values > high + 1e-6)
            at = int(np.argmax(beyond))
            example = f"{values[at]:.3g} at record {at} of {recording.name}, outside {low:g} to {high:g}"
            account.add(f"values of {key} clipped", int(beyond.sum()), example)
