"""Sizes of the network: one code, from two CPU cores to a large GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from augmentor.t2t.tokens import Step

FINE = Step(4, 2, 1)
"""Between stages, and to the pixels of tiles below 64 px."""

COARSE = Step(8, 4, 2)
"""Between pixels and tokens for tiles of 64 px and above, and for volumes."""

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

    ``stages`` are the generator's; the encoders mirror them: one token transformer of width
    ``token_width`` for each step from pixels to the coarsest grid but the last, which projects into
    the backbone of ``backbone`` blocks.
    """

    stages: tuple[Stage, ...]
    token_width: int
    backbone: Stage
    heads: int
    latent: int = 128
    latent_per_token: int = 8
    style: int = 96
    encoder: Fusion = "tokens"
    decoder: Fusion = "tokens"


PRESETS: dict[str, Preset] = {
    "tiny": Preset((Stage(96, 2), Stage(48, 1, attend=False)), 32, Stage(96, 2), heads=4),
    "small": Preset((Stage(256, 4), Stage(128, 2)), 48, Stage(256, 4), heads=8, style=256),
    "base": Preset((Stage(512, 6), Stage(256, 4), Stage(128, 2)), 64, Stage(384, 8), heads=8, latent=256, style=512),
    "large": Preset(
        (Stage(768, 12), Stage(384, 6), Stage(192, 4)), 64, Stage(768, 12), heads=12, latent=512, style=512
    ),
}


def steps(tile: tuple[int, ...], stages: int) -> list[Step]:
    """The soft splits from pixels to the coarsest grid, finest first; merges run them backwards.

    Tiles of 64 px and above, and volumes, start with a stride of 4, smaller planes with 2; every further stage halves.

    Raises:
        ValueError: if the tile is not a multiple of the total stride.
    """
    first = COARSE if len(tile) == 3 or min(tile) >= 64 else FINE
    chain = [first] + [FINE] * (stages - 1)
    total = first.stride * 2 ** (stages - 1)
    if any(side % total for side in tile):
        raise ValueError(
            f"tile {'x'.join(map(str, tile))} is not a multiple of {total} pixels, the network's total stride"
        )
    return chain
