"""Attention among the tokens of a grid: global for small grids, windowed for large ones.

Attention is written out rather than fused, because R1 needs a double backward, which the fused
kernels of ``scaled_dot_product_attention`` do not implement.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

GLOBAL_LIMIT = 256
"""Grids of at most this many tokens attend globally; larger ones in windows."""

WINDOW = 8
"""Side of an attention window, in tokens."""


class TokenNorm(nn.LayerNorm):
    """LayerNorm over the channels of each token of a grid (B, C, h, w)."""

    def __init__(self, width: int, affine: bool = True) -> None:
        super().__init__(width, elementwise_affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GridAttention(nn.Module):
    """Multi-head attention over a grid of queries, keys and values (B, 3·width, h, w).

    Queries and keys are RMS-normalised and scaled by a bounded temperature, so that logits stay
    bounded however the weights grow (Henry et al. 2020, query-key normalisation; the Lipschitz
    argument of ViTGAN, Lee et al. 2022). Above ``GLOBAL_LIMIT`` tokens attention runs in windows,
    half of the heads on a grid shifted by half a window (StyleSwin, Zhang et al. 2022).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        self.temperature = nn.Parameter(torch.zeros(heads))

    def forward(self, qkv: Tensor) -> Tensor:
        q, k, v = rearrange(qkv, "b (three heads d) h w -> three b heads h w d", three=3, heads=self.heads)
        q, k = _rms(q), _rms(k)
        # sigmoid keeps the logit scale within (0, 2·sqrt(d)); it starts at the usual 1/sqrt(d) · d.
        scale = 2 * torch.sigmoid(self.temperature) / q.shape[-1] ** 0.5
        q = q * scale[:, None, None, None]
        height, width = q.shape[2:4]
        if height * width <= GLOBAL_LIMIT:
            return _merge_heads(_attend_all(q, k, v))
        half = (self.heads + 1) // 2
        straight = _attend_windows(q[:, :half], k[:, :half], v[:, :half], shift=0)
        if half == self.heads:
            return _merge_heads(straight)
        shifted = _attend_windows(q[:, half:], k[:, half:], v[:, half:], shift=WINDOW // 2)
        return _merge_heads(torch.cat([straight, shifted], dim=1))


def _rms(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-6)


def _merge_heads(x: Tensor) -> Tensor:
    return rearrange(x, "b heads h w d -> b (heads d) h w")


def _attend_all(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    height = q.shape[2]
    q, k, v = (rearrange(t, "b n h w d -> b n (h w) d") for t in (q, k, v))
    weights = (q @ k.transpose(-1, -2)).softmax(dim=-1)
    return rearrange(weights @ v, "b n (h w) d -> b n h w d", h=height)


def _attend_windows(q: Tensor, k: Tensor, v: Tensor, shift: int) -> Tensor:
    """Attention inside windows; the grid is padded to whole windows and padded keys are masked."""
    height, width = q.shape[2:4]
    before = (WINDOW - shift) % WINDOW
    bottom, right = (-(height + before)) % WINDOW, (-(width + before)) % WINDOW
    padding = (0, 0, before, right, before, bottom)
    rows = (height + before + bottom) // WINDOW

    def windows(t: Tensor) -> Tensor:
        padded = nn.functional.pad(t, padding)
        return rearrange(padded, "b n (r i) (c j) d -> b n r c (i j) d", i=WINDOW, j=WINDOW)

    present = q.new_ones(1, 1, height, width, 1)
    absent = windows(present)[..., 0] == 0
    logits = windows(q) @ windows(k).transpose(-1, -2)
    # A window wholly in the padding would be all -inf; a large finite number keeps softmax defined.
    weights = logits.masked_fill(absent.unsqueeze(-2), -1e4).softmax(dim=-1)
    out = rearrange(weights @ windows(v), "b n r c (i j) d -> b n (r i) (c j) d", i=WINDOW, r=rows)
    return out[:, :, before : before + height, before : before + width]
