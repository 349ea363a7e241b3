"""What a run's networks find strange in tiles: three maps, each in units of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from augmentor.networks import load_discriminator, load_generator, load_inference
from augmentor.run import Facts, Run
from augmentor.scoring.rollout import rollout
from augmentor.t2t.discriminator import Discriminator
from augmentor.t2t.generator import Generator
from augmentor.t2t.inference import Inference

AT_ONCE = 16
"""Tiles that are looked at together."""

NAMES = ("reconstruction", "features", "tokens")

SMOOTH = {2: "bilinear", 3: "trilinear"}


class Viewer:
    """A trained run, for tiles (N, C, *tile) in [-1, 1], zero where they are not ``valid`` (N, 1, *tile)."""

    def __init__(self, facts: Facts, generator: Generator, inference: Inference, discriminator: Discriminator) -> None:
        self.facts = facts
        self.generator = generator
        self.inference = inference
        self.discriminator = discriminator

    @classmethod
    def of(cls, run: Run) -> Viewer:
        """The viewer of a run.

        Raises:
            RunError: if the run fills, or makes or needs label maps: such a run cannot look at images alone.
        """
        run.check_looks()
        return cls(run.facts, load_generator(run), load_inference(run), load_discriminator(run))

    def look(self, pixels: Tensor, valid: Tensor) -> Tensor:
        """How strange each pixel is in each way of ``NAMES``: (N, 3, *tile), zero where it is not valid."""
        parts = [self._look(*part) for part in zip(pixels.split(AT_ONCE), valid.split(AT_ONCE), strict=True)]
        return torch.cat(parts)

    @torch.inference_mode()
    def _look(self, pixels: Tensor, valid: Tensor) -> Tensor:
        remade = self.remade(pixels) * valid
        residual = (pixels - remade).abs().mean(dim=1, keepdim=True)
        own, others = self._grids(pixels), self._grids(remade)
        apart = [_apart(a, b) for a, b in zip(own, others, strict=True)]
        doubted = [-head(grid) for head, grid in zip(self.discriminator.token_heads, own, strict=True)]
        return torch.cat([residual, *(_pooled(grids, pixels) for grids in (apart, doubted))], dim=1) * valid

    def remade(self, pixels: Tensor) -> Tensor:
        """What the run makes of images: G(E(x)), under no condition, since nobody says one of an unknown image."""
        codes = pixels.new_zeros(len(pixels), sum(known.size for known in self.facts.conditions))
        return self.generator(self.inference(pixels).mean, codes, None)

    def attended(self, pixels: Tensor) -> Tensor:
        """How much each pixel counts for the tokens that the discriminator takes for made: (N, *tile), mean 1."""
        with torch.no_grad():
            bands = self.discriminator.bands(pixels)
            doubt = -self.discriminator.token_heads[-1](self._grids(pixels)[-1])
        relevance = doubt.flatten(1).softmax(dim=1).view_as(doubt)
        counted = rollout(self.discriminator.encoder, bands, relevance)[:, 0]
        return counted * counted[0].numel()

    def _grids(self, pixels: Tensor) -> list[Tensor]:
        return self.discriminator.encoder(self.discriminator.bands(pixels))


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """Squared distance of the directions of tokens, (B, C, *grid) -> (B, 1, *grid), from 0 to 4.

    As in LPIPS (Zhang et al. 2018), whose features are a classifier's; of the discriminator's as in f-AnoGAN
    (Schlegl et al. 2019).
    """
    a, b = (grid / grid.square().sum(dim=1, keepdim=True).add(1e-10).sqrt() for grid in (one, other))
    return (a - b).square().sum(dim=1, keepdim=True)


def _pooled(grids: Sequence[Tensor], like: Tensor) -> Tensor:
    """The mean over all stages of grids (B, 1, *grid), on the pixels of ``like``."""
    mode = SMOOTH[like.ndim - 2]
    return torch.stack([interpolate(grid, like.shape[2:], mode=mode) for grid in grids]).mean(dim=0)
