"""Commands that join layers which may not import each other: the episode store knows neither physics nor policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from videosim.config import AuditConfig, CollectConfig
from videosim.envs.recording import record
from videosim.errors import VideoSimError
from videosim.run import Run, write_atomically

if TYPE_CHECKING:
    from videosim.audits.exam import Exam

FIGURES = {  # of the audited model: audit and metric -> name in result.json
    ("A1", "survival"): "identity_survival_{identity_frames}",
    ("A1", "motion_ratio"): "motion_ratio",
    ("A3", "cai4"): "cai4_h{intervention_frames}",
    ("A3", "effect_ratio"): "effect_ratio",
    ("A3", "direction_cosine"): "direction_cosine",
    ("A3", "latency_frames"): "latency_frames",
    ("A3", "onset_frames"): "onset_frames",
    ("A3", "null_effect_floors"): "null_effect_floors",
}


def collect(cfg: CollectConfig, run: Run) -> None:
    """``videosim collect``: physics rollouts into the episode store in ``run.folder``; appends to one that is there."""
    if bool(cfg.checkpoint) != bool(cfg.policy):
        raise VideoSimError("a policy sees through the model it was trained on; give checkpoint= and policy= together")
    policies = {}
    if cfg.policy:
        from videosim.agents.imagined import imagined_policy, share_with  # torch only where there is a policy

        name, policy = imagined_policy(cfg.checkpoint, cfg.policy, cfg.world)
        policies = {name: policy}
        cfg.mixture = share_with(cfg.mixture, name, cfg.policy_share)
    store = record(cfg, run.folder, run, policies)
    run.figure("episodes", len(store))
    run.figure("frames", store.frames_total)
    rewards = [float(store.column("rewards", i).sum()) for i in range(len(store))]
    run.figure("return_mean", sum(rewards) / len(rewards), min(rewards), max(rewards), len(rewards))
    counts = {name: store.behaviours.count(name) for name in sorted(set(store.behaviours))}
    rows = [(name, count, _mean(rewards, store.behaviours, name)) for name, count in counts.items()]
    run.table(
        f"{len(store)} episodes, {store.frames_total} frames in {run.folder}", ("behaviour", "episodes", "return"), rows
    )


def audit(cfg: AuditConfig, run: Run) -> None:
    """``videosim audit``: the audits of the push scene on a model and on controls, into ``measurements.json``. A world
    that was examined before the command was interrupted is not examined again."""
    from videosim.audits.catalogue import AUDITS
    from videosim.audits.exam import Exam
    from videosim.audits.matrix import expected, score

    wanted = expected()
    controls = list(wanted) if cfg.controls == ["all"] else list(cfg.controls)
    unknown = [name for name in controls if name not in wanted]
    if unknown:
        raise VideoSimError(f"no verdicts are expected of a control {unknown[0]!r}; choose {', '.join(wanted)}, or all")
    if not controls and not cfg.checkpoint:
        raise VideoSimError("there is nothing to audit; give checkpoint= or controls=")
    model, weights = _audited(cfg.checkpoint)

    run.say("drawing the truth, and auditing the instrument")
    exam = Exam(cfg.size, seed=cfg.seed)
    names = [*([cfg.checkpoint] if model is not None else []), *controls]
    reports = {}
    with run.progress(len(names), "worlds examined", "worlds") as bar:
        for name in names:
            subject, audits = (
                (model, tuple(AUDITS)) if name not in controls else (f"control:{name}", tuple(wanted[name]))
            )
            reports[name] = _examined(
                exam, subject, audits, f"{name}-{weights}" if subject is model else name, cfg, run
            )
            bar.advance()
            bar.note(name)
    judged = score({name: _verdicts(reports[name]) for name in controls}, wanted)

    floor = exam.instrument.result.findings["floor_fraction"].estimate
    run.figures["probe_floor_fraction"] = floor.to_dict()
    if model is not None:
        for (audit, metric), figure in FIGURES.items():
            measured = reports[cfg.checkpoint]["audits"][audit]["metrics"][metric]
            run.figures[figure.format(**exam.bars.sizes)] = {k: v for k, v in measured.items() if k != "verdict"}
    if controls:
        run.figure("control_sensitivity", judged.sensitivity)
        run.figure("control_specificity", judged.specificity)
    measurements = {**run.result(), "bars_sha256": exam.bars.sha256, "weights": weights, "worlds": reports}
    measurements["controls_wrong"] = judged.wrong
    write_atomically(run.folder / "measurements.json", json.dumps(measurements, indent=1) + "\n")
    rows = [
        (name, *(_said(reports[name], a, wanted.get(name, {})) for a in AUDITS), reports[name]["notes"].get("A1", ""))
        for name in names
    ]
    run.table(
        f"push, size {cfg.size}; a control's verdict that is not the expected one is marked !",
        ("world", *AUDITS, "note"),
        rows,
    )


def _audited(checkpoint: str) -> tuple[Any, str]:
    """The loaded model and a hash of its weights; nothing where no checkpoint is given."""
    if not checkpoint:
        return None, ""
    from videosim.agents.settings import fingerprint
    from videosim.checkpoint import load_checkpoint

    model = load_checkpoint(checkpoint)
    return model, fingerprint(model)


def _examined(
    exam: Exam, subject: Any, audits: tuple[str, ...], key: str, cfg: AuditConfig, run: Run
) -> dict[str, Any]:
    """The report on one world as JSON types, kept in the run folder under all that determines it."""
    from videosim.audits.world import DreamWorld, PhysicsWorld

    label = "".join(letter if letter.isalnum() else "-" for letter in key)
    path = run.folder / "worlds" / f"{label}-{cfg.size}-{cfg.seed}-{exam.bars.sha256[:8]}.json"
    if path.is_file():
        return json.loads(path.read_text())
    world = PhysicsWorld(subject) if isinstance(subject, str) else DreamWorld(subject)
    try:
        report = exam.examine(world, audits).to_dict()
    finally:
        world.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(report, indent=1) + "\n")
    return report


def _verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {name: result["verdict"] for name, result in report["audits"].items()}


def _said(report: dict[str, Any], audit: str, wanted: Mapping[str, str]) -> str:
    found = _verdicts(report).get(audit, "")
    return f"{found} !" if found and audit in wanted and wanted[audit] != found else found


def _mean(values: list[float], labels: list[str], label: str) -> float:
    chosen = [value for value, other in zip(values, labels, strict=True) if other == label]
    return sum(chosen) / len(chosen)
