"""Losses against their plain formulas."""

import math

import pytest
import torch
from torch import Tensor

from augmentor.adversary.losses import LOSSES, energy, lecam, masked_l1, over_judgements
from augmentor.t2t.discriminator import Logits

STAGES = [[(8, 8), (4, 6)], [(2, 4, 4), (1, 2, 2), (1, 1, 1)], [(3, 3)], []]


def logits(offset: float = 0.0, stages: list[tuple[int, ...]] = STAGES[0]) -> Logits:
    return Logits(torch.randn(6) + offset, [torch.randn(6, *grid) + offset for grid in stages])


def bce(x: Tensor) -> Tensor:
    """-log sigmoid(x)."""
    return -torch.log(torch.sigmoid(x))


def below(x: Tensor, margin: float) -> Tensor:
    """How far x stays below a margin."""
    return torch.where(x < margin, margin - x, torch.zeros(()))


FORMULAS = {
    "relativistic": (lambda r, f: bce(r - f), lambda r, f: bce(f - r)),
    "non_saturating": (lambda r, f: bce(r) - torch.log(1 - torch.sigmoid(f)), lambda r, f: bce(f)),
    "hinge": (lambda r, f: below(r, 1) + below(-f, 1), lambda r, f: -f),
}


@pytest.mark.parametrize("stages", STAGES, ids=len)
@pytest.mark.parametrize("side", [0, 1], ids=["discriminator", "generator"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_its_formula_over_images_and_over_tokens(name: str, side: int, stages: list[tuple[int, ...]]) -> None:
    real, fake = logits(0.5, stages), logits(-0.5, stages)
    term = FORMULAS[name][side]
    expected = term(real.image, fake.image).mean()
    if stages:
        expected = expected + sum(
            term(r, f).mean() for r, f in zip(*(x.tokens for x in (real, fake)), strict=True)
        ) / len(stages)
    torch.testing.assert_close(LOSSES[name][side](real, fake), expected)


@pytest.mark.parametrize(
    ("name", "price"), [("relativistic", 2 * math.log(2)), ("non_saturating", 4 * math.log(2)), ("hinge", 4)]
)
def test_an_undecided_discriminator_pays_for_every_question(name: str, price: float) -> None:
    zero = Logits(torch.zeros(4), [torch.zeros(4, 3, 3)])
    assert LOSSES[name].discriminator(zero, zero).item() == pytest.approx(price)


@pytest.mark.parametrize("side", [0, 1], ids=["discriminator", "generator"])
@pytest.mark.parametrize("name", LOSSES)
def test_only_a_relativistic_loss_forgets_the_level_of_logits(name: str, side: int) -> None:
    real, fake = logits(), logits()
    lifted = [Logits(x.image + 3, [t + 3 for t in x.tokens]) for x in (real, fake)]
    same = torch.allclose(LOSSES[name][side](*lifted), LOSSES[name][side](real, fake), atol=1e-5)
    assert same == (name == "relativistic")


@pytest.mark.parametrize("stages", STAGES, ids=len)
@pytest.mark.parametrize("name", LOSSES)
def test_the_sides_pull_against_each_other(name: str, stages: list[tuple[int, ...]]) -> None:
    real, fake = logits(stages=stages), logits(stages=stages)
    parts = [fake.image, *fake.tokens]
    for part in parts:
        part.requires_grad_()
    down = torch.autograd.grad(LOSSES[name].discriminator(real, fake), parts)
    up = torch.autograd.grad(LOSSES[name].generator(real, fake), parts)
    assert all((u < 0).all() for u in up)
    # A hinge lets go of what is judged well enough.
    held = [part >= -1 if name == "hinge" else torch.ones_like(part) > 0 for part in parts]
    assert all(torch.equal(d > 0, h) and (d >= 0).all() for d, h in zip(down, held, strict=True))


@pytest.mark.parametrize("name", LOSSES)
def test_the_discriminator_wants_real_logits_up(name: str) -> None:
    real, fake = logits(), logits()
    parts = [part.requires_grad_() for part in (real.image, *real.tokens)]
    up = torch.autograd.grad(LOSSES[name].discriminator(real, fake), parts)
    assert all((u <= 0).all() and (u < 0).any() for u in up)


def test_every_stage_weighs_the_same_however_many_tokens_it_has() -> None:
    ones = Logits(torch.zeros(2), [torch.ones(2, 8, 8), torch.zeros(2, 2, 2)])
    assert over_judgements(lambda r, _: r, ones, ones).item() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("real", "fake", "before", "expected"),
    [
        ([0.0, 0.0], [0.0, 0.0], (0.0, 0.0), 0.0),
        # Level 0: real logits 1 from the fakes' mean -1, fake ones -1 from the reals' mean 1.
        ([1.0, 1.0], [-1.0, -1.0], (1.0, -1.0), 8.0),
        # Real and fake at -1 and 1 about their middle, the means at 2 and -2: 1 and 1 apart.
        ([0.0, 0.0], [2.0, 2.0], (2.0, -2.0), 2.0),
        # Spread counts: real logits 1 and -1 about 0, and 1 from it each.
        ([1.0, -1.0], [0.0, 0.0], (0.0, 0.0), 1.0),
    ],
)
def test_lecam_is_the_squared_distance_to_the_other_sides_mean(
    real: list[float], fake: list[float], before: tuple[float, float], expected: float
) -> None:
    assert lecam(torch.tensor(real), torch.tensor(fake), *before).item() == pytest.approx(expected)


@pytest.mark.parametrize("now", [-7.0, 0.0, 3.0])
@pytest.mark.parametrize("before", [-2.0, 0.0, 5.0])
def test_lecam_forgets_the_level_of_logits_and_of_their_running_means(now: float, before: float) -> None:
    real, fake = torch.randn(8), torch.randn(8)
    lifted = lecam(real + now, fake + now, 0.7 + before, -0.2 + before)
    torch.testing.assert_close(lifted, lecam(real, fake, 0.7, -0.2), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("tile", [(5, 6), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("channels", [1, 3, 13])
def test_masked_l1_is_the_mean_over_valid_pixels(channels: int, tile: tuple[int, ...]) -> None:
    made, wanted = torch.randn(2, channels, *tile), torch.randn(2, channels, *tile)
    valid = (torch.rand(2, 1, *tile) < 0.5).float()
    errors = (made - wanted).abs().movedim(1, -1)[valid[:, 0] > 0]
    torch.testing.assert_close(masked_l1(made, wanted, valid), errors.mean())
    elsewhere = torch.where(valid > 0, wanted, torch.inf)
    assert torch.equal(masked_l1(made, elsewhere, valid), masked_l1(made, wanted, valid))


def test_masked_l1_of_nothing_valid_is_zero() -> None:
    assert masked_l1(torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 3, 3), torch.zeros(1, 1, 3, 3)).item() == 0


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_energy_score_is_least_where_samples_are_as_truths(spread: float, shift: float) -> None:
    torch.manual_seed(0)
    truth, valid = torch.randn(400, 2, 16, 16), torch.ones(400, 1, 16, 16)

    def score(spread: float, shift: float) -> float:
        first, second = spread * torch.randn(2, *truth.shape) + shift
        return float(energy(first, second, truth, valid))

    if (spread, shift) != (1.0, 0.0):
        assert score(1.0, 0.0) < score(spread, shift)


def test_the_energy_score_of_certain_samples_is_their_error_and_minds_only_what_is_valid() -> None:
    torch.manual_seed(0)
    truth, made = torch.randn(2, 3, 1, 8, 8)
    valid = (torch.rand(3, 1, 8, 8) < 0.5).float()
    found = energy(made, made, truth, valid, sides=(1,))
    wanted = (((made - truth).abs() * valid).sum() / valid.sum()).item()
    assert found.item() == pytest.approx(wanted, abs=2e-3)
    elsewhere = torch.where(valid > 0, truth, 99.0)
    torch.testing.assert_close(energy(made, made, elsewhere, valid), energy(made, made, truth, valid))


def test_the_energy_score_has_a_slope_where_samples_agree() -> None:
    made = torch.zeros(1, 1, 8, 8, requires_grad=True)
    energy(made, made, torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)).backward()
    assert made.grad is not None and made.grad.isfinite().all()
