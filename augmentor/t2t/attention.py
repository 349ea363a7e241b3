"""Attention among the tokens of a grid: global for small grids, windowed for large ones."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

GLOBAL_LIMIT = 512
"""Grids of at most this many tokens attend globally; larger ones in windows of 64."""

NARROW = 2
"""Tokens along each axis that a token sees at least."""

WINDOW = {2: 8, 3: 4}
"""Side of a window of 64 tokens, for planes and for volumes."""


class TokenNorm(nn.LayerNorm):
    """LayerNorm over the channels of each token of a grid (B, C, *grid)."""

    def __init__(self, width: int, affine: bool = True) -> None:
        super().__init__(width, elementwise_affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class GridAttention(nn.Module):
    """Multi-head attention over a grid of queries, keys and values (B, 3·width, *grid).

    Queries and keys are RMS-normalised and scaled by a bounded temperature, so that logits stay
    bounded however the weights grow (Henry et al. 2020, query-key normalisation; the Lipschitz
    argument of ViTGAN, Lee et al. 2022). Above ``GLOBAL_LIMIT`` tokens attention runs in windows,
    half of the heads on a grid shifted by half a window (StyleSwin, Zhang et al. 2022).

    ``reach`` is how far a token looks in global attention, as a part of the grid's longest side: 1 is
    everywhere; it may grow with training (TransGAN's locality-aware start, Jiang et al. 2021, section 3.4).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        self.temperature = nn.Parameter(torch.zeros(heads))
        self.reach = 1.0

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.reach)

    def set_extra_state(self, state: Tensor) -> None:
        self.reach = float(state)

    def forward(self, qkv: Tensor) -> Tensor:
        grid = qkv.shape[2:]
        split = qkv.unflatten(1, (3, self.heads, -1)).movedim(3, -1)
        q, k, v = split.unbind(1)
        # sigmoid keeps the logit scale within (0, 2·sqrt(d)); it starts at the usual 1/sqrt(d) · d.
        scale = 2 * torch.sigmoid(self.temperature) / q.shape[-1] ** 0.5
        q = _rms(q) * scale.view(-1, *[1] * (len(grid) + 1))
        k = _rms(k)
        if prod(grid) <= GLOBAL_LIMIT:
            return _merge_heads(_attend_all(q, k, v, near(grid, self.reach, q.device)))
        half = (self.heads + 1) // 2
        straight = _attend_windows(q[:, :half], k[:, :half], v[:, :half], shifted=False)
        if half == self.heads:
            return _merge_heads(straight)
        shifted = _attend_windows(q[:, half:], k[:, half:], v[:, half:], shifted=True)
        return _merge_heads(torch.cat([straight, shifted], dim=1))


def set_reach(network: nn.Module, reach: float) -> None:
    """Let every attention in ``network`` look so far, as a part of its grid; 1 for everywhere."""
    for module in network.modules():
        if isinstance(module, GridAttention):
            module.reach = reach


def near(grid: torch.Size, reach: float, device: torch.device | None = None) -> Tensor | None:
    """Which tokens of a grid see each other: (N, N) bool, None where all do; ``NARROW`` tokens always."""
    far = max(NARROW, reach * max(grid))
    if far >= max(grid) - 1:
        return None
    axes = [torch.arange(n, device=device) for n in grid]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)
    return (places[:, None] - places[None]).abs().amax(dim=-1) <= far


def _rms(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-6)


def _merge_heads(x: Tensor) -> Tensor:
    """(B, heads, *grid, d) -> (B, heads · d, *grid)."""
    return x.movedim(-1, 2).flatten(1, 2)


def _attend_all(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    grid = q.shape[2:-1]
    q, k, v = (t.flatten(2, -2) for t in (q, k, v))
    return _attend(q, k, v, seen).unflatten(2, grid)


def _attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """On a CPU as precise as the tokens are: the fused kernel's gradient takes three to four times as long there in
    bfloat16."""
    if q.device.type != "cpu":
        return scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=1.0)
    with torch.autocast("cpu", enabled=False):
        return scaled_dot_product_attention(q, k.to(q), v.to(q), attn_mask=seen, scale=1.0)


def _attend_windows(q: Tensor, k: Tensor, v: Tensor, *, shifted: bool) -> Tensor:
    """Attention inside windows; the grid is padded to whole windows and padded keys are masked."""
    grid = q.shape[2:-1]
    side = WINDOW[len(grid)]
    before = side // 2 if shifted else 0
    margins = [(before, -(length + before) % side) for length in grid]
    flat = [amount for margin in reversed(margins) for amount in margin]

    def windows(t: Tensor) -> Tensor:
        """(B, heads, *grid, d) -> (B, windows, heads, tokens a window, d)."""
        padded = pad(t, [0, 0, *flat])
        blocks = padded.shape[2:-1]
        cut = padded.reshape(*padded.shape[:2], *(n for b in blocks for n in (b // side, side)), padded.shape[-1])
        outer, inner = range(2, 2 + 2 * len(blocks), 2), range(3, 3 + 2 * len(blocks), 2)
        ordered = cut.permute(0, *outer, 1, *inner, cut.ndim - 1)
        return ordered.flatten(2 + len(blocks), -2).flatten(1, len(blocks))

    def grids(t: Tensor) -> Tensor:
        """The way back."""
        counts = [(length + sum(margin)) // side for length, margin in zip(grid, margins, strict=True)]
        cut = t.unflatten(3, [side] * len(counts)).unflatten(1, counts)
        axes = range(len(counts))
        order = [a for i in axes for a in (1 + i, 2 + len(counts) + i)]
        whole = cut.permute(0, 1 + len(counts), *order, cut.ndim - 1)
        for i in axes:
            whole = whole.flatten(2 + i, 3 + i)
        inside = [slice(margin[0], margin[0] + length) for length, margin in zip(grid, margins, strict=True)]
        return whole[(slice(None), slice(None), *inside)]

    present = windows(q.new_ones(1, 1, *grid, 1))[..., 0] > 0
    # A window wholly in the padding may see all of itself: softmax stays defined, nothing reads the result.
    seen = (present | ~present.any(dim=-1, keepdim=True)).unsqueeze(-2)
    return grids(_attend(windows(q), windows(k), windows(v), seen))
