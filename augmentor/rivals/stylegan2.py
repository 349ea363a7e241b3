"""StyleGAN2 with adaptive augmentation: a style-based generator against a residual discriminator.

Sources: Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020 (the networks,
configuration F) and "Training generative adversarial networks with limited data", NeurIPS 2020 (ADA, the
conditional networks, appendix C for the weight of R1). Path length regularisation is left out, as in the
second paper's small-image configuration; styles are mixed, which that one leaves out, too. Augmentation is
the one that all contenders share, adapted within 100,000 images in place of 500,000, by how often real
logits lie above the middle of real and fake ones in place of above zero.
"""

from __future__ import annotations

from itertools import pairwise
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from augmentor.rivals.rival import Discriminator, Generator, Noise, Projection, Published, Rival, doublings, scaled
from augmentor.rivals.style import EqualConv, EqualLinear, Mapping, ModulatedConv, activate, blur
from augmentor.t2t.discriminator import Logits, minibatch_spread

LATENT = 512
STYLE = 512
BATCH = 32
MIXING = 0.9
"""Probability that a training batch takes its finer styles from a second latent (Karras et al. 2019, section 3.1)."""

GROUP = 4
"""Samples a group of minibatch statistics."""


def features(side: int, width: float) -> int:
    """Channels of a (side, side) grid."""
    return scaled(min(512, 32768 // side), width)


class StyleLayer(nn.Module):
    """A modulated convolution, noise and an activation: (B, channels, h, w), (B, style) -> (B, width, side, side)."""

    def __init__(self, channels: int, width: int, style: int, side: int, *, up: bool = False) -> None:
        super().__init__()
        self.convolution = ModulatedConv(channels, width, 3, style, up=up)
        self.noise = Noise(side)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return activate(self.noise(self.convolution(x, style)))


class StyleGAN2Generator(Generator):
    """A learned 4 × 4 grid, two style layers a resolution, and the sum of what every resolution paints."""

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        self.latent, style = LATENT, scaled(STYLE, width)
        sides = doublings(4, tile)
        widths = [features(side, width) for side in sides]
        self.mapping = Mapping(LATENT, conditions, style)
        self.start = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.layers = nn.ModuleList([StyleLayer(widths[0], widths[0], style, 4)])
        for side, (coarse, fine) in zip(sides[1:], pairwise(widths), strict=True):
            self.layers.append(StyleLayer(coarse, fine, style, side, up=True))
            self.layers.append(StyleLayer(fine, fine, style, side))
        self.to_image = nn.ModuleList(ModulatedConv(w, channels, 1, style, demodulate=False) for w in widths)

    def forward(self, z: Tensor, conditions: Tensor) -> Tensor:
        x = self.start.expand(len(z), -1, -1, -1)
        image = x.new_zeros(len(z), 1, 2, 2)
        for index, (layer, style) in enumerate(zip(self.layers, self._styles(z, conditions), strict=True)):
            x = layer(x, style)
            if index % 2 == 0:  # the last layer of a resolution
                # Bilinear upsampling is the filter [1, 3, 3, 1] of the paper.
                painted = self.to_image[index // 2](x, style)
                image = interpolate(image, scale_factor=2.0, mode="bilinear") + painted
        return image

    def _styles(self, z: Tensor, conditions: Tensor) -> list[Tensor]:
        """One (B, style) a layer, coarsest first."""
        layers = len(self.layers)
        first = self.mapping(z, conditions)
        if not self.training or torch.rand(()) >= MIXING:
            return [first] * layers
        second = self.mapping(torch.randn_like(z), conditions)
        crossing = int(torch.randint(1, layers, ()))
        return [first] * crossing + [second] * (layers - crossing)


class Halving(nn.Module):
    """A residual block: (B, channels, h, w) -> (B, width, h / 2, w / 2), filtered before every stride."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = EqualConv(channels, channels, 3, padding=1)
        self.second = EqualConv(channels, width, 3, stride=2)
        self.skip = EqualConv(channels, width, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = activate(self.second(blur(activate(self.first(x)), padding=2)))
        return (y + self.skip(blur(x, padding=1))) / 2**0.5


class StyleGAN2Discriminator(Discriminator):
    """Residual blocks down to 4 × 4, the spread of the minibatch, and a projection of the conditions."""

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        widths = [features(side, width) for side in doublings(4, tile)[::-1]]
        last = widths[-1]
        self.from_image = EqualConv(channels, widths[0], 1)
        self.blocks = nn.Sequential(*(Halving(fine, coarse) for fine, coarse in pairwise(widths)))
        self.mix = EqualConv(last + 1, last, 3, padding=1)
        self.head = EqualLinear(last * 16, last)
        self.logit = EqualLinear(last, 1)
        self.projection = Projection(conditions, last)

    def forward(self, x: Tensor, conditions: Tensor) -> Logits:
        grid = self.blocks(activate(self.from_image(x)))
        spread = minibatch_spread(grid, gcd(len(x), GROUP))
        mixed = activate(self.mix(torch.cat([grid, spread], dim=1)))
        judged = activate(self.head(mixed.flatten(1)))
        return Logits(self.logit(judged)[:, 0] + self.projection(judged, conditions), [])


def stylegan2(channels: int, tile: int, conditions_width: int, width: float) -> Rival:
    """StyleGAN2-ADA for square tiles of ``tile`` px; ``width`` multiplies the channels and the styles.

    Raises:
        ValueError: if the tile is not 4 px doubled a number of times.
    """
    sizes = (channels, tile, conditions_width, width)
    recipe = Published(
        "non_saturating",
        generator_rate=2e-3,
        discriminator_rate=2e-3,
        betas=(0.0, 0.99),
        batch=BATCH,
        penalty="r1",
        gamma=0.0002 * tile**2 / BATCH,
        penalty_every=16,
        half_life=10_000,
        ramp=0.05,
        adaptive=True,
    )
    return Rival(StyleGAN2Generator(*sizes), StyleGAN2Discriminator(*sizes), recipe)
