"""Zero-centred gradient penalties on real (R1) and fake (R2) images, exact and approximate.

Sources: R1, Mescheder et al. 2018; R1 and R2 together, R3GAN, Huang et al. 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from augmentor.t2t.discriminator import Logits

STEP = 0.01
"""Finite-difference step: within 3 % of the exact penalty from 1e-4 to 3e-2 in float32."""

Judge = Callable[[Tensor], Logits]


def strength(base: float, tile: tuple[int, ...], channels: int) -> float:
    """gamma = base · (pixels / 32²) · (channels / 3): the gradient's norm grows with the data's size."""
    return base * prod(tile) / 32**2 * channels / 3


def verdict(logits: Logits) -> Tensor:
    """One number a sample: the image logit plus the mean token logit over stages: (B,)."""
    if not logits.tokens:
        return logits.image
    return logits.image + torch.stack([t.flatten(1).mean(dim=1) for t in logits.tokens]).mean(dim=0)


def exact(judge: Judge, x: Tensor, gamma: float) -> Tensor:
    """gamma / 2 · mean of the squared gradient norm of the verdict at ``x``, by double backward.

    Fused attention has no double backward, so the maths kernel is used here.
    """
    x = x.detach().requires_grad_(True)
    with sdpa_kernel(SDPBackend.MATH):
        (gradient,) = torch.autograd.grad(verdict(judge(x)).sum(), x, create_graph=True)
    return gamma / 2 * gradient.square().flatten(1).sum(dim=1).mean()


def approximate(before: Logits, judge: Judge, x: Tensor, gamma: float, noise: Tensor) -> Tensor:
    """The same by one finite difference along ``noise`` ~ N(0, I), given the logits ``before`` at ``x``.

    E[(grad · v)²] = ‖grad‖², so ((D(x + σv) - D(x)) / σ)² estimates the squared norm without a double
    backward; it works with fused attention and ``torch.compile``.
    """
    after = verdict(judge(x + STEP * noise))
    slope = (after - verdict(before)) / STEP
    return gamma / 2 * slope.square().mean()


class AdaptivePenalty:
    """The penalty's strength by the state of the discriminator, so that nobody tunes gamma by hand.

    ``observe`` takes in how often a real tile outranks the fake beside it. A discriminator that nearly
    always tells them apart is held harder, one that hardly ever does is let go, from ``LEAST`` to
    ``MOST`` times ``base``; the rule of ``strength`` gives where to start.
    """

    UNSURE, SURE = 0.65, 0.9
    LEAST, MOST = 0.2, 30.0
    PACE = 1.01
    MEMORY = 0.98

    def __init__(self, base: float) -> None:
        self.base = base
        self.factor = 1.0
        self.outranked = (self.UNSURE + self.SURE) / 2

    @property
    def gamma(self) -> float:
        return self.base * self.factor

    def observe(self, real: Tensor, fake: Tensor, *, follow: bool = True) -> None:
        """Take in the verdicts (B,) of one step's pairs, and ``follow`` them."""
        now = (real > fake).float().mean().item()
        self.outranked = self.MEMORY * self.outranked + (1 - self.MEMORY) * now
        if not follow:
            return
        if self.outranked > self.SURE:
            self.factor = min(self.factor * self.PACE, self.MOST)
        elif self.outranked < self.UNSURE:
            self.factor = max(self.factor / self.PACE, self.LEAST)
