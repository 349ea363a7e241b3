"""The game: one batch at a time, in three acts.

1. ``autoencode``: generator and inference network learn to reproduce tiles (a VAE, L1 + β KL). From
   few images a GAN from noise collapses; a generator that already draws does not.
2. ``judge``: the discriminator alone learns, so that it does not destroy the generator when it joins.
3. ``play``: both, with the autoencoding term kept.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from augmentor.adversary import penalties
from augmentor.adversary.augment import AdaptiveStrength, augment
from augmentor.adversary.ema import average_into, averaged_copy
from augmentor.adversary.losses import LOSSES, masked_l1
from augmentor.t2t.conditioning import ClassCondition, drop
from augmentor.t2t.discriminator import Discriminator, Logits
from augmentor.t2t.generator import Generator
from augmentor.t2t.inference import Inference
from augmentor.t2t.presets import Preset

PENALTY_EVERY = 4
"""The gradient penalty runs on every 4th step at 4 times the weight (lazy regularisation, StyleGAN2)."""

KL_RAMP = 8_000
"""Tiles over which the KL weight rises from zero: at full weight from the start the latent can go unused
for good (posterior collapse; Bowman et al. 2016)."""

GROUP = 4
"""Samples a group of minibatch statistics."""


@dataclass(frozen=True)
class Batch:
    """Tiles in [-1, 1]: ``pixels`` (B, C, H, W), ``valid`` (B, 1, H, W), ``conditions`` (B, K) indices."""

    pixels: Tensor
    valid: Tensor
    conditions: Tensor

    @property
    def shown(self) -> Tensor:
        """The pixels with zero wherever they are not valid, whatever lies there."""
        return torch.where(self.valid > 0, self.pixels, 0.0)


@dataclass(frozen=True)
class Rules:
    """Weights and rates of the game; the recipe's ``game`` section."""

    loss: str = "relativistic"
    penalty: str = "approximate"
    penalty_base: float = 0.02
    adversarial_weight: float = 0.5
    kl_weight: float = 1e-4
    warm_rate: float = 2e-3
    generator_rate: float = 2e-4
    discriminator_rate: float = 2e-3
    condition_drop: float = 0.1
    average_half_life: float = 1_000


