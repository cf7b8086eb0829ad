"""`videosim audit` and `videosim ledger`: what worlds are found to be, and what becomes of the claims about them.

Only the audit writes ``measurements.json``; the claims are written by hand. They meet in the ledger.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videosim.audit_films import model_films
from videosim.audit_page import page
from videosim.audit_tables import show, verdicts
from videosim.config import HELD_OUT, AuditConfig, LedgerConfig, TrainConfig
from videosim.errors import VideoSimError
from videosim.examiners import Examiners, examiners
from videosim.findings import Findings, label
from videosim.report import write_report
from videosim.run import Bar, Run, write_atomically
from videosim.video import Film

if TYPE_CHECKING:
    from videosim.audits.exam import Exam, Keep
    from videosim.audits.scene import Scene
    from videosim.audits.verdict import Result

MEASUREMENTS = "measurements.json"


def audit(cfg: AuditConfig, run: Run) -> None:
    """``videosim audit``: the audits of one scene on models of it and on controls, into ``measurements.json`` and
    ``report.html``. What was found before the command was interrupted, audit by audit, is not asked again."""
    from videosim.audits.ledger import join, load_claims
    from videosim.audits.matrix import score
    from videosim.audits.severity import LADDERS

    began = time.monotonic()
    names = [name.strip() for name in cfg.checkpoint.split(",") if name.strip()]
    if len(names) != len(set(names)) or len(names) > 2:
        raise VideoSimError(
            f"one model is audited, or two different ones side by side; got checkpoint={cfg.checkpoint}"
        )
    models = {name: _loaded(name) for name in names}
    settled = _settled(cfg, [model for model, _ in models.values()])
    scene = _scene(settled)
    wanted = scene.expected()
    controls = {"all": list(wanted), "few": list(scene.few)}.get(",".join(cfg.controls), list(cfg.controls))
    unknown = [name for name in controls if name not in wanted]
    if unknown:
        raise VideoSimError(
            f"no verdicts are expected of a control {unknown[0]!r}; choose {', '.join(wanted)}, few or all"
        )
    if cfg.workers < 0:
        raise VideoSimError(f"workers is a number of processes, or 0 for one a core; got {cfg.workers}")
    if not controls and not names:
        raise VideoSimError("there is nothing to audit; give checkpoint= or controls=")
    graded = LADDERS.get(scene.name, ()) if cfg.controls == ["all"] else ()

    run.say("drawing the truth, and auditing the instrument")
    exam = _exam(settled, scene)
    found = Findings(exam, cfg, run.folder)
    key = "-".join(f"{name}-{weights}" for name, (_, weights) in models.items())
    there = len(names) * len(scene.audits) if names and found.path(key).is_file() else 0
    there += sum(len(wanted[name]) for name in controls if found.path(name).is_file())
    asked = len(names) * len(scene.audits) + sum(len(wanted[name]) for name in controls) + len(graded)
    work = [name for name in controls if not found.path(name).is_file()]
    others = examiners(cfg.workers, len(names), len(work) + len(graded))
    with (
        run.progress(asked, "audits", "audits", done=there) as bar,
        Examiners(_exam, settled, run.folder, work, range(len(graded)), others) as examining,
    ):
        kept = (
            found.kept(key, lambda: _compared(found, models, bar, examining))
            if names
            else {"reports": {}, "differences": {}}
        )
        examining.finish(bar)
        reports: dict[str, dict[str, Any]] = kept["reports"] | {name: found.control(name, bar) for name in controls}
        ladders = [found.graded(ladder, bar) for ladder in graded]
    differences: dict[str, Any] = kept["differences"]
    judged = score({name: verdicts(reports[name]) for name in controls}, wanted)
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


def _settled(cfg: AuditConfig, models: Sequence[Any]) -> AuditConfig:
    """``cfg`` with all that its models decide: whose scene it is, or what of a log they have not seen."""
    if cfg.data:
        return replace(cfg, held_out=_held_out(models) if cfg.held_out is None else cfg.held_out)
    worlds = list(dict.fromkeys(model.spec.name for model in models)) or [cfg.world or "push"]
    if len(worlds) > 1 or cfg.world not in ("", worlds[0]):
        raise VideoSimError(
            f"one world is audited at a time; got {' and '.join(dict.fromkeys([*worlds, cfg.world or worlds[0]]))}"
        )
    return replace(cfg, world=worlds[0])


def _scene(settled: AuditConfig) -> Scene:
    from videosim.audits.catalogue import log_scene, scene_of

    if not settled.data:
        return scene_of(settled.world)
    assert settled.held_out is not None
    return log_scene(settled.data, settled.held_out)


def _exam(settled: AuditConfig, scene: Scene | None = None) -> Exam:
    from videosim.audits.exam import Exam

    bars = Path(settled.bars) if settled.bars else None
    return Exam(scene or _scene(settled), settled.size, bars=bars, seed=settled.seed)


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


def _compared(findings: Findings, models: Mapping[str, tuple[Any, str]], bar: Bar, beside: Examiners) -> dict[str, Any]:
    """The reports on one model, or on two and the second's figures less the first's. The episodes of two are all asked
    in one go: their samples, which a comparison needs, are not kept."""
    from videosim.audits.world import DreamWorld

    exam, found = findings.exam, {}
    for name, (model, weights) in models.items():
        world = DreamWorld(model)
        if len(models) == 1:
            keeper = findings.keeper(f"{name}-{weights}", bar)

            def keep(audit: str, ask: Callable[[], Result], keeper: Keep = keeper) -> Result:
                beside.hear(bar)
                return keeper(audit, ask)

            found[name] = exam.examine(world, keep=keep)
        else:
            bar.note(name)
            found[name] = exam.examine(world, early=False)
            bar.advance(len(exam.scene.audits))
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
    return model_films(exam.bench, name, model, report["audits"], run.folder / "films" / label(name))
