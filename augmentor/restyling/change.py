"""What a change of conditions changes of tiles, as a run's own networks have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from augmentor.errors import RunError
from augmentor.networks import load_generator, load_inference
from augmentor.run import Facts, Run
from augmentor.sampling import check_conditions
from augmentor.t2t.conditioning import encode
from augmentor.t2t.generator import Generator
from augmentor.t2t.inference import Inference

AT_ONCE = 32
"""Tiles that networks are shown together."""

Values = Mapping[str, str]
"""Conditions by name."""


class Changer:
    """A trained run's inference network and generator, for tiles (N, C, *tile) in [-1, 1], zero where not observed."""

    def __init__(self, facts: Facts, generator: Generator, inference: Inference) -> None:
        self.facts = facts
        self.generator = generator.eval()
        self.inference = inference.eval()

    @classmethod
    def of(cls, run: Run) -> Changer:
        """The changer of a run.

        Raises:
            RunError: if the run cannot tell one style from another in planes: it has no conditions, fills, knows images
                with their label maps alone, or makes volumes.
        """
        run.check_looks()
        facts = run.facts
        if not facts.conditions:
            raise RunError(
                "has no condition that a style could be named by", where=run.folder, do="train one with conditions"
            )
        if len(facts.tile) == 3:
            raise RunError(
                "makes volumes, and slices are restyled one by one", where=run.folder, do="give tiles.size two numbers"
            )
        return cls(facts, load_generator(run), load_inference(run))

    @torch.inference_mode()
    def __call__(self, shown: Tensor, own: Values, wanted: Values) -> Tensor:
        """G(z', wanted) - G(z, own), (N, C, *tile), both made, so that what cannot be remade cancels.

        z is what the inference network finds, z' the latent as far from what is usual under the wanted conditions as z
        is from what is usual under its own ones, in the spread of each: the noise that the latent prior makes both of
        is held, since a latent tells of its style, too.

        Raises:
            WrongCondition: if the run does not know a name or value.
        """
        codes = [self.code(values) for values in (own, wanted)]
        found = []
        for part in shown.split(AT_ONCE):
            before, after = (code.expand(len(part), -1) for code in codes)
            latents = self.inference(part).mean
            prior = self.generator.prior
            moved = prior(prior.noise(latents, before), after)
            found.append(self.generator(moved, after) - self.generator(latents, before))
        return torch.cat(found)

    def code(self, values: Values) -> Tensor:
        """The code (1, K) of conditions; those that are not named are unknown.

        Raises:
            WrongCondition: if the run does not know a name or value.
        """
        return encode(self.facts.conditions, check_conditions(self.facts, values))[None]

    @torch.inference_mode()
    def likeliest(self, shown: Tensor, candidates: Sequence[Values]) -> Values:
        """Which of several conditions tiles most likely have: their latents' density under the run's latent prior."""
        latents = torch.cat([self.inference(part).mean for part in shown.split(AT_ONCE)])
        return max(candidates, key=lambda values: self._density(latents, values))

    def _density(self, latents: Tensor, values: Values) -> float:
        """The mean logarithm of a normal density of latents (N, latent), up to a constant."""
        code = self.code(values)
        prior = self.generator.prior
        noise = prior.noise(latents, code.expand(len(latents), -1))
        axes = torch.eye(latents.shape[1])
        factor = prior(axes, code.expand(len(axes), -1)) - prior.mean(code)
        return float(-0.5 * noise.square().sum(dim=1).mean() - factor.diagonal().abs().log().sum())
