"""`videosim trend`: several audited models in a row, by the compute they were made with or by generation."""

from __future__ import annotations

from pathlib import Path

from videosim.config import TrendConfig
from videosim.run import Run


def main(cfg: TrendConfig, run: Run) -> None:
    """Reads what ``videosim audit`` wrote of each model, and measures nothing itself."""
    from videosim.audits.ledger import load_measurements
    from videosim.audits.trend import trends

    found = trends([load_measurements(Path(path)) for path in cfg.measurements], cfg.at, cfg.along)
    rate = "exponent" if cfg.along == "compute" else "decay"
    for trend in found:
        value, low, high = trend.rate
        run.figure(f"{trend.audit}_{trend.metric}_{rate}", value, low, high, n=len(cfg.at))
    run.table(
        f"errors along {cfg.along}",
        ("figure", *(f"{place:g}" for place in cfg.at), rate, "low", "high", "floor", "doubles in", "verdict"),
        [
            (
                f"{trend.audit} {trend.metric}",
                *(f"{value:.3g} [{low:.3g}, {high:.3g}]" for value, low, high in trend.errors),
                *trend.rate,
                trend.floor,
                trend.doubling if cfg.along == "generation" else "",
                trend.verdict,
            )
            for trend in found
        ],
    )
