"""The discriminator judges every stage, sees intensity and spread, and can be differentiated twice."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from augmentor.t2t import attention
from augmentor.t2t.conditioning import ClassCondition, NumberCondition, encode
from augmentor.t2t.discriminator import Discriminator, minibatch_spread
from augmentor.t2t.presets import PRESETS, Fusion, Preset, Stage

FINDING = ClassCondition("finding", ("none", "effusion"))
AGE = NumberCondition("age", 20.0, 80.0)
SMALL = Preset((Stage(16, 1), Stage(8, 1)), 8, Stage(12, 1), heads=2)
THREE_STAGES = Preset((Stage(16, 1), Stage(8, 1), Stage(8, 1)), 8, Stage(16, 1), heads=2)

CASES = [
    (PRESETS["tiny"], 1, (32, 32), [(8, 8), (4, 4)]),
    (PRESETS["tiny"], 3, (64, 64), [(16, 16), (8, 8)]),
    (PRESETS["tiny"], 13, (32, 64), [(8, 16), (4, 8)]),
    (PRESETS["tiny"], 2, (128, 64), [(32, 16), (16, 8)]),
    (PRESETS["tiny"], 4, (128, 128), [(32, 32), (16, 16)]),
    (PRESETS["tiny"], 2, (16, 32, 32), [(4, 8, 8), (2, 4, 4)]),
    (PRESETS["small"], 1, (32, 32), [(8, 8), (4, 4)]),
    (PRESETS["small"], 3, (64, 96), [(16, 24), (8, 12)]),
    (THREE_STAGES, 1, (64, 64), [(16, 16), (8, 8), (4, 4)]),
    (THREE_STAGES, 1, (16, 32, 16), [(4, 8, 4), (2, 4, 2), (1, 2, 1)]),
    (replace(THREE_STAGES, encoder="patches"), 1, (64, 64), [(4, 4)]),
    (replace(THREE_STAGES, encoder="convolutions"), 1, (64, 64), [(16, 16), (8, 8), (4, 4)]),
]
TILES = [(16, 24), (16, 16, 16)]


def none(batch: int) -> Tensor:
    return torch.zeros(batch, 0)


def some_codes() -> Tensor:
    """Four samples of which each condition is known for some and not for others."""
    said = [{}, {"finding": "none"}, {"finding": "effusion", "age": "30"}, {"age": "75"}]
    return torch.stack([encode([FINDING, AGE], values) for values in said])


@pytest.mark.parametrize(("preset", "channels", "tile", "grids"), CASES)
def test_one_grid_of_token_logits_a_stage(
    preset: Preset, channels: int, tile: tuple[int, ...], grids: list[tuple[int, ...]]
) -> None:
    judge = Discriminator(channels, tile, preset)
    with torch.no_grad():
        logits = judge(torch.randn(4, channels, *tile), none(4), group=2)
    assert logits.image.shape == (4,)
    assert [t.shape for t in logits.tokens] == [(4, *grid) for grid in grids]
    assert all(part.isfinite().all() for part in (logits.image, *logits.tokens))


@pytest.mark.parametrize(("batch", "group"), [(8, 4), (8, 2), (4, 4), (6, 3)])
def test_fakes_never_change_the_logits_of_real_images(batch: int, group: int) -> None:
    judge = Discriminator(1, (32, 32), PRESETS["tiny"]).eval()
    real = torch.randn(batch, 1, 32, 32)
    fakes = [torch.randn(batch, 1, 32, 32), torch.zeros(batch, 1, 32, 32)]
    with torch.no_grad():
        first, second = (judge(torch.cat([real, fake]), none(2 * batch), group) for fake in fakes)
    assert torch.equal(first.image[:batch], second.image[:batch])
    assert all(torch.equal(a[:batch], b[:batch]) for a, b in zip(first.tokens, second.tokens, strict=True))
    assert not torch.equal(first.image[batch:], second.image[batch:])


@pytest.mark.parametrize("grid", [(4, 5), (2, 3, 4)], ids=str)
@pytest.mark.parametrize(("batch", "group"), [(8, 4), (6, 2), (4, 4), (4, 1)])
def test_spread_is_the_mean_deviation_of_each_group(batch: int, group: int, grid: tuple[int, ...]) -> None:
    x = torch.randn(batch, 3, *grid)
    spread = minibatch_spread(x, group)
    assert spread.shape == (batch, 1, *grid)
    for start in range(0, batch, group):
        expected = x[start : start + group].std(dim=0, unbiased=False).mean()
        torch.testing.assert_close(
            spread[start : start + group], expected.expand(group, 1, *grid), atol=2e-4, rtol=1e-4
        )


@pytest.mark.parametrize(("batch", "group"), [(6, 4), (3, 2), (2, 4)])
def test_a_broken_group_is_refused(batch: int, group: int) -> None:
    with pytest.raises(ValueError, match=f"batch of {batch} .* groups of {group}"):
        minibatch_spread(torch.randn(batch, 3, 4, 4), group)


def test_the_image_logit_sees_whether_a_group_is_all_alike() -> None:
    judge = Discriminator(1, (32, 32), PRESETS["tiny"]).eval()
    one = torch.randn(1, 1, 32, 32)
    varied = torch.cat([one, torch.randn(3, 1, 32, 32)])
    with torch.no_grad():
        alike, among = judge(one.expand(4, -1, -1, -1), none(4), 4), judge(varied, none(4), 4)
    assert abs(alike.image[0] - among.image[0]) > 1e-4
    torch.testing.assert_close(alike.tokens[-1][0], among.tokens[-1][0], atol=1e-5, rtol=1e-4)


def test_conditions_move_the_image_logit_alone() -> None:
    judge = Discriminator(1, (32, 32), PRESETS["tiny"], [FINDING]).eval()
    x = torch.randn(4, 1, 32, 32)
    codes = [encode([FINDING], {"finding": name}).expand(4, -1) for name in FINDING.classes]
    with torch.no_grad():
        a, b = (judge(x, code, 4) for code in codes)
    assert (a.image - b.image).abs().min() > 1e-5
    assert all(torch.equal(s, t) for s, t in zip(a.tokens, b.tokens, strict=True))


@pytest.mark.parametrize("change", [lambda x: x + 0.5, lambda x: x * 2], ids=["offset", "gain"])
def test_the_discriminator_is_not_blind_to_intensity(change) -> None:  # type: ignore[no-untyped-def]
    judge = Discriminator(1, (32, 32), PRESETS["tiny"]).eval()
    x = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        before, after = judge(x, none(4), 4), judge(change(x), none(4), 4)
    assert all((s - t).abs().mean() > 1e-3 for s, t in zip(before.tokens, after.tokens, strict=True))


@pytest.mark.parametrize("tile", TILES, ids=str)
def test_an_image_condition_is_judged_together_with_the_image(tile: tuple[int, ...]) -> None:
    judge = Discriminator(2, tile, SMALL, context=3).eval()
    x, context = torch.randn(4, 2, *tile), torch.randn(4, 3, *tile)
    with torch.no_grad():
        before, after = judge(x, none(4), 2, context), judge(x, none(4), 2, context.flip(0))
    assert (before.image - after.image).abs().min() > 1e-6
    assert all((s - t).abs().mean() > 1e-4 for s, t in zip(before.tokens, after.tokens, strict=True))


def test_hidden_bands_hide_detail_and_nothing_else() -> None:
    """Changed weights on hidden bands change no logit."""
    judge = Discriminator(2, (16, 24), SMALL, spectral=False).eval()
    x = torch.randn(4, 2, 16, 24)
    judge.bands.hide()
    with torch.no_grad():
        before = judge(x, none(4), 4)
        judge.encoder.fusions[0].qkv.weight[:, 2:] += 1
        after = judge(x, none(4), 4)
    assert torch.equal(before.image, after.image)
    assert all(torch.equal(s, t) for s, t in zip(before.tokens, after.tokens, strict=True))


@pytest.mark.parametrize("preset", [SMALL, replace(SMALL, encoder="convolutions"), replace(SMALL, encoder="patches")])
@pytest.mark.parametrize(("tile", "limit"), [((16, 24), 512), ((16, 24), 10), ((16, 16, 16), 512), ((16, 16, 16), 4)])
def test_double_backward_reaches_every_weight_and_agrees_with_finite_differences(
    tile: tuple[int, ...], limit: int, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "GLOBAL_LIMIT", limit)
    judge = Discriminator(1, tile, preset, [FINDING, AGE]).double().eval()
    x = torch.randn(4, 1, *tile, dtype=torch.float64, requires_grad=True)
    codes = some_codes().double()

    def squared_slope() -> Tensor:
        # Fused attention has no double backward.
        with sdpa_kernel(SDPBackend.MATH):
            logits = judge(x, codes, 2)
            total = logits.image.sum() + sum(t.sum() for t in logits.tokens)
            (gradient,) = torch.autograd.grad(total, x, create_graph=True)
        return gradient.square().sum()

    squared_slope().backward()
    weights = {n: p for n, p in judge.named_parameters() if p.ndim > 1 and "position" not in n}
    idle = [name for name, p in weights.items() if p.grad is None or not p.grad.any()]
    assert idle == []
    weight = next(p for name, p in weights.items() if name.startswith("encoder") and "original" in name)
    direction, step = torch.randn_like(weight), 1e-8  # small: LeakyReLU has kinks
    with torch.no_grad():
        weight.add_(step * direction)
    above = squared_slope().item()
    with torch.no_grad():
        weight.sub_(2 * step * direction)
    below = squared_slope().item()
    assert (above - below) / (2 * step) == pytest.approx((weight.grad * direction).sum().item(), rel=1e-3)


@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("fusion", ["tokens", "convolutions", "patches"])
@pytest.mark.parametrize("channels", [1, 3, 13])
@pytest.mark.parametrize("tile", TILES, ids=str)
def test_every_weight_of_the_discriminator_learns(
    tile: tuple[int, ...], channels: int, fusion: Fusion, context: int
) -> None:
    judge = Discriminator(channels, tile, replace(SMALL, encoder=fusion), [FINDING, AGE], context)
    seen = torch.randn(4, context, *tile) if context else None
    logits = judge(torch.randn(4, channels, *tile), some_codes(), 4, seen)
    loss = logits.image.square().sum() + sum(t.square().sum() for t in logits.tokens)
    loss.backward()
    assert [name for name, p in judge.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert all(p.grad.isfinite().all() for p in judge.parameters())
