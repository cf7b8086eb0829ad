"""Bars and verdicts: a bar is set before anything is measured and applies to the confidence bound, not to the estimate.

    at_least x, bound b        PASS: value >= x and low >= b                            FAIL: high < x
    at_most x, bound b         PASS: value <= x and high <= b                           FAIL: low > x
    within [x, y], bound [a, b]  PASS: x <= value <= y and a <= low and high <= b       FAIL: high < x or low > y

and INCONCLUSIVE otherwise; a bound that is not stated is the limit itself. An estimate that is not a number fails: what
is missing counts as the worst.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from videosim.errors import VideoSimError
from videosim.statistics import Estimate, bootstrap

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
KINDS = ("at_least", "at_most", "within")


@dataclass(frozen=True)
class Bar:
    """One bar: ``kind`` of KINDS, the ``limits`` of the value and the ``bound`` of the interval, one number or two."""

    kind: str
    limits: tuple[float, ...]
    bound: tuple[float, ...]

    def judge(self, estimate: Estimate) -> str:
        """PASS, FAIL or INCONCLUSIVE."""
        if not math.isfinite(estimate.value):
            return FAIL
        (floor, ceiling), (lowest, highest) = (self._range(ends) for ends in (self.limits, self.bound))
        passed = floor <= estimate.value <= ceiling and lowest <= estimate.low and estimate.high <= highest
        failed = estimate.high < floor or estimate.low > ceiling
        return PASS if passed else FAIL if failed else INCONCLUSIVE

    def finding(self, estimate: Estimate) -> Finding:
        """The estimate with its verdict, and the n that would settle it."""
        verdict = self.judge(estimate)
        return Finding(estimate, verdict, self.settling(estimate) if verdict == INCONCLUSIVE else None)

    def settling(self, estimate: Estimate) -> int | None:
        """How many resampling units would put the interval on one side of what it crosses, if it shrank as 1/sqrt(n)
        about the same estimate; None where no n would, because the estimate lies on the edge."""
        (floor, ceiling), (lowest, highest) = (self._range(ends) for ends in (self.limits, self.bound))
        if floor <= estimate.value <= ceiling:
            pairs = [
                (estimate.value - estimate.low, estimate.value - lowest),
                (estimate.high - estimate.value, highest - estimate.value),
            ]
        elif estimate.value < floor:
            pairs = [(estimate.high - estimate.value, floor - estimate.value)]
        else:
            pairs = [(estimate.value - estimate.low, estimate.value - ceiling)]
        ratios = [width / room if room > 0 else math.inf for width, room in pairs if width > 0 and math.isfinite(room)]
        worst = max(ratios, default=0.0)
        return max(estimate.n + 1, math.ceil(estimate.n * worst**2)) if math.isfinite(worst) else None

    def _range(self, ends: tuple[float, ...]) -> tuple[float, float]:
        return (ends[0] if self.kind != "at_most" else -math.inf, ends[-1] if self.kind != "at_least" else math.inf)


@dataclass(frozen=True)
class Bars:
    """A bar file at one size: ``bars[audit][metric]``, the numbers of episodes, and the file's SHA-256."""

    audits: Mapping[str, Mapping[str, Bar]]
    sizes: Mapping[str, int]
    sha256: str


@dataclass(frozen=True)
class Finding:
    """One metric of an audit against its bar. ``wanted``: where it is inconclusive, the resampling units that would
    settle it, as far as this sample tells."""

    estimate: Estimate
    verdict: str
    wanted: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        more = {} if self.wanted is None else {"n_wanted": self.wanted}
        return self.estimate.to_dict() | {"verdict": self.verdict} | more


@dataclass(frozen=True)
class Sample:
    """What an estimate is made of: ``values`` (n, …), one row a resampling unit, and the ``statistic`` of them. ``by``
    makes the estimate where a bootstrap knows too little, from a generator and the number of resamples."""

    values: np.ndarray
    statistic: Callable[[np.ndarray], float] = field(default=lambda rows: float(rows.mean()))
    unit: str = ""
    by: Callable[[np.random.Generator, int], Estimate] | None = None

    def estimate(self, rng: np.random.Generator, repeats: int) -> Estimate:
        """The statistic with its interval."""
        if self.by is not None:
            return self.by(rng, repeats)
        return bootstrap(self.values, self.statistic, rng, repeats=repeats, unit=self.unit)

    def minus(self, other: Sample, rng: np.random.Generator, repeats: int) -> Estimate | None:
        """This statistic less the other's, with a paired bootstrap: the same units are drawn on both sides. None where
        the units are not the same, or there are none."""
        if len(self.values) != len(other.values) or not len(self.values):
            return None
        both = np.arange(len(self.values), dtype=np.float64)

        def difference(rows: np.ndarray) -> float:
            drawn = rows.astype(int)
            return self.statistic(self.values[drawn]) - self.statistic(other.values[drawn])

        return bootstrap(both, difference, rng, repeats=repeats, unit=self.unit)


