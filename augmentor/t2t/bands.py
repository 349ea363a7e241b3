"""An image as bands of equal strength, so that a network sees fine detail as soon as coarse shape."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, avg_pool3d, interpolate

POOL = {2: avg_pool2d, 3: avg_pool3d}

LEVELS = 2
"""Bands of detail beside the image itself: what is lost at half and at a quarter of the resolution."""


class Bands(nn.Module):
    """(B, C, *image) -> (B, C · (1 + LEVELS), *image): the image and its detail, each at equal spread.

    In radiographs the finest detail has a tenth of the image's own spread (natural images fall off as
    1 / f). A discriminator that is bounded in its slope per pixel cannot see it: after 400 steps on
    fixed soft fakes its token logits told nothing, and with bands they told everything after 100
    (docs/model.md). The bands are a Haar pyramid, as in the wavelet discriminators of SWAGAN (Gal et al.
    2021) and StyleSwin (Zhang et al. 2022); their gains are measured on real tiles by ``fit``.
    """

    gain: Tensor

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.dims = dims
        self.width = channels * (1 + LEVELS)
        self.register_buffer("gain", torch.ones(self.width, *[1] * dims))

    def forward(self, x: Tensor) -> Tensor:
        return self._split(x) * self.gain

    @torch.no_grad()
    def fit(self, tiles: Tensor) -> None:
        """Set the gains so that every band of ``tiles`` (N, C, *image) has half of a unit's spread."""
        spread = self._split(tiles).transpose(0, 1).flatten(1).std(dim=1)
        self.gain.copy_((0.5 / spread.clamp(min=1e-3)).view_as(self.gain))

    def hide(self) -> None:
        """Leave the image alone, as a discriminator without bands sees it."""
        channels = self.width // (1 + LEVELS)
        self.gain.fill_(1.0)
        self.gain[channels:] = 0.0

    def _split(self, x: Tensor) -> Tensor:
        bands, coarse = [x], x
        for level in range(LEVELS):
            coarser = POOL[self.dims](coarse, 2)
            detail = coarse - interpolate(coarser, scale_factor=2.0)
            bands.append(detail if level == 0 else interpolate(detail, scale_factor=float(2**level)))
            coarse = coarser
        return torch.cat(bands, dim=1)
