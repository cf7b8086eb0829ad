"""The demo on a stand-in that knows nothing (slow: it renders MuJoCo) and without a model, and the README's results."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from videosim import config
from videosim.agents.demo import main
from videosim.cli import COMMANDS
from videosim.config import AgentConfig, AuditConfig, DemoConfig, GapConfig, RankConfig
from videosim.envs.physics import PhysicsEnv
from videosim.errors import VideoSimError
from videosim.model_config import to_dict
from videosim.run import Run
from videosim.video import write_film
from videosim.world_model import WorldModel

ROOT = Path(__file__).parents[1]


def test_without_a_model_the_demo_says_so(tmp_path: Path) -> None:
    cfg = DemoConfig(checkpoint="no-such-model")
    with pytest.raises(VideoSimError, match="no-such-model"), Run("demo", cfg, tmp_path / "run") as run:
        main(cfg, run)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_demo_from_start_to_report(make_model: Callable[..., WorldModel], tmp_path: Path) -> None:
    from videosim.checkpoint import save_checkpoint

    save_checkpoint(tmp_path / "checkpoint", make_model(spec=PhysicsEnv("cartpole-swingup").world_spec), {})
    agent = AgentConfig(steps=128, envs=4, rollout=16, batch=32, epochs=1, hidden=[8], imagined_horizon=10)
    cfg = DemoConfig(checkpoint=str(tmp_path / "checkpoint"), agent=agent, episodes=3, random_episodes=2)
    with Run("demo", cfg, tmp_path / "run") as run:
        main(cfg, run)
    figures = json.loads((tmp_path / "run" / "result.json").read_text())["figures"]
    assert figures["return_imagination"]["n"] == 3 and figures["return_random"]["n"] == 2
    assert figures["physics_frames"]["value"] is None  # this model's card names no data
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<video") == 4 and not re.search(r'(src|href)="https?:', page)
    assert all(path.stat().st_size <= 2_000_000 for path in (tmp_path / "run" / "videos").iterdir())


# --- the README's results --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", ROOT / "experiments" / "results.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_shows_the_committed_results(results: ModuleType) -> None:
    text = (ROOT / "README.md").read_text()
    assert results.rewritten(text, results.headline(results.RESULTS)) == text
    every = (results.RESULTS / "README.md").read_text()
    assert every == f"{results.TITLE}\n\n{results.section(results.RESULTS)}\n"


def test_the_headline_has_a_row_for_every_world_and_only_what_was_measured(results: ModuleType, tmp_path: Path) -> None:
    figure = {"value": 0.9, "low": 0.86, "high": 1.0, "n": 50, "unit": ""}
    for world, command in (("push", "gap"), ("tub", "audit")):
        (tmp_path / world).mkdir()
        said = {"command": command, "figures": {"return_ratio": figure}}
        (tmp_path / world / results.KEPT[command]).write_text(json.dumps(said))
    (tmp_path / "push" / results.FILM).touch()
    text = results.headline(tmp_path)
    assert "| push |  |  |  | 0.9 [0.86, 1] (≥ 0.85: PASS) |  |  |" in text and "| tub |  |  |  |  |  |  |" in text
    assert text.count("![") == 1 and f"](experiments/results/push/{results.FILM})" in text


def test_a_result_is_shown_with_all_that_makes_it_one(results: ModuleType, tmp_path: Path) -> None:
    assert "No result" in results.section(tmp_path)
    config = to_dict(GapConfig(checkpoint="push", seeds=5, agent=AgentConfig(steps=7), arms=["imagination", "physics"]))
    result = {
        "command": "gap",
        "config": config,
        "versions": {"commit": "abc123"},
        "hardware": {"cpu": "Cray-1", "cores": 2, "gpu": None},
        "seeds": [0, 1],
        "figures": {"return_ratio": {"value": 0.9, "low": 0.8, "high": 1.0, "n": 50, "unit": ""}},
    }
    (tmp_path / "push").mkdir()
    (tmp_path / "push" / "result.json").write_text(json.dumps(result))
    text = results.section(tmp_path)
    assert "0.9 [0.8, 1]" in text and "| 50 |" in text and "≥ 0.85: INCONCLUSIVE" in text
    assert "Seeds 0, 1; 2 cores of Cray-1; commit abc123" in text
    assert "`videosim gap checkpoint=push agent.steps=7 arms=[imagination,physics] seeds=5`" in text


def test_a_ranking_stands_below_its_world(results: ModuleType, tmp_path: Path) -> None:
    figures = {"value": 0.95, "low": 0.9, "high": 0.97, "n": 24, "unit": ""}
    shown = {name: dict(figures) for name in ("pearson_r", "mmrv_of_chance", "drop_one_range", "bias")}
    ranked = {"command": "rank", "config": to_dict(RankConfig(checkpoint="push", episodes=9)), "figures": shown}
    (tmp_path / "push").mkdir()
    gap = {"command": "gap", "config": to_dict(GapConfig(checkpoint="push")), "figures": {}}
    (tmp_path / "push" / "result.json").write_text(json.dumps(gap))
    (tmp_path / "push" / results.KEPT["rank"]).write_text(json.dumps(ranked))
    text = results.section(tmp_path)
    assert text.index("## push") < text.index("### push: 24 policies")
    assert (
        "≥ 0.93: PASS" in text
        and "-0.05 to 0.05: FAIL" in text
        and "`videosim rank checkpoint=push episodes=9`" in text
    )


SMALLER = {  # of each of the other commands: settings, figures, and a line that they give
    "exploit": (
        {}, ["exploitation_wary"], "| What the dream promised too much at the end, wary of the model's doubts | 0.7 ["
    ),
    "horizons": ({"horizons": [60]}, ["return_imagination_h60"], "| trained in imagination | 60 | 0.7 [0.6, 0.8] |"),
    "stress": (
        {"perturbations": ["mass2"], "episodes": 7},
        [f"{of}_none" for of in ("return_imagination", "return_physics")]
        + [f"{of}_mass2" for of in ("harm_imagination", "harm_physics", "brittleness")],
        "| mass2 | 0.7 [0.6, 0.8] | 0.7 [0.6, 0.8] | 0.7 [0.6, 0.8] |\n\nReturns without a change: 0.7 [0.6, 0.8] and",
    ),
    "calibrate": ({}, ["spearman_policy"], "where its policy leads | 0.7 [0.6, 0.8] | 9 |  | ≥ 0.6: PASS |"),
    "bench": ({}, ["physical_range_fraction_1000"], "physics go | 0.7 [0.6, 0.8] | 9 |  | ≥ 0.99: FAIL |"),
}  # fmt: skip


@pytest.mark.parametrize("command", SMALLER)
def test_every_command_that_is_kept_is_shown_in_words(results: ModuleType, tmp_path: Path, command: str) -> None:
    asked, names, line = SMALLER[command]
    settings = to_dict(getattr(config, COMMANDS[command].config)(checkpoint="push", **asked))
    figures = {name: {"value": 0.7, "low": 0.6, "high": 0.8, "n": 9} for name in names} | {"of_no_name": {"value": 1.0}}
    (tmp_path / "push").mkdir()
    said = {"command": command, "config": settings, "figures": figures}
    (tmp_path / "push" / results.KEPT[command]).write_text(json.dumps(said))
    text = results.section(tmp_path)
    assert text.startswith("### push: ") and line in text and "of_no_name" not in text
    assert set(SMALLER) | {"gap", "rank", "audit"} == set(results.KEPT) == set(results.SHOWN)


def test_an_audit_is_shown_with_its_bars(results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    figure = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 40, "unit": ""}
    figures = {"cai4_h16": figure, "clip_auc": figure, "seconds_A3": figure, "control_sensitivity": {"value": 1.0}}
    run = tmp_path / "push"
    run.mkdir()
    config = to_dict(AuditConfig(checkpoint="push", size="quick"))
    audited = {"command": "audit", "config": config, "figures": figures}
    (run / "result.json").write_text(json.dumps(audited))
    results.keep(run)
    text = results.section(tmp_path / "results")
    assert "| A3 cai4 | 0.5 [0.4, 0.6] | 40 |  | ≥ 0.95, interval ≥ 0.85: FAIL |" in text
    assert "| A16 clip auc | 0.5 [0.4, 0.6] | 40 |  | ≤ 0.65, interval ≤ 0.75: PASS |" in text
    assert "sensitivity of the audits over all controls | 1 |" in text and "seconds" not in text
    assert "`videosim audit checkpoint=push size=quick`" in text


def test_what_audits_say_of_broken_worlds_is_kept_by_scene(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    figures = {"control_sensitivity": {"value": 0.975, "n": 80}, "control_specificity": {"value": 1.0, "n": 130}}
    graded = {"graded_spearman_min": {"value": 0.96, "n": 7}}
    for world, more in (("", graded), ("door", {})):
        config = to_dict(AuditConfig(world=world, controls=["all"]))
        run = tmp_path / f"run-{world}"
        run.mkdir()
        (run / "result.json").write_text(json.dumps({"command": "audit", "config": config, "figures": figures | more}))
        results.keep(run)
    for text in (results.headline(tmp_path / "results"), results.section(tmp_path / "results")):
        assert "| push | full | 97.5 % of 80 | 100 % of 130 | 7 | 0.96 |" in text
        assert "| door | full | 97.5 % of 80 | 100 % of 130 |  |  |" in text and "| controls" not in text
    assert "- door: Seeds none" in text and "`videosim audit world=door controls=[all]`" in text


def test_a_run_is_kept_with_its_median_film(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    run = tmp_path / "push"
    (run / "videos").mkdir(parents=True)
    film = np.zeros((20, 32, 48, 3), np.uint8)
    film[10:, :, 24:] = 255
    write_film(run / "videos" / "median.mp4", film, 25)
    result = {"command": "gap", "config": {}, "figures": {"return_ratio": {"value": 1.0}}}
    (run / "result.json").write_text(json.dumps(result))
    results.keep(run)
    with Image.open(tmp_path / "results" / "push" / results.FILM) as film:
        film.load()
        assert film.size == (24, 16) and film.n_frames == 2 and film.info["duration"] == 480
    assert f"](push/{results.FILM})" in results.section(tmp_path / "results")
    (run / "result.json").write_text(json.dumps(result | {"command": "demo"}))
    with pytest.raises(SystemExit, match="gap, exploit"):
        results.keep(run)
    with pytest.raises(SystemExit, match="holds no result"):
        results.keep(tmp_path / "nothing")


def test_only_what_lies_between_the_markers_is_rewritten(results: ModuleType) -> None:
    text = f"before\n{results.BEGIN}\nold\n{results.END}\nafter"
    assert results.rewritten(text, "new") == f"before\n{results.BEGIN}\nnew\n{results.END}\nafter"
    with pytest.raises(SystemExit):
        results.rewritten("no markers", "new")
