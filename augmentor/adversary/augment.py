"""Differentiable augmentation of what the discriminator sees, with a strength that adapts.

Both real and fake pass through the same random transforms, so that D cannot memorise few images
(DiffAugment, Zhao et al. 2020); the probability rises from zero only as D overfits (ADA, Karras et
al. 2020), so that the transforms do not leak into samples. Every transform keeps labels true for
medical images and satellite tiles alike: no flips, no hue.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHIFT = 1 / 8
"""Largest translation, as a part of the side."""

CUTOUT = 1 / 4
"""Side of the square that is blanked, as a part of the side."""

INTENSITY = 0.1
"""Largest change of gain and of offset."""


def augment(x: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Each of translation, cutout and intensity, per sample with ``probability``: (B, C, H, W)."""
    if probability <= 0:
        return x
    for transform in (_intensity, _translate, _cutout):
        chosen = torch.rand(len(x), generator=generator) < probability
        if chosen.any():
            x = torch.where(chosen[:, None, None, None].to(x.device), transform(x, generator), x)
    return x


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1).to(like)


def _intensity(x: Tensor, generator: torch.Generator) -> Tensor:
    gain, offset = (_uniform((len(x), 1, 1, 1), generator, x) * INTENSITY for _ in range(2))
    return x * (1 + gain) + offset


def _translate(x: Tensor, generator: torch.Generator) -> Tensor:
    height, width = x.shape[-2:]
    reach = (round(height * SHIFT), round(width * SHIFT))
    padded = torch.nn.functional.pad(x, (reach[1], reach[1], reach[0], reach[0]), mode="replicate")
    rows = torch.randint(0, 2 * reach[0] + 1, (len(x),), generator=generator)
    columns = torch.randint(0, 2 * reach[1] + 1, (len(x),), generator=generator)
    crops = [
        image[:, r : r + height, c : c + width]
        for image, r, c in zip(padded, rows.tolist(), columns.tolist(), strict=True)
    ]
    return torch.stack(crops)


def _cutout(x: Tensor, generator: torch.Generator) -> Tensor:
    height, width = x.shape[-2:]
    centre_row, centre_column = torch.rand((2, len(x), 1, 1), generator=generator).to(x.device)
    rows = torch.arange(height, device=x.device)[:, None] / height
    columns = torch.arange(width, device=x.device)[None, :] / width
    inside = ((rows - centre_row).abs() < CUTOUT / 2) & ((columns - centre_column).abs() < CUTOUT / 2)
    return x.masked_fill(inside[:, None], 0.0)


class AdaptiveStrength:
    """Raises the probability while D is too sure of real images, lowers it otherwise (ADA, eq. 1)."""

    def __init__(self, target: float = 0.6, images_to_full: int = 100_000, ceiling: float = 0.6) -> None:
        self.target = target
        self.images_to_full = images_to_full
        self.ceiling = ceiling
        self.probability = 0.0

    def observe(self, real: Tensor, fake: Tensor) -> None:
        """Take in the image logits (B,) of one step; sureness is how often real outranks fake."""
        centre = (real.detach().mean() + fake.detach().mean()) / 2
        sureness = torch.sign(real.detach() - centre).mean().item()
        move = len(real) / self.images_to_full
        moved = self.probability + (move if sureness > self.target else -move)
        self.probability = min(max(moved, 0.0), self.ceiling)
