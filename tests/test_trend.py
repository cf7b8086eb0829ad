"""Trends over audited models: known courses are found, a flat chain is flat, and what cannot be one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.audits.trend import PRIMARY, errors_of, generations, scaling, trends
from videosim.audits.verdict import FAIL, INCONCLUSIVE, PASS
from videosim.cli import main
from videosim.errors import VideoSimError


def around(errors: list[float], width: float = 0.1) -> np.ndarray:
    """With intervals of ``width`` of each error to either side."""
    return np.array([(e, e * (1.0 - width), e * (1.0 + width)) for e in errors])


def measured(value: float | None, half: float = 0.02, **changes: Any) -> dict[str, Any]:
    ends = {"low": None, "high": None} if value is None else {"low": value - half, "high": value + half}
    found = {"value": value, **ends, "n": 20, "unit": ""}
    audits = {audit: {"metrics": {metric: found}} for audit, metric in PRIMARY}
    same = {"size": "quick", "bars_sha256": "b", "scene_sha256": "s", "controls": [], "controls_wrong": []}
    return same | {"weights": {"m": "w"}, "worlds": {"m": {"audits": audits}}} | changes


@settings(max_examples=50, deadline=None)
@given(b=st.floats(0.1, 1.5), a=st.floats(0.05, 0.9))
def test_a_power_law_is_found(b, a):
    at = [1.0, 4.0, 32.0]
    trend = scaling(around([max(a * c**-b, 2e-3) for c in at], 0.01), at)
    if a * 32.0**-b > 2e-3:
        assert trend.rate[0] == pytest.approx(b, rel=1e-6) and trend.verdict == PASS


def test_a_floor_is_found_where_there_are_models_enough():
    at = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    trend = scaling(around([0.5 * c**-0.8 + 0.1 for c in at]), at)
    assert trend.floor == pytest.approx(0.1, abs=0.01) and trend.rate[0] == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([0.5, 0.3, 0.1], PASS),
        ([0.1, 0.3, 0.5], FAIL),
        ([0.5, 0.6, 0.1], INCONCLUSIVE),  # not one after the other
        ([0.5, 0.48, 0.46], INCONCLUSIVE),  # the intervals touch
        ([0.5, 0.5, 0.5], INCONCLUSIVE),
    ],
)
def test_what_compute_buys(errors, verdict):
    assert scaling(around(errors), [1.0, 4.0, 32.0]).verdict == verdict


def test_a_chain_of_oracles_is_flat_and_one_that_adds_noise_decays_at_its_rate():
    at = list(range(6))
    flat = generations(around([0.02] * 6), at)
    assert flat.verdict == PASS and flat.rate[1] < 0.0 < flat.rate[2] and flat.rate[0] == pytest.approx(0.0, abs=1e-9)
    rates = [0.1, 0.3, 0.6]
    chains = [generations(around([0.05 * np.exp(rate * g) for g in at]), at) for rate in rates]
    for rate, chain in zip(rates, chains, strict=True):
        assert chain.rate[0] == pytest.approx(rate) and chain.rate[1] < rate < chain.rate[2] and chain.rate[1] > 0.0
    assert [chain.verdict for chain in chains] == [PASS, FAIL, FAIL]
    assert chains[1].doubling == pytest.approx(np.log(2) / 0.3)
    wide = generations(around([0.05 * np.exp(0.2 * g) for g in at], 0.5), at)
    assert wide.verdict == INCONCLUSIVE


def test_what_is_missing_is_the_worst_and_what_is_perfect_has_no_error():
    errors = errors_of([measured(None), measured(0.7), measured(1.0), measured(1.3, 0.1)], "A4", "coast_ratio")
    np.testing.assert_allclose(errors, [[1, 1, 1], [0.3, 0.28, 0.32], [0, 0, 0.02], [0.3, 0.2, 0.4]], atol=1e-12)


@pytest.mark.parametrize(
    ("runs", "at", "along", "said"),
    [
        ([measured(0.5)] * 2, [1.0, 4.0], "time", "along compute or generation"),
        ([measured(0.5)] * 2, [1.0], "compute", "2 runs and 1 places"),
        ([measured(0.5)] * 2, [4.0, 1.0], "compute", "in rising order"),
        ([measured(0.5)], [1.0], "generation", "two models or more"),
        ([measured(0.5)] * 2, [0.0, 1.0], "compute", "more than 0"),
        ([measured(0.5), measured(0.5, bars_sha256="c")], [1.0, 2.0], "compute", "bars_sha256 differs"),
        ([measured(0.5), measured(0.5, weights={})], [1.0, 2.0], "compute", "one model each; got one with 0"),
    ],
)
def test_bad_input_is_named(runs, at, along, said):
    with pytest.raises(VideoSimError, match=said):
        trends(runs, at, along)


def test_the_command(tmp_path: Path) -> None:
    for i, value in enumerate((0.5, 0.7, 0.9)):
        (tmp_path / f"{i}.json").write_text(json.dumps(measured(value)))
    words = ",".join(f"{tmp_path}/{i}.json" for i in range(3))
    main(["trend", f"measurements=[{words}]", "at=[1,4,32]", f"out={tmp_path / 'run'}"])
    figures = json.loads((tmp_path / "run" / "result.json").read_text())["figures"]
    assert figures["A3_cai4_exponent"]["value"] == pytest.approx(0.463, abs=0.01)
    assert figures["A3_cai4_exponent"]["n"] == 3
