"""Broken worlds examined by processes beside this one, each with its own truth. What they find they keep in the run
folder of the audit (`videosim.findings`), which reads it there when they are done."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videosim.beside import Beside
from videosim.config import AuditConfig

if TYPE_CHECKING:
    from videosim.audits.exam import Exam
    from videosim.findings import Told

Open = Callable[[AuditConfig], "Exam"]


class Examiners(Beside):
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
        super().__init__("examining")
        work = [*controls, *ladders]
        self._hands = [(open_exam, cfg, folder, hand) for n in range(count) if (hand := work[n::count])]
        self._busy: set[Connection] = set()

    def __enter__(self) -> Examiners:
        self._busy = {self.start(_work, *hand) for hand in self._hands}
        return self

    def hear(self, told: Told) -> None:
        """Tell what they have said so far."""
        while ready := wait(list(self._busy), 0.0):
            self._tell(ready, told)

    def finish(self, told: Told) -> None:
        """Wait until all is examined. Raises VideoSimError where one of them met a fault."""
        while self._busy:
            self._tell(wait(list(self._busy)), told)

    def _tell(self, ready: list[Any], told: Told) -> None:
        for worker in ready:
            kind, text = self.received(worker)
            if kind == "done":
                self._busy.discard(worker)
            elif kind == "note":
                told.note(text)
            else:
                told.advance()


def examiners(workers: int, models: int, work: int) -> int:
    """How many processes examine controls beside this one, which has the ``models`` to examine: as many as there is
    ``work`` for, and none where one would do all there is. ``workers`` 0 is one a core."""
    count = min((workers or os.cpu_count() or 1) - bool(models), work)
    return count if models or count > 1 else 0


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

    told = _Teller(results)
    exam = open_exam(cfg)
    found = Findings(exam, cfg, folder)
    for task in hand:
        if isinstance(task, str):
            found.control(task, told)
        else:
            found.graded(LADDERS[exam.scene.name][task], told)
    exam.close()
    results.send(("done", ""))
