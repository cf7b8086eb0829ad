"""``videosim rank``: many independently trained policies, scored in the dream and in physics from the same initial
states. Is the order the same, and are the returns?

Beside the model stand what no model could beat (physics again, every action off by a millionth) and what must fail:
physics in which actions are halved or reversed, and a dream that does not listen to the policy.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videosim.agents.evaluate import Act, in_imagination, in_physics, random_policy
from videosim.agents.population import Member, families, train_family
from videosim.agents.scoring import returns, score_arm, score_random
from videosim.audits.verdict import INCONCLUSIVE, Bar
from videosim.config import RankConfig, WorldConfig
from videosim.envs.observations import TrueState
from videosim.envs.twin import load_with_physics
from videosim.errors import VideoSimError
from videosim.ranking import LEAST, largest_hole, policies_needed, ranking
from videosim.report import Report, Table, write_report
from videosim.run import Run, write_atomically
from videosim.statistics import Estimate, correlation
from videosim.world_model import WorldModel

R_BAR = 0.85  # the lower end of r's interval must lie above it
BARS = {  # the whole interval must clear them, but for r
    "pearson_r": Bar("at_least", (0.93,), (R_BAR,)),
    "mmrv_of_chance": Bar("at_most", (0.15,), (0.15,)),
    "drop_one_range": Bar("at_most", (0.05,), (0.05,)),
    "bias": Bar("within", (-0.05, 0.05), (-0.05, 0.05)),
}
HOLE = 0.2  # a wider stretch of normalised returns without a policy makes a correlation easy
LABELS = {
    "pearson_r": "Pearson's r over policies",
    "spearman": "Spearman's rank correlation",
    "kendall": "Kendall's tau",
    "mmrv": "Mean maximum rank violation",
    "mmrv_of_chance": "MMRV as a share of a random order's",
    "drop_one_range": "Range of r when one policy is left out",
    "bias": "Bias: dreamed minus physics",
    "optimism": "Optimism: the largest such difference",
    "spread": "Spread of dreamed over spread of true returns",
    "mean_absolute_error": "Mean absolute error",
    "regret_at_1": "Regret of choosing the policy by its dream",
    "episode_equivalent": "Physics episodes of each policy that choose as well",
}


def main(cfg: RankConfig, run: Run) -> None:
    """Rank, and write ``episodes.csv`` and ``report.html`` to the run folder. Policies and scores go to ``cfg.cache``.

    Raises VideoSimError on a checkpoint that cannot be read or on too few policies or episodes.
    """
    if cfg.state_policies < LEAST or cfg.latent_policies < 0 or cfg.episodes < 2:
        raise VideoSimError(
            f"a ranking needs {LEAST} policies on the true state and 2 episodes of each; "
            f"got state_policies={cfg.state_policies}, latent_policies={cfg.latent_policies}, episodes={cfg.episodes}"
        )
    model, world = load_with_physics(cfg.checkpoint)
    run.seeds = [cfg.seed + i for i in range(max(cfg.state_policies, cfg.latent_policies))]
    members: list[Member] = []
    for family in families(cfg.state_policies, cfg.latent_policies):
        if family.size:
            members += train_family(family, model, world, cfg.agent, cfg.seed, Path(cfg.cache), run)

    low, high = _references(cfg, members[0], model, world)
    with run.progress(len(members), "scoring", "policies") as bar:
        truth, dreamed = _score(cfg, members, model, world, bar.advance)
    r, s = (truth - low) / (high - low), (dreamed - low) / (high - low)
    rng = np.random.default_rng([cfg.seed, 31])
    figures = ranking(s, r, rng)
    figures["largest_hole"] = Estimate(largest_hole(r.mean(1)), math.nan, math.nan, len(members))
    run.figures = {name: figure.to_dict() for name, figure in figures.items()}
    run.figure("return_random", low, n=cfg.reference_episodes, unit="return")
    run.figure("return_reference", high, n=cfg.reference_episodes, unit="return")
    rows = [_row("the model", figures)]
    with run.progress(len(CONTROLS) * cfg.state_policies + 1, "controls", "policies") as bar:
        for name, said in _controls(cfg, members[: cfg.state_policies], model, world, bar.advance):
            rows.append(_row(name, ranking((said - low) / (high - low), r[: cfg.state_policies], rng)))
    write_atomically(run.folder / "episodes.csv", _raw(cfg, members, truth, dreamed))
    _report(run, world.name, members, s, r, rows)


def _references(cfg: RankConfig, best: Member, model: WorldModel, world: WorldConfig) -> tuple[float, float]:
    """Mean returns in physics of random actions and of the reference policy: what 0 and 1 mean."""
    count, seed = cfg.reference_episodes, cfg.evaluation_seed + 1_000_000
    low = float(returns(score_random(model, world, count, seed, [cfg.seed])).mean())
    high = float(score_arm(best.arm, model, world, count, seed).physics.returns.mean())
    if high - low < 1e-6 * max(1.0, abs(high)):
        raise VideoSimError(
            f"the best training ({high:.4g}) is no better than random actions ({low:.4g}), so that there is no scale; "
            "raise agent.steps"
        )
    return low, high


def _score(
    cfg: RankConfig, members: Sequence[Member], model: WorldModel, world: WorldConfig, advance: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns in physics and dreamed, both (policies, episodes), from the same initial states."""
    truth, dreamed = [], []
    for member in members:
        scored = score_arm(member.arm, model, world, cfg.episodes, cfg.evaluation_seed)
        policy, where = member.arm.policy, (world, model, cfg.episodes, cfg.evaluation_seed)
        dream = scored.dreamed or in_imagination(policy.act, policy.mode, *where)
        truth.append(scored.physics.returns)
        dreamed.append(dream.returns)
        advance()
    return np.stack(truth), np.stack(dreamed)


