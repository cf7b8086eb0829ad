"""Weights in fewer bits: how far they may be off, and what may not be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from videosim.checkpoint import load_checkpoint, save_checkpoint
from videosim.errors import VideoSimError
from videosim.rounding import SCALE, restored, rounded
from videosim.world_model import WorldModel


@given(st.integers(35, 60), st.integers(60, 90), st.floats(1e-4, 1e3), st.integers(0, 99))
def test_a_row_is_off_by_half_a_step_of_its_own_at_most(rows: int, columns: int, scale: float, seed: int) -> None:
    sizes = torch.logspace(-3, 3, rows)[:, None]
    value = scale * sizes * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    back = restored(rounded({"tokenizer.w": value}, 8))["tokenizer.w"]
    assert bool(((back - value).abs() <= 0.501 * value.abs().amax(1, keepdim=True) / 127).all())


def test_heads_keep_sixteen_bits_and_what_is_exact_all() -> None:
    value = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    names = ("heads.outcome.1.weight", "painter.maps.0.weight", "sensor_mean")
    stored = rounded(dict.fromkeys(names, value), 8, {"sensor_mean"})
    assert [stored[name].dtype for name in names] == [torch.float16, torch.int8, torch.float32]
    assert set(stored) - set(names) == {"painter.maps.0.weight" + SCALE}
    assert torch.equal(restored(rounded({"w": value}, 32))["w"], value)


def test_a_model_in_eight_bits_is_smaller_and_nearly_the_same(tiny_model: WorldModel, tmp_path: Path) -> None:
    for bits in (16, 8):
        save_checkpoint(tmp_path / str(bits), tiny_model, {}, bits)
    sizes = [(tmp_path / str(bits) / "model.safetensors").stat().st_size for bits in (16, 8)]
    assert sizes[1] < 0.95 * sizes[0]
    half, quarter = (load_checkpoint(tmp_path / str(bits)).state_dict() for bits in (16, 8))
    for name, value in half.items():
        assert float((quarter[name] - value).abs().max()) <= 0.006 * float(value.abs().max()) + 1e-6


def test_scales_of_nothing_are_refused() -> None:
    stored = rounded({"w": torch.randn(64, 64)}, 8)
    for wrong in ({"w:scale": stored["w:scale"]}, {**stored, "w:scale": stored["w:scale"][1:]}):
        with pytest.raises(VideoSimError, match="restore the file"):
            restored(wrong)
    with pytest.raises(VideoSimError, match="32, 16 or 8"):
        rounded({}, 4)
