"""`videosim audit` and `videosim ledger`: what worlds are found to be, and what becomes of the claims about them.

Only the audit writes ``measurements.json``; the claims are written by hand. They meet in the ledger.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videosim.config import AuditConfig, LedgerConfig
from videosim.errors import VideoSimError
from videosim.run import Run, write_atomically

if TYPE_CHECKING:
    from videosim.audits.exam import Exam

MEASUREMENTS = "measurements.json"


def audit(cfg: AuditConfig, run: Run) -> None:
    """``videosim audit``: the audits of the push scene on a model and on controls, into ``measurements.json``. A world
    that was examined before the command was interrupted is not examined again."""
    from videosim.audits.catalogue import AUDITS
    from videosim.audits.exam import Exam, fits
    from videosim.audits.matrix import expected, score
    from videosim.envs.physics import PhysicsEnv

    began, wanted = time.monotonic(), expected()
    controls = list(wanted) if cfg.controls == ["all"] else list(cfg.controls)
    unknown = [name for name in controls if name not in wanted]
    if unknown:
        raise VideoSimError(f"no verdicts are expected of a control {unknown[0]!r}; choose {', '.join(wanted)}, or all")
    if not controls and not cfg.checkpoint:
        raise VideoSimError("there is nothing to audit; give checkpoint= or controls=")
    model, weights = _audited(cfg.checkpoint)
    if model is not None:
        fits(model.spec, PhysicsEnv("push").world_spec, cfg.checkpoint)

    run.say("drawing the truth, and auditing the instrument")
    exam = Exam(cfg.size, bars=Path(cfg.bars) if cfg.bars else None, seed=cfg.seed)
    names = [*([cfg.checkpoint] if model is not None else []), *controls]
    reports = {}
    with run.progress(len(names), "worlds examined", "worlds") as bar:
        for name in names:
            own = name not in controls
            subject, audits = (model, tuple(AUDITS)) if own else (f"control:{name}", tuple(wanted[name]))
            key = f"{name}-{weights}" if own else name
            reports[name] = _kept(exam, key, cfg, run, lambda s=subject, a=audits: _examined(exam, s, a))  # type: ignore[misc]
            bar.advance()
            bar.note(name)
    judged = score({name: _verdicts(reports[name]) for name in controls}, wanted)
    ladders = _graded(exam, cfg, run) if cfg.controls == ["all"] else []
    exam.close()

    run.figures["probe_floor_fraction"] = exam.instrument.result.findings["floor_fraction"].estimate.to_dict()
    if model is not None:
        for audit in AUDITS.values():
            for metric, figure in audit.figures:
                measured = reports[cfg.checkpoint]["audits"][audit.name]["metrics"][metric]
                run.figures[figure.format(**exam.bars.sizes)] = {k: v for k, v in measured.items() if k != "verdict"}
    if controls:
        run.figure("control_sensitivity", judged.sensitivity, n=judged.must_fail)
        run.figure("control_specificity", judged.specificity, n=judged.must_pass)
    if ladders:
        run.figure("graded_spearman_min", min(ladder["spearman"] for ladder in ladders), n=len(ladders))
    measurements = {
        **run.result(),
        "size": cfg.size,
        "bars_sha256": exam.bars.sha256,
        "scene_sha256": exam.scene_sha256,
        "weights": weights,
        "wall_s": round(time.monotonic() - began, 1),
        "worlds": reports,
        "controls": controls,
        "controls_wrong": judged.wrong,
        "graded": ladders,
    }
    write_atomically(run.folder / MEASUREMENTS, json.dumps(measurements, indent=1) + "\n")
    title = f"push, size {cfg.size}; a control's verdict that is not the expected one is marked !"
    rows = [
        (name, *(_said(reports[name], a, wanted.get(name, {})) for a in AUDITS), _notes(reports[name]))
        for name in names
    ]
    run.table(title, ("world", *AUDITS, "note"), rows)
    if model is not None:
        run.table(
            f"{cfg.checkpoint}",
            ("audit", "metric", "value", "low", "high", "n", "verdict", "n wanted"),
            [
                (audit, metric, *(found.get(k) for k in ("value", "low", "high", "n", "verdict", "n_wanted")))
                for audit, result in reports[cfg.checkpoint]["audits"].items()
                for metric, found in result["metrics"].items()
            ],
        )
    if controls:
        run.table(
            "the audit of the audits",
            ("", "share", "cells"),
            [
                ("sensitivity: of what must fail, did", judged.sensitivity, judged.must_fail),
                ("specificity: of what must pass, did", judged.specificity, judged.must_pass),
            ],
        )
    if ladders:
        run.table(
            f"graded check: a fault at five strengths; Spearman at least {0.95}",
            ("fault", "audit", "figure", "mildest to strongest", "Spearman"),
            [
                (
                    f"{x['control']} {x['numbers']}",
                    x["audit"],
                    x["figure"],
                    "  ".join(f"{v:.3g}" for v in x["figures"]),
                    x["spearman"],
                )
                for x in ladders
            ],
        )


def ledger(cfg: LedgerConfig, run: Run) -> None:
    """``videosim ledger``: every claim beside what was measured of it, into ``ledger.json``."""
    from videosim.audits.ledger import join, load_claims, load_measurements
    from videosim.audits.verdict import load_bars

    claims = load_claims(Path(cfg.claims) if cfg.claims else None)
    measured = [load_measurements(Path(path)) for path in cfg.measurements]
    entries = join(claims, measured, load_bars("full").sha256)
    write_atomically(run.folder / "ledger.json", json.dumps([entry.to_dict() for entry in entries], indent=1) + "\n")
    for entry in entries:
        key = f"claims_{entry.verdict.replace(' ', '_')}"
        run.figure(key, float((run.figures.get(key) or {}).get("value") or 0.0) + 1.0)
    run.table(
        "claims, and what was measured of them",
        ("claim", "level", "asked", "measured", "verdict", "why"),
        [
            (entry.claim.id, f"L{entry.claim.level}", entry.claim.asked, entry.measured, entry.verdict, entry.why)
            for entry in entries
        ],
    )


def _audited(checkpoint: str) -> tuple[Any, str]:
    """The loaded model and a hash of its weights; nothing where no checkpoint is given."""
    if not checkpoint:
        return None, ""
    from videosim.agents.settings import fingerprint
    from videosim.checkpoint import load_checkpoint

    model = load_checkpoint(checkpoint)
    return model, fingerprint(model)


def _kept(exam: Exam, key: str, cfg: AuditConfig, run: Run, make: Callable[[], Any]) -> Any:
    """What ``make`` makes, JSON types, kept in the run folder under all that determines it."""
    label = "".join(letter if letter.isalnum() else "-" for letter in key)
    hashes = f"{exam.bars.sha256[:8]}-{exam.scene_sha256[:8]}"
    path = run.folder / "worlds" / f"{label}-{cfg.size}-{cfg.seed}-{hashes}.json"
    if path.is_file():
        return json.loads(path.read_text())
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(made, indent=1) + "\n")
    return made


def _examined(exam: Exam, subject: Any, audits: tuple[str, ...]) -> dict[str, Any]:
    from videosim.audits.world import DreamWorld, PhysicsWorld

    world = PhysicsWorld(subject) if isinstance(subject, str) else DreamWorld(subject)
    try:
        return exam.examine(world, audits).to_dict()
    finally:
        world.close()


def _graded(exam: Exam, cfg: AuditConfig, run: Run) -> list[dict[str, Any]]:
    from videosim.audits.severity import LADDERS, climb

    found = []
    with run.progress(len(LADDERS), "faults graded", "faults") as bar:
        for ladder in LADDERS:
            key = f"graded-{ladder.control}-{ladder.audit}"
            found.append(_kept(exam, key, cfg, run, lambda ladder=ladder: climb(exam, ladder).to_dict()))  # type: ignore[misc]
            bar.advance()
    return found


def _verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {name: result["verdict"] for name, result in report["audits"].items()}


def _said(report: dict[str, Any], audit: str, wanted: Mapping[str, str]) -> str:
    found = _verdicts(report).get(audit, "")
    return f"{found} !" if found and audit in wanted and wanted[audit] != found else found


def _notes(report: dict[str, Any]) -> str:
    """Every note once, with the audits it is about."""
    about: dict[str, list[str]] = {}
    for audit, note in report["notes"].items():
        about.setdefault(note, []).append(audit)
    return "; ".join(f"{', '.join(audits)}: {note}" for note, audits in about.items())
