"""`videosim audit` and `videosim ledger`: what worlds are found to be, and what becomes of the claims about them.

Only the audit writes ``measurements.json``; the claims are written by hand. They meet in the ledger.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videosim.audit_films import model_films
from videosim.audit_page import page
from videosim.audit_tables import show, verdicts
from videosim.config import AuditConfig, LedgerConfig
from videosim.errors import VideoSimError
from videosim.report import Film, write_report
from videosim.run import Run, write_atomically

if TYPE_CHECKING:
    from videosim.audits.exam import Exam
    from videosim.audits.scene import Scene
    from videosim.types import WorldSpec

MEASUREMENTS = "measurements.json"


def audit(cfg: AuditConfig, run: Run) -> None:
    """``videosim audit``: the audits of one scene on models of it and on controls, into ``measurements.json`` and
    ``report.html``. A world that was examined before the command was interrupted is not examined again."""
    from videosim.audits.exam import Exam
    from videosim.audits.ledger import join, load_claims
    from videosim.audits.matrix import score

    began = time.monotonic()
    names = [name.strip() for name in cfg.checkpoint.split(",") if name.strip()]
    if len(names) != len(set(names)) or len(names) > 2:
        raise VideoSimError(
            f"one model is audited, or two different ones side by side; got checkpoint={cfg.checkpoint}"
        )
    models = {name: _loaded(name) for name in names}
    scene = _scene(cfg, {name: model.spec for name, (model, _) in models.items()})
    wanted = scene.expected()
    controls = {"all": list(wanted), "few": list(scene.few)}.get(",".join(cfg.controls), list(cfg.controls))
    unknown = [name for name in controls if name not in wanted]
    if unknown:
        raise VideoSimError(
            f"no verdicts are expected of a control {unknown[0]!r}; choose {', '.join(wanted)}, few or all"
        )
    if not controls and not names:
        raise VideoSimError("there is nothing to audit; give checkpoint= or controls=")

    run.say("drawing the truth, and auditing the instrument")
    exam = Exam(scene, cfg.size, bars=Path(cfg.bars) if cfg.bars else None, seed=cfg.seed)
    reports: dict[str, dict[str, Any]] = {}
    differences: dict[str, Any] = {}
    with run.progress(len(names) + len(controls), "worlds examined", "worlds") as bar:
        if names:
            key = "-".join(f"{name}-{weights}" for name, (_, weights) in models.items())
            kept = _kept(
                exam, key, cfg, run, lambda: _compared(exam, {name: model for name, (model, _) in models.items()})
            )
            reports |= kept["reports"]
            differences = kept["differences"]
            bar.advance(len(names))
        for name in controls:
            bar.note(name)
            reports[name] = _kept(exam, name, cfg, run, lambda name=name: _control(exam, name))  # type: ignore[misc]
            bar.advance()
    judged = score({name: verdicts(reports[name]) for name in controls}, wanted)
    ladders = _graded(exam, cfg, run) if cfg.controls == ["all"] else []
    for metric, figure in scene.figures:
        run.figures[figure] = exam.instrument.result.findings[metric].estimate.to_dict()
    if len(names) == 1:
        for audit in scene.audits.values():
            for metric, figure in audit.figures:
                measured = reports[names[0]]["audits"][audit.name]["metrics"][metric]
                run.figures[figure.format(**exam.bars.sizes)] = {k: v for k, v in measured.items() if k != "verdict"}
    if controls:
        run.figure("control_sensitivity", judged.sensitivity, n=judged.must_fail)
        run.figure("control_specificity", judged.specificity, n=judged.must_pass)
    if ladders:
        run.figure("graded_spearman_min", min(ladder["spearman"] for ladder in ladders), n=len(ladders))
    measurements = {
        **run.result(),
        "scene": scene.name,
        "size": cfg.size,
        "bars_sha256": exam.bars.sha256,
        "scene_sha256": exam.scene_sha256,
        "weights": {name: weights for name, (_, weights) in models.items()},
        "wall_s": round(time.monotonic() - began, 1),
        "worlds": reports,
        "differences": differences,
        "controls": controls,
        "controls_wrong": judged.wrong,
        "graded": ladders,
    }
    write_atomically(run.folder / MEASUREMENTS, json.dumps(measurements, indent=1) + "\n")
    show(measurements, wanted, judged, run)
    if models:
        run.say("filming what the audits found")
    films = [film for name, (model, _) in models.items() for film in _films(exam, name, model, reports[name], run)]
    exam.close()
    entries = join([c for c in load_claims() if c.model in models], [measurements])
    write_report(run.folder / "report.html", page(measurements, scene, judged, exam.bars, entries, films))
    run.say(f"report: {run.folder / 'report.html'}")


def ledger(cfg: LedgerConfig, run: Run) -> None:
    """``videosim ledger``: every claim beside what was measured of it, into ``ledger.json``."""
    from videosim.audits.ledger import join, load_claims, load_measurements

    claims = load_claims(Path(cfg.claims) if cfg.claims else None)
    measured = [load_measurements(Path(path)) for path in cfg.measurements]
    entries = join(claims, measured)
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


def _scene(cfg: AuditConfig, specs: Mapping[str, WorldSpec]) -> Scene:
    """The scene of the log that is given; else of the models' world, or of ``cfg.world`` where controls alone are
    audited."""
    from videosim.audits.catalogue import log_scene, scene_of

    if cfg.data:
        return log_scene(cfg.data, cfg.held_out)
    worlds = list(dict.fromkeys(spec.name for spec in specs.values())) or [cfg.world or "push"]
    if len(worlds) > 1 or cfg.world not in ("", worlds[0]):
        raise VideoSimError(
            f"one world is audited at a time; got {' and '.join(dict.fromkeys([*worlds, cfg.world or worlds[0]]))}"
        )
    return scene_of(worlds[0])


def _loaded(checkpoint: str) -> tuple[Any, str]:
    """A model and a hash of its weights."""
    from videosim.agents.settings import fingerprint
    from videosim.checkpoint import load_checkpoint

    model = load_checkpoint(checkpoint)
    return model, fingerprint(model)


def _kept(exam: Exam, key: str, cfg: AuditConfig, run: Run, make: Callable[[], Any]) -> Any:
    """What ``make`` makes, JSON types, kept in the run folder under all that determines it."""
    hashes = f"{exam.bars.sha256[:8]}-{exam.scene_sha256[:8]}"
    path = run.folder / "worlds" / f"{_label(key)}-{cfg.size}-{cfg.seed}-{hashes}.json"
    if path.is_file():
        return json.loads(path.read_text())
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(made, indent=1) + "\n")
    return made


def _control(exam: Exam, name: str) -> dict[str, Any]:
    from videosim.audits.matrix import examine_control

    return examine_control(exam, name).to_dict()


def _compared(exam: Exam, models: Mapping[str, Any]) -> dict[str, Any]:
    """The reports on one model or two, and the second's figures less the first's."""
    from videosim.audits.world import DreamWorld

    found = {}
    for name, model in models.items():
        world = DreamWorld(model)
        found[name] = exam.examine(world)
        world.close()
    differences = exam.compare(*found.values()) if len(found) == 2 else {}
    return {
        "reports": {name: report.to_dict() for name, report in found.items()},
        "differences": {
            audit: {metric: estimate.to_dict() for metric, estimate in rows.items()}
            for audit, rows in differences.items()
        },
    }


def _films(exam: Exam, name: str, model: Any, report: Mapping[str, Any], run: Run) -> list[Film]:
    return model_films(exam.bench, name, model, report["audits"], run.folder / "films" / _label(name))


def _label(key: str) -> str:
    """For a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in key)


def _graded(exam: Exam, cfg: AuditConfig, run: Run) -> list[dict[str, Any]]:
    from videosim.audits.severity import LADDERS, climb

    found = []
    ladders = [ladder for ladder in LADDERS if ladder.audit in exam.scene.audits]
    with run.progress(len(ladders), "faults graded", "faults") as bar:
        for ladder in ladders:
            key = f"graded-{ladder.control}-{ladder.audit}"
            found.append(_kept(exam, key, cfg, run, lambda ladder=ladder: climb(exam, ladder).to_dict()))  # type: ignore[misc]
            bar.advance()
    return found
