"""Soft splits and merges are what they say, in planes and volumes: linear maps of overlapping neighbourhoods."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from augmentor.t2t.tokens import (
    Block,
    ConvolutionMerge,
    ConvolutionStem,
    SoftMerge,
    Step,
    StyleNorm,
    TokenTransformer,
    soft_split,
)

SPLITS = [Step(8, 4, 2), Step(7, 4, 2), Step(4, 2, 1), Step(3, 2, 1), Step(3, 1, 1), Step(2, 2, 0)]
MERGES = [Step(8, 4, 2), Step(4, 2, 1), Step(4, 4, 0), Step(4, 2, 0), Step(16, 8, 4)]
SIZES = [(16, 16), (24, 16), (32, 8), (8, 16, 24), (16, 16, 16)]
GRIDS = [(8, 8), (5, 8), (12, 3), (3, 2, 4)]


def output_size(grid: tuple[int, ...], step: Step) -> tuple[int, ...]:
    return tuple((side - 1) * step.stride + step.kernel - 2 * step.padding for side in grid)


def neighbourhoods(x: Tensor, step: Step) -> Tensor:
    """What each new token is made of: (B, C, *image) -> (B, *grid, C · kernel^axes)."""
    axes = x.ndim - 2
    x = pad(x, [step.padding] * 2 * axes)
    for axis in range(2, 2 + axes):
        x = x.unfold(axis, step.kernel, step.stride)
    return x.movedim(1, 1 + axes).flatten(1 + axes)


def merged_by_loop(merge: SoftMerge, x: Tensor) -> tuple[Tensor, Tensor]:
    """Each token's Linear laid over its neighbourhood, one by one, and how many lie over each element."""
    step, grid = merge.step, x.shape[2:]
    full = [(side - 1) * step.stride + step.kernel for side in grid]
    canvas, cover = torch.zeros(len(x), merge.weight.shape[1], *full), torch.zeros(full)
    for place in product(*map(range, grid)):
        window = tuple(slice(p * step.stride, p * step.stride + step.kernel) for p in place)
        canvas[(..., *window)] += torch.tensordot(x[(..., *place)], merge.weight, dims=1)
        cover[window] += 1
    inside = (..., *(slice(step.padding, side - step.padding) for side in full))
    return canvas[inside] / cover[inside] + merge.bias.view(-1, *[1] * len(grid)), cover[inside]


