"""The inference network: reads an image and says which latent would make it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from augmentor.t2t.encoder import T2TEncoder
from augmentor.t2t.presets import Preset


class Posterior(NamedTuple):
    """A diagonal normal over latents: ``mean`` and ``log_variance``, both (B, latent)."""

    mean: Tensor
    log_variance: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """mean + standard deviation · noise (Kingma and Welling 2014)."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def divergence(self) -> Tensor:
        """KL to the standard normal, in nats a sample: (B,)."""
        variance = self.log_variance.exp()
        return 0.5 * (self.mean.square() + variance - 1 - self.log_variance).sum(dim=1)


class Inference(nn.Module):
    """(B, channels, H, W) -> ``Posterior``; the T2T encoder that mirrors the generator."""

    def __init__(self, channels: int, tile: tuple[int, int], preset: Preset) -> None:
        super().__init__()
        self.encoder = T2TEncoder(channels, tile, preset)
        per_token = 2 * preset.latent_per_token
        self.reduce = nn.Conv2d(preset.backbone.width, per_token, 1)
        tokens = self.encoder.grid[0] * self.encoder.grid[1]
        self.head = nn.Linear(per_token * tokens, 2 * preset.latent)

    def forward(self, x: Tensor) -> Posterior:
        tokens = self.reduce(self.encoder(x)[-1]).flatten(1)
        mean, log_variance = self.head(nn.functional.gelu(tokens)).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-8, 4))
