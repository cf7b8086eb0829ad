"""One run of one command: its folder, progress bars, figures, tables and ``result.json``. Knows nothing of what is run.

Nothing is left half-written: every file goes through ``write_atomically``, and ``result.json`` appears only when the
command has finished. An interrupted command is resumed by giving it again; what it keeps for that is its own affair.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

REPORTED_PACKAGES = ("videosim", "torch", "numpy", "mujoco", "dm_control", "gymnasium", "stable-baselines3")
PLAIN_LINE_EVERY_S = 15.0  # progress where there is no terminal, e.g. in a log file


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Write ``content`` so that ``path`` holds either the old content or all of the new, whenever the process dies."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(scratch, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """``value`` as JSON types: dataclasses become mappings, numpy scalars and arrays numbers and lists, NaN null."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if hasattr(value, "tolist"):  # numpy and torch alike, without importing either
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)  # paths and enumerations


class Bar:
    """Progress of one piece of work. Use it as a context manager, or call ``close`` when done.

    total        amount of work in ``unit``
    done         amount that was there already when the work was resumed; left out of the rate
    """

    def __init__(
        self, console: Console, shared: Progress | None, total: float, description: str, unit: str, done: float
    ):
        self.console, self.shared = console, shared
        self.total, self.description, self.unit = total, description, unit
        self.done = self.first = done
        self.note_text = ""
        self.started = self.last_line = time.monotonic()
        self.task: TaskID | None = None
        if shared is not None:
            self.task = shared.add_task(description, total=total, unit=unit, note="", first=done)
            shared.update(self.task, completed=done)

    @property
    def rate(self) -> float:
        """Work per second since this bar was made."""
        return (self.done - self.first) / max(time.monotonic() - self.started, 1e-9)

    def advance(self, n: float = 1) -> None:
        """Add ``n`` to the amount done."""
        self.update(self.done + n)

    def update(self, done: float) -> None:
        """Set the amount done so far (0 … total)."""
        self.done = done
        if self.shared is not None and self.task is not None:
            self.shared.update(self.task, completed=done)
        elif time.monotonic() - self.last_line >= PLAIN_LINE_EVERY_S:
            self._line()

    def note(self, text: str) -> None:
        """A few words shown at the end of the bar, e.g. ``loss 0.12``."""
        self.note_text = text
        if self.shared is not None and self.task is not None:
            self.shared.update(self.task, note=text)

    def close(self) -> None:
        if self.shared is not None and self.task is not None:
            self.shared.stop_task(self.task)
        else:
            self._line()

    def _line(self) -> None:
        self.last_line = time.monotonic()
        left = (self.total - self.done) / self.rate if self.rate > 0 else math.nan
        parts = [
            f"{self.description}: {self.done:g} of {self.total:g} {self.unit}".rstrip(),
            f"{self.rate:.3g} {self.unit}/s",
            f"{_clock(left)} left" if self.done < self.total else f"took {_clock(time.monotonic() - self.started)}",
            self.note_text,
        ]
        self.console.print(", ".join(part for part in parts if part), markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Rate(ProgressColumn):
    """``done/total unit, rate``; the rate counts only what was done since the start of this process."""

    def render(self, task: Task) -> Text:
        fields = task.fields
        rate = (task.completed - fields["first"]) / task.elapsed if task.elapsed else 0.0
        return Text(f"{task.completed:g}/{task.total:g} {fields['unit']}  {rate:.3g} {fields['unit']}/s")


class Run:
    """The frame around one command.

    command   name of the command, e.g. ``"bench"``
    config    its config dataclass; stored in ``result.json``
    folder    the run folder; made on entry

    ``run.seeds`` is a list the command fills. ``result.json`` is written, and the tables are printed, on leaving the
    ``with`` block without an exception.
    """

    def __init__(self, command: str, config: Any, folder: Path | str, console: Console | None = None) -> None:
        self.command, self.config, self.folder = command, config, Path(folder)
        self.console = console or Console()
        self.seeds: list[int] = [config.seed] if isinstance(getattr(config, "seed", None), int) else []
        self.figures: dict[str, dict[str, Any]] = {}
        self.tables: list[Table] = []
        self._progress: Progress | None = None

    def __enter__(self) -> Run:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def progress(self, total: float, description: str, unit: str = "", done: float = 0) -> Bar:
        """A progress bar with rate and time left; plain lines now and then where there is no terminal."""
        if self.console.is_terminal and self._progress is None:
            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                _Rate(),
                TimeRemainingColumn(elapsed_when_finished=True),
                TextColumn("{task.fields[note]}", markup=False),
                console=self.console,
            )
            self._progress.start()
        return Bar(self.console, self._progress, total, description, unit, done)

    def say(self, text: str) -> None:
        """Print one line, above any progress bar."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def figure(
        self,
        name: str,
        value: float | None,
        low: float | None = None,
        high: float | None = None,
        n: int | None = None,
        unit: str | None = None,
    ) -> None:
        """Record a measured number: its value, an interval ``low`` … ``high``, the sample size ``n`` and the unit."""
        self.figures[name] = plain({"value": value, "low": low, "high": high, "n": n, "unit": unit})

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Add a table to what is printed at the end. Numbers are shown with four digits."""
        table = Table(title=Text(title, no_wrap=True, overflow="ignore"), title_justify="left")
        for column in columns:
            table.add_column(Text(column))
        for row in rows:
            table.add_row(*(Text(_show(cell)) for cell in row))
        self.tables.append(table)

    def result(self) -> dict[str, Any]:
        """What ``result.json`` holds, as JSON types."""
        return {
            "command": self.command,
            "config": plain(self.config),
            "versions": versions(),
            "hardware": hardware(),
            "seeds": plain(self.seeds),
            "figures": self.figures,
        }

    def finish(self) -> Path:
        """Write ``result.json`` and print the tables (by default one of all figures). Returns the file's path."""
        self._stop_bars()
        path = self.folder / "result.json"
        write_atomically(path, json.dumps(self.result(), indent=2, allow_nan=False) + "\n")
        self.say(f"written to {path}")
        if not self.tables and self.figures:
            keys = ("value", "low", "high", "n", "unit")
            self.table(self.command, ("figure", *keys), [(k, *(f[x] for x in keys)) for k, f in self.figures.items()])
        for table in self.tables:
            self.console.print(table)
        return path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_bars()
        if kind is None:
            self.finish()
        elif self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()  # bad input leaves no trace

    def _stop_bars(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def versions() -> dict[str, str]:
    """Versions of Python and the packages a result depends on, and the commit where the source is a git checkout."""
    found = {"python": platform.python_version()}
    for name in REPORTED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    source = Path(__file__).parents[1]
    if (source / ".git").exists():
        commit = _output("git", "-C", str(source), "describe", "--always", "--dirty", "--exclude=*")
        if commit:
            found["commit"] = commit
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores, memory (GiB) and accelerator this process can use."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else None
    torch = sys.modules.get("torch")  # never imported for this: a command that used no torch used no accelerator
    gpu = torch.cuda.get_device_name(0) if torch is not None and torch.cuda.is_available() else None
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu,
        "cores": cores,
        "memory_gib": round(memory, 1) if memory else None,
        "gpu": gpu,
    }


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "unknown time"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def _show(cell: Any) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 1e4 else f"{cell:,.0f}"
    return str(cell)
