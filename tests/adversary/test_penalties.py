"""Gradient penalties: exact against closed forms, approximate against exact."""

import pytest
import torch
from torch import Tensor

from augmentor.adversary.penalties import approximate, exact, strength, verdict
from augmentor.t2t.discriminator import Discriminator, Logits
from augmentor.t2t.presets import PRESETS

SHAPE = (4, 2, 6, 5)


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


def test_the_approximate_penalty_of_the_discriminator_agrees_with_the_exact_one() -> None:
    network = Discriminator(1, (32, 32), PRESETS["tiny"]).eval()
    x = torch.randn(16, 1, 32, 32)
    none = torch.zeros(16, 0, dtype=torch.long)

    def judge(x: Tensor) -> Logits:
        return network(x, none, 4)

    with torch.no_grad():
        drawn = [approximate(judge(x), judge, x, 1.0, torch.randn_like(x)).item() for _ in range(60)]
    assert sum(drawn) / len(drawn) == pytest.approx(exact(judge, x, 1.0).item(), rel=0.2)


@pytest.mark.parametrize("kind", ["exact", "approximate"])
def test_a_penalty_teaches_the_judge_to_be_flatter(kind: str) -> None:
    network = Discriminator(1, (32, 32), PRESETS["tiny"]).eval()
    none = torch.zeros(8, 0, dtype=torch.long)
    x, noise = torch.randn(8, 1, 32, 32), torch.randn(8, 1, 32, 32)

    def judge(x: Tensor) -> Logits:
        return network(x, none, 4)

    def penalty() -> Tensor:
        return exact(judge, x, 1.0) if kind == "exact" else approximate(judge(x), judge, x, 1.0, noise)

    before = penalty()
    before.backward()
    slopes = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in slopes)
    size = sum(g.square().sum() for g in slopes).sqrt()
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


@pytest.mark.parametrize(
    ("tile", "channels", "gamma"),
    [((32, 32), 3, 0.1), ((64, 64), 3, 0.4), ((32, 64), 3, 0.2), ((32, 32), 1, 0.1 / 3), ((64, 64), 12, 1.6)],
)
def test_strength_follows_pixels_and_channels(tile: tuple[int, int], channels: int, gamma: float) -> None:
    assert strength(0.1, tile, channels) == pytest.approx(gamma)
