"""Attention rollout over the T2T stages: which pixels a network's last tokens were made from."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from augmentor.t2t.attention import GridAttention
from augmentor.t2t.encoder import T2TEncoder
from augmentor.t2t.tokens import Block, TokenTransformer


def rollout(encoder: T2TEncoder, x: Tensor, relevance: Tensor) -> Tensor:
    """How much each pixel of (B, C, *tile) counts for the last tokens, which count (B, 1, *grid): (B, 1, *tile).

    Each attention passes on half of what its tokens count to the tokens that they look at, averaged over heads, and
    half to themselves (Abnar and Zuidema 2020, "Quantifying attention flow in transformers"); a soft split passes it on
    in equal parts to all that it reads. Nothing is lost on the way: the sum over pixels is that over tokens.
    """
    attentions: dict[nn.Module, Tensor] = {}

    def remember(module: nn.Module, given: tuple[Any, ...], out: Tensor) -> None:
        attentions[module] = given[0].detach()

    hooks = [m.register_forward_hook(remember) for m in encoder.modules() if isinstance(m, GridAttention)]
    try:
        with torch.no_grad():
            grids = encoder(x)
    finally:
        for hook in hooks:
            hook.remove()
    for block in reversed(encoder.blocks):
        attention = cast(Block, block).attention
        relevance = _through_attention(attention, attentions[attention], relevance)
    finer = [x, *grids[:-1]]
    relevance = _through_split(encoder.project, finer[-1].shape[2:], relevance)
    for fusion, before in zip(reversed(encoder.fusions), reversed(finer[:-1]), strict=True):
        if isinstance(fusion, TokenTransformer):
            relevance = _through_attention(fusion.attention, attentions[fusion.attention], relevance)
        split = fusion.qkv if isinstance(fusion, TokenTransformer) else fusion.split
        relevance = _through_split(split, before.shape[2:], relevance)
    return relevance


def _through_attention(attention: GridAttention, qkv: Tensor, relevance: Tensor) -> Tensor:
    """Half of what tokens count stays theirs, half goes where they look.

    Attention is linear in its values, so that its transpose is a gradient by them: windows, shifts and reach as they
    are.
    """
    width = qkv.shape[1] // 3
    with torch.enable_grad():
        values = torch.zeros_like(qkv[:, :width]).requires_grad_()
        looked = attention(torch.cat([qkv[:, : 2 * width], values], dim=1))
        # A head passes on the same whichever of its numbers is asked.
        (passed,) = torch.autograd.grad((looked * relevance).sum(), values)
    return 0.5 * relevance + 0.5 * passed.mean(dim=1, keepdim=True)


def _through_split(split: Any, finer: torch.Size, relevance: Tensor) -> Tensor:
    """In equal parts to all that a soft split reads and that lies in the grid: a fold."""
    dims = len(finer)
    kernel = torch.ones(1, 1, *split.kernel_size)
    convolve = {2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}[dims]
    with torch.enable_grad():
        ground = torch.ones(1, 1, *finer, requires_grad=True)
        read = convolve(ground, kernel, stride=split.stride, padding=split.padding)
        shared = (relevance / read.detach()).sum(dim=1, keepdim=True)
        spread = [torch.autograd.grad((read * one).sum(), ground, retain_graph=True)[0] for one in shared.split(1)]
    return torch.cat(spread)