Edit = Callable[[Act], Act]


def _slightly_off(act: Act) -> Act:
    rng = np.random.default_rng(0)
    return lambda seen: (act(seen) + 1e-6 * rng.standard_normal((len(seen), 1))).astype(np.float32)


CONTROLS: dict[str, Edit] = {
    "physics again, actions off by 1e-6": _slightly_off,
    "physics with half of every action": lambda act: lambda seen: 0.5 * act(seen),
    "physics with every action reversed": lambda act: lambda seen: -act(seen),
}
DEAF = "a dream that does not listen"


def _controls(
    cfg: RankConfig, members: Sequence[Member], model: WorldModel, world: WorldConfig, advance: Callable[[], None]
) -> list[tuple[str, np.ndarray]]:
    """Returns (policies, episodes) of the policies on the true state in worlds that stand in for the model."""
    count, seed, observer = cfg.episodes, cfg.evaluation_seed, TrueState(model)
    found = []
    for name, edit in CONTROLS.items():
        scores = []
        for member in members:
            scores.append(in_physics(edit(member.arm.policy.act), observer, world, model, count, seed).returns)
            advance()
        found.append((name, np.stack(scores)))
    anything = random_policy(model.spec.action.size, cfg.seed)
    same = in_imagination(anything, "state", world, model, count, seed).returns
    advance()
    return [*found, (DEAF, np.tile(same, (len(members), 1)))]


def _row(name: str, found: Mapping[str, Estimate]) -> tuple[Any, ...]:
    """A line of the table: name, number of policies, r with its interval, MMRV of chance, bias, regret."""
    r = found["pearson_r"]
    interval = f"{r.value:.3f} [{r.low:.3f}, {r.high:.3f}]" + (" (no variance)" if r.flag else "")
    shown = [f"{found[key].value:.3f}" for key in ("spearman", "mmrv_of_chance", "bias", "spread", "regret_at_1")]
    return (name, r.n, interval, *shown)


