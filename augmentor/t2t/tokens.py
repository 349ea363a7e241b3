"""Tokens-to-token fusion: the soft split going in and its mirror, the soft merge, coming out.

A grid of tokens travels as (B, C, *grid): C numbers a token, and a grid of rows and columns, or of
slices, rows and columns. Source: Yuan et al., "Tokens-to-Token ViT", ICCV 2021.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv3d, gelu, interpolate, pad

from augmentor.t2t.attention import GridAttention, TokenNorm

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
CONVOLVE = {2: conv2d, 3: conv3d}


class Step(NamedTuple):
    """One soft split or merge: kernel, stride and padding along each axis of the finer grid."""

    kernel: int
    stride: int
    padding: int


def soft_split(channels: int, width: int, step: Step, dims: int = 2) -> nn.Module:
    """Overlapping unfold followed by one Linear, on a grid of ``dims`` axes.

    ``soft_split(1, 32, Step(8, 4, 2))(x)``: (B, 1, 64, 64) -> (B, 32, 16, 16). Each new token is a
    linear function of a kernel-wide neighbourhood that overlaps its neighbours'. That *is* a strided
    convolution and is run as one (2.1 times faster than unfold and matmul on a CPU); a test holds the
    two equal.
    """
    return CONVOLUTION[dims](channels, width, step.kernel, step.stride, step.padding)


def per_token(channels: int, width: int, dims: int = 2) -> nn.Conv2d | nn.Conv3d:
    """One Linear applied to every token: (B, channels, *grid) -> (B, width, *grid)."""
    return CONVOLUTION[dims](channels, width, 1)


class SoftMerge(nn.Module):
    """The mirror of the soft split: each token is spread over a neighbourhood, and overlaps are averaged.

    ``SoftMerge(96, 48, Step(4, 2, 1))(x)``: (B, 96, 8, 8) -> (B, 48, 16, 16). Equal to one Linear and
    an overlapping fold divided by the overlap count. The kernel must be a multiple of the stride, or the
    output carries a checkerboard.
    """

    def __init__(self, width: int, channels: int, step: Step, dims: int = 2) -> None:
        super().__init__()
        if step.kernel % step.stride:
            raise ValueError(f"merge kernel {step.kernel} is not a multiple of its stride {step.stride}")
        weight = torch.empty(width, channels, *[step.kernel] * dims)
        nn.init.kaiming_uniform_(weight, a=5**0.5)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.step = step
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return self._fold(x) / self.overlap(x.shape[2:]).to(x) + self.bias.view(-1, *[1] * self.dims)

    def _fold(self, x: Tensor) -> Tensor:
        """The sum of what all tokens spread: each cell of stride-wide pixels is linear in the few tokens that reach it.

        A convolution on the grid of tokens and a shuffle of its numbers to pixels, which it equals: on a CPU a
        transposed convolution to one channel takes eight times as long.
        """
        (kernel, stride, padding), dims = self.step, self.dims
        reach = kernel // stride
        cells, inside = range(2, 2 + 2 * dims, 2), range(3, 3 + 2 * dims, 2)
        weight = self.weight.view(*self.weight.shape[:2], *[reach, stride] * dims).flip(tuple(cells))
        weight = weight.permute(1, *inside, 0, *cells).flatten(0, dims)
        summed = CONVOLVE[dims](pad(x, [reach - 1] * 2 * dims), weight)
        pixels = summed.unflatten(1, (-1, *[stride] * dims))
        pixels = pixels.permute(0, 1, *(axis + at for axis in range(2, 2 + dims) for at in (dims, 0)))
        for axis in range(2, 2 + dims):
            pixels = pixels.flatten(axis, axis + 1)
        return pixels[(..., *[slice(padding, side - padding) for side in pixels.shape[2:]])]

    def overlap(self, grid: torch.Size) -> Tensor:
        """How many tokens of a grid cover each element of the finer one: (*finer grid)."""
        cover = torch.ones(())
        for count in grid:
            cover = cover[..., None] * _coverage(count, self.step)
        return cover


def _coverage(count: int, step: Step) -> Tensor:
    cover = torch.zeros((count - 1) * step.stride + step.kernel)
    for token in range(count):
        cover[token * step.stride : token * step.stride + step.kernel] += 1
    return cover[step.padding : len(cover) - step.padding]


class Mlp(nn.Sequential):
    """Two token-wise Linears with GELU between: (B, C, *grid) -> (B, C, *grid)."""

    def __init__(self, width: int, ratio: float, dims: int = 2) -> None:
        hidden = int(width * ratio)
        super().__init__(per_token(width, hidden, dims), nn.GELU(), per_token(hidden, width, dims))


class TokenTransformer(nn.Module):
    """One stage of token fusion: soft split, attention among the new tokens, MLP.

    The queries, keys and values are read straight off the overlapping neighbourhoods, and the skip
    is taken from V because the widths differ, as in T2T-ViT. ``normalise`` is off on raw pixels: a
    norm there blinds the network to intensity.
    """

    def __init__(
        self, channels: int, width: int, step: Step, heads: int = 1, dims: int = 2, *, normalise: bool
    ) -> None:
        super().__init__()
        self.norm = TokenNorm(channels) if normalise else nn.Identity()
        self.qkv = soft_split(channels, 3 * width, step, dims)
        self.attention = GridAttention(width, heads)
        self.out = per_token(width, width, dims)
        self.mlp_norm = TokenNorm(width)
        self.mlp = Mlp(width, 1, dims)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(x))
        tokens = qkv[:, 2 * self.width :] + self.out(self.attention(qkv))
        return tokens + self.mlp(self.mlp_norm(tokens))


class ConvolutionStem(nn.Module):
    """What the T2T stage is compared with: two convolutions, the first with the stage's stride.

    (B, channels, *grid) -> (B, width, *coarser grid), as in the stems of Xiao et al. 2021 ("Early
    convolutions help transformers see better").
    """

    def __init__(self, channels: int, width: int, step: Step, dims: int = 2) -> None:
        super().__init__()
        self.split = soft_split(channels, width, step, dims)
        self.mix = CONVOLUTION[dims](width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = gelu(self.split(x))
        return x + gelu(self.mix(x))


class ConvolutionMerge(nn.Module):
    """What the soft merge is compared with: nearest upsampling and two convolutions."""

    def __init__(self, width: int, channels: int, step: Step, dims: int = 2) -> None:
        super().__init__()
        self.stride = step.stride
        self.first = CONVOLUTION[dims](width, channels, 3, padding=1)
        self.second = CONVOLUTION[dims](channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(interpolate(x, scale_factor=float(self.stride)))
        return x + self.second(gelu(x))


class Block(nn.Module):
    """A pre-norm transformer block on a grid of tokens; with ``style``, its norms are modulated.

    ``attend=False`` leaves the MLP alone (HiT, Zhao et al. 2021: no attention at high resolution).
    The last layer of each residual branch starts at zero, so a fresh block is the identity.
    """

    def __init__(
        self, width: int, heads: int, dims: int = 2, *, attend: bool = True, style: int = 0, zero: bool = False
    ) -> None:
        super().__init__()
        self.attend = attend
        if attend:
            self.norm = StyleNorm(width, style)
            self.qkv = per_token(width, 3 * width, dims)
            self.attention = GridAttention(width, heads)
            self.out = per_token(width, width, dims)
        self.mlp_norm = StyleNorm(width, style)
        self.mlp = Mlp(width, 2, dims)
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
        if self.modulation is None or style is None:
            return x
        gain, shift = self.modulation(style).view(*style.shape[:1], -1, *[1] * (x.ndim - 2)).chunk(2, dim=1)
        return x * (1 + gain) + shift
