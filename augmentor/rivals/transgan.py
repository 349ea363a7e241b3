"""TransGAN: a generator and a discriminator of transformers alone.

Source: Jiang, Chang and Wang, "TransGAN: two pure transformers can make one strong GAN, and that can
scale up", NeurIPS 2021. The authors' released training takes four steps of the critic, of 64 images, to one
of the generator, of 128; here both take one of 64, as every contender does, from torch's own initial weights.
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pixel_shuffle

from augmentor.rivals.rival import (
    LEAST_LATENT,
    Discriminator,
    Generator,
    Projection,
    Published,
    Rival,
    doublings,
    pixel_norm,
    scaled,
)
from augmentor.rivals.transgan_blocks import GRID, Block, Stage
from augmentor.t2t.discriminator import Logits

LATENT = 256
EMBEDDING = 1024
"""Numbers a token of the generator's first grid."""

DEPTHS = (5, 4, 4, 4, 4)
"""Blocks a stage of the generator, coarsest first; tiles of 32 px have 2 in their last."""

JUDGED = 384
"""Numbers a token of the discriminator's last grid."""

SHARES = {2: (3 / 4, 1 / 4), 3: (1 / 4, 1 / 4, 1 / 2)}
"""Which part of ``JUDGED`` each size of patches adds, finest first."""

JUDGING_DEPTH = 3
COARSE = 8
"""Side of the first grid of the generator and of the last one of the discriminator."""

RECIPE = Published(
    "wasserstein",
    generator_rate=1e-4,
    discriminator_rate=1e-4,
    betas=(0.0, 0.99),
    batch=64,
    penalty="wgan_gp",
    gamma=10.0,
    half_life=500_000,
    ramp=0.1,
    augmentation=1.0,
    clip=5.0,
)


class TransGANGenerator(Generator):
    """An MLP makes 8 × 8 tokens; stages of blocks with upsampling between them; a linear layer paints.

    Pixel shuffling doubles the side and quarters the width. Tiles of more than 32 px grow to a grid of
    32 by bicubic upsampling first, which keeps the width (section 3.1).
    """

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        self.latent = max(LEAST_LATENT, scaled(LATENT, width))
        sides = doublings(COARSE, tile)
        self.shuffled = [side for side in sides[1:] if tile == GRID or side > GRID]
        embedding = scaled(EMBEDDING, width, 4 ** len(self.shuffled))
        hidden = scaled(4 * EMBEDDING, width)
        shrunk = [4 ** sum(s <= side for s in self.shuffled) for side in sides]
        depths = [*DEPTHS[: len(sides) - 1], 2 if tile == GRID else DEPTHS[len(sides) - 1]]
        self.first = nn.Linear(self.latent + conditions, embedding * COARSE**2)
        self.stages = nn.ModuleList(
            Stage(embedding // s, scaled(hidden, 1 / s), side, depth)
            for s, side, depth in zip(shrunk, sides, depths, strict=True)
        )
        self.to_image = nn.Conv2d(embedding // shrunk[-1], channels, 1)

    def forward(self, z: Tensor, conditions: Tensor) -> Tensor:
        x = self.first(torch.cat([z, conditions], dim=1)).unflatten(1, (-1, COARSE, COARSE))
        x = self.stages[0](x)
        for stage in self.stages[1:]:
            if 2 * x.shape[-1] in self.shuffled:
                x = pixel_shuffle(x, 2)
            else:
                x = interpolate(x, scale_factor=2.0, mode="bicubic")
            x = stage(x)
        return self.to_image(x)


class TransGANDiscriminator(Discriminator):
    """Patches of several sizes: finer tokens are pooled to meet coarser ones; a class token is judged (section 3.2)."""

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        patch = 2 if tile == GRID else 4
        sides = doublings(COARSE, tile // patch)[::-1]
        added = [scaled(JUDGED * share, width) for share in SHARES[len(sides)]]
        widths = list(accumulate(added))
        self.patches = nn.ModuleList(
            nn.Conv2d(channels, w, tile // side, tile // side) for w, side in zip(added, sides, strict=True)
        )
        self.stages = nn.ModuleList(Stage(w, 4 * w, side, JUDGING_DEPTH) for w, side in zip(widths, sides, strict=True))
        self.token = nn.Parameter(torch.randn(1, 1, widths[-1]) * 0.02)
        self.last = Block(widths[-1], 4 * widths[-1])
        self.logit = nn.Linear(widths[-1], 1)
        self.projection = Projection(conditions, widths[-1])

    def forward(self, x: Tensor, conditions: Tensor) -> Logits:
        grids = [patch(x) for patch in self.patches]
        grid = self.stages[0](grids[0])
        for stage, finer in zip(self.stages[1:], grids[1:], strict=True):
            grid = stage(torch.cat([avg_pool2d(grid, 2), finer], dim=1))
        tokens = torch.cat([self.token.expand(len(x), -1, -1), grid.flatten(2).transpose(1, 2)], dim=1)
        judged = pixel_norm(self.last(tokens)[:, 0])
        return Logits(self.logit(judged)[:, 0] + self.projection(judged, conditions), [])


def transgan(channels: int, tile: int, conditions_width: int, width: float) -> Rival:
    """TransGAN for square tiles of 32, 64 or 128 px; ``width`` multiplies the numbers a token and the latent.

    Raises:
        ValueError: if the tile is not 8 px doubled a number of times.
    """
    sizes = (channels, tile, conditions_width, width)
    return Rival(TransGANGenerator(*sizes), TransGANDiscriminator(*sizes), RECIPE)