@pytest.mark.parametrize("step", SPLITS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3, 13])
def test_a_soft_split_is_unfold_and_one_linear(step: Step, size: tuple[int, ...], channels: int) -> None:
    split = soft_split(channels, 5, step, len(size))
    x = torch.randn(2, channels, *size)
    tokens = neighbourhoods(x, step) @ split.weight.flatten(1).T + split.bias
    torch.testing.assert_close(split(x).movedim(1, -1), tokens, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("step", MERGES, ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("channels", [1, 3, 13])
def test_a_soft_merge_is_one_linear_and_fold_over_the_overlap_count(
    step: Step, grid: tuple[int, ...], channels: int
) -> None:
    merge = SoftMerge(6, channels, step, len(grid))
    nn.init.normal_(merge.bias)
    x = torch.randn(2, 6, *grid)
    with torch.no_grad():
        expected, cover = merged_by_loop(merge, x)
        made = merge(x)
    assert made.shape[2:] == output_size(grid, step)
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(merge.overlap(x.shape[2:]), cover)


@pytest.mark.parametrize("step", MERGES, ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_merged_weights_are_a_partition_of_unity(step: Step, grid: tuple[int, ...]) -> None:
    merge = SoftMerge(1, 1, step, len(grid))
    nn.init.ones_(merge.weight)
    image = merge(torch.full((1, 1, *grid), 0.7))
    torch.testing.assert_close(image, torch.full((1, 1, *output_size(grid, step)), 0.7))


@pytest.mark.parametrize("step", [Step(8, 4, 2), Step(4, 2, 1)], ids=str)
@pytest.mark.parametrize("moves", [(1, 2), (2, 0, 1)], ids=str)
def test_merging_commutes_with_moving_by_a_token(step: Step, moves: tuple[int, ...]) -> None:
    axes = tuple(range(2, 2 + len(moves)))
    merge = SoftMerge(4, 2, step, len(moves))
    x = torch.zeros(1, 4, *[8] * len(moves))
    x[(..., *[slice(3, 5)] * len(moves))] = torch.randn(1, 4, *[2] * len(moves))
    expected = torch.roll(merge(x), [step.stride * move for move in moves], axes)
    torch.testing.assert_close(merge(torch.roll(x, moves, axes)), expected)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("step", [Step(3, 2, 1), Step(7, 4, 2), Step(2, 4, 0)], ids=str)
def test_a_merge_that_would_checker_is_refused(step: Step, dims: int) -> None:
    with pytest.raises(ValueError, match="not a multiple of its stride"):
        SoftMerge(4, 1, step, dims)


@pytest.mark.parametrize("step", [Step(3, 2, 1), Step(8, 4, 2)], ids=str)
@pytest.mark.parametrize("size", [(32, 32), (16, 48), (8, 16, 16)], ids=str)
def test_token_fusion_skips_from_the_values(step: Step, size: tuple[int, ...]) -> None:
    fusion = TokenTransformer(3, 8, step, dims=len(size), normalise=False)
    for layer in (fusion.out, fusion.mlp[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(fusion(x), fusion.qkv(x)[:, 16:])


@pytest.mark.parametrize("size", [(16, 16), (8, 8, 8)], ids=str)
@pytest.mark.parametrize("normalise", [True, False])
def test_only_a_norm_makes_token_fusion_blind_to_intensity(normalise: bool, size: tuple[int, ...]) -> None:
    fusion = TokenTransformer(6, 8, Step(3, 2, 1), dims=len(size), normalise=normalise)
    x = torch.randn(1, 6, *size)
    blind = torch.allclose(fusion(x), fusion(x * 3 + 2), atol=1e-3)
    assert blind == normalise


@pytest.mark.parametrize("size", [(16, 24), (8, 8, 16)], ids=str)
@pytest.mark.parametrize("step", [Step(3, 2, 1), Step(4, 2, 1), Step(8, 4, 2)], ids=str)
def test_convolutions_stand_in_for_splits_and_merges(step: Step, size: tuple[int, ...]) -> None:
    x = torch.randn(2, 3, *size)
    stem = ConvolutionStem(3, 8, step, len(size))
    split = gelu(stem.split(x))
    assert split.shape == TokenTransformer(3, 8, step, dims=len(size), normalise=False)(x).shape
    torch.testing.assert_close(stem(x), split + gelu(stem.mix(split)))
    merge = ConvolutionMerge(3, 4, step, len(size))
    spread = x
    for axis in range(2, x.ndim):
        spread = spread.repeat_interleave(step.stride, dim=axis)
    first = merge.first(spread)
    torch.testing.assert_close(merge(x), first + merge.second(gelu(first)))
    if step.kernel % step.stride == 0:
        assert merge(x).shape == SoftMerge(3, 4, step, len(size))(x).shape


@pytest.mark.parametrize("attend", [True, False])
@pytest.mark.parametrize("style", [0, 5])
@pytest.mark.parametrize("grid", [(4, 6), (23, 24), (4, 3, 6), (9, 9, 9)], ids=str)
def test_a_fresh_zero_block_is_the_identity(attend: bool, style: int, grid: tuple[int, ...]) -> None:
    x = torch.randn(2, 8, *grid)
    vector = torch.randn(2, style) if style else None
    assert torch.equal(Block(8, 2, len(grid), attend=attend, style=style, zero=True)(x, vector), x)
    assert not torch.allclose(Block(8, 2, len(grid), attend=attend, style=style)(x, vector), x)


@pytest.mark.parametrize("place", [(1, 2), (1, 2, 0)], ids=str)
def test_a_block_without_attention_keeps_tokens_apart(place: tuple[int, ...]) -> None:
    block = Block(8, 2, len(place), attend=False)
    x = torch.randn(1, 8, *[4] * len(place))
    changed = x.clone()
    changed[(0, slice(None), *place)] += torch.randn(8)
    moved = (block(x) != block(changed)).any(dim=1)[0]
    assert moved.nonzero().tolist() == [list(place)]


@pytest.mark.parametrize("grid", [(5, 7), (2, 3, 4)], ids=str)
def test_a_style_norm_is_a_token_norm_with_gain_and_shift(grid: tuple[int, ...]) -> None:
    norm = StyleNorm(6, 4)
    x, style = torch.randn(3, 6, *grid), torch.randn(3, 4)
    gain, shift = norm.modulation(style).view(3, 12, *[1] * len(grid)).chunk(2, dim=1)
    plain = nn.functional.layer_norm(x.movedim(1, -1), (6,)).movedim(-1, 1)
    torch.testing.assert_close(norm(x, style), plain * (1 + gain) + shift)
