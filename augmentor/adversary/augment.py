"""Differentiable augmentation of what the discriminator sees.

Both real and fake pass through the same random transforms, so that D cannot learn few images by heart
(DiffAugment, Zhao et al. 2020). On request the probability rises from zero as D grows sure of real images
(ADA, Karras et al. 2020); from a few hundred images that is too late: D ranked held-out images with
the fakes while the probability still stood at zero (docs/model.md). ``EVERYWHERE`` keeps labels true for
medical images and satellite tiles alike; mirroring and turning are for tiles that have no up and no left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from augmentor.adversary.draws import Draws

SHIFT = 1 / 8
"""Largest translation, as a part of the side."""

CUTOUT = 1 / 4
"""Side of the square or cube that is blanked, as a part of the side."""

INTENSITY = 0.1
"""Largest change of gain and of offset."""

EVERYWHERE = ("intensity", "translate", "cutout")
TURNING = ("mirror", "turn")
MOVING = ("translate", *TURNING)
"""What moves pixels, and must move an image condition along."""


def augment(x: Tensor, probability: float, draws: Draws, transforms: Sequence[str] = EVERYWHERE) -> Tensor:
    """Each of ``transforms``, per sample with ``probability``: (B, C, *tile)."""
    if probability <= 0:
        return x
    for name in transforms:
        # Drawn even where none is chosen: a batch in parts draws what the whole one does.
        chosen = (draws.uniform(len(x)) < probability).view(_per_sample(x)).to(x.device)
        x = torch.where(chosen, TRANSFORMS[name](x, draws), x)
    return x


def _per_sample(x: Tensor) -> tuple[int, ...]:
    return (len(x), *[1] * (x.ndim - 1))


def _intensity(x: Tensor, draws: Draws) -> Tensor:
    gain, offset = ((draws.uniform(*_per_sample(x)) * 2 - 1).to(x) * INTENSITY for _ in range(2))
    return x * (1 + gain) + offset


def _translate(x: Tensor, draws: Draws) -> Tensor:
    sides = x.shape[2:]
    reach = [round(side * SHIFT) for side in sides]
    padded = pad(x, [r for r in reversed(reach) for _ in range(2)], mode="replicate")
    starts = torch.stack([draws.whole(0, 2 * r + 1, len(x)) for r in reach], dim=1)
    crops = []
    for image, start in zip(padded, starts.tolist(), strict=True):
        window = [slice(first, first + side) for first, side in zip(start, sides, strict=True)]
        crops.append(image[(slice(None), *window)])
    return torch.stack(crops)


def _cutout(x: Tensor, draws: Draws) -> Tensor:
    inside = torch.ones(_per_sample(x), dtype=torch.bool, device=x.device)
    for axis, side in enumerate(x.shape[2:], start=2):
        places = (torch.arange(side, device=x.device) / side).view(-1, *[1] * (x.ndim - 1 - axis))
        centre = draws.uniform(*_per_sample(x)).to(x.device)
        inside = inside & ((places - centre).abs() < CUTOUT / 2)
    return x.masked_fill(inside, 0.0)


def _mirror(x: Tensor, draws: Draws) -> Tensor:
    return x.flip(-1)


def _turn(x: Tensor, draws: Draws) -> Tensor:
    """By 90, 180 or 270 degrees in the plane; by 180 where the plane is not square."""
    square = x.shape[-1] == x.shape[-2]
    times = draws.whole(1, 4, len(x)).tolist()
    return torch.stack([torch.rot90(image, k if square else 2, (-2, -1)) for image, k in zip(x, times, strict=True)])


TRANSFORMS: dict[str, Callable[[Tensor, Draws], Tensor]] = {
    "intensity": _intensity,
    "translate": _translate,
    "cutout": _cutout,
    "mirror": _mirror,
    "turn": _turn,
}


class AdaptiveStrength:
    """Raises the probability while D is too sure of real images, lowers it otherwise (ADA, eq. 1)."""

    def __init__(
        self, target: float = 0.6, images_to_full: int = 100_000, ceiling: float = 0.6, start: float = 0.0
    ) -> None:
        self.target = target
        self.images_to_full = images_to_full
        self.ceiling = ceiling
        self.probability = start

    def observe(self, real: Tensor, fake: Tensor) -> None:
        """Take in the image logits (B,) of one step; sureness is how often real outranks fake."""
        centre = (real.detach().mean() + fake.detach().mean()) / 2
        sureness = torch.sign(real.detach() - centre).mean().item()
        move = len(real) / self.images_to_full
        moved = self.probability + (move if sureness > self.target else -move)
        self.probability = min(max(moved, 0.0), self.ceiling)
