"""Processes that work beside this one and talk to it, over a pipe each; a fault they meet is one sentence here."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from videosim.errors import VideoSimError, first_line


@dataclass(frozen=True)
class _Fault:
    sentence: str


class Beside:
    """A context: whoever still works at its end is ended, so they may only write what is whole at any moment.

    doing    what they do, as in "collecting"; for the sentences
    """

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self._processes: dict[Connection, Any] = {}

    def start(self, work: Callable[..., None], *args: Any) -> Connection:
        """Begin ``work(pipe, *args)`` in a process of its own; returns this end of the pipe. All must be picklable."""
        context = multiprocessing.get_context(
            "spawn"
        )  # forked ones would share a renderer's context, a decoder's threads
        ours, theirs = context.Pipe()
        process = context.Process(target=_begin, args=(self.doing, work, theirs, *args), daemon=True)
        process.start()
        theirs.close()
        self._processes[ours] = process
        return ours

    def received(self, worker: Connection) -> Any:
        """The next thing that this one says. Raises VideoSimError where it met a fault, or died."""
        try:
            said = worker.recv()
        except (EOFError, OSError):
            raise VideoSimError(
                f"a process that was {self.doing} died (no memory, killed, or a script without an "
                "`if __name__ == '__main__'` guard); run the same command again to continue"
            ) from None
        if isinstance(said, _Fault):
            raise VideoSimError(said.sentence)
        return said

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker, process in self._processes.items():
            worker.close()
            process.terminate()
        for process in self._processes.values():
            process.join()


def _begin(doing: str, work: Callable[..., None], pipe: Connection, *args: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller, which ends its processes
    try:
        work(pipe, *args)
    except VideoSimError as fault:
        _send(pipe, _Fault(str(fault)))
    except (EOFError, BrokenPipeError):
        pass  # the caller is gone
    except Exception as fault:
        _send(pipe, _Fault(f"{doing} failed with {type(fault).__name__}: {first_line(fault)}"))


def _send(pipe: Connection, fault: _Fault) -> None:
    with contextlib.suppress(BrokenPipeError):
        pipe.send(fault)