class Game(nn.Module):
    """The players, their optimisers and the state that a resumed run must find again."""

    def __init__(
        self,
        channels: int,
        tile: tuple[int, int],
        preset: Preset,
        conditions: Sequence[ClassCondition],
        rules: Rules,
        seed: int,
    ) -> None:
        super().__init__()
        self.rules = rules
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.generator = Generator(channels, tile, preset, conditions)
            self.inference = Inference(channels, tile, preset)
            self.discriminator = Discriminator(channels, tile, preset, conditions)
        self.average = averaged_copy(self.generator)
        makers = [*self.generator.parameters(), *self.inference.parameters()]
        self.make = torch.optim.Adam(makers, lr=rules.warm_rate, betas=(0.5, 0.99))
        self.tell = torch.optim.Adam(self.discriminator.parameters(), lr=rules.discriminator_rate, betas=(0.0, 0.99))
        self.gamma = penalties.strength(rules.penalty_base, tile, channels)
        self.strength = AdaptiveStrength()
        self.random = torch.Generator().manual_seed(seed)
        self.steps = 0
        self.warmed = 0

    def autoencode(self, batch: Batch) -> dict[str, float]:
        """Act one: one step of generator and inference network on reconstruction alone."""
        reconstruction, divergence = self._reconstruct(batch)
        self.warmed += len(batch.pixels)
        loss = reconstruction + self.rules.kl_weight * min(1.0, self.warmed / KL_RAMP) * divergence
        self._descend(self.make, loss)
        self._average(len(batch.pixels))
        return {"reconstruction": reconstruction.item(), "kl": divergence.item()}

    def judge(self, batch: Batch) -> dict[str, float]:
        """Act two: one step of the discriminator on fresh fakes.

        Raises:
            ValueError: if the batch is not a whole number of groups, which would mix real and fake.
        """
        if len(batch.pixels) % GROUP:
            raise ValueError(f"a batch of {len(batch.pixels)} is not a whole number of groups of {GROUP}")
        conditions = self._drop(batch.conditions)
        with torch.no_grad():
            fake = self.generator(self._latents(conditions), conditions)
        real, fake = batch.shown, fake * batch.valid
        with parametrize.cached():
            loss, real_logits, fake_logits = self._discriminator_loss(real, fake, conditions)
            self._descend(self.tell, loss)
        self.steps += 1
        self.strength.observe(real_logits.image, fake_logits.image)
        return {"discriminator": loss.item(), "augmentation": self.strength.probability}

    def play(self, batch: Batch) -> dict[str, float]:
        """Act three: a discriminator step, then a generator step with the autoencoding term kept."""
        figures = self.judge(batch)
        for group in self.make.param_groups:
            group["lr"] = self.rules.generator_rate
        reconstruction, divergence = self._reconstruct(batch)
        conditions = self._drop(batch.conditions)
        fake = self.generator(self._latents(conditions), conditions) * batch.valid
        adversarial = self._generator_loss(batch, fake, conditions)
        kept = reconstruction + self.rules.kl_weight * divergence
        loss = kept + self.rules.adversarial_weight * adversarial
        self._descend(self.make, loss)
        self._average(len(batch.pixels))
        return figures | {
            "generator": adversarial.item(),
            "reconstruction": reconstruction.item(),
            "kl": divergence.item(),
        }

    def snapshot(self) -> dict[str, Any]:
        """Everything that a resumed game must find again, as it is now."""
        state = {
            "networks": self.state_dict(),
            "make": self.make.state_dict(),
            "judge": self.tell.state_dict(),
            "augmentation": self.strength.probability,
            "random": self.random.get_state(),
            "steps": self.steps,
            "warmed": self.warmed,
        }
        return copy.deepcopy(state)

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a ``snapshot``, which stays as it is."""
        state = copy.deepcopy(dict(state))
        self.load_state_dict(state["networks"])
        self.make.load_state_dict(state["make"])
        self.tell.load_state_dict(state["judge"])
        self.strength.probability = state["augmentation"]
        self.random.set_state(state["random"])
        self.steps = state["steps"]
        self.warmed = state["warmed"]

    @torch.no_grad()
    def fit_latents(self, tiles: Batch) -> None:
        """Fit the generator's latent prior to what the inference network finds in ``tiles``."""
        posterior = self.inference(tiles.shown)
        for network in (self.generator, self.average):
            network.prior.fit(posterior.mean, posterior.log_variance.exp(), tiles.conditions)

    def _reconstruct(self, batch: Batch) -> tuple[Tensor, Tensor]:
        posterior = self.inference(batch.shown)
        noise = torch.randn(posterior.mean.shape, generator=self.random).to(batch.pixels)
        remade = self.generator(posterior.draw(noise), self._drop(batch.conditions))
        return masked_l1(remade, batch.pixels, batch.valid), posterior.divergence().mean()

    def _discriminator_loss(self, real: Tensor, fake: Tensor, conditions: Tensor) -> tuple[Tensor, Logits, Logits]:
        # One batch of real and fake; groups of minibatch statistics divide it, so they never mix.
        shown = augment(torch.cat([real, fake]), self.strength.probability, self.random)
        both = torch.cat([conditions, conditions])

        def judge(x: Tensor) -> Logits:
            return self.discriminator(x, both, GROUP)

        logits = judge(shown)
        real_logits, fake_logits = _halves(logits)
        loss = LOSSES[self.rules.loss].discriminator(real_logits, fake_logits)
        if self.steps % PENALTY_EVERY == 0:
            if self.rules.penalty == "exact":
                penalty = penalties.exact(judge, shown, self.gamma)
            else:
                noise = torch.randn(shown.shape, generator=self.random).to(shown)
                penalty = penalties.approximate(logits, judge, shown, self.gamma, noise)
            # The mean over real and fake together is half of R1 + R2.
            loss = loss + 2 * PENALTY_EVERY * penalty
        return loss, real_logits, fake_logits

    def _generator_loss(self, batch: Batch, fake: Tensor, conditions: Tensor) -> Tensor:
        shown = augment(torch.cat([batch.shown, fake]), self.strength.probability, self.random)
        self.discriminator.requires_grad_(False)
        with parametrize.cached():
            real_logits, fake_logits = _halves(self.discriminator(shown, torch.cat([conditions, conditions]), GROUP))
        self.discriminator.requires_grad_(True)
        return LOSSES[self.rules.loss].generator(real_logits, fake_logits)

    def _latents(self, conditions: Tensor) -> Tensor:
        noise = torch.randn(len(conditions), self.generator.latent, generator=self.random)
        return self.generator.prior(noise.to(conditions.device), conditions)

    def _drop(self, conditions: Tensor) -> Tensor:
        return drop(conditions, self.rules.condition_drop, self.random)

    def _descend(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in optimiser.param_groups:
            nn.utils.clip_grad_norm_(group["params"], 5.0)
        optimiser.step()

    def _average(self, images: int) -> None:
        average_into(self.average, self.generator, images, self.rules.average_half_life)


def _halves(logits: Logits) -> tuple[Logits, Logits]:
    half = len(logits.image) // 2
    return (
        Logits(logits.image[:half], [t[:half] for t in logits.tokens]),
        Logits(logits.image[half:], [t[half:] for t in logits.tokens]),
    )