def _raw(cfg: RankConfig, members: Sequence[Member], truth: np.ndarray, dreamed: np.ndarray) -> str:
    """One row a policy and episode."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("family", "level", "training_seed", "steps", "episode_seed", "return_physics", "return_dreamed"))
    for member, real, dream in zip(members, truth, dreamed, strict=True):
        for i, (a, b) in enumerate(zip(real, dream, strict=True)):
            about = (member.family, round(member.level, 4), member.arm.seed, member.steps, cfg.evaluation_seed + i)
            table.writerow((*about, float(a), float(b)))
    return text.getvalue()


def _judged(figures: Mapping[str, Any]) -> list[tuple[str, Bar, Estimate, str]]:
    """(figure, bar, estimate, verdict) of every bar; an undecided correlation says how many policies it would take."""
    found = []
    for name, bar in BARS.items():
        entry = figures[name]
        value, low, high = (math.nan if entry[key] is None else entry[key] for key in ("value", "low", "high"))
        estimate = Estimate(value, low, high, entry["n"])
        said, needed = bar.judge(estimate), policies_needed(value, R_BAR)
        if name == "pearson_r" and said == INCONCLUSIVE and math.isfinite(needed):
            said += f": {needed:.0f} policies would settle it"
        found.append((name, bar, estimate, said))
    return found


def verdicts(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(figure in words, value, verdict) of every bar."""
    return [
        (LABELS[name], f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]", said)
        for name, _, found, said in _judged(figures)
    ]


def asked(figures: Mapping[str, Any]) -> dict[str, str]:
    """Figure -> its bar and the verdict, in a few signs."""
    signs = {"at_least": "≥ {:g}", "at_most": "≤ {:g}", "within": "{:g} to {:g}"}
    return {name: f"{signs[bar.kind].format(*bar.limits)}: {said}" for name, bar, _, said in _judged(figures)}


def _report(
    run: Run, world: str, members: Sequence[Member], s: np.ndarray, r: np.ndarray, rows: list[tuple[Any, ...]]
) -> None:
    said = verdicts(run.figures)
    hole = run.figures["largest_hole"]["value"]
    columns = ("scored in", "policies", "r", "Spearman", "MMRV of chance", "bias", "spread", "regret@1")
    note = (
        "Returns are normalised: 0 is random actions, 1 the reference policy. Controls are ranked by the policies on "
        f"the true state. The widest stretch without a policy is {hole:.2f}"
        + (f", more than {HOLE}: the correlation is easier than it should be." if hole > HOLE else ".")
    )
    names = list(dict.fromkeys(member.family for member in members))
    chosen = [np.array([member.family == name for member in members]) for name in names]
    scatter = {
        "title": "Every policy: dreamed return over return in physics",
        "x_label": "return in physics, normalised",
        "y_label": "dreamed return",
        "points": [
            {"name": name, "x": r.mean(1)[mask].tolist(), "y": s.mean(1)[mask].tolist()}
            for name, mask in zip(names, chosen, strict=True)
        ],
        "note": "On the line the dream is right; its slope is the spread.",
    }
    each = [
        (m.name, m.steps, float(real.mean()), float(dream.mean()), correlation(np.stack([dream, real], 1)))
        for m, real, dream in zip(members, r, s, strict=True)
    ]
    page = Report(
        f"Policies ranked in the dream and in physics: {world}",
        run.result(),
        f"{len(members)} policies of {len(names)} kinds, each a training of its own; {s.shape[1]} paired episodes.",
        ["pearson_r", "mmrv_of_chance", "bias", "regret_at_1", "episode_equivalent"],
        LABELS,
        {},
        [],
        [scatter],
        [
            Table(
                "Bars",
                ("figure", "value", "verdict"),
                said,
                "Of the interval, not of the value; r must be 0.93 with a lower end of 0.85.",
            ),
            Table("Beside controls", columns, rows, note),
            Table("Policies", ("policy", "steps", "physics", "dreamed", "r over episodes"), each),
        ],
    )
    write_report(run.folder / "report.html", page)
    run.say(f"report: {run.folder / 'report.html'}")
    run.table(f"{world}: {len(members)} policies, {s.shape[1]} paired episodes", columns, rows)
    run.table("bars", ("figure", "value", "verdict"), said)
