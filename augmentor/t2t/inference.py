"""The inference network: reads an image and says which latent would make it."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from augmentor.t2t.bands import Bands
from augmentor.t2t.encoder import T2TEncoder
from augmentor.t2t.presets import Preset
from augmentor.t2t.tokens import per_token


class Posterior(NamedTuple):
    """A diagonal normal over latents: ``mean`` and ``log_variance``, both (B, latent)."""

    mean: Tensor
    log_variance: Tensor

    def exact(self) -> Posterior:
        """The same in float32."""
        return Posterior(self.mean.float(), self.log_variance.float())

    def draw(self, noise: Tensor) -> Tensor:
        """mean + standard deviation · noise (Kingma and Welling 2014)."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def divergence(self) -> Tensor:
        """KL to the standard normal, in nats a sample: (B,)."""
        variance = self.log_variance.exp()
        return 0.5 * (self.mean.square() + variance - 1 - self.log_variance).sum(dim=1)


class Inference(nn.Module):
    """(B, channels, *tile) -> ``Posterior``; the T2T encoder that mirrors the generator, on bands of equal spread."""

    def __init__(self, channels: int, tile: tuple[int, ...], preset: Preset) -> None:
        super().__init__()
        self.bands = Bands(channels, len(tile))
        self.encoder = T2TEncoder(self.bands.width, tile, preset)
        per_grid = 2 * preset.latent_per_token
        self.reduce = per_token(preset.backbone.width, per_grid, len(tile))
        read = per_grid * prod(self.encoder.grid)
        self.mean, self.log_variance = (nn.Linear(read, preset.latent) for _ in range(2))

    def forward(self, x: Tensor) -> Posterior:
        read = nn.functional.gelu(self.reduce(self.encoder(self.bands(x))[-1]).flatten(1))
        return Posterior(self.mean(read), self.log_variance(read).clamp(-8, 4))
