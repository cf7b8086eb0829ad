"""The ledger: what is claimed, written by hand, beside what was measured, written by the audit alone.

A claim names a model, the metric of an audit of some scene, and what it asks of it. The verdict rests on the interval:

    supported        the interval lies on the asked side          contradicted   it lies on the other
    inconclusive     it crosses; with the n that would settle it  unmeasured     nobody measured that
    level mismatch   the audit's evidence is of a lower level L0-L7 than the claim: a picture proves no policy
    void             it was measured, but the audit erred about a control in the same run or met none, or the bars or
                     the scene were not those that are registered
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from videosim.audits.catalogue import AUDITS, SCENES
from videosim.audits.verdict import FAIL, PASS, Bar, bar_of, load_bars
from videosim.errors import VideoSimError
from videosim.statistics import Estimate

FIELDS = ("id", "sentence", "level", "scene", "model", "audit", "metric", "asks", "conditions", "source")
NEEDED = ("size", "bars_sha256", "scene_sha256", "weights", "worlds", "controls", "controls_wrong")
VERDICTS = ("supported", "contradicted", "inconclusive", "unmeasured", "level mismatch", "void")


@dataclass(frozen=True)
class Claim:
    """A sentence about ``model``, of ``level`` 0 to 7; ``asks`` is the bar that the ``metric`` of the ``scene``'s
    ``audit`` must clear."""

    id: str
    sentence: str
    level: int
    scene: str
    model: str
    audit: str
    metric: str
    asks: Bar
    conditions: str
    source: str

    @property
    def asked(self) -> str:
        """In words: ``cai4 at_least 0.95``."""
        return f"{self.audit} {self.metric} {self.asks.kind} {', '.join(f'{x:g}' for x in self.asks.limits)}"


@dataclass(frozen=True)
class Entry:
    """A claim with its verdict of VERDICTS, what was measured, and why the verdict is what it is."""

    claim: Claim
    verdict: str
    measured: str = ""
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        claim = {name: getattr(self.claim, name) for name in FIELDS if name != "asks"} | {"asked": self.claim.asked}
        return claim | {"verdict": self.verdict, "measured": self.measured, "why": self.why}


def load_claims(path: Path | None = None) -> list[Claim]:
    """The claims of ``path``, the package's own by default. VideoSimError names the first that is none."""
    try:
        rows = yaml.safe_load((path or files("videosim.audits") / "claims.yaml").read_text())
    except (OSError, yaml.YAMLError) as error:
        raise VideoSimError(f"the claims in {path} cannot be read ({error}); give a file like claims.yaml") from error
    if not isinstance(rows, list):
        raise VideoSimError(f"the claims in {path} are no list; give a file like claims.yaml")
    claims = [_claim(row) for row in rows]
    doubled = [claim.id for i, claim in enumerate(claims) if claim.id in {other.id for other in claims[:i]}]
    if doubled:
        raise VideoSimError(f"there are two claims {doubled[0]!r}; give each its own id")
    return claims


def _claim(row: Any) -> Claim:
    given = set(row) if isinstance(row, dict) else set()
    if given != set(FIELDS):
        odd = sorted(given ^ set(FIELDS))[0] if given else "everything"
        raise VideoSimError(f"a claim states {', '.join(FIELDS)}, no more and no less; mend {odd!r} of {row!r}")
    if row["scene"] not in AUDITS:
        raise VideoSimError(f"the claim {row['id']!r} names no scene: {row['scene']!r}; choose {', '.join(AUDITS)}")
    audits = AUDITS[row["scene"]]
    if row["audit"] not in audits:
        raise VideoSimError(
            f"the claim {row['id']!r} names no audit of {row['scene']}: {row['audit']!r}; choose {', '.join(audits)}"
        )
    if row["level"] not in range(8):
        raise VideoSimError(f"the claim {row['id']!r} needs a level from 0 to 7; got {row['level']!r}")
    return Claim(**{**row, "asks": bar_of(f"of the claim {row['id']!r}", row["asks"])})


def load_measurements(path: Path) -> dict[str, Any]:
    """What ``videosim audit`` wrote: the file, or its folder."""
    path = path / "measurements.json" if path.is_dir() else path
    try:
        measured = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise VideoSimError(f"no measurements can be read from {path}; run videosim audit first") from error
    missing = [name for name in NEEDED if name not in measured] if isinstance(measured, dict) else list(NEEDED)
    if not missing and not isinstance(measured["weights"], dict):
        missing = ["weights"]
    if missing:
        raise VideoSimError(f"{path} was not written by this videosim audit: it lacks {missing[0]!r}; run it again")
    return measured


def join(claims: Sequence[Claim], measured: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """One entry a claim; where several runs measured it, the last one given counts."""
    return [_entry(claim, measured) for claim in claims]


def _entry(claim: Claim, measured: Sequence[Mapping[str, Any]]) -> Entry:
    level = AUDITS[claim.scene][claim.audit].level
    runs = [run for run in measured if claim.metric in _metrics(run, claim)]
    if not runs:
        return Entry(claim, "unmeasured", why=f"run videosim audit checkpoint={claim.model}")
    found = _metrics(runs[-1], claim)[claim.metric]
    said = "{} [{}, {}], n = {}".format(*(_figure(found[k]) for k in ("value", "low", "high", "n")))
    if level < claim.level:
        return Entry(
            claim, "level mismatch", said, f"{claim.audit} is evidence of L{level}, the claim is of L{claim.level}"
        )
    fault = _void(runs[-1], claim.audit)
    if fault:
        return Entry(claim, "void", said, fault)
    value, low, high = (float("nan") if found[k] is None else float(found[k]) for k in ("value", "low", "high"))
    finding = claim.asks.finding(Estimate(value, low, high, int(found["n"])))
    if finding.verdict in (PASS, FAIL):
        return Entry(claim, "supported" if finding.verdict == PASS else "contradicted", said)
    more = f"n = {finding.wanted} would settle it" if finding.wanted else "no n would settle it"
    return Entry(claim, "inconclusive", said, more)


def _metrics(run: Mapping[str, Any], claim: Claim) -> Mapping[str, Any]:
    if claim.model not in run["weights"] or claim.scene != _scene(run):
        return {}
    return run["worlds"][claim.model]["audits"].get(claim.audit, {}).get("metrics", {})


def _scene(run: Mapping[str, Any]) -> str:
    return run.get("scene", "push")  # of which runs once said nothing, there being no other


def _void(run: Mapping[str, Any], audit: str) -> str:
    """Why a run's measurements by ``audit`` count for nothing; empty where they count."""
    wrong = [control for control, by, *_ in run["controls_wrong"] if by == audit]
    if wrong:
        return f"{audit} gave the control {wrong[0]} the wrong verdict in the same run"
    if not any(audit in run["worlds"][control]["audits"] for control in run["controls"]):
        return f"{audit} met no control in the same run; give controls="
    scene = _scene(run)
    if run["bars_sha256"] != load_bars("full", scene=scene).sha256:
        return "the bars were not those that are registered"
    if scene in SCENES and run["scene_sha256"] != SCENES[scene].sha256():
        return "the scene has changed since"
    return ""


def _figure(number: float | None) -> str:
    return "–" if number is None else f"{number:.4g}"
