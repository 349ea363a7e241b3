"""What is shown of a scene, plane by plane: its values, and what lies over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_adapters import Scene, Window

AT_ONCE = 1 << 22
"""Pixels of a plane that are read at once; a larger one is read in strips."""


class Seen(NamedTuple):
    """Values (C, h, w) in physical units, and which of them are known."""

    values: NDArray[Any]
    seen: NDArray[np.bool_]


Read = Callable[[int, Window], Seen]


class Plane(NamedTuple):
    """One picture that is scrolled to: a slice, a date, or an image of several; and how it is called."""

    scene: Scene
    slice: int
    label: str


@dataclass(frozen=True)
class Layer:
    """Numbers for every pixel of every plane: ``of`` reads them in a window of a plane, by its number.

    ``role`` is ``values``, ``before``, ``made``, ``spread`` or ``strange``. ``classes`` are picked where a plane is
    shown coarser, other numbers are averaged.
    """

    role: str
    channels: int
    of: Read
    classes: bool = False

    def plane(self, number: int, shape: tuple[int, int], factor: int) -> Seen:
        """A plane of ``shape``, each of whose pixels (C, H, W) stands for ``factor`` by ``factor`` of the file's."""
        strips = [self._coarser(self.of(number, strip), factor) for strip in _strips(shape, factor)]
        if len(strips) == 1:
            return strips[0]
        return Seen(*(np.concatenate(parts, axis=1) for parts in zip(*strips, strict=True)))

    def _coarser(self, fine: Seen, factor: int) -> Seen:
        if factor == 1:
            return fine
        if self.classes:
            return Seen(*(part[:, ::factor, ::factor] for part in fine))
        counts = _sums(fine.seen.astype(np.float64), factor)
        sums = _sums(np.where(fine.seen, fine.values, 0).astype(np.float64), factor)
        return Seen(sums / np.maximum(counts, 1), counts > 0)


def of_scenes(planes: Sequence[Plane]) -> Layer:
    """The values themselves."""

    def read(number: int, window: Window) -> Seen:
        plane = planes[number]
        return channels_of(plane.scene, plane.slice, window)

    return Layer("values", planes[0].scene.shape[0], read, classes=planes[0].scene.classes)


def channels_of(scene: Scene, index: int, window: Window) -> Seen:
    """A window of one slice."""
    pixels = scene.read(index, 1, window)
    return Seen(pixels.values[:, 0], pixels.valid[:, 0])


def _strips(shape: tuple[int, int], factor: int) -> Iterator[Window]:
    """Windows of whole rows that cover a plane, each but the last a multiple of ``factor`` high."""
    height, width = shape
    rows = height if height * width <= AT_ONCE else max(1, AT_ONCE // width // factor) * factor
    for row in range(0, height, rows):
        yield Window(row, 0, min(rows, height - row), width)


def _sums(values: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Sums over blocks of (C, h, w), those at the edges over what is there."""
    rows, columns = (range(0, side, factor) for side in values.shape[1:])
    return np.add.reduceat(np.add.reduceat(values, list(rows), axis=1), list(columns), axis=2)
