"""GANs that the T2T-GAN is compared with, re-implemented from their papers, behind one training step."""

from __future__ import annotations

from collections.abc import Callable

import torch

from augmentor.rivals.dcgan import dcgan
from augmentor.rivals.fastgan import fastgan
from augmentor.rivals.game import RivalGame
from augmentor.rivals.rival import Published, Rival
from augmentor.rivals.stylegan2 import stylegan2
from augmentor.rivals.transgan import transgan
from augmentor.rivals.vitgan import vitgan

__all__ = ["RIVALS", "Published", "Rival", "RivalGame", "parameters", "width_for"]

RIVALS: dict[str, Callable[[int, int, int, float], Rival]] = {
    "dcgan": dcgan,
    "transgan": transgan,
    "vitgan": vitgan,
    "stylegan2": stylegan2,
    "fastgan": fastgan,
}
"""(channels, tile, conditions_width, width) -> ``Rival``; a ``width`` of 1 is the published size."""

TOLERANCE = 0.1
"""How far ``width_for`` may be from the parameters that it was asked for, as a part of them."""


def parameters(rival: Rival) -> int:
    """Trainable parameters of generator and discriminator together."""
    return sum(p.numel() for network in (rival.generator, rival.discriminator) for p in network.parameters())


def width_for(name: str, channels: int, tile: int, conditions_width: int, wanted: int) -> float:
    """The width at which the rival ``name`` has about ``wanted`` trainable parameters, within 10 %.

    Raises:
        KeyError: if there is no such rival.
        ValueError: if no width comes that close.
    """

    def count(width: float) -> int:
        return parameters(RIVALS[name](channels, tile, conditions_width, width))

    with torch.random.fork_rng():
        low = 1 / 256
        while count(2 * low) < wanted:
            low *= 2
        high = 2 * low
        for _ in range(8):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if count(middle) < wanted else (low, middle)
        best = min((low, high), key=lambda width: abs(count(width) - wanted))
        if abs(count(best) - wanted) > TOLERANCE * wanted:
            raise ValueError(f"{name} at {tile} px has {count(low)} or {count(high)} parameters, none near {wanted}")
    return best
