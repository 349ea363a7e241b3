"""GeoTIFF headers, and how files make scenes: bands of one product, dates of one footprint."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from data_adapters.errors import BrokenFile
from data_adapters.scene import working_dtype

BAND = re.compile(r"_(B\d{1,2}A?)(?=[_.])", re.IGNORECASE)
DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})-?([01]\d)-?([0-3]\d)(?!\d)")
LANDSAT_DAY = re.compile(r"L[A-Z]\d{7}((?:19|20)\d{2})(\d{3})")


def open_raster(path: Path, mode: str = "r", **options: Any) -> Any:
    """``rasterio.open`` that is silent about missing georeferencing, which is legitimate here.

    Raises:
        BrokenFile: if GDAL cannot read the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path, mode, **options)
    except RasterioError as error:
        raise BrokenFile(f"not readable as GeoTIFF ({error})", where=path, do="restore it from its source") from error


@dataclass(frozen=True)
class RasterFile:
    """The header of one GeoTIFF. ``bands`` are the 1-based indices that hold data; ``alpha`` says where."""

    path: Path
    height: int
    width: int
    bands: tuple[int, ...]
    names: tuple[str, ...]
    dtype: str
    transform: Any
    crs: str
    nodata: float | None
    alpha: tuple[int, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    gcps: tuple[tuple[float, ...], ...]
    day: str
    facts: tuple[tuple[str, str], ...]

    @property
    def grid(self) -> tuple[object, ...]:
        """Equal for files whose pixels lie on each other."""
        return (self.height, self.width, tuple(np.round(self.transform, 9)), self.crs, self.gcps)

    @property
    def working(self) -> np.dtype[Any]:
        """The float type that holds the physical values of every band."""
        stored = np.dtype(self.dtype)
        return np.result_type(*(working_dtype(stored, s, o) for s, o in zip(self.scales, self.offsets, strict=True)))


def read_file(path: Path) -> RasterFile:
    """Read a header; pixels are not touched.

    Raises:
        BrokenFile: if GDAL cannot read the file.
    """
    with open_raster(path) as data:
        alpha = tuple(i for i, c in zip(data.indexes, data.colorinterp, strict=True) if c == ColorInterp.alpha)
        bands = tuple(i for i in data.indexes if i not in alpha)
        if not bands:
            bands, alpha = tuple(data.indexes), ()
        own = BAND.search(path.name)
        names = [data.descriptions[i - 1] or data.colorinterp[i - 1].name for i in bands]
        if len(bands) == 1 and own and not data.descriptions[bands[0] - 1]:
            names = [own.group(1).upper()]
        if len(set(names)) < len(names):
            names = [f"band{i}" for i in bands]
        dtypes = {data.dtypes[i - 1] for i in bands}
        if len(dtypes) > 1 or "complex" in next(iter(dtypes)):
            raise BrokenFile(f"bands of types {', '.join(sorted(dtypes))}", where=path, do="convert to one real type")
        mechanisms = {flag.name for i in bands for flag in data.mask_flag_enums[i - 1]} - {"all_valid"}
        mechanisms |= {"alpha"} if alpha else set()
        facts = [
            ("crs", data.crs.to_string()[:60] if data.crs else "none: pixel space"),
            ("valid by", ", ".join(sorted(mechanisms)) or "every pixel"),
        ]
        if data.nodata is not None:
            facts.append(("nodata", f"{data.nodata:g}"))
        if data.gcps[0]:
            facts.append(("ground control points", str(len(data.gcps[0]))))
        if not (data.transform.b == 0 and data.transform.d == 0):
            facts.append(("warning", "rotated grid: used in pixel space"))
        return RasterFile(
            path,
            data.height,
            data.width,
            bands,
            tuple(names),
            next(iter(dtypes)),
            data.transform,
            data.crs.to_wkt() if data.crs else "",
            data.nodata,
            alpha,
            tuple(data.scales[i - 1] for i in bands),
            tuple(data.offsets[i - 1] for i in bands),
            tuple((g.row, g.col, g.x, g.y) for g in data.gcps[0]),
            _day(path, data.tags()),
            tuple(facts),
        )


def _day(path: Path, tags: dict[str, str]) -> str:
    """Acquisition date, ISO, from metadata or the name; empty where there is none."""
    for text in (tags.get("ACQUISITION_DATE", ""), path.name):
        if found := DAY.search(text):
            try:
                return date(*(int(part) for part in found.groups())).isoformat()
            except ValueError:
                continue
    if found := LANDSAT_DAY.search(path.name):
        return date.fromordinal(date(int(found.group(1)), 1, 1).toordinal() + int(found.group(2)) - 1).isoformat()
    return ""


Product = tuple[RasterFile, ...]
"""Files whose bands together are one acquisition: usually one file, or one file a band."""


def products(files: Sequence[RasterFile]) -> list[Product]:
    """Join per-band files of one folder, equal but for the band in their names, where their grids agree."""
    groups: dict[tuple[object, ...], list[RasterFile]] = defaultdict(list)
    for file in files:
        stem = BAND.sub("", file.path.name) if len(file.bands) == 1 else file.path.name
        groups[(file.path.parent, stem, file.grid, file.dtype)].append(file)

    def band_number(file: RasterFile) -> tuple[int, str]:
        digits = re.sub(r"\D", "", file.names[0])
        return (int(digits) if digits else 0, file.names[0])

    return [tuple(sorted(members, key=band_number)) for members in groups.values()]


def stacks(found: Sequence[Product]) -> list[list[Product]]:
    """Join products of one folder into stacks where grid, bands and type agree and the dates differ."""
    groups: dict[tuple[object, ...], list[Product]] = defaultdict(list)
    for product in found:
        first = product[0]
        home = first.path.parent.parent if len(product) > 1 else first.path.parent
        names = tuple(name for file in product for name in file.names)
        alone = () if first.day else (first.path,)
        groups[(home, first.grid, names, first.dtype, *alone)].append(product)
    rows: list[list[Product]] = []
    for members in groups.values():
        members = sorted(members, key=lambda p: (p[0].day, p[0].path))
        days = {p[0].day for p in members}
        rows += [members] if len(days) == len(members) else [[p] for p in members]
    return rows
