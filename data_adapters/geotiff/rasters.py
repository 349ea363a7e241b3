"""GeoTIFF and JPEG 2000 headers: what one file holds, and where it lies."""

from __future__ import annotations

import os
import re
import stat
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import transform_bounds

from data_adapters import room
from data_adapters.errors import BrokenFile, TooLarge
from data_adapters.geotiff import TIFF
from data_adapters.geotiff.dates import acquired
from data_adapters.geotiff.names import CLASSES, named
from data_adapters.scene import working_dtype

# For blocks that were read GDAL takes a twentieth of the machine's memory, however large, unless told otherwise: MiB.
os.environ.setdefault("GDAL_CACHEMAX", "256")

GDAL_SAYS = (RasterioError, CPLE_BaseError)
"""What rasterio raises of its own, and what GDAL said and rasterio lets through as it is."""

BESIDE = (".aux", ".xml", ".txt", ".msk", ".ovr", ".rrd", ".imd", ".rpb", ".pvl", ".eph", ".rpc", ".pass", ".tab",
          ".wld", "w", ".prj", ".til", ".j2w")  # fmt: skip
"""How the names end of what GDAL looks for beside an image: masks, overviews, world files, notes of satellites."""

MOST_BANDS = 4096
"""Bands above which a raster is none: the finest spectrometers have some hundreds."""


def open_raster(path: Path, mode: str = "r", **options: Any) -> Any:
    """``rasterio.open`` that is silent about missing georeferencing, which is legitimate here.

    Raises:
        BrokenFile: if GDAL cannot read the file, or one that it reads along is none of its kind.
    """
    if mode != "w":
        _check_companions(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            # From the root on: a relative name may begin as what GDAL knows more of, ``GTIFF_DIR:1:`` or ``http:``.
            return rasterio.open(path.absolute(), mode, **options)
    except UnicodeEncodeError as error:
        raise BrokenFile("has a name that is no UTF-8, as GDAL needs it", where=path, do="rename it") from error
    except GDAL_SAYS as error:
        raise BrokenFile(f"not readable as GeoTIFF ({error})", where=path, do="restore it from its source") from error


@lru_cache(maxsize=64)
def _endless(folder: Path, changed: int) -> tuple[str, ...]:
    """Names in a folder of what has no end: pipes and devices."""
    found = []
    for entry in os.scandir(folder):
        with suppress(OSError):
            if not (entry.is_file() or entry.is_dir()) and not stat.S_ISSOCK(entry.stat().st_mode):
                found.append(entry.name)
    return tuple(found)


def _check_companions(path: Path) -> None:
    """Raise BrokenFile for what GDAL would read along and must not.

    A mask or overview beside a file that is no TIFF, or is named to lie elsewhere: GDAL opens it as whatever it is,
    and a virtual raster would have it read any file, or ask any server. A pipe or device that is named as what GDAL
    looks for beside images would have it wait for ever.
    """
    for name in _endless(path.parent, path.parent.stat().st_mtime_ns):
        if name.lower().endswith(BESIDE):
            beside = path.parent / name
            raise BrokenFile("is no file, and GDAL would wait for what it says", where=beside, do="remove it")
    for suffix in (".msk", ".ovr", ".MSK", ".OVR"):
        beside = path.with_name(path.name + suffix)
        if not beside.is_file():
            continue
        with beside.open("rb") as stream:
            if stream.read(4) not in TIFF:
                raise BrokenFile("is no TIFF, beside one that it belongs to", where=beside, do="remove it")
        _check_companions(beside)
    notes = path.with_name(path.name + ".aux.xml")
    if notes.is_file():
        with notes.open(errors="replace") as stream:
            # A name within the same folder begins so (GDAL, gdaldefaultoverviews.cpp).
            if re.search(r"OVERVIEW_FILE\W*>\s*(?!:::BASE:::[^/\\]+<)", stream.read(), re.IGNORECASE):
                raise BrokenFile("names overviews that lie elsewhere", where=notes, do="remove it")


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
        step = self.transform
        return bool(self.crs) and not self.gcps and step.b == 0 and step.d == 0 and not step.is_degenerate

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
        BrokenFile: if GDAL cannot read the file, or a value in it makes no sense.
        TooLarge: if it has more bands than any instrument.
    """
    try:
        return _read_file(path)
    except (*GDAL_SAYS, ValueError, LookupError, ArithmeticError) as error:
        raise BrokenFile(f"a header value makes no sense ({error})", where=path, do="restore it") from error


def _read_file(path: Path) -> RasterFile:
    with open_raster(path) as data:
        if data.count > MOST_BANDS:
            raise TooLarge(f"has {data.count} bands", where=path, do=f"split it to {MOST_BANDS} at most")
        if data.driver != "GTiff":
            # What OpenJPEG notes of each code-block of a tile before it reads any: a byte for some ten pixels.
            room.taken(data.width * data.height // 8, path, "write it in smaller tiles")
        if not np.isfinite([*data.transform, *data.scales, *data.offsets]).all():
            raise ValueError("a transform, scale or offset that is no number")
        shown = data.colorinterp
        alpha = tuple(i for i, c in zip(data.indexes, shown, strict=True) if c == ColorInterp.alpha)
        said = {i: data.descriptions[i - 1] or data.tags(i).get("DESCRIPTION", "") for i in data.indexes}
        apart = tuple((said[i].upper(), i) for i in data.indexes if CLASSES.fullmatch(said[i]))
        bands = tuple(i for i in data.indexes if i not in alpha and i not in dict(apart).values())
        if not bands:
            bands, alpha, apart = tuple(data.indexes), (), ()
        names = [said[i] or shown[i - 1].name for i in bands]
        own = named(path)
        if len(bands) == 1 and not said[bands[0]] and (own.band or own.layer):
            names = [own.band or own.layer]
        if len(set(names)) < len(names):
            names = [f"band{i}" for i in bands]
        dtypes = {data.dtypes[i - 1] for i in bands}
        if len(dtypes) > 1 or "complex" in next(iter(dtypes)):
            raise BrokenFile(f"bands of types {', '.join(sorted(dtypes))}", where=path, do="convert to one real type")
        flags = data.mask_flag_enums
        mechanisms = {flag.name for i in bands for flag in flags[i - 1]} - {"all_valid"}
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
            any(shown[i - 1] == ColorInterp.palette for i in bands),
            tuple(facts),
        )
