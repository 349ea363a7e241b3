"""The shapes of a scene's own holes, to be hidden elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.column import Column
from augmentor.holes.kinds import Mask

BURIED = 0.95
"""Part of a slice, or of a window, beyond which a hole shows no shape."""


class Shapes:
    """Those of the holes that columns have, each as often as it has pixels: so deep are the pixels of what is hidden as
    those of what is to be rebuilt."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.holes = [~column.known if column.holes is None else column.holes for column in columns]
        self.slices = [(number, int(index)) for number, holes in enumerate(self.holes) for index in _shown(holes)]
        self.counts = np.array([self.holes[number][index].sum() for number, index in self.slices], int)
        self.planes = np.array([self.holes[number].shape[1:] for number, _ in self.slices], int).reshape(-1, 2)

    def draw(self, plane: tuple[int, ...], random: np.random.Generator) -> Mask | None:
        """A window (h, w) as large as a plane that shows a part of a hole, moved at random; None if no hole shows a
        shape in it."""
        there = np.cumsum(self.counts * (self.planes >= plane).all(axis=1))
        if not there.any():
            return None
        pixel = int(random.integers(there[-1]))
        one = int(np.searchsorted(there, pixel, side="right"))
        number, index = self.slices[one]
        hole = self.holes[number][index]
        at = np.flatnonzero(hole)[int(there[one]) - 1 - pixel]
        shape = hole[around(divmod(int(at), hole.shape[1]), plane, hole.shape, random)]
        # A scene no larger than the plane has one window, which is to lie elsewhere, too.
        return np.roll(shape, random.integers(plane), axis=(0, 1)) if shape.mean() < BURIED else None


def of_some_slice(known: Mask, random: np.random.Generator) -> Mask | None:
    """The hole (h, w) of one of the slices that are known (S, h, w) in part, each as often, moved at random; None if
    there is none that shows a shape."""
    shown = _shown(~known)
    if not len(shown):
        return None
    hole = ~known[random.choice(shown)]
    return np.roll(hole, random.integers(hole.shape), axis=(0, 1))


def ellipse(plane: tuple[int, ...], random: np.random.Generator) -> Mask:
    """An ellipse (h, w) somewhere in a plane, whose radii are 0.15 to 0.6 of its sides."""
    rows, columns = np.ogrid[: plane[0], : plane[1]]
    centre = random.random(2) * plane
    radii = random.uniform(0.15, 0.6, 2) * plane
    return np.asarray(((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 < 1)


def around(
    pixel: tuple[int, int], size: tuple[int, ...], plane: tuple[int, ...], random: np.random.Generator
) -> tuple[slice, slice]:
    """Rows and columns of a window of a plane, so large, that holds a pixel somewhere."""
    top, left = (
        int(random.integers(max(0, at - side + 1), min(at, room - side) + 1))
        for at, side, room in zip(pixel, size, plane, strict=True)
    )
    return slice(top, top + size[0]), slice(left, left + size[1])


def _shown(holes: Mask) -> NDArray[np.int64]:
    """The slices whose holes (S, h, w) show a shape."""
    part = holes.mean(axis=(1, 2))
    return np.flatnonzero((part > 0) & (part < BURIED))
