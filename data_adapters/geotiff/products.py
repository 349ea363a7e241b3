"""How files make an acquisition: bands and layers of one product, on the finest of their grids."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rasterio import Affine

from data_adapters.geotiff.names import named, product_folder
from data_adapters.geotiff.rasters import RasterFile
from data_adapters.scene import Window

TOLERANCE = 0.05
"""Pixels by which two grids may be apart and still be one."""


class Part(NamedTuple):
    """What a file covers of a window of the scene: its own pixels, the part of these when repeated to the scene's,
    and the part of the window."""

    own: Window
    crop: Window
    target: Window


@dataclass(frozen=True)
class Placed:
    """A file on a scene's grid: where its corner lies, and how many of the scene's pixels a side of its pixel spans."""

    file: RasterFile
    row: int = 0
    column: int = 0
    factor: int = 1

    @property
    def bottom(self) -> int:
        return self.row + self.file.height * self.factor

    @property
    def right(self) -> int:
        return self.column + self.file.width * self.factor

    def part(self, window: Window) -> Part | None:
        """The part of a window of the scene that the file covers; None where it covers nothing of it."""
        top, left = max(window.row, self.row), max(window.column, self.column)
        height = min(window.row + window.height, self.bottom) - top
        width = min(window.column + window.width, self.right) - left
        if height <= 0 or width <= 0:
            return None
        (row, above), (column, before) = divmod(top - self.row, self.factor), divmod(left - self.column, self.factor)
        return Part(
            Window(row, column, -(-(above + height) // self.factor), -(-(before + width) // self.factor)),
            Window(above, before, height, width),
            Window(top - window.row, left - window.column, height, width),
        )


@dataclass(frozen=True)
class Product:
    """One acquisition: the files whose bands, in order, are its channels, and its ``layers``, which are no channels.

    ``finest`` is a file on whose grid the scene lies. ``aside`` names files that are of the product but not used.
    """

    finest: RasterFile
    files: tuple[Placed, ...]
    layers: tuple[tuple[str, Placed], ...] = ()
    aside: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for placed in self.files for name in placed.file.names)

    def shifted(self, rows: int, columns: int) -> Product:
        """The same on a grid that begins so many rows and columns before."""

        def moved(placed: Placed) -> Placed:
            return replace(placed, row=placed.row + rows, column=placed.column + columns)

        layers = tuple((name, moved(placed)) for name, placed in self.layers)
        return replace(self, files=tuple(map(moved, self.files)), layers=layers)


def products(files: Sequence[RasterFile]) -> list[Product]:
    """Join per-band files of one folder, equal but for band and resolution in their names, onto the finest grid.

    A coarser file joins where its pixels are whole squares of the finest one's and the bounds are equal. Of a band
    delivered twice the finest is used. Quality layers go with the product of their name; those of none stand alone.
    """
    groups: dict[tuple[object, ...], list[RasterFile]] = defaultdict(list)
    layers = []
    for file in files:
        name = named(file.path)
        if name.layer:
            layers.append(file)
        elif name.band and len(file.bands) == 1:
            groups[(*_key(file), file.dtype)].append(file)
        else:
            groups[(file.path,)].append(file)
    homes: dict[tuple[Path, str], list[Product]] = defaultdict(list)
    for members in groups.values():
        for product in _joined(members):
            homes[_key(product.finest)].append(product)
    stems: dict[Path, set[str]] = defaultdict(set)
    for folder, stem in homes:
        stems[folder].add(stem)
    owned: dict[tuple[Path, str], list[RasterFile]] = defaultdict(list)
    alone = []
    for layer in layers:
        folder, stem = _key(layer)
        if not stem and len(stems[folder]) == 1:
            # Named by its kind alone, it goes with the only product beside it.
            (stem,) = stems[folder]
        if stem in stems[folder]:
            owned[folder, stem].append(layer)
        else:
            own = tuple((name, Placed(band)) for name, band in layer.layers().items())
            alone.append(Product(layer, (Placed(layer),), own))
    return [*(p for key, members in homes.items() for p in _with_layers(members, owned[key])), *alone]


def _key(file: RasterFile) -> tuple[Path, str]:
    """Equal for the files of one product."""
    return product_folder(file.path), named(file.path).stem


def _joined(members: list[RasterFile]) -> Iterator[Product]:
    """Products of files that differ in band and resolution: as many as there are families of grids."""
    left = sorted(members, key=lambda f: (abs(f.transform.a), f.path))
    while left:
        finest = left[0]
        fitting = [(file, factor) for file in left if (factor := _factor(finest, file))]
        left = [file for file in left if not _factor(finest, file)]
        bands: dict[str, Placed] = {}
        aside = []
        for file, factor in fitting:
            if file.names[0] in bands:
                aside.append(file.path.name)
            bands.setdefault(file.names[0], Placed(file, factor=factor))
        own = tuple((name, Placed(layer)) for name, layer in finest.layers().items())
        yield Product(finest, tuple(sorted(bands.values(), key=_band_number)), own, tuple(aside))


def _band_number(placed: Placed) -> tuple[int, str]:
    digits = re.sub(r"\D", "", placed.file.names[0])
    return (int(digits) if digits else 0, placed.file.names[0])


def _factor(fine: RasterFile, coarse: RasterFile) -> int:
    """How many fine pixels make the side of a coarse one that covers the same ground; 0 where no whole number does."""
    if fine.grid == coarse.grid:
        return 1
    factor = fine.height // coarse.height
    same = (coarse.height * factor, coarse.width * factor) == (fine.height, fine.width)
    if not (same and factor and fine.upright and coarse.upright and fine.crs == coarse.crs):
        return 0
    apart, scale = offset(fine, coarse), Affine.scale(1 / factor)
    there = coarse.transform @ scale
    drift = max(abs(there.a - fine.transform.a) * fine.width, abs(there.e - fine.transform.e) * fine.height)
    near = max(abs(apart[0]), abs(apart[1]), drift / abs(fine.transform.a)) <= TOLERANCE
    return factor if near else 0


def offset(one: RasterFile, other: RasterFile) -> tuple[float, float]:
    """Rows and columns, in pixels of ``one``, from its corner to that of ``other``."""
    column, row = ~one.transform @ (other.transform.c, other.transform.f)
    return row, column


def _with_layers(members: list[Product], layers: list[RasterFile]) -> Iterator[Product]:
    """Products of one name, each with the layers that lie on its grid; what lies on none is set aside."""
    layers = sorted(layers, key=lambda f: (abs(f.transform.a), f.path))
    nowhere = tuple(f.path.name for f in layers if not any(_factor(p.finest, f) for p in members))
    for product in members:
        placed = dict(product.layers)
        aside = [*product.aside, *nowhere]
        for layer in layers:
            name = named(layer.path).layer
            if factor := _factor(product.finest, layer):
                if name in placed:
                    aside.append(layer.path.name)
                placed.setdefault(name, Placed(layer, factor=factor))
        yield replace(product, layers=tuple(placed.items()), aside=tuple(aside))
