"""Attention equals a plain loop over windows, and no token hears of another window or of one beyond its reach."""

from itertools import product
from math import inf, prod

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from augmentor.t2t import attention
from augmentor.t2t.attention import GLOBAL_LIMIT, NARROW, WINDOW, GridAttention, TokenNorm, near, set_reach
from augmentor.t2t.discriminator import Discriminator
from augmentor.t2t.presets import Preset, Stage

Place = tuple[int, ...]

GLOBAL = [(1, 1), (3, 5), (16, 32), (1, 1, 1), (2, 3, 4), (8, 8, 8)]
WINDOWED = [(32, 32), (24, 24), (23, 29), (8, 65), (3, 200), (69, 8), (8, 8, 12), (9, 9, 9), (5, 11, 13), (3, 2, 100)]
SMALL = [(5, 7), (1, 9), (3, 4, 5)]


def normalised(x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=0) + 1e-6).sqrt()


def window_of(place: Place, grid: Place, shifted: bool) -> list[Place]:
    """The tokens that share a window with one, itself among them."""
    side = WINDOW[len(grid)] if prod(grid) > GLOBAL_LIMIT else 10**6
    shift = side // 2 if shifted and prod(grid) > GLOBAL_LIMIT else 0
    axes = [
        [a for a in range(n) if (a + shift) // side == (p + shift) // side] for n, p in zip(grid, place, strict=True)
    ]
    return list(product(*axes))


def ball(place: Place, grid: Place, reach: float) -> list[Place]:
    """The tokens within reach of one along every axis."""
    return list(product(*([a for a in range(n) if abs(a - p) <= reach] for n, p in zip(grid, place, strict=True))))


def by_loop(qkv: Tensor, module: GridAttention, places: list[Place], reach: float = inf) -> Tensor:
    """softmax(q·k)·v of some tokens of one sample, token by token and head by head: (places, width)."""
    queries, keys, values = qkv[0].chunk(3)
    size = len(queries) // module.heads
    grid = tuple(qkv.shape[2:])
    straight = (module.heads + 1) // 2
    found = []
    for place in places:
        parts = []
        for head in range(module.heads):
            own = slice(head * size, (head + 1) * size)
            seen = [p for p in window_of(place, grid, head >= straight) if p in ball(place, grid, reach)]
            index = (slice(None), *torch.tensor(seen).T)
            scale = 2 * torch.sigmoid(module.temperature[head]) / size**0.5
            logits = (normalised(queries[own][:, *place]) * scale) @ normalised(keys[own][index])
            parts.append(values[own][index] @ logits.softmax(0))
        found.append(torch.cat(parts))
    return torch.stack(found)


def some_places(grid: Place) -> list[Place]:
    """Corners, the middle, and tokens near the borders of windows."""
    shares = [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 1.0, 0.4), (0.5, 0.5, 0.5), (0.3, 0.1, 0.9)]
    return [tuple(int(s * (n - 1)) for s, n in zip(at, grid, strict=False)) for at in shares]


