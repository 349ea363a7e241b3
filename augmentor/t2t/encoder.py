"""The T2T encoder: pixels to tokens by recursive soft splits. Shared by every network that looks."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from augmentor.t2t.presets import Preset, steps
from augmentor.t2t.tokens import Block, SoftSplit, Step, TokenTransformer

SPLIT = Step(3, 2, 1)
"""Splits after the first, as in T2T-ViT (the merges use an even kernel instead, against checkerboards)."""


class T2TEncoder(nn.Module):
    """(B, channels, H, W) -> one grid of tokens a stage, finest first, the backbone's last."""

    def __init__(self, channels: int, tile: tuple[int, int], preset: Preset) -> None:
        super().__init__()
        chain = steps(tile, len(preset.stages))
        chain = [chain[0]] + [SPLIT] * (len(chain) - 1)
        self.fusions = nn.ModuleList()
        for index, step in enumerate(chain[:-1]):
            self.fusions.append(TokenTransformer(channels, preset.token_width, step, normalise=index > 0))
            channels = preset.token_width
        self.project = SoftSplit(channels, preset.backbone.width, chain[-1])
        total = prod(step.stride for step in chain)
        grid = (tile[0] // total, tile[1] // total)
        self.position = nn.Parameter(self.project.weight.new_zeros(1, preset.backbone.width, *grid).normal_(std=0.02))
        self.blocks = nn.ModuleList(Block(preset.backbone.width, preset.heads) for _ in range(preset.backbone.depth))
        self.widths = [preset.token_width] * len(self.fusions) + [preset.backbone.width]
        self.grid = grid

    def forward(self, x: Tensor) -> list[Tensor]:
        grids = []
        for fusion in self.fusions:
            x = fusion(x)
            grids.append(x)
        x = self.project(x) + self.position
        for block in self.blocks:
            x = block(x)
        grids.append(x)
        return grids
