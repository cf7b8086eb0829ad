"""An audit stops as soon as its verdict is settled, lies no oftener for it, and what it found is kept whole."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from videosim.audits.audit import Audit, Bench, Viewing
from videosim.audits.exam import settle
from videosim.audits.looks import Look, confidences
from videosim.audits.survival import wilson
from videosim.audits.verdict import FAIL, INCONCLUSIVE, PASS, Bar, Result, Sample, judge, load_bars
from videosim.config import AuditConfig
from videosim.findings import Findings
from videosim.run import Run
from videosim.statistics import Estimate

HALF = Bar("at_least", (0.5,), (0.5,))
BARS = replace(load_bars("quick"), audits={"A1": {"m": HALF}})


def test_the_confidences_of_looks_are_those_of_the_literature():
    """O'Brien and Fleming's boundary, as Lan and DeMets spend for it on each side: 4.333, 2.963, 2.359, 2.014."""
    told = confidences([0.25, 0.5, 0.75, 1.0], lambda t: 4.0 * norm.sf(norm.isf(0.0125) / math.sqrt(t)))
    np.testing.assert_allclose(norm.isf((1.0 - np.array(told)) / 2.0), [4.333, 2.963, 2.359, 2.014], atol=2e-3)


@pytest.mark.parametrize("size", ["full", "standard", "quick"])
def test_looking_again_and_again_decides_wrongly_no_oftener_than_the_intervals_promise(size):
    """What lies exactly on the bar: normal means, and shares by Wilson's interval, of a size's number of episodes."""
    rng, n, trials = np.random.default_rng(0), {"full": 200, "standard": 64, "quick": 32}[size], 4000
    means, counts = np.zeros(trials, bool), np.zeros(trials, bool)
    draws, hits = rng.normal(size=(trials, n)), rng.random((trials, n)) < 0.8
    naive = means.copy()
    for look in load_bars(size).looks:
        seen = math.ceil(look.share * n)
        away = np.abs(draws[:, :seen].mean(1)) * math.sqrt(seen)
        means |= away > norm.isf((1.0 - look.confidence) / 2.0)
        naive |= away > norm.isf(0.025)
        ends = {k: wilson(k / seen, seen, look.confidence) for k in range(seen + 1)}
        counts |= np.array([not ends[k][0] <= 0.8 <= ends[k][1] for k in hits[:, :seen].sum(1)])
    assert 0.035 < means.mean() < 0.06 and counts.mean() < 0.06
    assert naive.mean() > 0.07, "looking with 95 % each time would mislead oftener"


def test_an_audit_asks_no_more_than_its_verdict_needs():
    """A world that is right, one that is wrong and one on the bar: after a half, a half and all of twenty episodes."""
    asked: list[int] = []

    def drawn(bench: Bench) -> list[int]:
        return list(range(20))

    def audit_of(value):
        def answer(viewing: Viewing, item: int) -> float:
            asked.append(item)
            return value(item)

        def run(viewing: Viewing) -> Result:
            answers = np.array([said for _, said in viewing.each(drawn, answer)])
            return viewing.judge("A1", {"m": Sample(answers)})

        return Audit("A1", "", run, level=1)

    bench = Bench(None, None, BARS, 0)  # type: ignore[arg-type]
    for value, verdict, share, count in (
        (lambda item: 0.9 + item % 2 / 100, PASS, 0.5, 10),
        (lambda item: 0.1 + item % 2 / 100, FAIL, 0.5, 10),
        (lambda item: item % 2, INCONCLUSIVE, 1.0, 20),
    ):
        asked.clear()
        world = SimpleNamespace(name="w")
        found = settle(audit_of(value), Viewing(world, bench), BARS.looks)  # type: ignore[arg-type]
        assert (found.verdict, found.look.share, asked) == (verdict, share, list(range(count)))
        assert found.findings["m"].estimate.n == count


def test_what_cannot_be_computed_yet_settles_nothing_and_fails_at_the_end():
    nothing = judge("A1", "w", {"m": Estimate(math.nan, 0.0, 1.0, 0)}, BARS)
    assert nothing.verdict == FAIL and not nothing.settled


def test_a_result_is_kept_whole():
    finding = HALF.finding(Estimate(0.6, -math.inf, 0.9, 10))
    result = Result("A1", "w", {"m": finding}, {"seen": 3}, "a note", look=Look(0.5, 0.99), seconds=2.0)
    again = json.loads(json.dumps(result.to_dict()))
    assert Result.from_dict("A1", "w", again).to_dict() == again and again["look"] == {"share": 0.5, "confidence": 0.99}


def test_what_was_found_before_an_interruption_is_not_asked_again(tmp_path):
    exam = SimpleNamespace(bars=BARS, scene_sha256="of-the-scene")
    run = Run("audit", AuditConfig(size="quick"), tmp_path)
    found = Result("A1", "w", {"m": HALF.finding(Estimate(0.6, 0.5, 0.9, 10))}, look=Look(0.5, 0.99))

    def interrupted() -> Result:
        raise KeyboardInterrupt

    def asking(audit, ask, cfg=run.config):
        with run.progress(2, "audits") as bar:
            return Findings(exam, cfg, tmp_path).keeper("w-of-some-weights", bar)(audit, ask), bar.done

    assert asking("A1", lambda: found)[1] == 1
    with pytest.raises(KeyboardInterrupt):
        asking("A3", interrupted)
    again, done = asking("A1", interrupted)
    assert again.to_dict() == found.to_dict() and done == 1
    with pytest.raises(KeyboardInterrupt):  # another seed is another measurement
        asking("A1", interrupted, AuditConfig(size="quick", seed=1))
