"""EpisodeStore: recorded episodes on disk, appended by several processes at once, read as memory-mapped arrays.

    store = EpisodeStore.create(folder, world)       # or EpisodeStore.open(folder)
    store.append(episode)                            # -> its number; numbers never change afterwards
    store.frames(3), store.column("actions", 3), store.episode(3)

Frames are kept raw: at 64x64 every codec is a hundred times slower to read at random and hides small movers. The files
are laid out as LeRobot v3 does (``layout.py``); how an append survives a crash is told in ``writer.py``. Episodes are
numbered in the order in which they were committed, over all writers.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from videosim.data import layout
from videosim.data.writer import ShardWriter
from videosim.errors import VideoSimError
from videosim.types import Episode, WorldSpec

GAP = 1 / 3  # of a held-out end: so much before it is left out


class Part(NamedTuple):
    """Frames ``first`` to ``end``, exclusive, of an episode."""

    episode: int
    first: int
    end: int


class EpisodeStore:
    """Episodes of one world. Open one with ``create`` or ``open``."""

    def __init__(self, folder: Path, world: WorldSpec, source: str, licence: str) -> None:
        self.folder, self.world, self.source, self.licence = folder, world, source, licence
        self._tables: dict[int, tuple[tuple[int, int, int], pa.Table]] = {}  # shard -> (file identity, episode rows)
        self._checked: dict[int, int] = {}  # shard -> rows that its frame file is known to hold
        self._frames: dict[int, np.ndarray] = {}
        self._columns: dict[tuple[int, str], np.ndarray] = {}
        self._writer: ShardWriter | None = None
        self.refresh()

    @classmethod
    def create(cls, folder: str | Path, world: WorldSpec, source: str = "physics", licence: str = "") -> EpisodeStore:
        """Start a store in ``folder``, which must hold none yet. ``source`` says where the episodes come from."""
        root = Path(folder)
        if any((root / part).exists() for part in ("meta/info.json", "meta/episodes", "data", "frames")):
            raise VideoSimError(f"{root} already holds recordings; open the store in it or name a new folder")
        try:
            content = json.dumps(layout.info(world, source, licence, 0, 0, 0), indent=2)
            layout.replace_file(root / "meta" / "info.json", content.encode())
        except OSError as fault:
            raise VideoSimError(f"cannot make a store in {root}: {fault.strerror}; choose another folder") from fault
        return cls(root, world, source, licence)

    @classmethod
    def open(cls, folder: str | Path, world: WorldSpec | None = None) -> EpisodeStore:
        """Open the store in ``folder``; with ``world`` given, insist that it was recorded in that world.

        Raises VideoSimError when the folder holds no store, a damaged or a later version's one, or another world.
        """
        root = Path(folder)
        found, source, licence = layout.read_info(root)
        if world is not None and found != world:
            what = f"{found.name!r} with other settings" if found.name == world.name else repr(found.name)
            raise VideoSimError(f"{root} holds episodes of world {what}, not of {world.name!r}; name another folder")
        return cls(root, found, source, licence)

    # --- what is there -----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in episodes that other processes have appended since."""
        for shard, path in layout.shards(self.folder, "meta/episodes"):
            status = path.stat()
            identity = (status.st_mtime_ns, status.st_size, status.st_ino)
            if shard in self._tables and self._tables[shard][0] == identity:
                continue
            rows = layout.read_parquet(path)
            if rows.schema.names != layout.EPISODE_SCHEMA.names or not len(rows):
                raise VideoSimError(f"{path} does not hold episode rows; {layout.MEND}")
            needed = rows["row_from"][-1].as_py() + rows["length"][-1].as_py()
            frames = layout.shard_path(self.folder, "frames/main", shard)
            layout.check_frames(frames, needed, self.world.frame.shape)
            if not layout.shard_path(self.folder, "data", shard).is_file():
                raise VideoSimError(f"{layout.shard_path(self.folder, 'data', shard)} is missing; {layout.MEND}")
            self._checked[shard] = needed
            self._tables[shard] = (identity, rows)
        tables = [rows for _, rows in self._tables.values()] or [layout.EPISODE_SCHEMA.empty_table()]
        rows = pa.concat_tables(tables).sort_by("episode_index")
        chunks, files = rows["data/chunk_index"].to_numpy(), rows["data/file_index"].to_numpy()
        self._shard = chunks * layout.CHUNK + files
        self._from = rows["row_from"].to_numpy()
        self._rows = rows["length"].to_numpy()
        self._physics_size: list[int] = rows["physics_size"].to_pylist()
        self.checksums: list[int] = rows["frames_crc32"].to_pylist()  # of the frames of every episode
        self.behaviours: list[str] = rows["behaviour"].to_pylist()
        self.seeds: list[int] = rows["seed"].to_pylist()
        self.wide: list[bool] = rows["wide"].to_pylist()

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._rows)

    @property
    def frames_total(self) -> int:
        """Number of frames, T+1 an episode."""
        return int(self._rows.sum())

    @property
    def lengths(self) -> list[int]:
        """T, the number of transitions, of every episode."""
        return [int(n) - 1 for n in self._rows]

    def divided(self, held_out: float) -> tuple[list[Part], list[Part]]:
        """What there is to train on and to test on: ``held_out`` is a share of the episodes (``split``) or, from 2 on,
        the last frames of one drive (``split_by_time``)."""
        if held_out > 1:
            return self.split_by_time(int(held_out))
        seen, kept = ([Part(i, 0, self.lengths[i] + 1) for i in side] for side in self.split(held_out))
        return seen, kept

    def split(self, held_out: float = 0.1) -> tuple[list[int], list[int]]:
        """Episode numbers to train on and to test on. An episode's side follows from its seed and behaviour alone, so
        appending never moves one; the share held out is ``held_out`` on average. Of a few episodes, where that leaves a
        side empty, the one that comes closest goes there."""
        if not 0.0 <= held_out <= 1.0:
            raise VideoSimError(f"held_out is a share between 0 and 1, or a number of frames from 2 on; got {held_out}")
        facts = zip(self.seeds, self.behaviours, strict=True)
        digests = (hashlib.blake2b(f"{seed}|{behaviour}".encode(), digest_size=8).digest() for seed, behaviour in facts)
        place = np.array([int.from_bytes(digest, "big") / 2.0**64 for digest in digests])
        test = place < held_out
        if len(place) > 1 and 0.0 < held_out < 1.0 and test.all() != (~test).all():
            test[place.argmin() if not test.any() else place.argmax()] ^= True
        return np.flatnonzero(~test).tolist(), np.flatnonzero(test).tolist()

    def split_by_time(self, held_out: int) -> tuple[list[Part], list[Part]]:
        """Parts of episodes to train on and to test on, of a log of one drive: the last ``held_out`` frames are tested
        on, and those before them trained on, except a third as many in between, which a test would nearly have seen.

        Raises VideoSimError where episodes overlap in time, as those of several drives may, or too few are left.
        """
        times = [self.column("time", number) for number in range(len(self))]
        order = sorted(range(len(self)), key=lambda number: times[number][0])
        if any(times[after][0] < times[before][-1] for before, after in itertools.pairwise(order)):
            raise VideoSimError(
                f"the episodes of {self.folder} overlap in time, so they are no single drive whose end could be held "
                f"out; give held_out as a share of the episodes, not {held_out}"
            )
        clock = np.unique(np.concatenate(times))  # a cut between episodes repeats its frame
        kept = len(clock) - held_out - round(GAP * held_out)
        if kept < 2:
            raise VideoSimError(
                f"{self.folder} holds {len(clock)} frames, too few to hold out the last {held_out}; lower held_out"
            )
        train, test = [], []
        for number in order:
            seen = int(np.searchsorted(times[number], clock[kept]))
            new = int(np.searchsorted(times[number], clock[len(clock) - held_out]))
            train += [Part(number, 0, seen)] * (seen > 1)
            test += [Part(number, new, len(times[number]))] * (len(times[number]) - new > 1)
        return train, test

    # --- reading -----------------------------------------------------------------------------------------------------

    def _locate(self, number: int) -> tuple[int, int, int]:
        if not -len(self) <= number < len(self):
            raise VideoSimError(f"{self.folder} has {len(self)} episodes, so there is no number {number}")
        start = int(self._from[number])
        return int(self._shard[number]), start, start + int(self._rows[number])

    def frames(self, number: int) -> np.ndarray:
        """Memory-mapped uint8 ``(T+1, H, W, 3)`` of episode ``number``, read-only."""
        shard, start, stop = self._locate(number)
        mapped = self._frames.get(shard)
        if mapped is None or len(mapped) < stop:
            path = layout.shard_path(self.folder, "frames/main", shard)
            offset = layout.check_frames(path, stop, self.world.frame.shape)
            shape = (self._checked[shard], *self.world.frame.shape)
            # A plain view: slicing np.memmap itself costs microseconds of bookkeeping in the training loop.
            mapped = np.memmap(path, np.uint8, "r", offset, shape).view(np.ndarray)
            self._frames[shard] = mapped
        return mapped[start:stop]

    def column(self, name: str, number: int) -> np.ndarray:
        """One column of episode ``number``: "actions" float32 (T, A), "rewards" float32 (T,), "terminated" bool (T,),
        "sensors" float32 (T+1, S), "physics" float64 (T+1, P), "time" float64 (T+1,) s, "action_valid" bool (T+1,)."""
        if name not in layout.COLUMNS:
            raise VideoSimError(f"an episode has no column {name!r}; it has {', '.join(layout.COLUMNS)}")
        shard, start, stop = self._locate(number)
        sizes = {"actions": self.world.action.size, "sensors": self.world.sensors.size}
        if (sizes | {"physics": self._physics_size[number]}).get(name, 1) == 0:
            rows = stop - start - (name in layout.PER_TRANSITION)
            return np.zeros((rows, 0), np.float64 if name == "physics" else np.float32)
        values = self._columns.get((shard, name))
        if values is None or len(values) < stop:
            values = self._columns[shard, name] = self._read_column(shard, layout.COLUMNS[name], stop)
        return values[start : stop - 1] if name in layout.PER_TRANSITION else values[start:stop]

    def _read_column(self, shard: int, name: str, rows: int) -> np.ndarray:
        path = layout.shard_path(self.folder, "data", shard)
        table = layout.read_parquet(path, [name])
        if name not in table.column_names or len(table) < rows:
            raise VideoSimError(f"{path} lacks rows or the column {name!r}; {layout.MEND}")
        column = table[name].combine_chunks()
        if pa.types.is_fixed_size_list(column.type):
            values = column.flatten().to_numpy().reshape(len(column), column.type.list_size)
        else:
            values = column.to_numpy(zero_copy_only=False)
        values.flags.writeable = False
        return values

    def episode(self, number: int) -> Episode:
        """Episode ``number`` as read-only arrays."""
        actions, rewards, terminated, sensors, physics = (
            self.column(name, number) for name in ("actions", "rewards", "terminated", "sensors", "physics")
        )
        facts = self.behaviours[number], self.seeds[number], self.wide[number]
        return Episode(self.frames(number), actions, rewards, sensors, physics, terminated, *facts)

    def verify(self) -> None:
        """Read every frame once; VideoSimError naming the first episode whose frames were altered."""
        for number in range(len(self)):
            if zlib.crc32(np.ascontiguousarray(self.frames(number)).data) != self.checksums[number]:
                raise VideoSimError(f"the frames of episode {number} in {self.folder} are damaged; {layout.MEND}")

    # --- writing -----------------------------------------------------------------------------------------------------

    def append(self, episode: Episode, times: np.ndarray | None = None) -> int:
        """Add an episode and return its number. When this returns, the episode is on disk; if it does not return,
        the store is as it was. ``times`` float64 ``(T+1,)`` are capture times in seconds (default: the world's clock).

        Raises VideoSimError when the episode does not fit the world or the disk.
        """
        if times is None:
            times = np.arange(episode.length + 1) * self.world.dt_s
        self._check(episode, times)
        writer, self._writer = self._writer, None  # taken back only after success: a shard in doubt is never used again
        try:
            if writer is None or writer.full:
                writer = ShardWriter(self.folder, self.world.frame.shape)
            writer.write_frames(episode.frames)
            with layout.locked(self.folder / "meta" / "lock"):
                self.refresh()
                number, first_row = len(self), self.frames_total
                # First, so that a commit is the last thing that can fail; nobody here trusts these totals.
                self._describe(episode.physics.shape[1], number + 1, first_row + episode.length + 1)
                writer.commit(episode, times, self.world.dt_s, self.world.name, number, first_row)
                self.refresh()
        except OSError as fault:
            raise VideoSimError(
                f"cannot write an episode to {self.folder}: {fault.strerror or fault}; make room or check the folder "
                "and run the same command again, what was recorded before is safe"
            ) from fault
        self._writer = writer
        return number

    def _describe(self, physics_size: int, episodes: int, frames: int) -> None:
        content = layout.info(self.world, self.source, self.licence, episodes, frames, physics_size)
        layout.replace_file(self.folder / "meta" / "info.json", json.dumps(content, indent=2).encode())

    def _check(self, episode: Episode, times: np.ndarray) -> None:
        world = self.world
        wanted = {
            "frames": (episode.frames, np.uint8, world.frame.shape),
            "actions": (episode.actions, np.float32, (world.action.size,)),
            "sensors": (episode.sensors, np.float32, (world.sensors.size,)),
            "physics": (episode.physics, np.float64, episode.physics.shape[1:2]),
        }
        for name, (array, dtype, shape) in wanted.items():
            if array.dtype != dtype or array.shape[1:] != shape:
                raise VideoSimError(
                    f"the world {world.name!r} needs {name} of {np.dtype(dtype)}, {shape} for each step; "
                    f"the episode has {array.dtype} {array.shape}"
                )
        if self._physics_size and episode.physics.shape[1] != self._physics_size[0]:
            raise VideoSimError(
                f"{self.folder} keeps physics states of {self._physics_size[0]} numbers and the episode has "
                f"{episode.physics.shape[1]}; record it with the same physics or into another folder"
            )
        if np.shape(times) != (episode.length + 1,):
            raise VideoSimError(f"an episode of {episode.length + 1} frames needs as many capture times")
