"""What a scene shows of itself: columns to learn from, and others kept aside to judge by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augmentor.filling.view import View
from augmentor.holes.column import Column
from augmentor.holes.hide import Lost, beside, dates, runs
from augmentor.holes.patterns import Pattern, near, of_hidden, of_holes
from augmentor.holes.priors import Mask, linear
from augmentor.tiles import AT_ONCE, windows

ASIDE = 0.15
"""Part of the plane that is kept aside."""

AREA = 256
"""Side of the areas that a scene larger than memory is looked at by."""

AREAS = 32
"""Areas of such a scene, at most."""

SEEN = 0.05
"""Part of such an area that is observed at least."""

COARSEST = 8
"""Pixels that lie within the distance of two slices, at most, for planes across them to be of use."""

EVERY = 3
"""Of the dates that can be hidden whole, one in so many is kept aside."""

FEW = 4
"""Fewer than so many of them are too few to learn from."""

ENOUGH = 0.25
"""Part of the hidden slices that are to have such neighbours as the holes have."""


class Columns(NamedTuple):
    """Of one scene: its ``own`` columns to learn from, others kept ``aside`` to judge by, ``both`` together, and a
    volume's ``rows`` as slices to learn from and to judge by.

    Rows keep the neighbours that the holes have; the same ones, as ``rows_as_hidden``, those that hidden slices have.
    ``of_holes`` and ``of_hidden`` are these neighbours.
    """

    own: list[Column]
    rows: list[Column]
    aside: list[Column]
    both: list[Column]
    rows_aside: list[Column]
    rows_as_hidden: list[Column]
    of_holes: list[Pattern]
    of_hidden: list[Pattern]

    @property
    def unlike(self) -> bool:
        """Whether hidden slices mostly have other neighbours near them than holes have."""
        wanted = set(map(near, self.of_holes))
        like = sum(near(around) in wanted for around in self.of_hidden)
        return bool(wanted) and like < ENOUGH * len(self.of_hidden)


def columns(view: View, size: tuple[int, ...], gaps: Sequence[int], seed: int, *, learning: bool = True) -> Columns:
    """Columns at least ``size`` large; what is told to learn from and what to judge by do not meet.

    Where a date is to be made that was never acquired, these are dates; all of them, to judge by, without ``learning``.

    What lies between two slices looks like what lies between two rows as far apart (SMORE, Zhao et al. 2020,
    section II), and no row is missing. Where too few slices lie together to hide ``gaps`` as wide as the real ones
    between them, rows alone are to be learned from.
    """
    random = np.random.default_rng(seed)
    found = Columns([], [], [], [], [], [], [], [])
    areas = list(_areas(view, random))
    for area in areas:
        kept = _kept_aside(area, size, random) if view.lost == "parts" else _kept_dates(areas, view.lost, learning)
        own, aside = area._replace(told=area.known & ~kept), area._replace(told=area.known & kept)
        found.aside.append(_padded(aside, size))
        found.both.append(_padded(area._replace(told=area.known), size))
        if not view.volume:
            found.own.append(_padded(own, size))
            continue
        hidden = runs(own, gaps)
        if hidden and all(beside(own, run) for run in hidden):
            found.own.append(_padded(own, size))
        there = np.asarray(own.known.any(axis=(1, 2)))
        of_them, of_others = of_holes(there), of_hidden(there, hidden)
        found.of_holes.extend(of_them)
        found.of_hidden.extend(of_others)
        rows, kept_rows = (
            [_padded(row, size)._replace(patterns=of_them) for row in across(part, view.scene.grid.spacing)]
            for part in (own, aside)
        )
        found.rows.extend(rows)
        found.rows_aside.extend(kept_rows)
        if of_them and of_others:
            found.rows_as_hidden.extend(row._replace(patterns=of_others) for row in kept_rows)
    return found


def _areas(view: View, random: np.random.Generator) -> Iterator[Column]:
    """The whole plane of a scene that fits memory; else parts of it that are observed, as many as fit."""
    scene = view.scene
    if np.prod(scene.shape) <= AT_ONCE:
        yield view.load(scene.plane)
        return
    every = list(windows(*scene.shape[2:], (AREA, AREA), 0.0))
    room = min(AREAS, max(1, AT_ONCE // (scene.shape[0] * scene.shape[1] * AREA**2)))
    for i in random.permutation(len(every)):
        area = view.load(every[i])
        if area.known.mean() > SEEN:
            room -= 1
            yield area
        if not room:
            return


def _kept_aside(area: Column, size: tuple[int, ...], random: np.random.Generator) -> Mask:
    """A part of a plane's windows, as large as a tile each; such as show more than a background that is all alike, if
    any do."""
    height, width = area.known.shape[1:]
    every = list(windows(height, width, size, 0.0))
    order, count = random.permutation(len(every)), max(1, round(ASIDE * len(every)))
    choices = []
    for first in range(0, len(every), count):
        kept = np.zeros((height, width), dtype=bool)
        for i in order[first : first + count]:
            kept[every[i].slices] = True
        choices.append(kept)
        shown = area.values[:, area.known & kept]
        if shown.size and np.ptp(shown, axis=1).any():
            return kept
    return choices[0]


def _kept_dates(areas: Sequence[Column], lost: Lost, learning: bool) -> Mask:
    """Some dates of those that can be hidden whole, (S, 1, 1), the same everywhere: what is learned from a part of a
    date tells what light the rest of it was seen in. All of them, to judge by alone, where they are few."""
    able = sorted({index for area in areas for index in dates(area, lost)})
    kept = np.zeros((len(areas[0].told), 1, 1), dtype=bool)
    kept[able[1::EVERY] if learning and len(able) >= FEW else able] = True
    return kept


def _padded(column: Column, size: tuple[int, ...]) -> Column:
    """The column with its edge repeated until it is ``size`` large; nothing is told there."""
    room = [(0, max(0, wanted - there)) for wanted, there in zip(size, column.known.shape[1:], strict=True)]
    if not any(after for _, after in room):
        return column
    values, beside = (np.pad(planes, [(0, 0), (0, 0), *room], mode="edge") for planes in (column.values, column.beside))
    known = np.pad(column.known, [(0, 0), *room], mode="edge")
    holes = None if column.holes is None else np.pad(column.holes, [(0, 0), *room])
    told = np.pad(column.told, [(0, 0), *room])
    return column._replace(values=values, known=known, told=told, beside=beside, holes=holes)


def across(column: Column, spacing: tuple[float, float, float]) -> Iterator[Column]:
    """A volume's rows, and its columns, each as slices: thick and far apart as the slices are.

    Slices that are missing are interpolated first, and never told.
    """
    values = column.values.copy()
    there = np.asarray(column.known.any(axis=(1, 2)))
    for index in np.flatnonzero(~there):
        values[:, index] = linear(column.values, column.known, column.positions, int(index))[0]
    known = column.known | ~there[:, None, None] & column.known.any(axis=0)
    for axis in (1, 2):
        step = max(1, round(spacing[0] / spacing[axis]))
        if step > COARSEST or values.shape[1 + axis] < 8 * step:
            continue
        seen, told = (_thick(mask.astype(np.float32), axis, step) == 1 for mask in (known, column.told))
        turned, beside = (np.moveaxis(_thick(p, 1 + axis, step), 1 + axis, 1) for p in (values, column.beside))
        positions = (np.arange(turned.shape[1]) * abs(spacing[0])).tolist()
        row = Column(turned, np.moveaxis(seen, axis, 0), positions, np.moveaxis(told, axis, 0), beside)
        yield row._replace(variogram=row.differences())


def _thick(values: NDArray[np.float32], axis: int, step: int) -> NDArray[np.float32]:
    """Means of ``step`` neighbours along an axis."""
    count = values.shape[axis] // step
    cut = np.take(values, range(count * step), axis=axis)
    shape = (*values.shape[:axis], count, step, *values.shape[axis + 1 :])
    return cut.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
