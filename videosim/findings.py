"""What an audit found, kept in its run folder world by world and audit by audit, under all that determines it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from videosim.config import AuditConfig
from videosim.run import write_atomically

if TYPE_CHECKING:
    from videosim.audits.exam import Exam, Keep
    from videosim.audits.severity import Ladder
    from videosim.audits.verdict import Result


class Told(Protocol):
    """Who hears how far the work is: a `videosim.run.Bar`, or another process that has one."""

    def note(self, text: str) -> None: ...

    def advance(self) -> None: ...


@dataclass(frozen=True)
class Findings:
    """What ``exam`` finds with the settings ``cfg``, kept in ``folder``."""

    exam: Exam
    cfg: AuditConfig
    folder: Path

    def path(self, key: str) -> Path:
        """Where what is known as ``key`` is kept: another bar file, scene, size or seed is another measurement."""
        hashes = f"{self.exam.bars.sha256[:8]}-{self.exam.scene_sha256[:8]}"
        return self.folder / "worlds" / f"{label(key)}-{self.cfg.size}-{self.cfg.seed}-{hashes}.json"

    def kept(self, key: str, make: Callable[[], Any]) -> Any:
        """What ``make`` makes, JSON types, or what it made before."""
        path = self.path(key)
        if path.is_file():
            return json.loads(path.read_text())
        made = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(made, indent=1) + "\n")
        return made

    def keeper(self, world: str, told: Told) -> Keep:
        """Keeps the results on ``world`` audit by audit, and says so to ``told``."""
        from videosim.audits.verdict import Result

        def keep(audit: str, ask: Callable[[], Result]) -> Result:
            told.note(f"{world} {audit}")
            kept = self.kept(f"{world}-{audit}", lambda: ask().to_dict())
            told.advance()
            return Result.from_dict(audit, world, kept)

        return keep

    def control(self, name: str, told: Told) -> dict[str, Any]:
        """The report on the control ``name``."""
        from videosim.audits.matrix import examine_control

        return self.kept(name, lambda: examine_control(self.exam, name, self.keeper(name, told)).to_dict())

    def graded(self, ladder: Ladder, told: Told) -> dict[str, Any]:
        """What the audit of a ``ladder`` says of its graded faults."""
        from videosim.audits.severity import climb

        told.note(f"{ladder.control} by degrees")
        found = self.kept(f"graded-{ladder.control}-{ladder.audit}", lambda: climb(self.exam, ladder).to_dict())
        told.advance()
        return found


def label(key: str) -> str:
    """``key`` for a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in key)
