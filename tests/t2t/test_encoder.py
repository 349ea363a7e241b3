"""The encoder gives one grid of tokens a stage, in planes and volumes, whatever fuses its neighbourhoods."""

from dataclasses import replace

import pytest
import torch

from augmentor.t2t.encoder import T2TEncoder
from augmentor.t2t.presets import Fusion, Preset, Stage

PRESET = Preset((Stage(16, 1), Stage(8, 1, attend=False)), 8, Stage(12, 2), heads=2)
THREE = replace(PRESET, stages=(Stage(16, 1), Stage(8, 1), Stage(8, 1)))

GRIDS = [
    (PRESET, "tokens", (16, 24), [(4, 6), (2, 3)]),
    (PRESET, "convolutions", (16, 24), [(4, 6), (2, 3)]),
    (PRESET, "patches", (16, 24), [(2, 3)]),
    (PRESET, "tokens", (64, 64), [(16, 16), (8, 8)]),
    (PRESET, "tokens", (16, 16, 16), [(4, 4, 4), (2, 2, 2)]),
    (PRESET, "convolutions", (8, 16, 24), [(2, 4, 6), (1, 2, 3)]),
    (PRESET, "patches", (16, 16, 16), [(2, 2, 2)]),
    (THREE, "tokens", (32, 48), [(8, 12), (4, 6), (2, 3)]),
    (THREE, "convolutions", (16, 32, 16), [(4, 8, 4), (2, 4, 2), (1, 2, 1)]),
    (THREE, "patches", (32, 48), [(2, 3)]),
]


@pytest.mark.parametrize(("preset", "fusion", "tile", "grids"), GRIDS)
@pytest.mark.parametrize("channels", [1, 3, 13])
def test_every_stage_is_a_grid_and_every_weight_learns(
    preset: Preset, fusion: Fusion, tile: tuple[int, ...], grids: list[tuple[int, ...]], channels: int
) -> None:
    encoder = T2TEncoder(channels, tile, replace(preset, encoder=fusion))
    found = encoder(torch.randn(2, channels, *tile))
    widths = [preset.token_width] * (len(grids) - 1) + [preset.backbone.width]
    assert encoder.widths == widths
    assert encoder.grid == grids[-1]
    assert [grid.shape for grid in found] == [(2, w, *grid) for w, grid in zip(widths, grids, strict=True)]
    torch.stack([grid.square().sum() for grid in found]).sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert all(p.grad.isfinite().all() for p in encoder.parameters())
