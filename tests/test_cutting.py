"""Which records make an episode, on any log: nothing leads over a cut, and nothing is lost without being counted."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from videosim.config import ImportConfig
from videosim.data.cutting import Account, pieces
from videosim.data.formats.log import Recording

DT = 0.1


class Blank:
    def __call__(self, number: int, /) -> np.ndarray:
        return np.zeros((16, 16, 3), np.uint8)

    def close(self) -> None:
        pass


@st.composite
def logs(draw: st.DrawFn) -> Recording:
    count = draw(st.integers(2, 60))
    steps = draw(st.lists(st.sampled_from([DT] * 12 + [0.0, -1.0, 3 * DT]), min_size=count, max_size=count))
    values = draw(st.lists(st.sampled_from([0.5] * 15 + [np.nan, np.inf]), min_size=count, max_size=count))
    breaks = draw(st.lists(st.sampled_from([False] * 15 + [True]), min_size=count, max_size=count))
    return Recording("log", np.cumsum(steps), Blank(), {"steer": np.array(values)}, np.array(breaks))


@settings(deadline=None)
@given(logs(), st.integers(2, 8), st.integers(0, 12), st.sampled_from([-0.2, 0.0, 0.1]))
def test_pieces_of_any_log(log: Recording, shortest: int, longer: int, offset_s: float) -> None:
    cfg = ImportConfig(shortest=shortest, episode_frames=shortest + longer, action_offset_s=offset_s)
    account = Account()
    found = list(pieces(0, log, 1.0 / DT, ["steer"], cfg, account))
    taken: list[int] = []
    for piece in found:
        records, (first, end) = piece.records, piece.within
        assert shortest <= len(records) <= cfg.episode_frames and (np.diff(records) == 1).all()
        run = slice(first, end)
        assert np.isfinite(log.channels["steer"][run]).all() and not log.breaks[run][1:].any()
        steps = np.diff(log.times[run])
        assert (steps > 0).all() and (steps < 1.5 * DT).all()
        late, early = max(0, round(offset_s / DT)), max(0, round(-offset_s / DT))
        assert first + late <= records[0] and records[-1] < end - early  # an action was logged for every transition
        taken += records[:-1].tolist()
    assert len(taken) == len(set(taken))  # no transition twice
    kept = np.unique(np.concatenate([piece.records for piece in found])) if found else np.zeros(0)
    counted = sum(times for what, times in account.counts.items() if what.startswith("records"))
    assert len(kept) + counted == len(log)
