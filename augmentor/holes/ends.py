"""Where a hole ends, along the slices of a volume: between others, or at an end, where they lie on one side alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.kinds import Holes, Mask
from augmentor.tiles import windows
from data_adapters import Scene

AT_ONCE = (256, 256)
"""Rows and columns that are looked at together."""


class Extent(NamedTuple):
    """Of one volume, its slices, those with holes, and the first and last one that is known anywhere; -1 if none is."""

    slices: slice
    made: list[int]
    first: int
    last: int


def volumes(scene: Scene) -> list[slice]:
    """The slices of each volume; of several, in a 4-D file."""
    depth = scene.shape[1] // scene.volumes
    return [slice(first, first + depth) for first in range(0, scene.shape[1], depth)]


def extents(scene: Scene, holes: Holes) -> list[Extent]:
    """Those of the volumes that have holes. Slices are read from both ends on, until one is known."""
    places = list(windows(*scene.shape[2:], AT_ONCE, 0.0))
    made = np.any([holes(place).any(axis=(0, 2, 3)) for place in places], axis=0)
    every = [range(volume.start, volume.stop) for volume in volumes(scene)]
    ends = {volume: [volume.stop, -1] for volume in every if made[volume.start : volume.stop].any()}
    for place in places:
        hidden = holes.hidden(place)
        for volume, found in ends.items():
            for side, (slices, best) in enumerate(((volume, min), (reversed(volume), max))):
                for index in slices:
                    if best(index, found[side]) == found[side]:
                        break
                    if (scene.read(index, 1, place).valid[:, 0] & ~hidden[:, index]).any():
                        found[side] = index
                        break
    return [
        Extent(
            slice(volume.start, volume.stop),
            [index for index in volume if made[index]],
            first if last >= 0 else -1,
            last,
        )
        for volume, (first, last) in ends.items()
    ]


def steps_away(known: Mask, positions: Sequence[float], index: int) -> NDArray[np.int64]:
    """How many steps the nearest known value of a volume (S, h, w) lies away, (h, w), where others than slice
    ``index`` are known on one side of it alone; 0 elsewhere."""
    before, after = known[:index], known[index + 1 :]
    said = [side.any(axis=0) for side in (before, after)]
    nearest = np.where(
        said[0],
        index - 1 - (np.argmax(before[::-1], axis=0) if index else 0),
        index + 1 + (np.argmax(after, axis=0) if len(after) else 0),
    )
    places = np.append(positions, positions[-1])
    steps = (
        np.abs(places[nearest] - places[index]) / np.median(np.abs(np.diff(positions))) if len(known) > 1 else nearest
    )
    return np.where(said[0] ^ said[1], np.maximum(1, np.rint(steps)), 0).astype(int)


class Depths(NamedTuple):
    """Pixels with holes that others of their volume are known on one side of alone, by how many ``steps_away`` the
    nearest lies (0: those of all others); and how many slices deep holes are that do not end there, by pixel."""

    steps: Counter[int]
    between: Counter[int]


def depths(scene: Scene, holes: Holes, every: Sequence[Extent]) -> Depths:
    """How deep holes are, along the slices."""
    steps: Counter[int] = Counter()
    between: Counter[int] = Counter()
    for place in windows(*scene.shape[2:], AT_ONCE, 0.0):
        every_made, every_known = np.asarray(holes(place).any(axis=0)), ~np.asarray(holes.hidden(place).any(axis=0))
        for extent in every:
            holed = every_made[extent.slices].any(axis=0)
            made, known = (planes[extent.slices][:, holed] for planes in (every_made, every_known))
            known[: extent.first - extent.slices.start] = False
            known[extent.last + 1 - extent.slices.start :] = False
            between.update(runs_between(made))
            at_end = ~(known[0] & known[-1])
            steps[0] += int(made[:, ~at_end].sum())
            made, known = made[:, at_end, None], known[:, at_end, None]
            for index in np.flatnonzero(made.any(axis=(1, 2))):
                away = steps_away(known, scene.grid.positions[extent.slices], int(index))
                steps.update(_counted(away[made[index]]))
    return Depths(steps, between)


def runs_between(made: Mask) -> Counter[int]:
    """How many slices lie together in holes (S, N) between others, by pixel; all, where there are no others."""
    edges = np.diff(np.pad(made, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    starts, stops = np.nonzero(edges == 1)[1], np.nonzero(edges == -1)[1]
    return _counted((stops - starts)[(starts > 0) == (stops < len(made))])


def _counted(numbers: NDArray[np.int64]) -> Counter[int]:
    """How often there is each of some whole numbers."""
    return Counter(dict(zip(*map(np.ndarray.tolist, np.unique(numbers, return_counts=True)), strict=True)))
