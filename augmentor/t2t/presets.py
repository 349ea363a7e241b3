"""Sizes of the network: one code, from two CPU cores to a large GPU."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from augmentor.t2t.tokens import Step

FINE = Step(4, 2, 1)
"""Between stages, and to pixels."""

COARSE = Step(8, 4, 2)
"""Between pixels and tokens."""

Fusion = Literal["tokens", "convolutions", "patches"]
"""How neighbourhoods become tokens and tokens neighbourhoods: T2T, or what it is compared with."""


@dataclass(frozen=True)
class Stage:
    """Blocks on one grid of the generator: ``width`` numbers a token, ``depth`` blocks."""

    width: int
    depth: int
    attend: bool = True


@dataclass(frozen=True)
class Preset:
    """Sizes of generator, discriminator and inference network, coarsest grid first.

    ``stages`` are the generator's, and the encoders mirror them: one token transformer of width
    ``token_width`` for each step from pixels to the coarsest grid but the last, which projects into
    the backbone of ``backbone`` blocks. The generator has one stage more, which the encoders do not mirror: tokens of
    two pixels, ``finish`` wide. Nothing attends there, so that it costs a seventh of a step's speed in play. One that
    looks ``closely``, as filling asks, has tokens of single pixels in its place, ``pixels`` wide and deep.
    """

    stages: tuple[Stage, ...]
    token_width: int
    backbone: Stage
    heads: int
    finish: int = 24
    latent: int = 128
    latent_per_token: int = 8
    style: int = 96
    encoder: Fusion = "tokens"
    decoder: Fusion = "tokens"
    pixels: Stage = Stage(32, 4, attend=False)
    closely: bool = False

    @property
    def drawing(self) -> tuple[Stage, ...]:
        """Every stage of the generator."""
        return self.stages if self.closely else (*self.stages, Stage(self.finish, 1, attend=False))


PRESETS: dict[str, Preset] = {
    "tiny": Preset((Stage(96, 2), Stage(48, 1, attend=False)), 32, Stage(96, 2), heads=4),
    "small": Preset((Stage(256, 4), Stage(128, 2)), 48, Stage(256, 4), heads=8, finish=64, style=256),
    "base": Preset(
        (Stage(512, 6), Stage(256, 4), Stage(128, 2)), 64, Stage(384, 8), heads=8, finish=64, latent=256, style=512
    ),
    "large": Preset(
        (Stage(768, 12), Stage(384, 6), Stage(192, 4)), 64, Stage(768, 12), heads=12, finish=96, latent=512, style=512
    ),
}


def steps(tile: tuple[int, ...], preset: Preset) -> list[Step]:
    """The soft splits from pixels to the coarsest grid, finest first; ``merges`` run them backwards.

    The first has a stride of 4; every further stage halves.

    Raises:
        ValueError: if the tile is not a multiple of the total stride.
    """
    chain = [COARSE] + [FINE] * (len(preset.stages) - 1)
    total = prod(step.stride for step in chain)
    if any(side % total for side in tile):
        raise ValueError(
            f"tile {'x'.join(map(str, tile))} is not a multiple of {total} pixels, the network's total stride"
        )
    return chain


def merges(tile: tuple[int, ...], preset: Preset) -> list[Step]:
    """The soft merges from the coarsest grid to pixels, coarsest first; a split of four is undone by two
    merges of two, or by one where single pixels come next.

    Raises:
        ValueError: as ``steps`` does.
    """
    chain = steps(tile, preset)[::-1]
    return chain if preset.closely else [*chain[:-1], FINE, FINE]
