"""Attention rollout, held against the product of the attention matrices themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from augmentor.scoring.rollout import rollout
from augmentor.t2t.attention import GridAttention
from augmentor.t2t.encoder import T2TEncoder
from augmentor.t2t.presets import PRESETS

TILES = [(32, 32), (128, 128), (16, 32, 32)]
"""With attention everywhere, in windows, and in volumes."""


def encoder(tile: tuple[int, ...]) -> T2TEncoder:
    torch.manual_seed(0)
    return T2TEncoder(2, tile, PRESETS["tiny"]).eval()


@pytest.mark.parametrize("tile", TILES)
def test_nothing_is_lost_or_negative_on_the_way_to_pixels(tile: tuple[int, ...]) -> None:
    network = encoder(tile)
    relevance = torch.rand(2, 1, *network.grid, generator=torch.Generator().manual_seed(1))
    found = rollout(network, torch.randn(2, 2, *tile), relevance)
    assert found.shape == (2, 1, *tile)
    assert found.min() >= 0
    torch.testing.assert_close(found.flatten(1).sum(dim=1), relevance.flatten(1).sum(dim=1))


def matrix(attention: GridAttention, qkv: Tensor) -> Tensor:
    """(N, N): how each token looks at each other one, the mean of all heads, by its definition."""
    width = qkv.shape[1] // 3
    scale = 2 * torch.sigmoid(attention.temperature) / (width // attention.heads) ** 0.5
    heads = []
    for head, (q, k) in enumerate(
        zip(qkv[0, :width].chunk(attention.heads), qkv[0, width : 2 * width].chunk(attention.heads), strict=True)
    ):
        q, k = (part.flatten(1).T for part in (q, k))
        q, k = (part * torch.rsqrt(part.square().mean(dim=1, keepdim=True) + 1e-6) for part in (q, k))
        heads.append((scale[head] * q @ k.T).softmax(dim=1))
    return torch.stack(heads).mean(dim=0)


def test_a_backbone_passes_on_what_its_matrices_do() -> None:
    network = encoder((32, 32))
    x, asked = torch.randn(1, 2, 32, 32), []
    hooks = [
        block.attention.register_forward_hook(lambda module, given, out: asked.append(matrix(module, given[0])))
        for block in network.blocks
    ]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    count = asked[0].shape[0]
    relevance = torch.rand(1, 1, *network.grid)
    wanted = relevance.flatten()
    for looks in reversed(asked):
        wanted = (0.5 * (looks + torch.eye(count))).T @ wanted
    # What a network without attention in its stages would make of the same tokens.
    plain = encoder((32, 32))
    plain.blocks = torch.nn.ModuleList()
    through = rollout(network, x, relevance)
    assert not torch.allclose(through, rollout(plain, x, relevance))
    torch.testing.assert_close(through, rollout(plain, x, wanted.view_as(relevance)), rtol=1e-4, atol=1e-6)
