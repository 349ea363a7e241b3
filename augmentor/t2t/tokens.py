"""Tokens-to-token fusion: the soft split going in and its mirror, the soft merge, coming out.

A grid of tokens travels as (B, C, h, w): C numbers a token, h × w tokens. Source: Yuan et al.,
"Tokens-to-Token ViT", ICCV 2021.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from augmentor.t2t.attention import GridAttention, TokenNorm


class Step(NamedTuple):
    """One soft split or merge: kernel, stride and padding in pixels (or tokens) of the finer grid."""

    kernel: int
    stride: int
    padding: int


class SoftSplit(nn.Conv2d):
    """Overlapping unfold followed by one Linear, on a grid.

    ``SoftSplit(1, 32, Step(8, 4, 2))(x)``: (B, 1, 64, 64) -> (B, 32, 16, 16). Each new token is a
    linear function of a kernel × kernel neighbourhood that overlaps its neighbours'. That *is* a
    strided convolution and is run as one (2.1 times faster than unfold and matmul on a CPU); a test
    holds the two equal.
    """

    def __init__(self, channels: int, width: int, step: Step) -> None:
        super().__init__(channels, width, step.kernel, step.stride, step.padding)


class SoftMerge(nn.Module):
    """The mirror of the soft split: each token is spread over a neighbourhood, and overlaps are averaged.

    ``SoftMerge(96, 48, Step(4, 2, 1))(x)``: (B, 96, 8, 8) -> (B, 48, 16, 16). Equal to one Linear and
    an overlapping fold divided by the overlap count; run as a transposed convolution. The kernel must
    be a multiple of the stride, or the output carries a checkerboard.
    """

    def __init__(self, width: int, channels: int, step: Step) -> None:
        super().__init__()
        if step.kernel % step.stride:
            raise ValueError(f"merge kernel {step.kernel} is not a multiple of its stride {step.stride}")
        self.spread = nn.ConvTranspose2d(width, channels, step.kernel, step.stride, step.padding, bias=False)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return self.spread(x) / self.overlap(x.shape[-2], x.shape[-1]).to(x) + self.bias[:, None, None]

    def overlap(self, height: int, width: int) -> Tensor:
        """How many tokens of a (height, width) grid cover each output pixel: (1, 1, H, W)."""
        rows = _coverage(height, self.step)
        columns = _coverage(width, self.step)
        return (rows[:, None] * columns[None, :])[None, None]


def _coverage(count: int, step: Step) -> Tensor:
    cover = torch.zeros((count - 1) * step.stride + step.kernel)
    for token in range(count):
        cover[token * step.stride : token * step.stride + step.kernel] += 1
    return cover[step.padding : len(cover) - step.padding]


class Mlp(nn.Sequential):
    """Two token-wise Linears with GELU between: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, width: int, ratio: float) -> None:
        hidden = int(width * ratio)
        super().__init__(nn.Conv2d(width, hidden, 1), nn.GELU(), nn.Conv2d(hidden, width, 1))


class TokenTransformer(nn.Module):
    """One stage of token fusion: soft split, attention among the new tokens, MLP.

    The queries, keys and values are read straight off the overlapping neighbourhoods, and the skip
    is taken from V because the widths differ, as in T2T-ViT. ``normalise`` is off on raw pixels: a
    norm there blinds the network to intensity.
    """

    def __init__(self, channels: int, width: int, step: Step, heads: int = 1, *, normalise: bool) -> None:
        super().__init__()
        self.norm = TokenNorm(channels) if normalise else nn.Identity()
        self.qkv = SoftSplit(channels, 3 * width, step)
        self.attention = GridAttention(width, heads)
        self.out = nn.Conv2d(width, width, 1)
        self.mlp_norm = TokenNorm(width)
        self.mlp = Mlp(width, ratio=1)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(x))
        tokens = qkv[:, 2 * self.width :] + self.out(self.attention(qkv))
        return tokens + self.mlp(self.mlp_norm(tokens))


class Block(nn.Module):
    """A pre-norm transformer block on a grid of tokens; with ``style``, its norms are modulated.

    ``attend=False`` leaves the MLP alone (HiT, Zhao et al. 2021: no attention at high resolution).
    The last layer of each residual branch starts at zero, so a fresh block is the identity.
    """

    def __init__(self, width: int, heads: int, *, attend: bool = True, style: int = 0, zero: bool = False) -> None:
        super().__init__()
        self.attend = attend
        if attend:
            self.norm = StyleNorm(width, style)
            self.qkv = nn.Conv2d(width, 3 * width, 1)
            self.attention = GridAttention(width, heads)
            self.out = nn.Conv2d(width, width, 1)
        self.mlp_norm = StyleNorm(width, style)
        self.mlp = Mlp(width, ratio=2)
        if zero:
            last = [self.mlp[-1], self.out] if attend else [self.mlp[-1]]
            for parameter in (p for layer in last for p in layer.parameters()):
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        if self.attend:
            x = x + self.out(self.attention(self.qkv(self.norm(x, style))))
        return x + self.mlp(self.mlp_norm(x, style))


class StyleNorm(nn.Module):
    """Token norm whose gain and shift are linear in a style vector (AdaLN); plain without a style."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        self.norm = TokenNorm(width, affine=style == 0)
        self.modulation = nn.Linear(style, 2 * width) if style else None
        if self.modulation is not None:
            nn.init.normal_(self.modulation.weight, std=0.3 / style**0.5)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        x = self.norm(x)
        if self.modulation is None:
            return x
        gain, shift = self.modulation(style)[:, :, None, None].chunk(2, dim=1)
        return x * (1 + gain) + shift
