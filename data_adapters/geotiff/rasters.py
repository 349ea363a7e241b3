"""GeoTIFF and JPEG 2000 headers: what one file holds, and where it lies."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import transform_bounds

from data_adapters.errors import BrokenFile
from data_adapters.geotiff.dates import acquired
from data_adapters.geotiff.names import CLASSES, named
from data_adapters.scene import working_dtype

# For blocks that were read GDAL takes a twentieth of the machine's memory, however large, unless told otherwise: MiB.
os.environ.setdefault("GDAL_CACHEMAX", "256")


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


Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class RasterFile:
    """The header of one raster. ``bands`` are the 1-based indices that hold the image; ``alpha`` says where.

    ``apart`` names the bands of classes or bits (a Sentinel-2 SCL among reflectances), which are no part of it.
    """

    path: Path
    driver: str
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
    apart: tuple[tuple[str, int], ...]
    classes: bool
    facts: tuple[tuple[str, str], ...]

    @property
    def holds_classes(self) -> bool:
        """Whether any of its bands, those kept apart included, holds classes."""
        return self.classes or bool(self.apart)

    @cached_property
    def upright(self) -> bool:
        """Whether the file lies on a map, its rows and columns along the axes."""
        return bool(self.crs) and not self.gcps and self.transform.b == 0 and self.transform.d == 0

    @cached_property
    def bounds(self) -> Bounds:
        """Left, bottom, right, top in the file's coordinate system."""
        (x, y), (to_x, to_y) = self.transform @ (0, 0), self.transform @ (self.width, self.height)
        return min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y)

    @cached_property
    def footprint(self) -> Bounds | None:
        """West, south, east, north in degrees; None where no map says where the file lies."""
        if not self.upright:
            return None
        try:
            return transform_bounds(CRS.from_wkt(self.crs), "EPSG:4326", *self.bounds)
        except Exception:
            # A local system has no place on earth; how GDAL says so is no part of what rasterio promises.
            return None

    @property
    def grid(self) -> tuple[object, ...]:
        """Equal for files whose pixels lie on each other."""
        return (self.height, self.width, tuple(np.round(self.transform, 9)), self.crs, self.gcps)

    @property
    def working(self) -> np.dtype[Any]:
        """The float type that holds the physical values of every band."""
        stored = np.dtype(self.dtype)
        return np.result_type(*(working_dtype(stored, s, o) for s, o in zip(self.scales, self.offsets, strict=True)))

    def layers(self) -> dict[str, RasterFile]:
        """The bands kept apart, by name, each as a raster of its own whose stored values are its values."""
        return {
            name: replace(self, bands=(band,), names=(name,), scales=(1.0,), offsets=(0.0,), apart=())
            for name, band in self.apart
        }


def read_file(path: Path) -> RasterFile:
    """Read a header; pixels are not touched.

    Raises:
        BrokenFile: if GDAL cannot read the file.
    """
    with open_raster(path) as data:
        alpha = tuple(i for i, c in zip(data.indexes, data.colorinterp, strict=True) if c == ColorInterp.alpha)
        said = {i: data.descriptions[i - 1] or data.tags(i).get("DESCRIPTION", "") for i in data.indexes}
        apart = tuple((said[i].upper(), i) for i in data.indexes if CLASSES.fullmatch(said[i]))
        bands = tuple(i for i in data.indexes if i not in alpha and i not in dict(apart).values())
        if not bands:
            bands, alpha, apart = tuple(data.indexes), (), ()
        names = [said[i] or data.colorinterp[i - 1].name for i in bands]
        own = named(path)
        if len(bands) == 1 and not said[bands[0]] and (own.band or own.layer):
            names = [own.band or own.layer]
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
        located = bool(data.crs or data.gcps[0])
        return RasterFile(
            path,
            data.driver,
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
            acquired(path, {**data.tags(ns="IMAGERY"), **data.tags()}, located=located),
            apart,
            any(data.colorinterp[i - 1] == ColorInterp.palette for i in bands),
            tuple(facts),
        )
