"""Broken worlds examined in processes of their own, each with its own truth. What they find they keep in the run folder
of the audit (`videosim.findings`), which reads it there when they are done."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from videosim.config import AuditConfig
from videosim.errors import VideoSimError

if TYPE_CHECKING:
    from videosim.audits.exam import Exam
    from videosim.findings import Told

Open = Callable[[AuditConfig], "Exam"]


class Examiners:
    """``count`` processes that examine the ``controls`` and climb the ladders of those numbers, from entry on.

    open_exam   makes the exam of ``cfg``; a function of a module, for each process calls it
    """

    def __init__(
        self,
        open_exam: Open,
        cfg: AuditConfig,
        folder: Path,
        controls: Sequence[str],
        ladders: Sequence[int],
        count: int,
    ) -> None:
        work = [*controls, *ladders]
        self._hands = [(open_exam, cfg, folder, hand) for n in range(count) if (hand := work[n::count])]
        self._workers: dict[Connection, Any] = {}

    def __enter__(self) -> Examiners:
        context = multiprocessing.get_context("spawn")  # forked processes would share the renderer's context
        for hand in self._hands:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(theirs, *hand), daemon=True)
            process.start()
            theirs.close()
            self._workers[ours] = process
        return self

    def finish(self, told: Told) -> None:
        """Wait until all is examined. Raises VideoSimError where one of them met a fault."""
        busy = set(self._workers)
        while busy:
            for worker in wait(list(busy)):
                kind, text = _received(worker)  # type: ignore[arg-type]
                if kind == "fault":
                    raise VideoSimError(text)
                if kind == "done":
                    busy.discard(worker)  # type: ignore[arg-type]
                elif kind == "note":
                    told.note(text)
                else:
                    told.advance()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker, process in self._workers.items():
            worker.close()
            process.terminate()  # safe at any moment: what it keeps it writes whole
            process.join()


def examiners(workers: int, models: int, work: int) -> int:
    """How many processes examine controls beside this one, which has the ``models`` to examine. None where there is
    nothing to share; ``workers`` 0 is one a core."""
    wanted = (workers or os.cpu_count() or 1) - bool(models)
    return min(wanted, work) if work + bool(models) > 1 and wanted + bool(models) > 1 else 0


# --- in a process ----------------------------------------------------------------------------------------------------


class _Teller:
    """Tells the process that began this one."""

    def __init__(self, results: Connection) -> None:
        self._results = results

    def note(self, text: str) -> None:
        self._results.send(("note", text))

    def advance(self) -> None:
        self._results.send(("advance", ""))


def _work(results: Connection, open_exam: Open, cfg: AuditConfig, folder: Path, hand: Sequence[str | int]) -> None:
    from videosim.audits.severity import LADDERS
    from videosim.findings import Findings

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller, which ends its processes
    told = _Teller(results)
    try:
        exam = open_exam(cfg)
        found = Findings(exam, cfg, folder)
        for task in hand:
            if isinstance(task, str):
                found.control(task, told)
            else:
                found.graded(LADDERS[exam.scene.name][task], told)
        exam.close()
        results.send(("done", ""))
    except VideoSimError as fault:
        results.send(("fault", str(fault)))
    except BrokenPipeError:
        pass  # the caller is gone


def _received(worker: Connection) -> tuple[str, str]:
    try:
        return worker.recv()
    except (EOFError, OSError):
        raise VideoSimError(
            "an examining process died (no memory, killed, or a script without an `if __name__ == '__main__'` guard); "
            "run the same command again to continue, with workers=1 to see why"
        ) from None
