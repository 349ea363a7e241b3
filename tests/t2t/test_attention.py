"""Attention equals a plain loop over windows, and no token hears of another window."""

import pytest
import torch
from torch import Tensor

from augmentor.t2t import attention
from augmentor.t2t.attention import GLOBAL_LIMIT, WINDOW, GridAttention, TokenNorm

GLOBAL = [(1, 1), (3, 5), (16, 16), (8, 32)]
WINDOWED = [(32, 32), (24, 16), (17, 19), (8, 40), (3, 100), (41, 8)]


def normalised(x: Tensor) -> Tensor:
    return x / (x.square().mean() + 1e-6).sqrt()


def window_of(row: int, column: int, grid: tuple[int, int], shift: int) -> list[tuple[int, int]]:
    """The tokens that share a window with one, itself among them."""
    if grid[0] * grid[1] <= GLOBAL_LIMIT:
        return [(r, c) for r in range(grid[0]) for c in range(grid[1])]
    return [
        (r, c)
        for r in range(grid[0])
        for c in range(grid[1])
        if (r + shift) // WINDOW == (row + shift) // WINDOW and (c + shift) // WINDOW == (column + shift) // WINDOW
    ]


def by_loop(qkv: Tensor, module: GridAttention, places: list[tuple[int, int]]) -> Tensor:
    """The attention of some tokens of one sample, token by token and head by head: (places, width)."""
    queries, keys, values = qkv[0].chunk(3)
    size = len(queries) // module.heads
    grid = (qkv.shape[2], qkv.shape[3])
    straight = (module.heads + 1) // 2
    found = []
    for row, column in places:
        parts = []
        for head in range(module.heads):
            own = slice(head * size, (head + 1) * size)
            scale = 2 * torch.sigmoid(module.temperature[head]) / size**0.5
            near = window_of(row, column, grid, 0 if head < straight else WINDOW // 2)
            query = normalised(queries[own, row, column]) * scale
            logits = torch.stack([query @ normalised(keys[own, r, c]) for r, c in near])
            seen = torch.stack([values[own, r, c] for r, c in near])
            parts.append(logits.softmax(0) @ seen)
        found.append(torch.cat(parts))
    return torch.stack(found)


@pytest.mark.parametrize("grid", GLOBAL + WINDOWED)
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_attention_is_a_loop_over_windows(grid: tuple[int, int], heads: int) -> None:
    module = GridAttention(6 * heads, heads)
    torch.nn.init.normal_(module.temperature)
    qkv = torch.randn(1, 18 * heads, *grid)
    corners = [(0, 0), (grid[0] - 1, grid[1] - 1), (0, grid[1] - 1)]
    inner = [(grid[0] // 2, grid[1] // 2), (min(4, grid[0] - 1), min(3, grid[1] - 1)), (grid[0] // 3, grid[1] - 1)]
    places = corners + inner
    with torch.no_grad():
        made = torch.stack([module(qkv)[0, :, r, c] for r, c in places])
        torch.testing.assert_close(made, by_loop(qkv, module, places), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("grid", WINDOWED)
@pytest.mark.parametrize("place", [(0, 0), (2, 7), (-1, -1), (1, 4)])
def test_a_token_changes_the_tokens_of_its_windows_alone(grid: tuple[int, int], place: tuple[int, int]) -> None:
    row, column = place[0] % grid[0], place[1] % grid[1]
    module = GridAttention(8, 2)
    qkv = torch.randn(1, 24, *grid)
    changed = qkv.clone()
    changed[0, :, row, column] += 3 * torch.randn(24)
    with torch.no_grad():
        differs = module(qkv)[0] != module(changed)[0]
    for head, shift in enumerate((0, WINDOW // 2)):
        touched = {tuple(p) for p in differs[4 * head : 4 * head + 4].any(dim=0).nonzero().tolist()}
        near = set(window_of(row, column, grid, shift))
        assert touched <= near
        assert len(touched) > 0.9 * len(near)


@pytest.mark.parametrize("grid", [(4, 4), (17, 19)])
def test_a_window_of_equal_values_gives_that_value(grid: tuple[int, int]) -> None:
    module = GridAttention(8, 2)
    qkv = torch.randn(2, 24, *grid)
    qkv[:, 16:] = torch.arange(8.0)[:, None, None]
    torch.testing.assert_close(module(qkv), qkv[:, 16:])


@pytest.mark.parametrize("grid", [(4, 4), (17, 19)])
@pytest.mark.parametrize("factor", [0.1, 1e3])
def test_logits_stay_bounded_however_queries_and_keys_grow(grid: tuple[int, int], factor: float) -> None:
    module = GridAttention(8, 2)
    qkv = torch.randn(1, 24, *grid)
    grown = qkv.clone()
    grown[:, :16] *= factor
    torch.testing.assert_close(module(grown), module(qkv), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("limit", [GLOBAL_LIMIT, 0], ids=["global", "windows"])
def test_attention_has_a_double_backward(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "GLOBAL_LIMIT", limit)
    module = GridAttention(4, 2).double()
    qkv = torch.randn(1, 12, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(module, (qkv,), atol=1e-4)


@pytest.mark.parametrize(("width", "heads"), [(6, 4), (5, 2)])
def test_a_width_that_heads_do_not_divide_is_refused(width: int, heads: int) -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        GridAttention(width, heads)


def test_a_token_norm_is_a_layer_norm_token_by_token() -> None:
    norm = TokenNorm(6)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 6, 3, 4)
    made = norm(x)
    for row in range(3):
        for column in range(4):
            expected = torch.nn.functional.layer_norm(x[:, :, row, column], (6,), norm.weight, norm.bias)
            torch.testing.assert_close(made[:, :, row, column], expected)
