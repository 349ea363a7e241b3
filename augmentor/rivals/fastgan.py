"""FastGAN: a light generator with skip-layer excitation, and a discriminator that also learns to decode.

Source: Liu et al., "Towards faster and stabilized GAN training for high-fidelity few-shot image
synthesis", ICLR 2021. The paper compares decoded images with real ones by LPIPS; there are no pretrained
weights here, so the mean absolute difference stands in for it. The paper starts at 256 px, where skips
reach from each grid to one of 16 times its side; below 64 px the one skip reaches from 4 × 4 to the tile.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, l1_loss
from torch.nn.utils.parametrizations import spectral_norm

from augmentor.rivals.dcgan import start
from augmentor.rivals.fastgan_blocks import Doubling, Excitation, Halving, convolution
from augmentor.rivals.rival import (
    LEAST_LATENT,
    Generator,
    Projection,
    Published,
    Rival,
    SelfSupervised,
    doublings,
    scaled,
)
from augmentor.t2t.discriminator import Logits

LATENT = 256
FEATURES = {4: 1024, 8: 512, 16: 256, 32: 128, 64: 128, 128: 64}
"""Channels of the generator's grids, by their side."""

CODE = 8
"""Side of the coarsest grid of the discriminator, and of what its decoders read."""

RECIPE = Published(
    "hinge",
    generator_rate=2e-4,
    discriminator_rate=2e-4,
    betas=(0.5, 0.999),
    batch=8,
    half_life=5_542,  # a decay of 0.999 a step of 8 images
    augmentation=1.0,
)


class FastGANGenerator(Generator):
    """Doublings from a 4 × 4 grid, every other one of them with noise; fine grids are excited by coarse ones."""

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        self.latent = max(LEAST_LATENT, scaled(LATENT, width))
        self.sides = doublings(4, tile)
        widths = {side: scaled(FEATURES[side], width) for side in self.sides}
        self.first = nn.Sequential(
            spectral_norm(nn.ConvTranspose2d(self.latent + conditions, 2 * widths[4], 4, bias=False)),
            nn.BatchNorm2d(2 * widths[4]),
            nn.GLU(dim=1),
        )
        self.doublings = nn.ModuleList()
        for level, (coarse, fine) in enumerate(pairwise(self.sides)):
            self.doublings.append(Doubling(widths[coarse], widths[fine], fine, noisy=level % 2 == 0))
        self.skips = {side: max(4, side // 16) for side in self.sides if side >= min(64, tile)}
        self.excitations = nn.ModuleDict(
            {str(fine): Excitation(widths[coarse], widths[fine]) for fine, coarse in self.skips.items()}
        )
        self.to_image = convolution(widths[tile], channels, 3, padding=1)
        self.apply(start)

    def forward(self, z: Tensor, conditions: Tensor) -> Tensor:
        grids = {4: self.first(torch.cat([z, conditions], dim=1)[:, :, None, None])}
        for (coarse, fine), double in zip(pairwise(self.sides), self.doublings, strict=True):
            grids[fine] = double(grids[coarse])
            if fine in self.skips:
                grids[fine] = self.excitations[str(fine)](grids[self.skips[fine]], grids[fine])
        return torch.tanh(self.to_image(grids[self.sides[-1]]))


class Decoder(nn.Sequential):
    """Features (B, width, 8, 8) -> a small image (B, channels, side, side) in [-1, 1]."""

    def __init__(self, width: int, channels: int, side: int, scale: float) -> None:
        sides = doublings(CODE, side)
        widths = [width, *(scaled(FEATURES[s] / 2, scale) for s in sides[1:])]
        layers = [Doubling(a, b, s) for (a, b), s in zip(pairwise(widths), sides[1:], strict=True)]
        super().__init__(*layers, convolution(widths[-1], channels, 3, padding=1), nn.Tanh())


class FastGANDiscriminator(SelfSupervised):
    """Residual halvings to 8 × 8, judged in 5 × 5 overlapping patches (one entry of ``tokens``).

    The image logit is the mean of the patches with the conditions' projection.
    """

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        widths = [scaled(4096 // side, width) for side in doublings(CODE, tile)[::-1]]
        self.first = nn.Sequential(convolution(channels, widths[0], 3, padding=1), nn.LeakyReLU(0.2))
        self.halvings = nn.ModuleList(Halving(fine, coarse) for fine, coarse in pairwise(widths))
        self.patches = nn.Sequential(
            convolution(widths[-1], 2 * widths[-1], 1),
            nn.BatchNorm2d(2 * widths[-1]),
            nn.LeakyReLU(0.2),
            convolution(2 * widths[-1], 1, 4),
        )
        self.projection = Projection(conditions, widths[-1])
        self.decode_whole = Decoder(widths[-1], channels, tile // 2, width)
        self.decode_part = Decoder(widths[-2], channels, tile // 2, width)
        self.apply(start)

    def forward(self, x: Tensor, conditions: Tensor) -> Logits:
        return self._verdict(self._grids(x), conditions)

    def study(self, x: Tensor, conditions: Tensor, random: torch.Generator) -> tuple[Logits, Tensor]:
        """Logits, and how far decoding is from half of the image's resolution and from one of its quarters."""
        grids = self._grids(x)
        half = x.shape[-1] // 2
        row, column = torch.randint(0, 2, (2,), generator=random).tolist()
        part = x[:, :, row * half :, column * half :][:, :, :half, :half]
        seen = grids[-2][:, :, row * CODE :, column * CODE :][:, :, :CODE, :CODE]
        whole = interpolate(x, size=half, mode="area")
        loss = l1_loss(self.decode_whole(grids[-1]), whole) + l1_loss(self.decode_part(seen), part)
        return self._verdict(grids, conditions), loss

    def _grids(self, x: Tensor) -> list[Tensor]:
        grids = [self.first(x)]
        for halve in self.halvings:
            grids.append(halve(grids[-1]))
        return grids

    def _verdict(self, grids: list[Tensor], conditions: Tensor) -> Logits:
        patches = self.patches(grids[-1])[:, 0]
        projection = self.projection(grids[-1].mean(dim=(2, 3)), conditions)
        return Logits(patches.mean(dim=(1, 2)) + projection, [patches])


def fastgan(channels: int, tile: int, conditions_width: int, width: float) -> Rival:
    """FastGAN for square tiles of 32, 64 or 128 px; ``width`` multiplies the channels and the latent.

    Raises:
        ValueError: if the tile is not 4 px doubled a number of times.
    """
    sizes = (channels, tile, conditions_width, width)
    return Rival(FastGANGenerator(*sizes), FastGANDiscriminator(*sizes), RECIPE)
