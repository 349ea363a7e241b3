"""Tokens-to-token fusion: the soft split going in and its mirror, the soft merge, coming out.

A grid of tokens travels as (B, C, *grid): C numbers a token, and a grid of rows and columns, or of
slices, rows and columns. Source: Yuan et al., "Tokens-to-Token ViT", ICCV 2021.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, conv_transpose3d, gelu, interpolate, pad, pixel_shuffle

from augmentor.t2t.attention import GridAttention, TokenNorm

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
SPREAD = {2: conv_transpose2d, 3: conv_transpose3d}


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
        step = self.step
        if self.dims == 2 and self.weight.shape[1] < step.stride:
            spread = self._to_few_channels(x)
        else:
            spread = SPREAD[self.dims](x, self.weight, stride=step.stride, padding=step.padding)
        return spread / self.overlap(x.shape[2:]).to(x) + self.bias.view(-1, *[1] * self.dims)

    def _to_few_channels(self, x: Tensor) -> Tensor:
        """The same transposed convolution, to pixels of a plane.

        Each cell of stride-wide pixels is linear in the few tokens that reach it: a convolution on the grid of
        tokens, whose numbers are then shuffled to pixels. On a CPU that is twice as fast, gradients included, where
        pixels have fewer channels than the stride, and slower otherwise.
        """
        kernel, stride, padding = self.step
        reach = kernel // stride
        cells = self.weight.unflatten(3, (reach, stride)).unflatten(2, (reach, stride)).flip(2, 4)
        weight = cells.permute(1, 3, 5, 0, 2, 4).flatten(0, 2)
        pixels = pixel_shuffle(conv2d(pad(x, [reach - 1] * 4), weight), stride)
        return pixels[..., padding : pixels.shape[2] - padding, padding : pixels.shape[3] - padding]

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
