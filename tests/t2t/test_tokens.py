"""Soft splits and merges are what they say: linear maps of overlapping neighbourhoods."""

import pytest
import torch
from torch.nn.functional import fold, unfold

from augmentor.t2t.tokens import Block, SoftMerge, SoftSplit, Step, StyleNorm, TokenTransformer

SPLITS = [Step(8, 4, 2), Step(7, 4, 2), Step(4, 2, 1), Step(3, 2, 1), Step(3, 1, 1), Step(2, 2, 0)]
MERGES = [Step(8, 4, 2), Step(4, 2, 1), Step(4, 4, 0), Step(4, 2, 0), Step(16, 8, 4)]
GRIDS = [(8, 8), (5, 8), (12, 3)]


def output_size(grid: tuple[int, int], step: Step) -> tuple[int, int]:
    rows, columns = ((side - 1) * step.stride + step.kernel - 2 * step.padding for side in grid)
    return rows, columns


@pytest.mark.parametrize("step", SPLITS, ids=str)
@pytest.mark.parametrize("size", [(16, 16), (24, 16), (32, 8)])
@pytest.mark.parametrize("channels", [1, 3, 13])
def test_a_soft_split_is_unfold_and_one_linear(step: Step, size: tuple[int, int], channels: int) -> None:
    split = SoftSplit(channels, 5, step)
    x = torch.randn(2, channels, *size)
    neighbourhoods = unfold(x, step.kernel, padding=step.padding, stride=step.stride).transpose(1, 2)
    tokens = neighbourhoods @ split.weight.flatten(1).T + split.bias
    made = split(x)
    torch.testing.assert_close(made.flatten(2).transpose(1, 2), tokens, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("step", MERGES, ids=str)
@pytest.mark.parametrize("grid", GRIDS)
def test_a_soft_merge_is_one_linear_and_fold_over_the_overlap_count(step: Step, grid: tuple[int, int]) -> None:
    merge = SoftMerge(6, 3, step)
    torch.nn.init.normal_(merge.bias)
    x = torch.randn(2, 6, *grid)
    size = output_size(grid, step)
    spread = merge.spread.weight.flatten(1).T @ x.flatten(2)
    ones = torch.ones(1, step.kernel**2, grid[0] * grid[1])

    def folded(columns: torch.Tensor) -> torch.Tensor:
        return fold(columns, size, step.kernel, padding=step.padding, stride=step.stride)

    expected = folded(spread) / folded(ones) + merge.bias[:, None, None]
    torch.testing.assert_close(merge(x), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(merge.overlap(*grid), folded(ones))


@pytest.mark.parametrize("step", MERGES, ids=str)
@pytest.mark.parametrize("grid", GRIDS)
def test_merged_weights_are_a_partition_of_unity(step: Step, grid: tuple[int, int]) -> None:
    merge = SoftMerge(1, 1, step)
    torch.nn.init.ones_(merge.spread.weight)
    image = merge(torch.full((1, 1, *grid), 0.7))
    assert image.shape[2:] == output_size(grid, step)
    torch.testing.assert_close(image, torch.full_like(image, 0.7))


@pytest.mark.parametrize("step", [Step(8, 4, 2), Step(4, 2, 1)], ids=str)
def test_merging_commutes_with_moving_by_a_token(step: Step) -> None:
    merge = SoftMerge(4, 2, step)
    x = torch.zeros(1, 4, 9, 9)
    x[:, :, 3:5, 3:5] = torch.randn(1, 4, 2, 2)
    moved = torch.roll(x, (1, 2), (2, 3))
    expected = torch.roll(merge(x), (step.stride, 2 * step.stride), (2, 3))
    torch.testing.assert_close(merge(moved), expected)


@pytest.mark.parametrize("step", [Step(3, 2, 1), Step(7, 4, 2), Step(2, 4, 0)], ids=str)
def test_a_merge_that_would_checker_is_refused(step: Step) -> None:
    with pytest.raises(ValueError, match="not a multiple of its stride"):
        SoftMerge(4, 1, step)


@pytest.mark.parametrize("step", [Step(3, 2, 1), Step(8, 4, 2)], ids=str)
@pytest.mark.parametrize("size", [(32, 32), (16, 48)])
def test_token_fusion_skips_from_the_values(step: Step, size: tuple[int, int]) -> None:
    fusion = TokenTransformer(3, 8, step, normalise=False)
    for layer in (fusion.out, fusion.mlp[-1]):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(fusion(x), fusion.qkv(x)[:, 16:])


@pytest.mark.parametrize("normalise", [True, False])
def test_only_a_norm_makes_token_fusion_blind_to_intensity(normalise: bool) -> None:
    fusion = TokenTransformer(6, 8, Step(3, 2, 1), normalise=normalise)
    x = torch.randn(1, 6, 16, 16)
    blind = torch.allclose(fusion(x), fusion(x * 3 + 2), atol=1e-3)
    assert blind == normalise


@pytest.mark.parametrize("attend", [True, False])
@pytest.mark.parametrize("style", [0, 5])
@pytest.mark.parametrize("grid", [(4, 6), (20, 20)])
def test_a_fresh_zero_block_is_the_identity(attend: bool, style: int, grid: tuple[int, int]) -> None:
    x = torch.randn(2, 8, *grid)
    vector = torch.randn(2, style) if style else None
    assert torch.equal(Block(8, 2, attend=attend, style=style, zero=True)(x, vector), x)
    assert not torch.allclose(Block(8, 2, attend=attend, style=style)(x, vector), x)


def test_a_block_without_attention_keeps_tokens_apart() -> None:
    block = Block(8, 2, attend=False)
    x = torch.randn(1, 8, 4, 4)
    changed = x.clone()
    changed[0, :, 1, 2] += torch.randn(8)
    moved = (block(x) != block(changed)).any(dim=1)[0]
    assert moved.nonzero().tolist() == [[1, 2]]


def test_a_style_norm_is_a_token_norm_with_gain_and_shift() -> None:
    norm = StyleNorm(6, 4)
    x, style = torch.randn(3, 6, 5, 7), torch.randn(3, 4)
    gain, shift = norm.modulation(style).chunk(2, dim=1)
    plain = torch.nn.functional.layer_norm(x.movedim(1, -1), (6,)).movedim(-1, 1)
    torch.testing.assert_close(norm(x, style), plain * (1 + gain[:, :, None, None]) + shift[:, :, None, None])
