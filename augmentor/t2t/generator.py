"""The T2T generator: a latent becomes tokens, and soft merges turn tokens into finer tokens and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul

import torch
from torch import Tensor, nn

from augmentor.t2t.conditioning import ClassCondition, Conditioner
from augmentor.t2t.encoder import T2TEncoder
from augmentor.t2t.latents import LatentPrior
from augmentor.t2t.presets import Preset, steps
from augmentor.t2t.tokens import Block, SoftMerge, Step


class Generator(nn.Module):
    """(B, latent), (B, K) conditions [, (B, context, H, W)] -> (B, channels, H, W).

    The latent acts twice: as a style that modulates every block, and as a low-rank spatial code of a
    few numbers a starting token (a style alone makes all samples alike). Every stage writes its own
    residual into the picture by a soft merge. With ``context`` channels, a T2T encoder reads an image
    condition (known pixels, priors) and its tokens join the generator's at every grid. The range of
    the output follows the scaling of the tiles; nothing is squashed to 8 bits.
    """

    def __init__(
        self,
        channels: int,
        tile: tuple[int, int],
        preset: Preset,
        conditions: Sequence[ClassCondition] = (),
        context: int = 0,
    ) -> None:
        super().__init__()
        stages = preset.stages
        splits = steps(tile, len(stages))
        chain = splits[::-1]
        # Pixels a token of each stage, coarsest first.
        strides = list(accumulate((step.stride for step in splits), mul))[::-1]
        grid = (tile[0] // strides[0], tile[1] // strides[0])
        width = stages[0].width

        self.latent = preset.latent
        self.prior = LatentPrior(preset.latent, conditions)
        self.conditioner = Conditioner(conditions, preset.style)
        self.map_latent = nn.Linear(preset.latent, preset.style)
        self.map_style = nn.Sequential(nn.SiLU(), nn.Linear(preset.style, preset.style), nn.SiLU())
        self.start = nn.Parameter(torch.randn(1, width, *grid) * 0.5)
        self.code = nn.Linear(preset.latent, preset.latent_per_token * grid[0] * grid[1])
        self.code_to_tokens = nn.Conv2d(preset.latent_per_token, width, 1)

        self.context = T2TEncoder(context, tile, preset) if context else None
        self.context_to_tokens = nn.ModuleList()
        self.stages = nn.ModuleList()
        self.merges = nn.ModuleList()
        self.to_image = nn.ModuleList()
        for index, stage in enumerate(stages):
            blocks = [
                Block(stage.width, preset.heads, attend=stage.attend, style=preset.style, zero=True)
                for _ in range(stage.depth)
            ]
            self.stages.append(nn.ModuleList(blocks))
            stride = strides[index]
            merge = SoftMerge(stage.width, channels, Step(2 * stride, stride, stride // 2))
            # Starting at zero, the picture is the bias alone: the data mean, or no correction to a prior.
            nn.init.zeros_(merge.spread.weight)
            self.to_image.append(merge)
            if index + 1 < len(stages):
                self.merges.append(SoftMerge(stage.width, stages[index + 1].width, chain[index]))
            if self.context is not None:
                source = self.context.widths[len(stages) - 1 - index]
                self.context_to_tokens.append(nn.Conv2d(source, stage.width, 1))

    def forward(self, z: Tensor, conditions: Tensor, context: Tensor | None = None) -> Tensor:
        style = self.map_style(self.map_latent(z) + self.conditioner(conditions))
        code = self.code(z).unflatten(1, (-1, *self.start.shape[-2:]))
        x = self.start + self.code_to_tokens(code)
        seen = self.context(context)[::-1] if self.context is not None else []
        pictures = []
        for index, (blocks, to_image) in enumerate(zip(self.stages, self.to_image, strict=True)):
            if seen:
                x = x + self.context_to_tokens[index](seen[index])
            for block in blocks.children():
                x = block(x, style)
            pictures.append(to_image(x))
            if index < len(self.merges):
                x = self.merges[index](x)
        return torch.stack(pictures).sum(dim=0)
