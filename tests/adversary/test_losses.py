"""Losses against their plain formulas."""

import math

import pytest
import torch
from torch import Tensor

from augmentor.adversary.losses import LOSSES, masked_l1, over_judgements
from augmentor.t2t.discriminator import Logits


def logits(offset: float = 0.0) -> Logits:
    return Logits(torch.randn(6) + offset, [torch.randn(6, 8, 8) + offset, torch.randn(6, 4, 6) + offset])


def bce(x: Tensor) -> Tensor:
    """-log sigmoid(x)."""
    return -torch.log(torch.sigmoid(x))


FORMULAS = {
    "relativistic": (lambda r, f: bce(r - f), lambda r, f: bce(f - r)),
    "non_saturating": (lambda r, f: bce(r) - torch.log(1 - torch.sigmoid(f)), lambda r, f: bce(f)),
}


@pytest.mark.parametrize("side", [0, 1], ids=["discriminator", "generator"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_its_formula_over_images_and_over_tokens(name: str, side: int) -> None:
    real, fake = logits(0.5), logits(-0.5)
    term = FORMULAS[name][side]
    tokens = [term(r, f).mean() for r, f in zip(real.tokens, fake.tokens, strict=True)]
    expected = term(real.image, fake.image).mean() + sum(tokens) / len(tokens)
    torch.testing.assert_close(LOSSES[name][side](real, fake), expected)


@pytest.mark.parametrize(("name", "factor"), [("relativistic", 2), ("non_saturating", 4)])
def test_an_undecided_discriminator_pays_log_two_a_question(name: str, factor: int) -> None:
    zero = Logits(torch.zeros(4), [torch.zeros(4, 3, 3)])
    assert LOSSES[name].discriminator(zero, zero).item() == pytest.approx(factor * math.log(2))


@pytest.mark.parametrize("side", [0, 1], ids=["discriminator", "generator"])
@pytest.mark.parametrize("name", LOSSES)
def test_only_a_relativistic_loss_forgets_the_level_of_logits(name: str, side: int) -> None:
    real, fake = logits(), logits()
    lifted = [Logits(x.image + 3, [t + 3 for t in x.tokens]) for x in (real, fake)]
    same = torch.allclose(LOSSES[name][side](*lifted), LOSSES[name][side](real, fake), atol=1e-5)
    assert same == (name == "relativistic")


@pytest.mark.parametrize("name", LOSSES)
def test_the_sides_pull_against_each_other(name: str) -> None:
    real, fake = logits(), logits()
    for part in (fake.image, *fake.tokens):
        part.requires_grad_()
    down = torch.autograd.grad(LOSSES[name].discriminator(real, fake), [fake.image, *fake.tokens])
    up = torch.autograd.grad(LOSSES[name].generator(real, fake), [fake.image, *fake.tokens])
    assert all((d > 0).all() and (u < 0).all() for d, u in zip(down, up, strict=True))


def test_every_stage_weighs_the_same_however_many_tokens_it_has() -> None:
    ones = Logits(torch.zeros(2), [torch.ones(2, 8, 8), torch.zeros(2, 2, 2)])
    assert over_judgements(lambda r, _: r, ones, ones).item() == pytest.approx(0.5)


@pytest.mark.parametrize("channels", [1, 3, 13])
def test_masked_l1_is_the_mean_over_valid_pixels(channels: int) -> None:
    made, wanted = torch.randn(2, channels, 5, 6), torch.randn(2, channels, 5, 6)
    valid = (torch.rand(2, 1, 5, 6) < 0.5).float()
    errors = (made - wanted).abs().movedim(1, -1)[valid[:, 0] > 0]
    torch.testing.assert_close(masked_l1(made, wanted, valid), errors.mean())
    elsewhere = wanted + 7 * (1 - valid) * torch.randn_like(wanted)
    assert torch.equal(masked_l1(made, elsewhere, valid), masked_l1(made, wanted, valid))


def test_masked_l1_of_nothing_valid_is_zero() -> None:
    assert masked_l1(torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 3, 3), torch.zeros(1, 1, 3, 3)).item() == 0
