"""What the players want. Each loss takes ``Logits`` of paired batches and returns a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from augmentor.t2t.discriminator import Logits


class GanLoss(NamedTuple):
    """The two sides of an adversarial loss, each (real, fake) -> scalar."""

    discriminator: Callable[[Logits, Logits], Tensor]
    generator: Callable[[Logits, Logits], Tensor]


def over_judgements(term: Callable[[Tensor, Tensor], Tensor], real: Logits, fake: Logits) -> Tensor:
    """Mean of ``term`` over images plus its mean over the tokens of every stage (PatchGAN)."""
    image = term(real.image, fake.image).mean()
    tokens = [term(r, f).mean() for r, f in zip(real.tokens, fake.tokens, strict=True)]
    return image + torch.stack(tokens).mean()


def _relativistic_discriminator(real: Logits, fake: Logits) -> Tensor:
    return over_judgements(lambda r, f: softplus(f - r), real, fake)


def _relativistic_generator(real: Logits, fake: Logits) -> Tensor:
    return over_judgements(lambda r, f: softplus(r - f), real, fake)


def _non_saturating_discriminator(real: Logits, fake: Logits) -> Tensor:
    return over_judgements(lambda r, f: softplus(f) + softplus(-r), real, fake)


def _non_saturating_generator(real: Logits, fake: Logits) -> Tensor:
    return over_judgements(lambda _, f: softplus(-f), real, fake)


LOSSES: dict[str, GanLoss] = {
    # Jolicoeur-Martineau 2018; R3GAN, Huang et al. 2024. Real and fake are compared pair by pair,
    # and token by token at the same place.
    "relativistic": GanLoss(_relativistic_discriminator, _relativistic_generator),
    # Goodfellow et al. 2014, section 3.
    "non_saturating": GanLoss(_non_saturating_discriminator, _non_saturating_generator),
}


def masked_l1(made: Tensor, wanted: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error over valid pixels: (B, C, H, W) twice and (B, 1, H, W) -> scalar."""
    # What is not valid may be anything, infinite even, and must not reach the sum by way of 0 · inf.
    wanted = torch.where(valid > 0, wanted, made.detach())
    return (made - wanted).abs().sum() / (valid.sum() * made.shape[1]).clamp(min=1)
