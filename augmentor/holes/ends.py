"""The ends of a volume, where others lie on one side of a slice alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from augmentor.holes.hide import Lost
from augmentor.holes.kinds import Holes
from augmentor.tiles import windows
from data_adapters import Scene

AT_ONCE = (256, 256)
"""Rows and columns that are looked at together."""


class Extent(NamedTuple):
    """Of one volume, the slices with holes, and the first and the last one that is known anywhere; -1 if none is."""

    made: list[int]
    first: int
    last: int


class End(NamedTuple):
    """A slice with holes at an end: which others are ``lost`` to it, and how many steps the nearest one lies
    ``away``."""

    lost: Lost
    away: int


def extents(scene: Scene, holes: Holes) -> Iterator[Extent]:
    """Those of the volumes that have holes. Slices are read from both ends on, until one is known."""
    places = list(windows(*scene.shape[2:], AT_ONCE, 0.0))
    made = np.any([holes(place).any(axis=(0, 2, 3)) for place in places], axis=0)

    def known(index: int) -> bool:
        return any((scene.read(index, 1, place).valid[:, 0] & ~holes.hidden(place)[:, index]).any() for place in places)

    for volume in np.split(np.arange(scene.shape[1]), scene.volumes):
        if made[volume].any():
            there = volume.tolist()
            first, last = (next(filter(known, side), -1) for side in (there, reversed(there)))
            yield Extent(volume[made[volume]].tolist(), first, last)


def ends(scene: Scene, every: Iterable[Extent]) -> dict[int, End]:
    """The slices with holes that others of their volume are known on one side of alone."""
    positions = np.asarray(scene.grid.positions)
    step = float(np.median(np.diff(positions))) if len(positions) > 1 else 1.0
    found = {}
    for made, first, last in every:
        for index in made if first >= 0 else ():
            if not (first < index < last or first == index == last):
                nearest = min(max(index, first), last)
                steps = abs(positions[index] - positions[nearest]) / step
                found[index] = End("earlier" if index <= first else "later", max(1, round(steps)))
    return found
