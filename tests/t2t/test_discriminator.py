"""The discriminator judges every stage, sees intensity and spread, and can be differentiated twice."""

import pytest
import torch
from torch import Tensor, nn

from augmentor.t2t.conditioning import ClassCondition
from augmentor.t2t.discriminator import Discriminator, minibatch_spread
from augmentor.t2t.presets import PRESETS, Preset, Stage

FINDING = ClassCondition("finding", ("none", "effusion"))
THREE_STAGES = Preset((Stage(16, 1), Stage(8, 1), Stage(8, 1)), 8, Stage(16, 1), heads=2)

CASES = [
    (PRESETS["tiny"], 1, (32, 32), [(16, 16), (8, 8)]),
    (PRESETS["tiny"], 3, (64, 64), [(16, 16), (8, 8)]),
    (PRESETS["tiny"], 13, (32, 64), [(16, 32), (8, 16)]),
    (PRESETS["tiny"], 2, (128, 64), [(32, 16), (16, 8)]),
    (PRESETS["tiny"], 4, (128, 128), [(32, 32), (16, 16)]),
    (PRESETS["small"], 1, (32, 32), [(16, 16), (8, 8)]),
    (PRESETS["small"], 3, (64, 96), [(16, 24), (8, 12)]),
    (THREE_STAGES, 1, (64, 64), [(16, 16), (8, 8), (4, 4)]),
]


def none(batch: int) -> Tensor:
    return torch.zeros(batch, 0, dtype=torch.long)


@pytest.mark.parametrize(("preset", "channels", "tile", "grids"), CASES)
def test_one_grid_of_token_logits_a_stage(
    preset: Preset, channels: int, tile: tuple[int, int], grids: list[tuple[int, int]]
) -> None:
    judge = Discriminator(channels, tile, preset)
    with torch.no_grad():
        logits = judge(torch.randn(4, channels, *tile), none(4), group=2)
    assert logits.image.shape == (4,)
    assert [t.shape for t in logits.tokens] == [(4, *grid) for grid in grids]
    assert len(logits.tokens) == len(preset.stages)
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


@pytest.mark.parametrize(("batch", "group"), [(8, 4), (6, 2), (4, 4), (4, 1)])
def test_spread_is_the_mean_deviation_of_each_group(batch: int, group: int) -> None:
    x = torch.randn(batch, 3, 4, 5)
    spread = minibatch_spread(x, group)
    assert spread.shape == (batch, 1, 4, 5)
    for start in range(0, batch, group):
        expected = x[start : start + group].std(dim=0, unbiased=False).mean()
        torch.testing.assert_close(spread[start : start + group], expected.expand(group, 1, 4, 5), atol=2e-4, rtol=1e-4)


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
    with torch.no_grad():
        a, b = (judge(x, torch.full((4, 1), index), 4) for index in (1, 2))
    assert (a.image - b.image).abs().min() > 1e-5
    assert all(torch.equal(s, t) for s, t in zip(a.tokens, b.tokens, strict=True))


@pytest.mark.parametrize("change", [lambda x: x + 0.5, lambda x: x * 2], ids=["offset", "gain"])
def test_the_discriminator_is_not_blind_to_intensity(change) -> None:  # type: ignore[no-untyped-def]
    judge = Discriminator(1, (32, 32), PRESETS["tiny"]).eval()
    x = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        before, after = judge(x, none(4), 4), judge(change(x), none(4), 4)
    assert all((s - t).abs().mean() > 1e-3 for s, t in zip(before.tokens, after.tokens, strict=True))


@pytest.mark.parametrize("tile", [(32, 32), (128, 128)], ids=["global", "windows"])
def test_double_backward_reaches_every_weight_and_agrees_with_finite_differences(tile: tuple[int, int]) -> None:
    judge = Discriminator(1, tile, PRESETS["tiny"], [FINDING]).double().eval()
    x = torch.randn(2, 1, *tile, dtype=torch.float64, requires_grad=True)
    conditions = torch.tensor([[1], [2]])

    def squared_slope() -> Tensor:
        logits = judge(x, conditions, 2)
        total = logits.image.sum() + sum(t.sum() for t in logits.tokens)
        (gradient,) = torch.autograd.grad(total, x, create_graph=True)
        return gradient.square().sum()

    squared_slope().backward()
    weights = {n: p for n, p in judge.named_parameters() if p.ndim > 1 and "position" not in n}
    idle = [name for name, p in weights.items() if p.grad is None or not p.grad.any()]
    assert idle == []
    weight = judge.encoder.fusions[0].qkv.parametrizations.weight.original
    direction, step = torch.randn_like(weight), 1e-8  # small: LeakyReLU has kinks
    with torch.no_grad():
        weight.add_(step * direction)
    above = squared_slope().item()
    with torch.no_grad():
        weight.sub_(2 * step * direction)
    below = squared_slope().item()
    assert (above - below) / (2 * step) == pytest.approx((weight.grad * direction).sum().item(), rel=1e-3)


def test_every_weight_of_the_discriminator_learns() -> None:
    judge = Discriminator(2, (32, 32), PRESETS["tiny"], [FINDING])
    logits = judge(torch.randn(4, 2, 32, 32), torch.tensor([[0], [1], [2], [1]]), 4)
    loss = logits.image.square().sum() + sum(t.square().sum() for t in logits.tokens)
    nn.Module.zero_grad(judge)
    loss.backward()
    idle = [name for name, p in judge.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
