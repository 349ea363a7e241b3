"""The T2T generator: a latent becomes tokens, and soft merges turn tokens into finer tokens and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from augmentor.t2t.conditioning import Condition, Conditioner
from augmentor.t2t.encoder import T2TEncoder
from augmentor.t2t.latents import LatentPrior
from augmentor.t2t.pixels import PixelStage
from augmentor.t2t.presets import Preset, Stage, merges
from augmentor.t2t.tokens import Block, ConvolutionMerge, SoftMerge, Step, per_token


class Generator(nn.Module):
    """(B, latent), (B, K) condition codes [, (B, context, *tile)] -> (B, channels, *tile).

    The latent acts twice: as a style that modulates every block, and as a low-rank spatial code of a
    few numbers a starting token (a style alone makes all samples alike). Every stage writes its own
    residual into the picture by a soft merge. With ``context`` channels, a T2T encoder reads an image
    condition (known pixels and priors, or a segmentation) and its tokens join the generator's at every
    grid. A preset that looks closely ends in tokens of single pixels, which alone write the picture then. The range of
    the output follows the scaling of the tiles; nothing is squashed to 8 bits.
    """

    def __init__(
        self,
        channels: int,
        tile: tuple[int, ...],
        preset: Preset,
        conditions: Sequence[Condition] = (),
        context: int = 0,
    ) -> None:
        super().__init__()
        dims, stages = len(tile), preset.drawing
        chain = merges(tile, preset)
        # Pixels a token of each stage, coarsest first.
        strides = list(accumulate((step.stride for step in reversed(chain)), mul))[::-1]
        grid = [side // strides[0] for side in tile]
        widths = [stage.width for stage in (*stages, preset.pixels)[: len(stages) + preset.closely]]

        self.latent = preset.latent
        self.prior = LatentPrior(preset.latent, conditions)
        self.conditioner = Conditioner(conditions, preset.style)
        self.map_latent = nn.Linear(preset.latent, preset.style)
        self.map_style = nn.Sequential(nn.SiLU(), nn.Linear(preset.style, preset.style), nn.SiLU())
        self.start = nn.Parameter(torch.randn(1, stages[0].width, *grid) * 0.5)
        self.code = nn.Linear(preset.latent, preset.latent_per_token * self.start[0, 0].numel())
        self.code_to_tokens = per_token(preset.latent_per_token, stages[0].width, dims)

        self.context = T2TEncoder(context, tile, preset) if context else None
        self.context_to_tokens = nn.ModuleList()
        self.stages = nn.ModuleList()
        self.merges = nn.ModuleList()
        self.to_image = nn.ModuleList()
        self.pixels = PixelStage(context, preset.pixels, channels, dims) if preset.closely else None
        for index, stage in enumerate(stages):
            self.stages.append(_blocks(stage, preset, dims))
            if self.pixels is None:
                self.to_image.append(_to_image(stage.width, channels, strides[index], preset, dims))
            if index + 1 < len(widths):
                self.merges.append(_merge(stage.width, widths[index + 1], chain[index], preset, dims))
            if self.context is not None and index < len(preset.stages):
                # Plain patches have one grid, the coarsest, which is all that the stages are then told.
                source = self.context.widths[max(0, len(self.context.widths) - 1 - index)]
                self.context_to_tokens.append(per_token(source, stage.width, dims))
        self.low_to_tokens = per_token(channels, stages[-1].width, dims)
        self.finest = [side // strides[-1] for side in tile]

    def forward(self, z: Tensor, codes: Tensor, context: Tensor | None = None) -> Tensor:
        return self.draw(z, self.style(z, codes), context)

    def style(self, z: Tensor, codes: Tensor) -> Tensor:
        """What modulates every block: (B, style)."""
        return self.map_style(self.map_latent(z) + self.conditioner(codes))

    def draw(self, z: Tensor, style: Tensor, context: Tensor | None = None) -> Tensor:
        """The picture of a latent in a style of its own."""
        x = self.start + self.code_to_tokens(self.code(z).unflatten(1, (-1, *self.start.shape[2:])))
        seen = self.context(context)[::-1] if self.context is not None else []
        pictures = []
        for index, blocks in enumerate(self.stages):
            if index < len(seen):
                x = x + self.context_to_tokens[index](seen[index])
            for block in blocks.children():
                x = block(x, style)
            if self.pixels is None:
                pictures.append(self.to_image[index](x))
            if index < len(self.merges):
                x = self.merges[index](x)
        if self.pixels is not None and context is not None:
            out: Tensor = self.pixels(x, context)
            return out
        return torch.stack(pictures).sum(dim=0)

    def guided(self, noise: Tensor, codes: Tensor, guidance: float, context: Tensor | None = None) -> Tensor:
        """A sample that follows its conditions ``guidance`` times as far: 1 as trained, 0 not at all.

        The step from the unconditional to the conditional latent and style is lengthened, after
        classifier-free guidance (Ho and Salimans 2022).
        """
        free = torch.zeros_like(codes)
        z = torch.lerp(self.prior(noise, free), self.prior(noise, codes), guidance)
        style = self.style(z, codes)
        if guidance != 1:
            style = style + (guidance - 1) * (style - self.style(z, free))
        return self.draw(z, style, context)

    def sharpen(self, images: Tensor) -> Tensor:
        """Images (B, channels, *tile) remade from themselves shrunk to the last stage's grid.

        The super-resolution task of TransGAN (Jiang et al. 2021, section 3.3), learned beside the game.
        """
        low = interpolate(images, size=self.finest, mode="area")
        style = self.map_style(self.map_latent(images.new_zeros(len(images), self.latent)))
        x = self.low_to_tokens(low)
        for block in self.stages[-1].children():
            x = block(x, style)
        return interpolate(low, size=images.shape[2:]) + self.to_image[-1](x)


def _blocks(stage: Stage, preset: Preset, dims: int) -> nn.ModuleList:
    return nn.ModuleList(
        Block(stage.width, preset.heads, dims, attend=stage.attend, style=preset.style, zero=True)
        for _ in range(stage.depth)
    )


def _merge(width: int, channels: int, step: Step, preset: Preset, dims: int) -> nn.Module:
    """From a stage to the next; ``preset.decoder`` puts convolutions or plain patches in place, for comparison."""
    if preset.decoder == "convolutions":
        return ConvolutionMerge(width, channels, step, dims)
    if preset.decoder == "patches":
        return SoftMerge(width, channels, Step(step.stride, step.stride, 0), dims)
    return SoftMerge(width, channels, step, dims)


def _to_image(width: int, channels: int, stride: int, preset: Preset, dims: int) -> SoftMerge:
    overlapping = Step(2 * stride, stride, stride // 2)
    merge = SoftMerge(width, channels, Step(stride, stride, 0) if preset.decoder == "patches" else overlapping, dims)
    # Starting at zero, the picture is the bias alone: the data mean, or no correction to a prior.
    nn.init.zeros_(merge.weight)
    return merge
