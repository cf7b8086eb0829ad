"""Show the committed files below ``experiments/results/<world>``, one of each command in ``KEPT``, and what the audits
say of broken worlds, one a scene in ``experiments/results/controls``: what matters most in the README, between its
markers, and every figure in ``experiments/results/README.md``.

    python experiments/results.py            rewrite both
    python experiments/results.py RUN …      first keep what these run folders hold
    python experiments/results.py --check    exit status 1 where one does not say what the files say

Every figure comes with its interval, n, seeds, hardware and command; none is typed by hand.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from videosim import config as configs
from videosim.agents import calibrate, exploit, horizons, rank, stress
from videosim.agents.bars import judged, verdict
from videosim.agents.gap_report import LABELS, interval
from videosim.audit_page import words
from videosim.audits.catalogue import SCENES
from videosim.audits.verdict import load_bars
from videosim.cli import COMMANDS
from videosim.envs import bench
from videosim.report import Table
from videosim.run import write_atomically
from videosim.statistics import Estimate
from videosim.video import webp_bytes

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments" / "results"
FILM, FILM_SPEED = "median.webp", 4  # one frame of four: a README is not a cinema, and its history keeps every film
FILM_QUALITY = 20
KEPT = {  # by command, in the order in which they are shown
    "gap": "result.json",
    "exploit": "exploit.json",
    "horizons": "horizons.json",
    "stress": "stress.json",
    "calibrate": "calibrate.json",
    "rank": "rank.json",
    "audit": "audit.json",
    "bench": "bench.json",
}
CONTROLS = "controls"  # folder of audits of no model
HEADLINE = {  # column of the README's table -> figure, of which the command's own file holds
    "trained in imagination": ("gap", "return_imagination"),
    "trained in physics": ("gap", "return_physics"),
    "random": ("gap", "return_random"),
    "imagination / physics": ("gap", "return_ratio"),
    "open-loop horizon [frames]": ("gap", "open_loop_horizon_frames"),
    "order of 24 policies, r": ("rank", "pearson_r"),
}
FILM_SAYS = "physics, the dream under the same actions, and their difference: the median episode by score"
TITLE = """# All results

