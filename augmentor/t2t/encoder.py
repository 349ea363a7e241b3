"""The T2T encoder: pixels to tokens by recursive soft splits. Shared by every network that looks."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from augmentor.t2t.presets import Preset, steps
from augmentor.t2t.tokens import Block, ConvolutionStem, Step, TokenTransformer, soft_split

SPLIT = Step(3, 2, 1)
"""Splits after the first, as in T2T-ViT (the merges use an even kernel instead, against checkerboards)."""


LAYOUT = {4: torch.channels_last, 5: torch.channels_last_3d}


class T2TEncoder(nn.Module):
    """(B, channels, *tile) -> one grid of tokens a stage, finest first, the backbone's last.

    ``preset.encoder`` replaces the token transformers by convolutions, or all splits by plain patches,
    for comparison.
    """

    def __init__(self, channels: int, tile: tuple[int, ...], preset: Preset) -> None:
        super().__init__()
        dims = len(tile)
        chain = steps(tile, preset)
        total = prod(step.stride for step in chain)
        chain = [Step(total, total, 0)] if preset.encoder == "patches" else [chain[0]] + [SPLIT] * (len(chain) - 1)
        self.fusions = nn.ModuleList()
        for index, step in enumerate(chain[:-1]):
            if preset.encoder == "convolutions":
                self.fusions.append(ConvolutionStem(channels, preset.token_width, step, dims))
            else:
                self.fusions.append(
                    TokenTransformer(channels, preset.token_width, step, dims=dims, normalise=index > 0)
                )
            channels = preset.token_width
        self.project = soft_split(channels, preset.backbone.width, chain[-1], dims)
        self.grid = tuple(side // total for side in tile)
        self.position = nn.Parameter(torch.randn(1, preset.backbone.width, *self.grid) * 0.02)
        self.blocks = nn.ModuleList(
            Block(preset.backbone.width, preset.heads, dims) for _ in range(preset.backbone.depth)
        )
        self.widths = [preset.token_width] * len(self.fusions) + [preset.backbone.width]

    def forward(self, x: Tensor) -> list[Tensor]:
        # Tokens lie together in memory: norms and attention run over the numbers of a token.
        x = x.contiguous(memory_format=LAYOUT[x.ndim])
        grids = []
        for fusion in self.fusions:
            x = fusion(x)
            grids.append(x)
        x = self.project(x) + self.position
        for block in self.blocks:
            x = block(x)
        grids.append(x)
        return grids
