"""What the players want. Each loss takes ``Logits`` of paired batches and returns a scalar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, relu, softplus

from augmentor.t2t.discriminator import Logits

EVEN = 1e-6
"""Added to squares below a root."""

Term = Callable[[Tensor, Tensor], Tensor]


class GanLoss(NamedTuple):
    """The two sides of an adversarial loss, each (real, fake) -> scalar."""

    discriminator: Callable[[Logits, Logits], Tensor]
    generator: Callable[[Logits, Logits], Tensor]


def over_judgements(term: Term, real: Logits, fake: Logits) -> Tensor:
    """Mean of ``term`` over images plus its mean over the tokens of every stage (PatchGAN)."""
    image = term(real.image, fake.image).mean()
    if not real.tokens:
        return image
    tokens = [term(r, f).mean() for r, f in zip(real.tokens, fake.tokens, strict=True)]
    return image + torch.stack(tokens).mean()


def _loss(discriminator: Term, generator: Term) -> GanLoss:
    return GanLoss(
        lambda real, fake: over_judgements(discriminator, real, fake),
        lambda real, fake: over_judgements(generator, real, fake),
    )


LOSSES: dict[str, GanLoss] = {
    # Jolicoeur-Martineau 2018; R3GAN, Huang et al. 2024. Real and fake are compared pair by pair,
    # and token by token at the same place.
    "relativistic": _loss(lambda r, f: softplus(f - r), lambda r, f: softplus(r - f)),
    # Goodfellow et al. 2014, section 3.
    "non_saturating": _loss(lambda r, f: softplus(f) + softplus(-r), lambda r, f: softplus(-f)),
    # Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.
    "hinge": _loss(lambda r, f: relu(1 - r) + relu(1 + f), lambda r, f: -f),
}


def lecam(real: Tensor, fake: Tensor, real_before: float, fake_before: float) -> Tensor:
    """How far the image logits (B,) lie from the other side's running mean (LeCam, Tseng et al. 2021, equation 5).

    Logits are centred first, since a relativistic loss leaves their common level free.
    """
    level = (real_before + fake_before) / 2
    centre = (real.mean() + fake.mean()) / 2
    to_fake = real - centre - (fake_before - level)
    to_real = fake - centre - (real_before - level)
    return to_fake.square().mean() + to_real.square().mean()


def masked_l1(made: Tensor, wanted: Tensor, valid: Tensor, whole: Tensor | None = None) -> Tensor:
    """Mean absolute error over valid pixels: (B, C, *tile) twice and (B, 1, *tile) -> scalar.

    Of a part of a batch, given what is valid in the ``whole`` of it, what the part adds to the mean over the whole.
    """
    # What is not valid may be anything, infinite even, and must not reach the sum by way of 0 · inf.
    wanted = torch.where(valid > 0, wanted, made.detach())
    counted = valid if whole is None else whole
    return (made - wanted).abs().sum() / (counted.sum() * made.shape[1]).clamp(min=1)


def energy(
    first: Tensor,
    second: Tensor,
    truth: Tensor,
    valid: Tensor,
    whole: Tensor | None = None,
    sides: Sequence[int] = (1, 4),
) -> Tensor:
    """Energy score of two samples (B, C, h, w) of each truth, over patches of some ``sides``; valid is (B, 1, h, w).

    ½ (|x - t| + |x' - t|) - ½ |x - x'| is least, in the mean, where samples are drawn as truths are (Gneiting and
    Raftery 2007, section 4.3): they are then sharp, and spread as far as they are wrong. ``whole`` as in ``masked_l1``.
    """
    score = first.new_zeros(())
    for side in sides:
        weight = avg_pool2d(valid, side) > 0
        counted = (weight if whole is None else avg_pool2d(whole, side) > 0).sum().clamp(min=1)

        def apart(a: Tensor, b: Tensor, side: int = side, weight: Tensor = weight, counted: Tensor = counted) -> Tensor:
            square = ((a - b) * valid).square().mean(dim=1, keepdim=True)
            # The root has no slope at zero.
            return ((avg_pool2d(square, side) + EVEN).sqrt() * weight).sum() / counted

        score = score + (apart(first, truth) + apart(second, truth) - apart(first, second)) / 2
    return score / len(sides)
