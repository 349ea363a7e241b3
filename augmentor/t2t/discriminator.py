"""The T2T discriminator: judges every token at every stage of fusion, and the image as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from augmentor.t2t.bands import Bands
from augmentor.t2t.conditioning import Condition, Conditioner
from augmentor.t2t.encoder import T2TEncoder
from augmentor.t2t.presets import Preset
from augmentor.t2t.spectral import normalise_spectrum
from augmentor.t2t.tokens import per_token


class Logits(NamedTuple):
    """Higher means more real. ``image`` (B,); ``tokens``: one (B, *grid) a stage, finest first."""

    image: Tensor
    tokens: list[Tensor]

    def exact(self) -> Logits:
        """The same in float32, for losses."""
        return Logits(self.image.float(), [tokens.float() for tokens in self.tokens])


class Discriminator(nn.Module):
    """(B, channels, *tile), (B, K) condition codes [, (B, context, *tile)] -> ``Logits``.

    The image is seen as bands of equal spread. Token logits after each T2T stage are the PatchGAN of
    Isola et al. 2017 on tokens; the global logit has a projection head for the conditions (Miyato and
    Koyama 2018) and sees the spread of the minibatch (Karras et al. 2018), taken within groups of
    ``group`` consecutive samples so that real and fake are never mixed. An image condition is judged
    together with the image. With ``spectral`` the weights carry improved spectral normalisation.
    """

    def __init__(
        self,
        channels: int,
        tile: tuple[int, ...],
        preset: Preset,
        conditions: Sequence[Condition] = (),
        context: int = 0,
        *,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        width, dims = preset.backbone.width, len(tile)
        self.bands = Bands(channels, dims)
        self.encoder = T2TEncoder(self.bands.width + context, tile, preset)
        self.token_heads = nn.ModuleList(per_token(w, 1, dims) for w in self.encoder.widths)
        self.mix = per_token(width + 1, width, dims)
        self.head = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.2))
        self.logit = nn.Linear(width, 1)
        self.conditioner = Conditioner(conditions, width)
        if spectral:
            normalise_spectrum(self)

    def forward(self, x: Tensor, codes: Tensor, group: int, context: Tensor | None = None) -> Logits:
        bands = self.bands(x)
        grids = self.encoder(bands if context is None else torch.cat([bands, context], dim=1))
        tokens = [head(grid)[:, 0] for head, grid in zip(self.token_heads, grids, strict=True)]
        last = grids[-1]
        spread = minibatch_spread(last, group)
        mixed = nn.functional.leaky_relu(self.mix(torch.cat([last, spread], dim=1)), 0.2)
        features = self.head(mixed.flatten(2).mean(dim=2))
        projection = (features * self.conditioner(codes)).sum(dim=1) / features.shape[1] ** 0.5
        return Logits(self.logit(features)[:, 0] + projection, tokens)


def minibatch_spread(x: Tensor, group: int) -> Tensor:
    """Mean standard deviation within groups of consecutive samples: (B, C, *grid) -> (B, 1, *grid).

    Raises:
        ValueError: if the batch is not a whole number of groups.
    """
    batch = len(x)
    if batch % group:
        raise ValueError(f"a batch of {batch} is not a whole number of groups of {group}")
    grouped = x.unflatten(0, (batch // group, group))
    # As torch's own variance, which takes fifty times as long across a middle axis.
    variance = (grouped - grouped.mean(dim=1, keepdim=True)).square().mean(dim=1)
    spread = (variance + 1e-8).sqrt().flatten(1).mean(dim=1)
    return spread.repeat_interleave(group).view(batch, *[1] * (x.ndim - 1)).expand(batch, 1, *x.shape[2:])
