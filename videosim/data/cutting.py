"""Which records of a log make an episode: runs without a gap, a cut or a value that is missing, at most
``episode_frames`` long. What is left out is counted by its reason, and its first case is kept to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from videosim.config import ImportConfig
from videosim.data.formats.log import Recording

GAP = 1.5  # median intervals between two records: more is a gap, and nothing leads over it


@dataclass
class Account:
    """What is not as it should be: how often, and where first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, times: int, example: str) -> None:
        if times:
            self.counts[what] += times
            self.first.setdefault(what, example)

    def rows(self) -> list[tuple[str, str]]:
        return [(what, f"{times}; first: {self.first[what]}") for what, times in self.counts.items()]

    def sentence(self) -> str:
        return ", ".join(f"{what}: {times} (first: {self.first[what]})" for what, times in self.counts.items())


@dataclass(frozen=True)
class Piece:
    """Records of one episode, int64 (n,) and consecutive, and the unbroken run ``within`` [first, end) that they are
    from: nothing may be interpolated beyond it."""

    recording: int
    records: np.ndarray
    within: tuple[int, int]


def pieces(
    number: int, recording: Recording, rate: float, needed: list[str], cfg: ImportConfig, account: Account
) -> Iterator[Piece]:
    """The pieces of ``recording``, the log's ``number``-th, whose records all say what is ``needed``."""
    cuts, known = recording.breaks.copy(), np.ones(len(recording), bool)
    for key in needed:
        known &= np.isfinite(recording.channels[key])
    account.add("records without a value", int((~known).sum()), _first(recording, ~known, needed))
    if not cfg.rate:
        steps = np.diff(recording.times)
        back, gaps = ~(steps > 0.0), steps > GAP / rate
        account.add("times that do not rise", int(back.sum()), _first(recording, np.append(False, back)))
        account.add("gaps in time", int(gaps.sum()), _first(recording, np.append(False, gaps)))
        cuts[1:] |= back | gaps
    cuts |= ~known  # such a record begins a run, and is then taken out of it
    # A command shows in the picture ``action_offset_s`` later, so that the action which moves a frame was logged before
    # it, and the first frames of a run have none; with a negative offset the last.
    late, early = (max(0, int(np.ceil(side * cfg.action_offset_s * rate - 1e-6))) for side in (1, -1))
    for run in np.split(np.arange(len(recording)), np.flatnonzero(cuts)):
        run = run[known[run]]
        if not len(run):
            continue
        usable = run[late : len(run) - early]
        account.add("records at an end, for action_offset_s", len(run) - len(usable), _at(recording, run[0]))
        for start in range(0, max(1, len(usable) - 1), cfg.episode_frames - 1):
            piece = usable[start : start + cfg.episode_frames]
            if len(piece) >= cfg.shortest:
                yield Piece(number, piece, (int(run[0]), int(run[-1]) + 1))
            elif len(piece) > 1 or not start:
                lost = len(piece) - (start > 0)  # its first record closes the episode before
                account.add("records in runs that are too short", lost, _at(recording, run[0]))


def _at(recording: Recording, number: int) -> str:
    return f"record {number} of {recording.name}"


def _first(recording: Recording, marked: np.ndarray, keys: list[str] | None = None) -> str:
    if not marked.any():
        return ""
    number = int(np.argmax(marked))
    silent = [key for key in keys or [] if not np.isfinite(recording.channels[key][number])]
    return _at(recording, number) + (f", {silent[0]}" if silent else "")
