"""The rivals' game: for each batch one step of the discriminator and one of the generator."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from augmentor.adversary import penalties
from augmentor.adversary.augment import AdaptiveStrength, augment
from augmentor.adversary.descent import descend
from augmentor.adversary.draws import Draws
from augmentor.adversary.ema import average_into, averaged_copy, measured_into
from augmentor.adversary.losses import LOSSES, GanLoss, over_judgements
from augmentor.rivals.rival import Rival, SelfSupervised
from augmentor.t2t.discriminator import Logits

MEASURED = 64
"""Batches, the last ones, whose conditions a generator's batch norms are measured by before it is drawn from."""

DRIFT = 1e-3
"""Weight that keeps the Wasserstein critic's real logits near zero (Karras et al. 2018, appendix A.1)."""


class Batch(Protocol):
    """Tiles: ``shown`` (B, C, H, W) in [-1, 1], zero where not valid; ``valid`` (B, 1, H, W); codes (B, K)."""

    @property
    def shown(self) -> Tensor: ...
    @property
    def valid(self) -> Tensor: ...
    @property
    def conditions(self) -> Tensor: ...


def _critic(real: Logits, fake: Logits) -> Tensor:
    return over_judgements(lambda r, f: f - r + DRIFT * r.square(), real, fake)


def _criticised(real: Logits, fake: Logits) -> Tensor:
    return over_judgements(lambda _, f: -f, real, fake)


# Arjovsky et al. 2017, algorithm 1.
RIVAL_LOSSES: dict[str, GanLoss] = LOSSES | {"wasserstein": GanLoss(_critic, _criticised)}


class RivalGame(nn.Module):
    """A rival at play by its published recipe. ``seed`` decides all that is drawn in the game."""

    def __init__(self, rival: Rival, seed: int) -> None:
        super().__init__()
        self.generator, self.discriminator, self.published = rival
        self.average = averaged_copy(self.generator)
        recipe = self.published
        self.make = torch.optim.Adam(self.generator.parameters(), lr=recipe.generator_rate, betas=recipe.betas)
        self.tell = torch.optim.Adam(self.discriminator.parameters(), lr=recipe.discriminator_rate, betas=recipe.betas)
        self.strength = AdaptiveStrength(start=recipe.augmentation)
        self.random = torch.Generator().manual_seed(seed)
        self.steps = 0
        self.images = 0
        self.seen: deque[Tensor] = deque(maxlen=MEASURED)
        self.measured = 0

    def play(self, batch: Batch) -> dict[str, float]:
        """A step of the discriminator, then a step of the generator; the losses of both."""
        with torch.random.fork_rng():
            # Layers that add noise draw it from the global generator.
            torch.manual_seed(int(torch.randint(2**62, (), generator=self.random)))
            figures = self._tell(batch) | self._make(batch)
        self.steps += 1
        self.images += len(batch.shown)
        half_life = min(self.published.half_life, self.published.ramp * self.images)
        average_into(self.average, self.generator, len(batch.shown), half_life)
        measured_into(self.average, self.generator)
        self.seen.append(batch.conditions)
        return figures | {"augmentation": self.strength.probability}

    @torch.no_grad()
    def draw(self, noise: Tensor, conditions: Tensor) -> Tensor:
        """Noise (B, latent) and codes (B, K) -> images (B, C, H, W) of the averaged generator."""
        if self.measured < self.steps:
            self._measure()
        return self.average.eval()(noise, conditions)

    def _measure(self) -> None:
        """Measure what the averaged generator's batch norms see: what they saw in training was made by other weights.
        (FastGAN's released code draws by the statistics of the very batch.)"""
        norms = [module for module in self.average.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        random = torch.Generator().manual_seed(self.steps)
        with torch.random.fork_rng():
            torch.manual_seed(self.steps)
            for conditions in self.seen if norms else ():
                noise = torch.randn(len(conditions), self.generator.latent, generator=random)
                self.average.train()(noise.to(conditions), conditions)
        self.measured = self.steps

    def _tell(self, batch: Batch) -> dict[str, float]:
        conditions = batch.conditions
        with torch.no_grad():
            fake = self._fake(batch)

        def judge(x: Tensor) -> Logits:
            return self.discriminator(self._augmented(x), conditions)

        with parametrize.cached():
            real_logits, task = self._study(batch.shown, conditions)
            fake_logits = judge(fake)
            loss = RIVAL_LOSSES[self.published.loss].discriminator(real_logits, fake_logits) + task
            if self.steps % self.published.penalty_every == 0:
                loss = loss + self.published.penalty_every * self._penalty(judge, batch.shown, fake)
            if self.published.consistency:
                pairs = ((batch.shown, real_logits), (fake, fake_logits))
                unlike = [(judge(x).image - logits.image).square().mean() for x, logits in pairs]
                loss = loss + self.published.consistency * torch.stack(unlike).sum()
            descend(self.tell, [loss], self.published.clip)
        if self.published.adaptive:
            self.strength.observe(real_logits.image, fake_logits.image)
        return {"discriminator": loss.item()}

    def _make(self, batch: Batch) -> dict[str, float]:
        fake = self._fake(batch)
        self.discriminator.requires_grad_(False)
        with parametrize.cached():
            logits = self.discriminator(self._augmented(fake), batch.conditions)
        self.discriminator.requires_grad_(True)
        # No rival's generator compares its images with real ones, so the real logits may be anything.
        loss = RIVAL_LOSSES[self.published.loss].generator(logits, logits)
        descend(self.make, [loss], self.published.clip)
        return {"generator": loss.item()}

    def _fake(self, batch: Batch) -> Tensor:
        noise = torch.randn(len(batch.shown), self.generator.latent, generator=self.random)
        return self.generator(noise.to(batch.shown), batch.conditions) * batch.valid

    def _augmented(self, x: Tensor) -> Tensor:
        return augment(x, self.strength.probability, Draws(self.random))

    def _study(self, real: Tensor, conditions: Tensor) -> tuple[Logits, Tensor]:
        shown = self._augmented(real)
        if isinstance(self.discriminator, SelfSupervised):
            return self.discriminator.study(shown, conditions, self.random)
        return self.discriminator(shown, conditions), shown.new_zeros(())

    def _penalty(self, judge: penalties.Judge, real: Tensor, fake: Tensor) -> Tensor:
        if self.published.penalty == "r1":
            return penalties.exact(judge, real, self.published.gamma)
        if self.published.penalty == "wgan_gp":
            share = torch.rand(len(real), 1, 1, 1, generator=self.random).to(real)
            return self.published.gamma * (slope(judge, torch.lerp(fake, real, share)) - 1).square().mean()
        return real.new_zeros(())


def slope(judge: penalties.Judge, x: Tensor) -> Tensor:
    """Norm of the gradient of the image logit at ``x``: (B, C, H, W) -> (B,)."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(judge(x).image.sum(), x, create_graph=True)
    # The root has no slope at zero.
    return (gradient.square().sum(dim=(1, 2, 3)) + 1e-12).sqrt()
