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
        self.pixels = [_numbered(holes) for holes in self.holes]
        self.counts = np.array([len(pixels) for pixels in self.pixels])
        self.planes = np.array([holes.shape[1:] for holes in self.holes])

    def draw(self, plane: tuple[int, ...], random: np.random.Generator) -> Mask | None:
        """A window (h, w) as large as a plane that shows a part of a hole, moved at random; None if no hole shows a
        shape in it."""
        there = np.cumsum(self.counts * (self.planes >= plane).all(axis=1))
        if not there[-1]:
            return None
        pixel = int(random.integers(there[-1]))
        number = int(np.searchsorted(there, pixel, side="right"))
        holes = self.holes[number]
        index, row, column = np.unravel_index(self.pixels[number][there[number] - 1 - pixel], holes.shape)
        rows, columns = around((int(row), int(column)), plane, holes.shape[1:], random)
        shape = holes[int(index)][rows, columns]
        # A scene no larger than the plane has one window, which is to lie elsewhere, too.
        return np.roll(shape, random.integers(plane), axis=(0, 1)) if shape.mean() < BURIED else None


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


def _numbered(holes: Mask) -> NDArray[np.int64]:
    """The pixels of holes (S, h, w), numbered through, in slices that show a shape."""
    shown = holes.mean(axis=(1, 2)) < BURIED
    return np.flatnonzero(holes & shown[:, None, None])