Made by `python experiments/results.py`; brackets are 95 % intervals over training seeds and episodes."""
TWO = ("| | |", "|---|---|")  # columns without a head
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
MAIN = (
    ("return_imagination", "return_physics", "return_true_state", "return_random"),
    ("success_imagination", "success_physics", "success_true_state", "success_random"),
    ("time_upright_imagination", "time_upright_physics", "time_upright_true_state", "time_upright_random"),
    ("return_ratio", "return_ratio_normalised", "return_dreamed", "return_dreamed_physics", "transfer_drop"),
    ("open_loop_horizon_frames", "open_loop_horizon_frames_strict", "open_loop_horizon_frames_copy_last"),
    ("closed_loop_horizon_frames", "pearson_r", "pearson_r_own_actions", "physics_frames"),
)


def headline(folder: Path) -> str:
    """Markdown of what matters most of the results below ``folder``, and the films of the worlds that have one."""
    rows = [f"| world | {' | '.join(HEADLINE)} |", "|---" * (1 + len(HEADLINE)) + "|"]
    films = []
    for path in _worlds(folder):
        said = {
            command: json.loads((path / name).read_text()) for command, name in KEPT.items() if (path / name).is_file()
        }
        rows.append(f"| {path.name} | {' | '.join(_cell(path.name, said, *wanted) for wanted in HEADLINE.values())} |")
        if (path / FILM).is_file():
            film = f"![{path.name}: {FILM_SAYS}](experiments/results/{path.name}/{FILM})"
            films.append(f"{path.name}<br>{film}")
    pairs = [f"| {' | '.join(films[i : i + 2])} |" for i in range(0, len(films), 2)]
    worth = "\n".join(_worth(folder))
    return "\n".join([*rows, "", *([worth, ""] if worth else []), f"The films show {FILM_SAYS}.", "", *TWO, *pairs])


def _worlds(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir() and path.name != CONTROLS)


def _worth(folder: Path) -> list[str]:
    """Lines of Markdown: what the audits say of worlds that are broken on purpose, scene by scene; none where nothing
    was kept."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted((folder / CONTROLS).glob("*.json"))}
    columns = (
        "verdicts that must be FAIL, and are",
        "that must be PASS, and are",
        "faults graded",
        "least rank correlation with the fault",
    )
    lines = ["What the audits say of worlds that are broken on purpose:", ""]
    lines += [f"| scene | size | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
    for scene, result in found.items():
        figures = result["figures"]
        shares = (figures["control_sensitivity"], figures["control_specificity"])
        told = [f"{100 * share['value']:.3g} % of {share['n']}" for share in shares]
        graded = figures.get("graded_spearman_min")
        told += [str(graded["n"]), f"{graded['value']:.2f}"] if graded else ["", ""]
        lines.append(f"| {scene} | {result['config']['size']} | {' | '.join(told)} |")
    return lines if found else []


def _cell(world: str, said: Mapping[str, dict[str, Any]], command: str, figure: str) -> str:
    """A figure of ``command`` with its interval, its bar and the verdict; nothing where it was not measured."""
    figures = said.get(command, {}).get("figures", {})
    if figure not in figures:
        return ""
    bars = _asked(world, figures) if command == "gap" else rank.asked(figures)
    return " ".join(filter(None, [interval(figures[figure]), f"({bars[figure]})" if figure in bars else ""]))


def section(folder: Path) -> str:
    """Markdown of every result below ``folder``; a sentence where there is none."""
    found = [(path / name, SHOWN[command]) for path in _worlds(folder) for command, name in KEPT.items()]
    parts = [show(path.parent, json.loads(path.read_text())) for path, show in found if path.is_file()]
    if worth := _worth(folder):
        made = [
            f"- {path.stem}: {_made(json.loads(path.read_text()))}" for path in sorted((folder / CONTROLS).iterdir())
        ]
        parts.append("\n".join(["## What are the audits worth?", "", *worth, "", *made]))
    return "\n\n".join(parts) or "No result has been committed yet."


def keep(run: Path) -> None:
    """Copy the result of a run folder of a command in ``KEPT`` to ``RESULTS``: under the folder's name, or under its
    scene's where no model was audited; of ``videosim gap`` its median film as well, as a WebP."""
    if not (run / "result.json").is_file():
        raise SystemExit(f"{run} holds no result.json; give the folder of a command that has ended")
    result = json.loads((run / "result.json").read_text())
    if result["command"] not in KEPT:
        raise SystemExit(f"{run} holds a result of `videosim {result['command']}`; give one of {', '.join(KEPT)}")
    broken = result["command"] == "audit" and not result["config"]["checkpoint"]
    folder = RESULTS / (CONTROLS if broken else run.resolve().name)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{result['config']['world'] or 'push'}.json" if broken else KEPT[result["command"]]
    shutil.copy(run / "result.json", folder / name)
    if result["command"] != "gap":
        return
    with av.open(str(run / "videos" / "median.mp4")) as container:
        rate = float(container.streams.video[0].average_rate or 25)
        frames = [_halved(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    write_atomically(folder / FILM, webp_bytes(np.stack(frames[::FILM_SPEED]), rate / FILM_SPEED, FILM_QUALITY))


def _halved(frame: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) at half its size: a quarter of the bytes."""
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    pixels = frame[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3)
    return pixels.mean((1, 3)).round().astype(np.uint8)


def rewritten(text: str, body: str) -> str:
    """``text`` with ``body`` between the markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"README.md needs {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{body}\n{END}{rest.split(END)[1]}"


def _world(folder: Path, result: dict[str, Any]) -> str:
    name, figures = folder.name, result["figures"]
    first = [figure for group in MAIN for figure in group if figure in figures]
    order = dict.fromkeys([*first, *(figure for figure in LABELS if figure in figures)])
    shown = [f"![{FILM_SAYS}]({name}/{FILM})", ""] if (folder / FILM).is_file() else []
    table = _table(figures, list(order), LABELS, _asked(name, figures))
    return "\n".join([f"## {name}", "", *shown, *table, "", *_of_each_sensor(figures), _made(result)])


def _of_each_sensor(figures: Mapping[str, Any]) -> list[str]:
    """A sentence, and an empty line: which sensors hold the horizon of all of them down."""
    whole = "open_loop_horizon_frames"
    own = {key.removeprefix(f"{whole}_"): key for key in figures if key.startswith(f"{whole}_") and key not in LABELS}
    said = ", ".join(f"{name} {interval(figures[key])}" for name, key in own.items())
    return [f"Frames until one sensor alone is off by 10 % of its range: {said}.", ""] if own else []


def _asked(world: str, figures: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {figure: f"≥ {bar:g}: {said}" for figure, bar, _, _, said in judged(world, figures)}


def _part(title: str, result: dict[str, Any], labels: Mapping[str, str], asked: Mapping[str, str]) -> str:
    """The figures of ``result`` that ``labels`` name, in that order."""
    figures = result["figures"]
    table = _table(figures, [key for key in labels if key in figures], labels, asked)
    return "\n".join([f"### {title}", "", *table, "", _made(result)])


def _exploit(folder: Path, result: dict[str, Any]) -> str:
    return _part(f"{folder.name}: does training exploit the dream?", result, exploit.LABELS, {})


def _horizons(folder: Path, result: dict[str, Any]) -> str:
    asked = result["config"]
    table = horizons.table(result["figures"], asked["arms"], asked["horizons"])
    return _told(f"{folder.name}: how long should a dream be that a policy learns in?", table, result)


def _stress(folder: Path, result: dict[str, Any]) -> str:
    asked = result["config"]
    table = stress.table(result["figures"], asked["perturbations"], asked["episodes"])
    return _told(f"{folder.name}: policies in changed physics", table, result)


def _told(title: str, table: Table, result: dict[str, Any]) -> str:
    """A table that a command's own report shows as well."""
    lines = [" | ".join(str(cell) for cell in row) for row in table.rows]
    head = [f"| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|"]
    said = [table.note, ""] if table.note else []
    return "\n".join([f"### {title}", "", *head, *(f"| {line} |" for line in lines), "", *said, _made(result)])


def _calibrate(folder: Path, result: dict[str, Any]) -> str:
    figures = result["figures"]
    asked = {key: f"≥ {bar:g}: {verdict(figures[key], bar)}" for key, bar in calibrate.BARS.items() if key in figures}
    return _part(f"{folder.name}: does the uncertainty know the error?", result, calibrate.LABELS, asked)


def _ranking(folder: Path, result: dict[str, Any]) -> str:
    figures = result["figures"]
    title = f"{folder.name}: {figures['pearson_r']['n']} policies ranked in the dream and in physics"
    return _part(title, result, rank.LABELS, rank.asked(figures))


def _bench(folder: Path, result: dict[str, Any]) -> str:
    title = f"{folder.name}: what a step costs, and where a long dream goes"
    said = "Brackets of speeds are the slowest and fastest of five measurements."
    return f"{_part(title, result, bench.LABELS, bench.asked(result['figures']))}\n\n{said}"


def _audit(folder: Path, result: dict[str, Any]) -> str:
    """Every figure of an audit of one model, and what the audits themselves are worth, where controls were asked."""
    figures, size = result["figures"], result["config"]["size"]
    labels = {f"control_{word}": f"{word} of the audits over all controls" for word in ("sensitivity", "specificity")}
    asked = {}
    registered = [(audit, load_bars(size, scene=s.name)) for s in SCENES.values() for audit in s.audits.values()]
    for audit, bars in registered:
        for metric, named in audit.figures:
            key, bar = named.format(**bars.sizes), bars.audits[audit.name][metric]
            if key in figures:
                ends = [np.nan if figures[key][end] is None else figures[key][end] for end in ("value", "low", "high")]
                asked[key] = f"{words(bar)}: {bar.judge(Estimate(*ends, figures[key]['n']))}"
                labels[key] = f"{audit.name} {metric.replace('_', ' ')}"
    title = f"### {folder.name}: audited at size {size}"
    order = [key for key in [*asked, *labels] if key in figures]
    return "\n".join([title, "", *_table(figures, list(dict.fromkeys(order)), labels, asked), "", _made(result)])


SHOWN = {
    "gap": _world,
    "exploit": _exploit,
    "horizons": _horizons,
    "stress": _stress,
    "calibrate": _calibrate,
    "rank": _ranking,
    "audit": _audit,
    "bench": _bench,
}


def _table(figures: dict[str, Any], order: list[str], labels: Mapping[str, str], asked: Mapping[str, str]) -> list[str]:
    lines = ["| figure | value [95 % interval] | n | unit | bar |", "|---|---|---|---|---|"]
    for key in order:
        figure = figures[key]
        cells = (labels.get(key, key), interval(figure), _plain(figure.get("n")), figure.get("unit"), asked.get(key))
        lines.append("| " + " | ".join(str(cell or "") for cell in cells) + " |")
    return lines


def _made(result: dict[str, Any]) -> str:
    hardware = result.get("hardware") or {}
    machine = ", ".join(str(hardware[key]) for key in ("cpu", "gpu") if hardware.get(key))
    commit = (result.get("versions") or {}).get("commit", "unknown")
    seeds = ", ".join(map(str, result.get("seeds") or [])) or "none"
    return f"Seeds {seeds}; {hardware.get('cores')} cores of {machine}; commit {commit}; `{command(result)}`"


def command(result: dict[str, Any]) -> str:
    """The command line that gives this result: every setting that is not the default."""
    schema = getattr(configs, COMMANDS[result["command"]].config)
    words = [f"{key}={_word(value)}" for key, value in _changes(schema(), result["config"])]
    return " ".join(["videosim", result["command"], *words])


def _changes(default: Any, given: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    known = {field.name: getattr(default, field.name, MISSING) for field in fields(default)}
    found: list[tuple[str, Any]] = []
    for key, value in given.items():
        if key == "out" or key not in known:
            continue
        usual = known[key]
        if is_dataclass(usual) and isinstance(value, dict):
            found += _changes(usual, value, f"{prefix}{key}.")
        elif value != (asdict(usual) if is_dataclass(usual) else usual):  # type: ignore[arg-type]
            found.append((prefix + key, value))
    return found


def _word(value: Any) -> str:
    return json.dumps(value).replace(" ", "").replace('"', "") if isinstance(value, (list, dict)) else str(value)


def _plain(number: Any) -> str:
    return "" if number is None else f"{number:,}"


def main() -> None:
    words = sys.argv[1:]
    for run in words:
        if run != "--check":
            keep(Path(run))
    readme, every = ROOT / "README.md", RESULTS / "README.md"
    wanted = {readme: rewritten(readme.read_text(), headline(RESULTS)), every: f"{TITLE}\n\n{section(RESULTS)}\n"}
    for path, text in wanted.items():
        if "--check" not in words:
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            raise SystemExit(f"{path} does not show the committed results; run python experiments/results.py")


if __name__ == "__main__":
    main()
