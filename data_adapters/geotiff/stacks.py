"""How acquisitions make scenes: dates of one place, stacked where their grids are whole pixels apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rasterio.crs import CRS

from data_adapters.errors import GridMismatch
from data_adapters.geotiff.names import delivery
from data_adapters.geotiff.products import TOLERANCE, Product, offset
from data_adapters.geotiff.rasters import Bounds, RasterFile

ONE_PLACE = 0.5
"""Part of the larger of two footprints from which on they show one place."""


class Stack(NamedTuple):
    """Products of one place on one grid of ``height`` x ``width``, in order of their dates."""

    products: list[Product]
    height: int
    width: int


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
    apart = offset(one, other)
    return drift / abs(one.transform.a) <= TOLERANCE and all(abs(o - round(o)) <= TOLERANCE for o in apart)


def _stack(members: list[Product]) -> Stack:
    """Products on the grid that holds them all."""
    if len(members) == 1 or not members[0].finest.upright:
        return Stack(members, members[0].finest.height, members[0].finest.width)
    base = members[0].finest
    offsets = [tuple(round(o) for o in offset(base, p.finest)) for p in members]
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
