"""TransGAN's blocks: attention with relative positions, inside cells where the grid is large.

Source: Jiang, Chang and Wang, NeurIPS 2021, sections 3.3 and 3.4. Attention is written out, because the
gradient penalty needs a double backward. A grid of tokens travels as (B, C, side, side).
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor, nn

from augmentor.rivals.rival import pixel_norm

HEADS = 4
GRID = 32
"""Largest side whose tokens all attend to each other; beyond it they attend inside cells."""

CELL = 16
"""Side of such a cell."""


class Attention(nn.Module):
    """Multi-head self-attention: (B, N, width) -> (B, N, width).

    With a ``side``, the tokens are a square of it and a learned bias for every offset between two of
    them joins their logits (section 3.4, relative position encoding).
    """

    offsets: Tensor

    def __init__(self, width: int, side: int | None = None) -> None:
        super().__init__()
        inner = HEADS * ceil(width / HEADS)
        self.qkv = nn.Linear(width, 3 * inner, bias=False)
        self.out = nn.Linear(inner, width)
        self.bias = None
        if side is not None:
            place = torch.arange(side)
            along = place[:, None] - place + side - 1
            offsets = along[:, None, :, None] * (2 * side - 1) + along[None, :, None, :]
            self.register_buffer("offsets", offsets.flatten(), persistent=False)
            self.bias = nn.Parameter(torch.randn(HEADS, (2 * side - 1) ** 2) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        logits = (q / q.shape[-1] ** 0.5) @ k.transpose(-1, -2)
        if self.bias is not None:
            # In place: these are the largest tensors of the network.
            logits += self.bias.index_select(1, self.offsets).view(HEADS, *logits.shape[-2:])
        return self.out((logits.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A transformer block whose norms only divide by the root mean square of a token (section 3.4)."""

    def __init__(self, width: int, hidden: int, side: int | None = None) -> None:
        super().__init__()
        self.attention = Attention(width, side)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(pixel_norm(x, dim=-1))
        return x + self.mlp(pixel_norm(x, dim=-1))


class Stage(nn.Module):
    """Blocks on one grid with its learned positions; large grids attend inside cells of 16 × 16 tokens."""

    def __init__(self, width: int, hidden: int, side: int, depth: int) -> None:
        super().__init__()
        self.cell = side if side <= GRID else CELL
        self.position = nn.Parameter(torch.randn(width, side, side) * 0.02)
        self.blocks = nn.Sequential(*(Block(width, hidden, self.cell) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position
        return from_cells(self.blocks(to_cells(x, self.cell)), x.shape)


def to_cells(x: Tensor, cell: int) -> Tensor:
    """(B, C, side, side) -> (B · cells, cell², C)."""
    cut = x.unflatten(3, (-1, cell)).unflatten(2, (-1, cell))
    return cut.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2)


def from_cells(tokens: Tensor, shape: torch.Size) -> Tensor:
    """The way back, to ``shape`` (B, C, side, side)."""
    cell = round(tokens.shape[1] ** 0.5)
    cut = tokens.view(shape[0], shape[2] // cell, shape[3] // cell, cell, cell, shape[1])
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(shape)
