"""Tiles as the game takes them: a batch, and a process's share of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from augmentor.together.team import Part


@dataclass(frozen=True)
class Batch:
    """Tiles in [-1, 1]: ``pixels`` (B, C, *tile), ``valid`` (B, 1, *tile), ``conditions`` (B, K) codes.

    ``context`` (B, L, *tile) is an image condition, such as a segmentation with a channel a label.
    """

    pixels: Tensor
    valid: Tensor
    conditions: Tensor
    context: Tensor | None = None

    @property
    def shown(self) -> Tensor:
        """The pixels with zero wherever they are not valid, whatever lies there."""
        return torch.where(self.valid > 0, self.pixels, 0.0)

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        """Some of the tiles."""
        context = None if self.context is None else self.context[rows]
        return Batch(self.pixels[rows], self.valid[rows], self.conditions[rows], context)

    def moved(self, move: Callable[[Tensor], Tensor]) -> Batch:
        """The same after ``move``, which takes pixels, what is valid and the context as one (B, n, *tile)."""
        planes = [plane for plane in (self.pixels, self.valid, self.context) if plane is not None]
        pixels, valid, *context = move(torch.cat(planes, dim=1)).split([plane.shape[1] for plane in planes], dim=1)
        return Batch(pixels, valid, self.conditions, *context)

    def to(self, place: torch.device) -> Batch:
        """The same on a device."""
        context = None if self.context is None else self.context.to(place)
        return Batch(self.pixels.to(place), self.valid.to(place), self.conditions.to(place), context)


class Share(NamedTuple):
    """A part of a batch, the noise (b, latent) that its latents are drawn with, and what is valid in the whole of it.

    What a network makes of all shares adds up to what it would make of the batch.
    """

    batch: Batch
    noise: Tensor
    part: Part
    whole: Tensor
