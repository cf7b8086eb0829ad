"""Pictures into episodes, in one process or several, streamed: one episode a process is in memory, whatever the length
of the log.

Pieces are dealt out to the processes in turn and come back in turn, so that the order in the store does not depend on
who was faster. A film is read on by one process; still pictures go wherever there is time.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from videosim.beside import Beside
from videosim.config import ImportConfig
from videosim.data.cutting import Piece
from videosim.data.formats.log import Recording
from videosim.data.formats.pictures import shown
from videosim.errors import VideoSimError
from videosim.types import Episode, WorldSpec

WORTH = 4000  # frames for which another process is worth its start


@dataclass
class Made:
    """What became of a piece: episodes with their records and capture times (T+1,) in seconds, and the damaged pictures
    between them, a sentence each."""

    piece: Piece
    episodes: list[tuple[Episode, np.ndarray, np.ndarray]]
    damaged: list[str]


def converted(
    recordings: Sequence[Recording], pieces: Sequence[Piece], world: WorldSpec, name: str, cfg: ImportConfig
) -> Iterator[Made]:
    """What becomes of every piece, in an order that follows from ``pieces`` and the number of processes."""
    total = sum(len(piece.records) for piece in pieces)
    count = cfg.workers or min(os.cpu_count() or 1, total // WORTH)
    hands = [hand for hand in _dealt(recordings, pieces, max(1, count)) if hand]
    if len(hands) == 1:
        yield from _in_turn(recordings, hands[0], world, name, cfg)
    elif hands:
        yield from _in_processes(recordings, hands, world, name, cfg)


def identity(recording: Recording, record: int) -> int:
    """Seed of the episode that begins with ``record``: the same whenever it is imported."""
    return zlib.crc32(f"{recording.name}|{record}|{recording.times[record]}".encode())


def _dealt(recordings: Sequence[Recording], pieces: Sequence[Piece], count: int) -> list[list[Piece]]:
    """The pieces of each process: all those of one film to one of them, which has the fewest frames so far."""
    hands: list[list[Piece]] = [[] for _ in range(count)]
    load = [0] * count
    holder: dict[str, int] = {}
    for piece in pieces:
        film = recordings[piece.recording].film
        place = holder[film] if film in holder else load.index(min(load))
        if film:
            holder[film] = place
        hands[place].append(piece)
        load[place] += len(piece.records)
    return hands


def _in_processes(
    recordings: Sequence[Recording], hands: list[list[Piece]], world: WorldSpec, name: str, cfg: ImportConfig
) -> Iterator[Made]:
    with Beside("importing") as beside:
        workers = []
        for hand in hands:
            own = {piece.recording: recordings[piece.recording] for piece in hand}
            workers.append((beside.start(_work, own, hand, world, name, cfg), len(hand)))
        for turn in range(max(map(len, hands))):
            for worker, share in workers:
                if turn < share:
                    yield beside.received(worker)


def _work(
    results: Connection,
    recordings: dict[int, Recording],
    pieces: list[Piece],
    world: WorldSpec,
    name: str,
    cfg: ImportConfig,
) -> None:
    for made in _in_turn(recordings, pieces, world, name, cfg):
        results.send(made)


def _in_turn(
    recordings: Sequence[Recording] | dict[int, Recording],
    pieces: list[Piece],
    world: WorldSpec,
    name: str,
    cfg: ImportConfig,
) -> Iterator[Made]:
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        recording = recordings[piece.recording]
        yield _convert(recording, piece, world, name, cfg)
        if following is None or following.recording != piece.recording:
            recording.picture.close()


def _convert(recording: Recording, piece: Piece, world: WorldSpec, name: str, cfg: ImportConfig) -> Made:
    frames = np.empty((len(piece.records), *world.frame.shape), np.uint8)
    sound, damaged = np.ones(len(piece.records), bool), []
    for place, number in enumerate(piece.records):
        try:
            picture = shown(recording.picture(int(number)), world.frame, cfg.crop)
            frames[place] = picture[..., ::-1] if cfg.swap_channels else picture
        except VideoSimError as fault:
            sound[place] = False
            damaged.append(str(fault))
    episodes = []
    edges = np.flatnonzero(np.diff(sound.astype(int))) + 1
    for run in np.split(np.arange(len(sound)), edges):
        if sound[run[0]] and len(run) >= cfg.shortest:
            records = piece.records[run]
            episodes.append((*_episode(recording, records, piece.within, frames[run], world, name, cfg), records))
    # The first one, by whose seed a piece is known, comes last: once it is in the store, so are the others.
    return Made(piece, episodes[::-1], damaged)


def _episode(
    recording: Recording,
    records: np.ndarray,
    within: tuple[int, int],
    frames: np.ndarray,
    world: WorldSpec,
    name: str,
    cfg: ImportConfig,
) -> tuple[Episode, np.ndarray]:
    run = np.arange(*within)
    clock = recording.times[run] if not cfg.rate else run / cfg.rate
    times = clock[records - within[0]]

    def at(key: str, when: np.ndarray) -> np.ndarray:
        return np.interp(when, clock, recording.channels[key][run])

    def columns(names: tuple[str, ...], when: np.ndarray) -> np.ndarray:
        return np.array([at(key, when) for key in names]).reshape(len(names), len(when)).T

    actions = columns(world.action.names, times[:-1] - cfg.action_offset_s)
    steps = len(records) - 1
    episode = Episode(
        frames=frames,
        actions=np.clip(actions, world.action.low, world.action.high).astype(np.float32),
        rewards=recording.rewards[records[:-1]].astype(np.float32),
        sensors=columns(world.sensors.names, times).astype(np.float32),
        physics=np.zeros((steps + 1, 0)),
        terminated=recording.terminated[records[:-1]],
        behaviour=f"log:{name}",
        seed=identity(recording, int(records[0])),
    )
    return episode, times
