"""The game: one batch at a time, in three acts.

1. ``autoencode``: generator and inference network learn to reproduce tiles (a VAE, L1 + β KL). From
   few images a GAN from noise collapses; a generator that already draws does not.
2. ``judge``: the discriminator alone learns, so that it does not destroy the generator when it joins.
3. ``play``: both, with the autoencoding term kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from augmentor.adversary import penalties
from augmentor.adversary.augment import MOVING, AdaptiveStrength, augment
from augmentor.adversary.batch import Batch, Share
from augmentor.adversary.descent import descend
from augmentor.adversary.draws import Draws
from augmentor.adversary.ema import average_into, averaged_copy
from augmentor.adversary.losses import LOSSES, lecam, masked_l1
from augmentor.adversary.muon import Muon
from augmentor.adversary.rules import Rules
from augmentor.errors import RecipeError
from augmentor.t2t.attention import set_reach
from augmentor.t2t.bands import Bands
from augmentor.t2t.conditioning import Condition, drop
from augmentor.t2t.discriminator import Discriminator, Logits
from augmentor.t2t.generator import Generator
from augmentor.t2t.inference import Inference
from augmentor.t2t.presets import Preset
from augmentor.together.team import ALONE, Tally

PENALTY_EVERY = 4
"""The gradient penalty runs on every 4th step at 4 times the weight (lazy regularisation, StyleGAN2). What Muon steps
without momentum, it outweighs on one step in four at most."""

RECONSTRUCT_EVERY = 2
"""In play the reconstruction runs on every 2nd step at twice the weight, lazily like the penalty."""

KL_RAMP = 8_000
"""Tiles over which the KL weight rises from zero: at full weight from the start the latent can go unused
for good (posterior collapse; Bowman et al. 2016)."""

GROUP = 4
"""Samples a group of minibatch statistics."""

CLIP = 5.0
"""Largest norm of a gradient, by group of parameters."""

SLOWEST = 0.05
"""Part of the rates that is left at the end of play."""

LECAM_MEMORY = 0.99
"""Of the running means of the logits, a step."""


class Game(nn.Module):
    """The players, their optimisers and the state that a resumed run must find again."""

    running: Tensor

    def __init__(
        self,
        channels: int,
        tile: tuple[int, ...],
        preset: Preset,
        conditions: Sequence[Condition],
        rules: Rules,
        seed: int,
        context: int = 0,
    ) -> None:
        super().__init__()
        self.rules = rules
        self.conditions = tuple(conditions)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.generator = Generator(channels, tile, preset, conditions, context)
            self.inference = Inference(channels, tile, preset)
            self.discriminator = Discriminator(channels, tile, preset, conditions, context, spectral=rules.spectral)
        # What samples are drawn from, and what reads images for it: averaged alike, or their latents part.
        self.average = averaged_copy(self.generator)
        self.average_inference = averaged_copy(self.inference)
        makers = [*self.generator.parameters(), *self.inference.parameters()]
        self.make = Muon(makers, rules.warm_rate, betas=(0.5, 0.99))
        self.tell = Muon(self.discriminator.parameters(), rules.discriminator_rate, betas=(0.0, 0.99), momentum=0.0)
        self.gamma = penalties.AdaptivePenalty(penalties.strength(rules.penalty_base, tile, channels))
        start = 0.0 if rules.augmentation_adapts else rules.augmentation
        self.strength = AdaptiveStrength(ceiling=rules.augmentation, start=start)
        # Running means of the real and the fake image logits, for LeCam.
        self.register_buffer("running", torch.zeros(2))
        self.random = torch.Generator().manual_seed(seed)
        self.team = ALONE
        self.frozen = 0
        self.pace = 1.0
        self.slowed = 1.0
        self.steps = 0
        self.warmed = 0

    def autoencode(self, batch: Batch) -> dict[str, float]:
        """Act one: one step of generator and inference network on reconstruction alone."""
        self.warmed += len(batch.pixels)
        kl_weight = self.rules.kl_weight * min(1.0, self.warmed / KL_RAMP)
        tally = Tally()
        self.make.set_rate(self.rules.warm_rate * self.slowed)
        losses = (self._reconstruct(share, kl_weight, tally) + self._sharpening(share) for share in self._remade(batch))
        descend(self.make, losses, CLIP, self.team)
        self._average(len(batch.pixels))
        return tally.over(self.team)

    def judge(self, batch: Batch) -> dict[str, float]:
        """Act two: one step of the discriminator on fresh fakes.

        Raises:
            ValueError: if the batch is not a whole number of groups, which would mix real and fake.
        """
        shares = self._asked(batch)
        self.tell.set_rate(self.rules.discriminator_rate * self.slowed)
        return self._tell_apart(shares, self._unheld)[0]

    def play(self, batch: Batch) -> dict[str, float]:
        """Act three: a step of the discriminator and one of the generator on the same fakes.

        The autoencoding term is kept on every ``RECONSTRUCT_EVERY``-th step.
        """
        shares = self._asked(batch)
        # A batch in one part draws its fakes once; in several, once for each player, since only one part is held.
        held = [self._fake(shares[0])] if len(shares) == 1 else []
        reconstructs = self.rules.reconstruction_weight > 0 and self.steps % RECONSTRUCT_EVERY == 0
        self.tell.set_rate(self.rules.discriminator_rate * self.pace * self.slowed)
        figures, real_logits = self._tell_apart(shares, lambda s: held[0].detach() if held else self._unheld(s))
        self.make.set_rate(self.rules.generator_rate * self.pace * self.slowed)
        moved = self._remade(batch) if reconstructs else []
        tally = Tally()

        def loss(number: int, draws: Draws) -> Tensor:
            share = shares[number]
            fake = held.pop() if held else self._fake(share)
            adversarial = self._generator_loss(share, fake, real_logits[number], draws)
            tally.add(generator=adversarial)
            wanted = self.rules.adversarial_weight * adversarial + self._sharpening(share)
            if moved:
                kept = self._reconstruct(moved[number], self.rules.kl_weight, tally)
                wanted = wanted + RECONSTRUCT_EVERY * self.rules.reconstruction_weight * kept
            return wanted

        losses = (loss(number, draws) for number, draws in enumerate(self._draws(shares)))
        descend(self.make, losses, CLIP, self.team)
        self._average(len(batch.pixels))
        return figures | tally.over(self.team)

    def widen(self, progress: float) -> None:
        """Let tokens look as far as ``progress`` in [0, 1] allows: everywhere from half of the run on."""
        if self.rules.locality:
            set_reach(self, min(1.0, 2 * progress))

    def settle(self, left: float) -> None:
        """Let rates in play follow what is ``left`` of it, in [0, 1]: whole in its first half, then falling."""
        self.pace = min(1.0, max(SLOWEST, 2 * left))

    def slow_down(self) -> None:
        """Halve the rates of both players from now on."""
        self.slowed /= 2

    def snapshot(self) -> dict[str, Any]:
        """Everything that a resumed game must find again, as it is now."""
        state = {
            "networks": self.state_dict(),
            "make": self.make.state_dict(),
            "judge": self.tell.state_dict(),
            "augmentation": self.strength.probability,
            "penalty": (self.gamma.factor, self.gamma.outranked),
            "random": self.random.get_state(),
            "steps": self.steps,
            "warmed": self.warmed,
            "frozen": self.frozen,
            "slowed": self.slowed,
        }
        return copy.deepcopy(state)

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a ``snapshot``, which stays as it is."""
        state = copy.deepcopy(dict(state))
        self.load_state_dict(state["networks"])
        self.make.load_state_dict(state["make"])
        self.tell.load_state_dict(state["judge"])
        self.strength.probability = state["augmentation"]
        self.gamma.factor, self.gamma.outranked = state["penalty"]
        self.random.set_state(state["random"])
        self.steps = state["steps"]
        self.warmed = state["warmed"]
        self.slowed = state["slowed"]
        self.freeze(state["frozen"])

    def fit_bands(self, tiles: Batch) -> None:
        """Measure on ``tiles`` how strong each band of detail is, before anything is learned."""
        for bands in self._bands():
            bands.fit(tiles.shown)

    def hide_bands(self) -> None:
        """Show the judge and the inference network the image alone."""
        for bands in self._bands():
            bands.hide()

    def freeze(self, stages: int) -> None:
        """Keep the first ``stages`` of the discriminator's encoder as they are."""
        for fusion in self.discriminator.encoder.fusions[:stages]:
            # Out of training, so that spectral normalisation too stays where it is.
            fusion.eval().requires_grad_(False)
        self.frozen = stages

    @torch.no_grad()
    def fit_latents(self, tiles: Batch) -> None:
        """Fit each generator's latent prior to what its own inference network finds in ``tiles``."""
        for generator, inference in ((self.generator, self.inference), (self.average, self.average_inference)):
            posteriors = [inference(part) for part in tiles.shown.split(256)]
            means = torch.cat([posterior.mean for posterior in posteriors])
            variances = torch.cat([posterior.log_variance for posterior in posteriors]).exp()
            generator.prior.fit(means, variances, tiles.conditions)

    def _quickly(self) -> torch.autocast:
        """Sums of products as precise as the rules say."""
        where = self.running.device.type
        return torch.autocast(where, torch.bfloat16, enabled=self.rules.precision == "bfloat16")

    def _bands(self) -> list[Bands]:
        """Of every network that looks at images."""
        return [network.bands for network in (self.discriminator, self.inference, self.average_inference)]

    def _asked(self, batch: Batch) -> list[Share]:
        """The shares of a batch for which fakes are made."""
        return self._divided(batch, self._drop(batch.conditions))

    def _remade(self, batch: Batch) -> list[Share]:
        """The shares of a batch that is reconstructed."""
        return self._divided(self._jittered(batch), self._drop(batch.conditions))

    def _divided(self, batch: Batch, codes: Tensor) -> list[Share]:
        """This process's shares of a batch under other codes. What decides them is drawn for the whole of it."""
        noise = torch.randn(len(codes), self.generator.latent, generator=self.random).to(batch.pixels)
        asked = replace(batch, conditions=codes)
        parts = self.team.shares(len(codes), GROUP)
        if self.team.divided and self.rules.lecam_weight:
            raise RecipeError(
                "LeCam holds against each other the logits of a whole batch, which is divided here",
                do="set game.lecam_weight=0, use one device, or a smaller game.batch",
            )
        return [Share(asked[part.rows], noise[part.rows], part, batch.valid) for part in parts]

    def _draws(self, shares: Sequence[Share]) -> Iterator[Draws]:
        """What each share draws on: all begin where the first began, and end where a whole batch would."""
        state = self.random.get_state()
        for share in shares:
            self.random.set_state(state)
            yield Draws(self.random, share.part)

    def _reconstruct(self, share: Share, kl_weight: float, tally: Tally) -> Tensor:
        batch = share.batch
        with self._quickly():
            posterior = self.inference(batch.shown).exact()
            remade = self.generator(posterior.draw(share.noise), batch.conditions, batch.context).float()
        reconstruction = masked_l1(remade, batch.pixels, batch.valid, share.whole)
        divergence = posterior.divergence().mean() * share.part.weight
        tally.add(reconstruction=reconstruction, kl=divergence)
        return reconstruction + kl_weight * divergence

    def _jittered(self, batch: Batch) -> Batch:
        """Some tiles shifted, some relit, so that the autoencoder does not learn a few images by heart.

        The latent prior is fitted to the tiles as they are, so that nothing of it leaks into samples.
        """
        draws, rate = Draws(self.random), self.rules.jitter
        shifted = batch.moved(lambda planes: augment(planes, rate, draws, ("translate",)))
        return replace(shifted, pixels=augment(shifted.pixels, rate, draws, ("intensity",)))

    def _fake(self, share: Share) -> Tensor:
        """A fake for each real tile, through its mask."""
        codes = share.batch.conditions
        latents = self.generator.prior(share.noise, codes)
        with self._quickly():
            return self.generator(latents, codes, share.batch.context).float() * share.batch.valid

    @torch.no_grad()
    def _unheld(self, share: Share) -> Tensor:
        """The same fakes, for the discriminator alone."""
        return self._fake(share)

    def _tell_apart(
        self, shares: Sequence[Share], fakes: Callable[[Share], Tensor]
    ) -> tuple[dict[str, float], list[Logits]]:
        """One step of the discriminator; also what it said of each share's real tiles."""
        batch = shares[0].part.of
        if batch % GROUP:
            raise ValueError(f"a batch of {batch} is not a whole number of groups of {GROUP}")
        tally, said, verdicts = Tally(), [], []

        def loss(share: Share, draws: Draws) -> Tensor:
            wanted, real, fake = self._discriminator_loss(share, fakes(share), draws)
            tally.add(discriminator=wanted)
            said.append(Logits(real.image.detach(), [tokens.detach() for tokens in real.tokens]))
            judged = (real.image, fake.image, penalties.verdict(real), penalties.verdict(fake))
            verdicts.append(torch.stack(judged).detach())
            return wanted

        with parametrize.cached():
            descend(self.tell, map(loss, shares, self._draws(shares)), CLIP, self.team)
        self.steps += 1
        real_image, fake_image, real, fake = self.team.gather(torch.cat(verdicts, dim=1))
        if self.rules.augmentation_adapts:
            self.strength.observe(real_image, fake_image)
        self.gamma.observe(real, fake, follow=self.rules.penalty_adapts)
        state = {
            "outranked": self.gamma.outranked,
            "augmentation": self.strength.probability,
            "gamma": self.gamma.gamma,
        }
        return tally.over(self.team) | state, said

    def _sharpening(self, share: Share) -> Tensor | float:
        if not self.rules.superresolution_weight:
            return 0.0
        batch = share.batch
        with self._quickly():
            remade = self.generator.sharpen(batch.shown).float()
        return self.rules.superresolution_weight * masked_l1(remade, batch.pixels, batch.valid, share.whole)

    def _discriminator_loss(self, share: Share, fake: Tensor, draws: Draws) -> tuple[Tensor, Logits, Logits]:
        codes = share.batch.conditions
        shown, context = self._side_by_side(share.batch, fake, draws)
        both = torch.cat([codes, codes])

        def judge(x: Tensor) -> Logits:
            return self.discriminator(x, both, GROUP, context)

        with self._quickly():
            logits = judge(shown).exact()
        real_logits, fake_logits = _halves(logits)
        loss = LOSSES[self.rules.loss].discriminator(real_logits, fake_logits)
        if self.rules.lecam_weight:
            loss = loss + self.rules.lecam_weight * self._lecam(real_logits.image, fake_logits.image)
        if self.steps % PENALTY_EVERY == 0 and self.rules.penalty != "none":
            if self.rules.penalty == "exact":
                penalty = penalties.exact(judge, shown, self.gamma.gamma)
            else:
                noise = draws.normal(*shown.shape).to(shown)
                # A difference so small is all rounding in bfloat16.
                before = judge(shown) if self.rules.precision == "bfloat16" else logits
                penalty = penalties.approximate(before, judge, shown, self.gamma.gamma, noise)
            # The mean over real and fake together is half of R1 + R2.
            loss = loss + 2 * PENALTY_EVERY * penalty
        return loss * share.part.weight, real_logits, fake_logits

    def _generator_loss(self, share: Share, fake: Tensor, real_logits: Logits, draws: Draws) -> Tensor:
        """Fakes are held against what was just said of the real tiles, which saves judging these again."""
        shown, context = self._augmented(fake, share.batch.context, draws)
        self.discriminator.requires_grad_(False)
        with parametrize.cached(), self._quickly():
            fake_logits = self.discriminator(shown, share.batch.conditions, GROUP, context).exact()
        self.discriminator.requires_grad_(True)
        self.freeze(self.frozen)
        return LOSSES[self.rules.loss].generator(real_logits, fake_logits) * share.part.weight

    def _side_by_side(self, batch: Batch, fake: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Real and fake as one batch, augmented alike."""
        # Groups of minibatch statistics divide each half, so real and fake never mix.
        context = None if batch.context is None else torch.cat([batch.context, batch.context])
        return self._augmented(torch.cat([batch.shown, fake]), context, draws)

    def _augmented(self, images: Tensor, context: Tensor | None, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """As the discriminator sees them; a context moves along, and is neither relit nor cut out."""
        rate, transforms = self.strength.probability, self.rules.transforms
        if context is None:
            return augment(images, rate, draws, transforms), None
        moving = [name for name in transforms if name in MOVING]
        moved = augment(torch.cat([images, context], dim=1), rate, draws, moving)
        images, context = moved.split([images.shape[1], context.shape[1]], dim=1)
        return augment(images, rate, draws, [name for name in transforms if name not in MOVING]), context

    def _lecam(self, real: Tensor, fake: Tensor) -> Tensor:
        now = torch.stack([real.detach().mean(), fake.detach().mean()])
        self.running.lerp_(now, 1 - LECAM_MEMORY)
        return lecam(real, fake, self.running[0].item(), self.running[1].item())

    def _drop(self, codes: Tensor) -> Tensor:
        return drop(self.conditions, codes, self.rules.condition_drop, self.random)

    def _average(self, images: int) -> None:
        for average, network in ((self.average, self.generator), (self.average_inference, self.inference)):
            average_into(average, network, images, self.rules.average_half_life)


def _halves(logits: Logits) -> tuple[Logits, Logits]:
    half = len(logits.image) // 2
    return (
        Logits(logits.image[:half], [t[:half] for t in logits.tokens]),
        Logits(logits.image[half:], [t[half:] for t in logits.tokens]),
    )
