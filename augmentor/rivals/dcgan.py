"""DCGAN: strided convolutions and batch norm. Radford, Metz and Chintala, ICLR 2016, section 3."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from augmentor.rivals.rival import Discriminator, Generator, Projection, Published, Rival, doublings, scaled
from augmentor.t2t.discriminator import Logits

LATENT = 100
FEATURES = 64
"""Channels at half of the tile's resolution; twice as many at every halving."""

RECIPE = Published("non_saturating", generator_rate=2e-4, discriminator_rate=2e-4, betas=(0.5, 0.999), batch=128)


class DCGANGenerator(Generator):
    """Transposed convolutions from a 4 × 4 grid, batch norm, ReLU, tanh; conditions join the noise."""

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        self.latent = LATENT
        widths = _widths(tile, width)[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(LATENT + conditions, widths[0], 4, bias=False)]
        for coarse, fine in pairwise(widths):
            layers += [nn.BatchNorm2d(coarse), nn.ReLU(), nn.ConvTranspose2d(coarse, fine, 4, 2, 1, bias=False)]
        last = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False)
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(widths[-1]), nn.ReLU(), last, nn.Tanh())
        self.apply(start)

    def forward(self, z: Tensor, conditions: Tensor) -> Tensor:
        return self.layers(torch.cat([z, conditions], dim=1)[:, :, None, None])


class DCGANDiscriminator(Discriminator):
    """The mirror: strided convolutions, batch norm but on the first, leaky ReLU; one logit."""

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        widths = _widths(tile, width)
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for fine, coarse in pairwise(widths):
            layers += [nn.Conv2d(fine, coarse, 4, 2, 1, bias=False), nn.BatchNorm2d(coarse), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.logit = nn.Conv2d(widths[-1], 1, 4, bias=False)
        self.projection = Projection(conditions, widths[-1])
        self.apply(start)

    def forward(self, x: Tensor, conditions: Tensor) -> Logits:
        features = self.layers(x)
        projection = self.projection(features.mean(dim=(2, 3)), conditions)
        return Logits(self.logit(features).flatten() + projection, [])


def _widths(tile: int, width: float) -> list[int]:
    """Channels of the grids from tile / 2 down to 4 × 4, finest first."""
    return [scaled(FEATURES * 2**level, width) for level, _ in enumerate(doublings(4, tile)[:-1])]


def start(module: nn.Module) -> None:
    """Weights ~ N(0, 0.02²), gains of batch norm ~ N(1, 0.02²) (section 4); of those that are spectrally normalised,
    what is normalised."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        # Setting the weight of a parametrised layer itself would change nothing: it is computed anew.
        nn.init.normal_(next(p for name, p in module.named_parameters() if "weight" in name), std=0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, mean=1.0, std=0.02)


def dcgan(channels: int, tile: int, conditions_width: int, width: float) -> Rival:
    """DCGAN for square tiles of ``tile`` px; ``width`` multiplies 64 features.

    Raises:
        ValueError: if the tile is not 4 px doubled a number of times.
    """
    sizes = (channels, tile, conditions_width, width)
    return Rival(DCGANGenerator(*sizes), DCGANDiscriminator(*sizes), RECIPE)
