"""What a rival is: a generator, a discriminator and the recipe that their paper trained them by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor, nn

from augmentor.t2t.discriminator import Logits


@dataclass(frozen=True)
class Published:
    """One paper's training recipe.

    ``loss`` names one of ``augmentor.rivals.game.RIVAL_LOSSES``. ``penalty`` is "none", "r1" (Mescheder et
    al. 2018) or "wgan_gp" (Gulrajani et al. 2017); it is taken on every ``penalty_every``-th step at that
    many times the weight ``gamma``. ``consistency`` weighs the squared difference of an image's logits
    under two augmentations (bCR, Zhao et al. 2021). The average of the generator forgets by half in
    ``half_life`` images, but never in more than ``ramp`` times the images seen so far; 0 is no average.
    ``augmentation`` is the probability of each transform, and where it starts when it is ``adaptive``
    (ADA, Karras et al. 2020). Gradients are clipped to the norm ``clip``; ``batch`` is in images.
    """

    loss: str
    generator_rate: float
    discriminator_rate: float
    betas: tuple[float, float]
    batch: int
    penalty: str = "none"
    gamma: float = 0.0
    penalty_every: int = 1
    consistency: float = 0.0
    half_life: float = 0.0
    ramp: float = inf
    augmentation: float = 0.0
    adaptive: bool = False
    clip: float = inf


class Generator(nn.Module):
    """Standard normal noise (B, latent) and condition codes (B, K) -> images (B, C, H, W) in about [-1, 1]."""

    latent: int


class Discriminator(nn.Module):
    """Images (B, C, H, W) and condition codes (B, K) -> ``Logits``; ``tokens`` may be empty."""


class SelfSupervised(Discriminator, ABC):
    """A discriminator with a task of its own on real images."""

    @abstractmethod
    def study(self, x: Tensor, conditions: Tensor, random: torch.Generator) -> tuple[Logits, Tensor]:
        """The logits of ``x`` and the scalar loss of the task, from one look."""


class Rival(NamedTuple):
    """A generator and a discriminator, fresh, and how to train them."""

    generator: Generator
    discriminator: Discriminator
    published: Published


class Projection(nn.Module):
    """Features (B, width) and condition codes (B, K) -> what the conditions add to a logit: (B,).

    The projection discriminator of Miyato and Koyama 2018: the inner product of the features with a
    linear embedding of the conditions, over the root of the width. Unknown conditions add nothing.
    """

    def __init__(self, conditions: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(conditions, width))

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        return (features * (conditions @ self.embedding)).sum(dim=1) / features.shape[1] ** 0.5


class Noise(nn.Module):
    """Adds one plane of noise to all channels of a grid, by a learned strength that starts at zero.

    The plane is fresh in training and always the same in eval mode, so that what is drawn depends on the
    latent alone (StyleGAN, Karras et al. 2019, section 2).
    """

    fixed: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("fixed", torch.randn(side, side))

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.randn_like(x[:, :1]) if self.training else self.fixed
        return x + self.strength * noise


LEAST_LATENT = 64
"""A latent that shrinks with its network keeps at least so many numbers: fewer would bound what can be drawn."""


def scaled(count: float, width: float, multiple: int = 1) -> int:
    """``count`` times ``width``, to the nearest ``multiple`` and at least one of it."""
    return max(1, round(count * width / multiple)) * multiple


def doublings(first: int, last: int) -> list[int]:
    """The sides of the grids from ``first`` to ``last``, each twice the one before.

    Raises:
        ValueError: if doubling ``first`` does not lead to ``last``.
    """
    sides = [first]
    while sides[-1] < last:
        sides.append(2 * sides[-1])
    if sides[-1] != last:
        raise ValueError(f"a tile of {last} px is not {first} px doubled a number of times")
    return sides


def pixel_norm(x: Tensor, dim: int = 1) -> Tensor:
    """x / sqrt(mean(x²) + 1e-8) along the channels ``dim`` (Karras et al. 2018, section 4.2)."""
    return x * torch.rsqrt(x.square().mean(dim=dim, keepdim=True) + 1e-8)
