"""The T2T discriminator: judges every token at every stage of fusion, and the image as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from augmentor.t2t.conditioning import ClassCondition, Conditioner
from augmentor.t2t.encoder import T2TEncoder
from augmentor.t2t.presets import Preset
from augmentor.t2t.spectral import normalise_spectrum


class Logits(NamedTuple):
    """Higher means more real. ``image`` (B,); ``tokens``: one (B, h, w) a stage, finest first."""

    image: Tensor
    tokens: list[Tensor]


class Discriminator(nn.Module):
    """(B, channels, H, W), (B, K) conditions -> ``Logits``.

    Token logits after each T2T stage are the PatchGAN of Isola et al. 2017 on tokens; the global
    logit has a projection head for the conditions (Miyato and Koyama 2018) and sees the spread of
    the minibatch (Karras et al. 2018), taken within groups of ``group`` consecutive samples so that
    real and fake are never mixed. Weights carry improved spectral normalisation.
    """

    def __init__(
        self,
        channels: int,
        tile: tuple[int, int],
        preset: Preset,
        conditions: Sequence[ClassCondition] = (),
    ) -> None:
        super().__init__()
        width = preset.backbone.width
        self.encoder = T2TEncoder(channels, tile, preset)
        self.token_heads = nn.ModuleList(nn.Conv2d(w, 1, 1) for w in self.encoder.widths)
        self.mix = nn.Conv2d(width + 1, width, 1)
        self.head = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.2))
        self.logit = nn.Linear(width, 1)
        self.conditioner = Conditioner(conditions, width)
        normalise_spectrum(self)

    def forward(self, x: Tensor, conditions: Tensor, group: int) -> Logits:
        grids = self.encoder(x)
        tokens = [head(grid)[:, 0] for head, grid in zip(self.token_heads, grids, strict=True)]
        last = grids[-1]
        spread = minibatch_spread(last, group)
        mixed = nn.functional.leaky_relu(self.mix(torch.cat([last, spread], dim=1)), 0.2)
        features = self.head(mixed.mean(dim=(-2, -1)))
        projection = (features * self.conditioner(conditions)).sum(dim=1) / features.shape[1] ** 0.5
        return Logits(self.logit(features)[:, 0] + projection, tokens)


def minibatch_spread(x: Tensor, group: int) -> Tensor:
    """Mean standard deviation within groups of consecutive samples: (B, C, h, w) -> (B, 1, h, w).

    Raises:
        ValueError: if the batch is not a whole number of groups.
    """
    batch, _, height, width = x.shape
    if batch % group:
        raise ValueError(f"a batch of {batch} is not a whole number of groups of {group}")
    grouped = x.unflatten(0, (batch // group, group))
    spread = (grouped.var(dim=1, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return spread.repeat_interleave(group)[:, None, None, None].expand(batch, 1, height, width)