@dataclass(frozen=True)
class Result:
    """What one audit found out about one world. ``details`` is for reading: break types, discarded shares; ``note``
    says what the verdict does not; ``samples`` are what a comparison with another world resamples."""

    audit: str
    world: str
    findings: Mapping[str, Finding]
    details: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    samples: Mapping[str, Sample] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """FAIL if one metric fails, PASS if all pass."""
        verdicts = {finding.verdict for finding in self.findings.values()}
        return FAIL if FAIL in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else PASS

    @property
    def failed(self) -> list[str]:
        """The metrics that failed."""
        return [name for name, finding in self.findings.items() if finding.verdict == FAIL]


def judge(
    audit: str,
    world: str,
    estimates: Mapping[str, Estimate],
    bars: Bars,
    details: Mapping[str, Any] | None = None,
    note: str = "",
) -> Result:
    """Every estimate against the bar of its name. VideoSimError where the file has no such bar, or one too many."""
    wanted = bars.audits.get(audit, {})
    if set(wanted) != set(estimates):
        odd = sorted(set(wanted) ^ set(estimates))[0]
        raise VideoSimError(f"the bar file and the audit {audit} disagree about {odd!r}; mend the bar file")
    findings = {name: wanted[name].finding(estimate) for name, estimate in estimates.items()}
    return Result(audit, world, findings, details or {}, note)


def load_bars(size: str, path: Path | None = None, scene: str = "push") -> Bars:
    """The bars of ``path`` (by default those that are registered for ``scene``) at one of its sizes.

    A size states every number that the registered file states. It may state its own ``bounds``, where fewer episodes
    can only support weaker ones; never its own limits.

    Raises VideoSimError on a file or size that is not there, and on a bar that is none.
    """
    try:
        registered = files("videosim.audits") / f"{scene}.yaml"
        text = (path or registered).read_text()
        content = yaml.safe_load(text)
        wanted = yaml.safe_load(registered.read_text())["sizes"]["full"]["numbers"]
    except (OSError, yaml.YAMLError) as error:
        raise VideoSimError(f"the bar file {path} cannot be read ({error}); give one like {scene}.yaml") from error
    sizes = content.get("sizes", {}) if isinstance(content, dict) else {}
    if size not in sizes:
        raise VideoSimError(f"the bar file has no size {size!r}; it has {', '.join(sizes) or 'none'}")
    bounds, numbers = sizes[size].get("bounds", {}), sizes[size].get("numbers", {})
    audits = {
        audit: {name: bar_of(f"{audit}.{name}", entry, bounds.get(f"{audit}.{name}")) for name, entry in rows.items()}
        for audit, rows in content.get("bars", {}).items()
    }
    strangers = set(bounds) - {f"{audit}.{name}" for audit, rows in audits.items() for name in rows}
    if strangers:
        raise VideoSimError(f"the bar file's size {size!r} bounds {sorted(strangers)[0]!r}, which is no bar; mend it")
    for name in wanted:
        if not isinstance(numbers.get(name), int) or numbers[name] < 1:
            raise VideoSimError(f"the bar file's size {size!r} needs a whole number from 1 as {name!r}")
    return Bars(audits, numbers, hashlib.sha256(text.encode()).hexdigest())


def bar_of(name: str, entry: Any, bound: Any = None) -> Bar:
    """The bar that a file states as ``{at_least: 0.95, bound: 0.9}``; ``bound`` replaces the stated one.

    Raises VideoSimError where it is no bar."""
    kinds = [kind for kind in KINDS if isinstance(entry, dict) and kind in entry]
    if len(kinds) != 1 or set(entry) - {kinds[0], "bound"}:
        raise VideoSimError(f"the bar {name} must state one of {', '.join(KINDS)}, and may state a bound; got {entry}")
    stated = entry.get("bound", entry[kinds[0]])
    limits, ends = _numbers(entry[kinds[0]]), _numbers(stated if bound is None else bound)
    if not len(limits) == len(ends) == (2 if kinds[0] == "within" else 1):
        raise VideoSimError(f"the bar {name} needs one limit and bound, or two of each with 'within'; got {entry}")
    return Bar(kinds[0], limits, ends)


def _numbers(given: Any) -> tuple[float, ...]:
    values = given if isinstance(given, list) else [given]
    return tuple(float(value) for value in values if isinstance(value, (int, float)) and math.isfinite(value))
