"""What is read off the recordings before a model learns from them."""

from __future__ import annotations

from pathlib import Path

import torch
from sum_world import MODEL, SPEC

from videosim.corpus import Corpus
from videosim.data.store import EpisodeStore
from videosim.scales import box, set_limits
from videosim.world_model import WorldModel


def test_where_one_moment_in_ten_thousand_went_no_dream_goes() -> None:
    sensors = torch.rand(50_000, 2, generator=torch.Generator().manual_seed(0))
    sensors[7, 0], sensors[8, 1] = 3.0, -2.0  # each in the middle of a blow
    least, most = box(sensors)
    assert bool((least.abs() < 1e-3).all()) and bool(((most - 1.0).abs() < 1e-3).all())
    few = sensors[:100]
    assert torch.allclose(box(few), torch.stack(few.aminmax(dim=0)), atol=0.05)


def test_a_round_widens_where_dreams_go_and_a_transition_begun_anew_forgets_it(data: Path) -> None:
    store = EpisodeStore.open(data)
    torch.manual_seed(0)
    model = WorldModel(MODEL, SPEC)
    corpus = Corpus(store, range(6))
    set_limits(model, [corpus], anew=True)
    ends = model.dynamics.sensor_low.clone(), model.dynamics.sensor_high.clone()
    assert bool((ends[0] < ends[1]).all())
    halves = ends[0] / 2, ends[1] / 2
    for anew in (False, True):
        model.dynamics.sensor_low.copy_(halves[0] - 9.0), model.dynamics.sensor_high.copy_(halves[1])
        set_limits(model, [corpus], anew)
        assert torch.equal(model.dynamics.sensor_high, torch.maximum(ends[1], halves[1]) if not anew else ends[1])
        assert torch.equal(model.dynamics.sensor_low, ends[0] if anew else halves[0] - 9.0)
