"""Gradient penalties: exact against closed forms, approximate against exact, and a strength that follows the game."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from augmentor.adversary.penalties import AdaptivePenalty, approximate, exact, strength, verdict
from augmentor.t2t import attention
from augmentor.t2t.conditioning import ClassCondition
from augmentor.t2t.discriminator import Discriminator, Logits
from augmentor.t2t.presets import Preset, Stage

SHAPE = (4, 2, 6, 5)
PRESET = Preset((Stage(16, 1), Stage(8, 1)), 8, Stage(16, 1), heads=2)
FINDING = ClassCondition("finding", ("none", "effusion"))

JUDGES = [
    pytest.param((16, 24), 512, id="plane"),
    pytest.param((16, 24), 10, id="plane in windows"),
    pytest.param((16, 16, 16), 512, id="volume"),
]


class Linear:
    """A judge that is linear in the image; the gradient of its verdict is ``slope``."""

    def __init__(self) -> None:
        self.image = torch.randn(SHAPE[1:])
        self.stages = [torch.randn(3, *SHAPE[1:]), torch.randn(1, *SHAPE[1:])]
        self.slope = self.image + sum(stage.mean(dim=0) for stage in self.stages) / 2

    def __call__(self, x: Tensor) -> Logits:
        tokens = [torch.einsum("bchw,tchw->bt", x, stage)[:, :, None] for stage in self.stages]
        return Logits((x * self.image).sum(dim=(1, 2, 3)), tokens)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 7.0])
def test_the_exact_penalty_of_a_linear_judge_is_the_norm_of_its_slope(gamma: float) -> None:
    judge = Linear()
    expected = gamma / 2 * judge.slope.square().sum()
    torch.testing.assert_close(exact(judge, torch.randn(SHAPE), gamma), expected)


def test_the_exact_penalty_of_a_square_grows_with_the_image() -> None:
    def judge(x: Tensor) -> Logits:
        return Logits(x.square().sum(dim=(1, 2, 3)) / 2, [torch.zeros(len(x), 1, 1)])

    x = torch.randn(SHAPE)
    torch.testing.assert_close(exact(judge, x, 2.0), x.square().sum(dim=(1, 2, 3)).mean())


def test_the_approximate_penalty_is_the_square_of_the_slope_along_the_noise() -> None:
    judge, x, noise = Linear(), torch.randn(SHAPE), torch.randn(SHAPE)
    along = (noise * judge.slope).sum(dim=(1, 2, 3))
    made = approximate(judge(x), judge, x, 3.0, noise)
    torch.testing.assert_close(made, 1.5 * along.square().mean(), rtol=1e-2, atol=1e-3)


def test_the_approximate_penalty_of_a_linear_judge_is_right_on_average() -> None:
    judge, x = Linear(), torch.randn(SHAPE)
    drawn = [approximate(judge(x), judge, x, 1.0, torch.randn(SHAPE)).item() for _ in range(2_000)]
    # Each is a mean of four squared normals: relative deviation sqrt(2 / 4), over 2,000 draws 1.6 %.
    assert sum(drawn) / len(drawn) == pytest.approx(exact(judge, x, 1.0).item(), rel=0.06)


def real_judge(tile: tuple[int, ...], batch: int = 8) -> tuple[Discriminator, Tensor]:
    """The discriminator at rest, and images whose detail its bands were fitted to."""
    network = Discriminator(1, tile, PRESET, [FINDING]).eval()
    x = torch.randn(batch, 1, *tile)
    network.bands.fit(x)
    return network, x


def bound(network: Discriminator):  # type: ignore[no-untyped-def]
    """The discriminator as penalties see it: images alone."""
    return lambda x: network(x, torch.tensor([1.0, 0, 1]).expand(len(x), -1), 4)


@pytest.mark.parametrize(("tile", "limit"), JUDGES)
def test_the_exact_penalty_of_the_discriminator_is_its_gradient_squared(
    tile: tuple[int, ...], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "GLOBAL_LIMIT", limit)
    network, x = real_judge(tile)
    judge = bound(network)
    leaf = x.clone().requires_grad_()
    logits = judge(leaf)
    total = logits.image.sum() + sum(t.flatten(1).mean(dim=1).sum() for t in logits.tokens) / len(logits.tokens)
    # A single backward goes through whichever fused attention this machine has.
    (gradient,) = torch.autograd.grad(total, leaf)
    expected = 3.0 / 2 * gradient.flatten(1).norm(dim=1).square().mean()
    assert expected > 0
    torch.testing.assert_close(exact(judge, x, 3.0), expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize(("tile", "limit"), JUDGES)
def test_the_approximate_penalty_of_the_discriminator_agrees_with_the_exact_one(
    tile: tuple[int, ...], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "GLOBAL_LIMIT", limit)
    network, x = real_judge(tile, batch=16)
    judge = bound(network)
    with torch.no_grad():
        drawn = [approximate(judge(x), judge, x, 1.0, torch.randn_like(x)).item() for _ in range(30)]
    assert sum(drawn) / len(drawn) == pytest.approx(exact(judge, x, 1.0).item(), rel=0.2)


@pytest.mark.parametrize(("tile", "limit"), JUDGES)
@pytest.mark.parametrize("kind", ["exact", "approximate"])
def test_a_penalty_teaches_the_judge_to_be_flatter(
    kind: str, tile: tuple[int, ...], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "GLOBAL_LIMIT", limit)
    network, x = real_judge(tile)
    judge, noise = bound(network), torch.randn_like(x)

    def penalty() -> Tensor:
        return exact(judge, x, 1.0) if kind == "exact" else approximate(judge(x), judge, x, 1.0, noise)

    before = penalty()
    before.backward()
    slopes = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert all(g.isfinite().all() for g in slopes.values())
    # Queries, keys and values are reached through attention alone.
    assert all(slopes[name].any() for name in slopes if "qkv" in name and "weight" in name)
    size = sum(g.square().sum() for g in slopes.values()).sqrt()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.01 * parameter.grad / size)
    assert penalty() < before


def test_the_penalty_leaves_the_image_that_it_was_given_alone() -> None:
    x = torch.randn(SHAPE)
    exact(Linear(), x, 1.0)
    assert not x.requires_grad


def test_a_verdict_is_the_image_logit_and_the_mean_of_the_stages() -> None:
    logits = Logits(torch.tensor([1.0, 2]), [torch.full((2, 4, 4), 3.0), torch.tensor([[[5.0]], [[7.0]]])])
    assert verdict(logits).tolist() == [1 + (3 + 5) / 2, 2 + (3 + 7) / 2]
    assert verdict(logits._replace(tokens=[])).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("tile", "channels", "gamma"),
    [
        ((32, 32), 3, 0.1),
        ((64, 64), 3, 0.4),
        ((32, 64), 3, 0.2),
        ((16, 32, 64), 3, 3.2),
        ((32, 32), 1, 0.1 / 3),
        ((64, 64), 12, 1.6),
    ],
)
def test_strength_follows_pixels_and_channels(tile: tuple[int, int], channels: int, gamma: float) -> None:
    assert strength(0.1, tile, channels) == pytest.approx(gamma)


def pushed(penalty: AdaptivePenalty, told_apart: float, times: int) -> float:
    """The factor after steps in which a part of the pairs was told apart."""
    for _ in range(times):
        penalty.observe((torch.arange(100) < 100 * told_apart).float(), torch.full((100,), 0.5))
    return penalty.factor


@pytest.mark.parametrize(
    ("told_apart", "moves"),
    [(1.0, 1), (0.95, 1), (0.8, 0), (0.7, 0), (0.6, -1), (0.5, -1), (0.0, -1)],
)
def test_a_judge_that_wins_is_held_harder_and_one_that_loses_is_let_go(told_apart: float, moves: int) -> None:
    penalty = AdaptivePenalty(3.0)
    assert penalty.gamma == 3.0
    factors = [pushed(penalty, told_apart, 50) for _ in range(4)]
    assert all((late > early) - (late < early) == moves for early, late in pairwise(factors[1:]))
    assert (factors[-1] > 1) - (factors[-1] < 1) == moves
    assert penalty.gamma == pytest.approx(3.0 * factors[-1])
    pushed(penalty, told_apart, 200)
    assert penalty.outranked == pytest.approx(told_apart, abs=0.01)


BOUNDS = (AdaptivePenalty.LEAST, AdaptivePenalty.MOST)


@pytest.mark.parametrize(("told_apart", "bounds"), [(0.0, BOUNDS), (1.0, BOUNDS[::-1])])
def test_the_penalty_stays_within_its_bounds_and_finds_back(told_apart: float, bounds: tuple[float, float]) -> None:
    penalty = AdaptivePenalty(1.0)
    assert pushed(penalty, told_apart, 800) == pytest.approx(bounds[0])
    assert pushed(penalty, 1 - told_apart, 800) == pytest.approx(bounds[1])


def test_one_step_moves_the_penalty_by_little() -> None:
    """A single batch, of pairs all told apart, is no reason yet."""
    penalty = AdaptivePenalty(1.0)
    assert pushed(penalty, 1.0, 1) == 1.0
    later = [pushed(penalty, 1.0, 1) for _ in range(100)]
    steps = [late / early for early, late in pairwise(later)]
    assert max(steps) == pytest.approx(AdaptivePenalty.PACE)
    assert min(steps) == 1
