"""`videosim audit` and `videosim ledger`: what worlds are found to be, and what becomes of the claims about them.

Only the audit writes ``measurements.json``; the claims are written by hand. They meet in the ledger.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videosim.audit_films import model_films
from videosim.audit_page import page
from videosim.audit_tables import show, verdicts
from videosim.config import HELD_OUT, AuditConfig, LedgerConfig, TrainConfig
from videosim.errors import VideoSimError
from videosim.report import write_report
from videosim.run import Bar, Run, write_atomically
from videosim.video import Film

if TYPE_CHECKING:
    from videosim.audits.exam import Exam, Keep
    from videosim.audits.scene import Scene

MEASUREMENTS = "measurements.json"


def audit(cfg: AuditConfig, run: Run) -> None:
    """``videosim audit``: the audits of one scene on models of it and on controls, into ``measurements.json`` and
    ``report.html``. What was found before the command was interrupted, audit by audit, is not asked again."""
    from videosim.audits.exam import Exam
    from videosim.audits.ledger import join, load_claims
    from videosim.audits.matrix import examine_control, score

    began = time.monotonic()
    names = [name.strip() for name in cfg.checkpoint.split(",") if name.strip()]
    if len(names) != len(set(names)) or len(names) > 2:
        raise VideoSimError(
            f"one model is audited, or two different ones side by side; got checkpoint={cfg.checkpoint}"
        )
    models = {name: _loaded(name) for name in names}
    scene = _scene(cfg, [model for model, _ in models.values()])
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
    asked = len(names) * len(scene.audits) + sum(len(wanted[name]) for name in controls)
    with run.progress(asked, "audits", "audits") as bar:
        if names:
            key = "-".join(f"{name}-{weights}" for name, (_, weights) in models.items())
            kept = _kept(
                *(exam, key, cfg, run),
                lambda: _compared(exam, models, lambda name: _keeper(exam, name, cfg, run, bar)),
            )
            reports |= kept["reports"]
            differences = kept["differences"]
            bar.update(len(names) * len(scene.audits))
        for name in controls:
            done, keep = bar.done, _keeper(exam, name, cfg, run, bar)
            reports[name] = _kept(exam, name, cfg, run, lambda n=name, k=keep: examine_control(exam, n, k).to_dict())  # type: ignore[misc]
            bar.update(done + len(wanted[name]))
    judged = score({name: verdicts(reports[name]) for name in controls}, wanted)
    ladders = _graded(exam, cfg, run) if cfg.controls == ["all"] else []
    for metric, figure in scene.figures:
        run.figures[figure] = exam.instrument.result.findings[metric].estimate.to_dict()
    if len(names) == 1:
        for audit in scene.audits.values():
            result = reports[names[0]]["audits"][audit.name]
            for metric, figure in audit.figures:
                measured = result["metrics"][metric]
                run.figures[figure.format(**exam.bars.sizes)] = {k: v for k, v in measured.items() if k != "verdict"}
            for cost in audit.costs:
                run.figure(cost, result["details"][cost], unit=cost.rpartition("_")[2])
            run.figure(f"seconds_{audit.name}", result["seconds"], unit="s")
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


def _scene(cfg: AuditConfig, models: Sequence[Any]) -> Scene:
    """The scene of the log that is given; else of the models' world, or of ``cfg.world`` where controls alone are
    audited."""
    from videosim.audits.catalogue import log_scene, scene_of

    if cfg.data:
        return log_scene(cfg.data, _held_out(models) if cfg.held_out is None else cfg.held_out)
    worlds = list(dict.fromkeys(model.spec.name for model in models)) or [cfg.world or "push"]
    if len(worlds) > 1 or cfg.world not in ("", worlds[0]):
        raise VideoSimError(
            f"one world is audited at a time; got {' and '.join(dict.fromkeys([*worlds, cfg.world or worlds[0]]))}"
        )
    return scene_of(worlds[0])


def _held_out(models: Sequence[Any]) -> float:
    """What of the log ``models`` were trained on they have not seen, as their cards say."""
    recorded = {model.recorded("Data", HELD_OUT) for model in models}
    said = sorted({TrainConfig.held_out if held_out is None else held_out for held_out in recorded or {None}})
    if len(said) > 1:
        raise VideoSimError(
            f"one of these models was trained without what the other has seen (held_out={said[0]:g} and {said[1]:g}); "
            "give held_out="
        )
    return float(said[0])


def _loaded(checkpoint: str) -> tuple[Any, str]:
    """A model and a hash of its weights."""
    from videosim.agents.settings import fingerprint
    from videosim.one_body import load_body

    model = load_body(checkpoint)
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


def _keeper(exam: Exam, world: str, cfg: AuditConfig, run: Run, bar: Bar) -> Keep:
    """Keeps the results on ``world`` audit by audit, and tells the ``bar``."""
    from videosim.audits.verdict import Result

    def keep(audit: str, ask: Callable[[], Result]) -> Result:
        bar.note(f"{world} {audit}")
        kept = _kept(exam, f"{world}-{audit}", cfg, run, lambda: ask().to_dict())
        bar.advance()
        return Result.from_dict(audit, world, kept)

    return keep


def _compared(exam: Exam, models: Mapping[str, tuple[Any, str]], keeper: Callable[[str], Keep]) -> dict[str, Any]:
    """The reports on one model, or on two and the second's figures less the first's. The episodes of two are all asked
    in one go: their samples, which a comparison needs, are not kept."""
    from videosim.audits.world import DreamWorld

    found = {}
    for name, (model, weights) in models.items():
        world = DreamWorld(model)
        how = {"keep": keeper(f"{name}-{weights}")} if len(models) == 1 else {"early": False}
        found[name] = exam.examine(world, **how)  # type: ignore[arg-type]
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
    ladders = LADDERS.get(exam.scene.name, ())
    with run.progress(len(ladders), "faults graded", "faults") as bar:
        for ladder in ladders:
            key = f"graded-{ladder.control}-{ladder.audit}"
            found.append(_kept(exam, key, cfg, run, lambda ladder=ladder: climb(exam, ladder).to_dict()))  # type: ignore[misc]
            bar.advance()
    return found