@pytest.mark.parametrize("grid", SMALL + WINDOWED[:1], ids=str)
def test_among_sums_in_bfloat16_a_cpu_attends_as_precisely_as_the_tokens_are(grid: Place) -> None:
    module = GridAttention(8, 2)
    qkv = torch.randn(1, 24, *grid)
    with torch.no_grad():
        wanted = module(qkv)
        with torch.autocast("cpu", torch.bfloat16):
            found = module(qkv)
            short = module(qkv.bfloat16())
    assert found.equal(wanted)
    torch.testing.assert_close(short.float(), wanted, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("grid", GLOBAL + WINDOWED, ids=str)
def test_attention_is_a_loop_over_windows(grid: Place, heads: int) -> None:
    module = GridAttention(4 * heads, heads)
    torch.nn.init.normal_(module.temperature)
    qkv = torch.randn(1, 12 * heads, *grid)
    places = some_places(grid)
    with torch.no_grad():
        made = module(qkv)
        assert made.shape == (1, 4 * heads, *grid)
        chosen = torch.stack([made[0][:, *place] for place in places])
        torch.testing.assert_close(chosen, by_loop(qkv, module, places), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("grid", WINDOWED, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_token_changes_the_tokens_of_its_windows_alone(grid: Place, share: float) -> None:
    place = tuple(int(share * (n - 1)) for n in grid)
    module = GridAttention(8, 2)
    qkv = torch.randn(1, 24, *grid)
    changed = qkv.clone()
    changed[0][:, *place] += 3 * torch.randn(24)
    with torch.no_grad():
        differs = module(qkv)[0] != module(changed)[0]
    for head in range(2):
        touched = {tuple(p) for p in differs[4 * head : 4 * head + 4].any(dim=0).nonzero().tolist()}
        expected = set(window_of(place, grid, head == 1))
        assert touched <= expected
        assert len(touched) > 0.9 * len(expected)


@pytest.mark.parametrize("grid", [(4, 4), (23, 29), (2, 3, 4), (9, 9, 9)], ids=str)
def test_a_window_of_equal_values_gives_that_value(grid: Place) -> None:
    module = GridAttention(8, 2)
    qkv = torch.randn(2, 24, *grid)
    qkv[:, 16:] = torch.arange(8.0).view(8, *[1] * len(grid))
    torch.testing.assert_close(module(qkv), qkv[:, 16:])


@pytest.mark.parametrize("grid", [(4, 4), (23, 29), (9, 9, 9)], ids=str)
@pytest.mark.parametrize("factor", [0.1, 1e3])
def test_logits_stay_bounded_however_queries_and_keys_grow(grid: Place, factor: float) -> None:
    module = GridAttention(8, 2)
    qkv = torch.randn(1, 24, *grid)
    grown = qkv.clone()
    grown[:, :16] *= factor
    torch.testing.assert_close(module(grown), module(qkv), atol=1e-3, rtol=1e-3)


def test_some_tokens_are_always_near() -> None:
    """However small the reach, a token sees its neighbours."""
    assert torch.equal(near(torch.Size((9, 9)), 0.0), near(torch.Size((9, 9)), NARROW / 9))


@pytest.mark.parametrize("reach", [2, 2.5, 3])
@pytest.mark.parametrize("grid", SMALL, ids=str)
def test_near_tokens_are_those_within_reach_along_every_axis(grid: Place, reach: float) -> None:
    seen = near(torch.Size(grid), reach / max(grid))
    places = list(product(*map(range, grid)))
    expected = [[b in ball(a, grid, reach) for b in places] for a in places]
    assert (torch.ones(len(places), len(places)) > 0 if seen is None else seen).tolist() == expected


@pytest.mark.parametrize("reach", [2, 2.5, 3])
@pytest.mark.parametrize("grid", SMALL, ids=str)
def test_attention_with_a_reach_is_a_loop_over_what_is_near(grid: Place, reach: float) -> None:
    module = GridAttention(6, 2)
    set_reach(module, reach / max(grid))
    qkv = torch.randn(1, 18, *grid)
    places = some_places(grid)
    with torch.no_grad():
        chosen = torch.stack([module(qkv)[0][:, *place] for place in places])
        torch.testing.assert_close(chosen, by_loop(qkv, module, places, reach), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reach", [2, 3])
@pytest.mark.parametrize("grid", SMALL, ids=str)
def test_a_token_does_not_depend_on_tokens_beyond_its_reach(grid: Place, reach: int) -> None:
    module = GridAttention(6, 2)
    set_reach(module, reach / max(grid))
    place = tuple(n // 2 for n in grid)
    qkv = torch.randn(1, 18, *grid)
    changed = qkv.clone()
    changed[0][:, *place] += 3 * torch.randn(18)
    with torch.no_grad():
        differs = (module(qkv) != module(changed))[0].any(dim=0)
    assert {tuple(p) for p in differs.nonzero().tolist()} == set(ball(place, grid, reach))


@pytest.mark.parametrize("grid", [*SMALL, (9, 9, 9)], ids=str)
@pytest.mark.parametrize("longer", [-1, 0, 1])
def test_a_reach_across_the_grid_is_no_limit(grid: Place, longer: float) -> None:
    free, bounded = GridAttention(6, 2), GridAttention(6, 2)
    set_reach(bounded, (max(grid) + longer) / max(grid))
    assert near(torch.Size(grid), bounded.reach) is None
    qkv = torch.randn(2, 18, *grid)
    assert torch.equal(free(qkv), bounded(qkv))


def test_a_reach_is_set_in_every_attention_of_a_network_and_travels_with_its_state() -> None:
    preset = Preset((Stage(8, 1), Stage(8, 1)), 8, Stage(8, 2), heads=2)
    judge, other = Discriminator(1, (16, 16), preset), Discriminator(1, (16, 16), preset)
    set_reach(judge, 0.5)
    other.load_state_dict(judge.state_dict())
    for network in (judge, other):
        assert {m.reach for m in network.modules() if isinstance(m, GridAttention)} == {0.5}


@pytest.mark.parametrize("grid", [(2, 3), (2, 1, 2)], ids=str)
@pytest.mark.parametrize("case", ["global", "windows", "near"])
def test_attention_has_a_double_backward(case: str, grid: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "GLOBAL_LIMIT", 0 if case == "windows" else GLOBAL_LIMIT)
    module = GridAttention(4, 2).double()
    set_reach(module, 0 if case == "near" else 1)
    qkv = torch.randn(1, 12, *grid, dtype=torch.float64, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH):
        assert torch.autograd.gradgradcheck(module, (qkv,), atol=1e-4)


@pytest.mark.parametrize(("width", "heads"), [(6, 4), (5, 2)])
def test_a_width_that_heads_do_not_divide_is_refused(width: int, heads: int) -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        GridAttention(width, heads)


@pytest.mark.parametrize("grid", [(3, 4), (2, 3, 2)], ids=str)
def test_a_token_norm_is_a_layer_norm_token_by_token(grid: Place) -> None:
    norm = TokenNorm(6)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 6, *grid)
    made = norm(x)
    for place in product(*map(range, grid)):
        at = (slice(None), slice(None), *place)
        expected = torch.nn.functional.layer_norm(x[at], (6,), norm.weight, norm.bias)
        torch.testing.assert_close(made[at], expected)
