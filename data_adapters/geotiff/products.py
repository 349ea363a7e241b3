"""How files make scenes: bands and layers of one product, dates of one place."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from rasterio import Affine
from rasterio.crs import CRS

from data_adapters.errors import GridMismatch
from data_adapters.geotiff.names import delivery, named, product_folder
from data_adapters.geotiff.rasters import Bounds, RasterFile
from data_adapters.scene import Window

TOLERANCE = 0.05
"""Pixels by which two grids may be apart and still be one."""

ONE_PLACE = 0.5
"""Part of the larger of two footprints from which on they show one place."""


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


class Stack(NamedTuple):
    """Products of one place on one grid of ``height`` x ``width``, in order of their dates."""

    products: list[Product]
    height: int
    width: int


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
    offset, scale = _offset(fine, coarse), Affine.scale(1 / factor)
    there = coarse.transform @ scale
    drift = max(abs(there.a - fine.transform.a) * fine.width, abs(there.e - fine.transform.e) * fine.height)
    near = max(abs(offset[0]), abs(offset[1]), drift / abs(fine.transform.a)) <= TOLERANCE
    return factor if near else 0


def _offset(one: RasterFile, other: RasterFile) -> tuple[float, float]:
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


def stacks(found: Sequence[Product]) -> tuple[list[Stack], list[GridMismatch]]:
    """Join products of one folder into stacks where bands, type and place agree and the dates differ.

    Footprints that are whole pixels apart are laid on one grid that holds them all. Dates of one place that cannot
    be are told as an error, and stay scenes of their own.
    """
    groups: dict[tuple[object, ...], dict[tuple[object, ...], list[Product]]] = defaultdict(lambda: defaultdict(list))
    for product in found:
        first = product.finest
        alone = () if first.day else (first.path,)
        groups[(_home(product), product.names, first.dtype, *alone)][first.grid].append(product)
    rows: list[Stack] = []
    problems: list[GridMismatch] = []
    for grids in groups.values():
        clusters: list[list[Product]] = []
        for members in grids.values():
            members = sorted(members, key=lambda p: (p.finest.day, p.finest.path))
            if len({p.finest.day for p in members}) == len(members):
                clusters.append(members)
            else:
                rows += [_stack([p]) for p in members]
        clusters = _merged(clusters)
        rows += map(_stack, clusters)
        problems += _mismatches(clusters)
    return rows, problems


def _home(product: Product) -> Path:
    """The folder that holds what may be other dates of a product."""
    folder = delivery(product.finest.path)
    return folder.parent if len(product.files) > 1 or folder.suffix.upper() == ".SAFE" else folder


def _merged(clusters: list[list[Product]]) -> list[list[Product]]:
    """Clusters of equal grids, those whole pixels apart made one."""
    clusters = sorted(clusters, key=_when)
    near = _near(clusters)
    found: dict[int, list[Product]] = {}
    for index, members in enumerate(clusters):
        fitting = (
            into
            for other in near[index]
            if (into := found.get(other))
            and _whole_pixels(into[0].finest, members[0].finest)
            and not _days(into) & _days(members)
        )
        into = next(fitting, None)
        if into is None:
            found[index] = list(members)
        else:
            into += members
    return [sorted(members, key=lambda p: (p.finest.day, p.finest.path)) for members in found.values()]


def _when(cluster: Sequence[Product]) -> tuple[str, Path]:
    return cluster[0].finest.day, cluster[0].finest.path


def _days(cluster: Sequence[Product]) -> set[str]:
    return {product.finest.day for product in cluster}


def _near(clusters: Sequence[Sequence[Product]]) -> list[list[int]]:
    """For each cluster the others that show the same place."""
    footprints = {i: there for i, cluster in enumerate(clusters) if (there := cluster[0].finest.footprint)}
    near: list[list[int]] = [[] for _ in clusters]
    seen: list[int] = []
    # From west to east, so that each is compared only to those that reach as far.
    for index in sorted(footprints, key=lambda i: footprints[i]):
        seen = [i for i in seen if footprints[i][2] > footprints[index][0]]
        for other in seen:
            if _overlap(footprints[index], footprints[other]) >= ONE_PLACE:
                near[index].append(other)
                near[other].append(index)
        seen.append(index)
    return [sorted(others) for others in near]


def _overlap(one: Bounds, other: Bounds) -> float:
    """The common part of two footprints as a part of the larger one."""
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / max((v[2] - v[0]) * (v[3] - v[1]) for v in (one, other))


def _whole_pixels(one: RasterFile, other: RasterFile) -> bool:
    if one.crs != other.crs:
        return False
    drift = max(
        abs(one.transform.a - other.transform.a) * max(one.width, other.width),
        abs(one.transform.e - other.transform.e) * max(one.height, other.height),
    )
    offset = _offset(one, other)
    return drift / abs(one.transform.a) <= TOLERANCE and all(abs(o - round(o)) <= TOLERANCE for o in offset)


def _stack(members: list[Product]) -> Stack:
    """Products on the grid that holds them all."""
    if len(members) == 1 or not members[0].finest.upright:
        return Stack(members, members[0].finest.height, members[0].finest.width)
    base = members[0].finest
    offsets = [tuple(round(o) for o in _offset(base, p.finest)) for p in members]
    top, left = (min(values) for values in zip(*offsets, strict=True))
    shifted = [p.shifted(row - top, column - left) for p, (row, column) in zip(members, offsets, strict=True)]
    bottom = max(row - top + p.finest.height for p, (row, _) in zip(members, offsets, strict=True))
    right = max(column - left + p.finest.width for p, (_, column) in zip(members, offsets, strict=True))
    return Stack(shifted, bottom, right)


def _mismatches(clusters: list[list[Product]]) -> Iterator[GridMismatch]:
    """One error a place whose dates do not lie on one grid."""
    near = _near(clusters)
    told: set[int] = set()
    for index, first in enumerate(clusters):
        same = [i for i in near[index] if i not in told and i > index and not _days(first) & _days(clusters[i])]
        if same and index not in told:
            told.update(same)
            yield _mismatch(first[0].finest, [p.finest for i in same for p in clusters[i]], len(first))


def _mismatch(first: RasterFile, others: list[RasterFile], alike: int) -> GridMismatch:
    left, bottom, right, top = first.bounds
    across, down = abs(first.transform.a), abs(first.transform.e)
    told = "; ".join(map(_grid_said, [first, *others[:2]]))
    more = f"; and {len(others) - 2} more" if len(others) > 2 else ""
    return GridMismatch(
        f"{alike + len(others)} dates of one place do not lie on one grid, and make no stack: {told}{more}",
        where=delivery(first.path).parent,
        do="to make one stack of them, resample all to one grid, e.g. "
        f"gdalwarp -tr {across:.9g} {down:.9g} -te {left:.9g} {bottom:.9g} {right:.9g} {top:.9g}",
    )


def _grid_said(file: RasterFile) -> str:
    """A file's grid in words."""
    t: Any = file.transform
    crs = CRS.from_wkt(file.crs).to_string()[:20]
    return (
        f"{file.path.name} has {file.height}x{file.width} pixels of {abs(t.a):.9g} x {abs(t.e):.9g} "
        f"from ({t.c:.9g}, {t.f:.9g}) in {crs}"
    )
