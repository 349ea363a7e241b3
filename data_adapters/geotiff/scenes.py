"""A GeoTIFF, a set of per-band files, or a dated stack of them, as a ``Scene``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from data_adapters.errors import BrokenFile
from data_adapters.geotiff.rasters import Product, RasterFile, open_raster
from data_adapters.scene import (
    Channel,
    Grid,
    Patch,
    Pixels,
    Provenance,
    Scene,
    Template,
    Window,
)


@dataclass(frozen=True)
class GeoTiffScene(Scene):
    """``acquisitions[s]`` are the files of slice s, whose bands in order are the scene's channels."""

    acquisitions: tuple[Product, ...] = ()

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        window = window or self.plane
        shape = (self.shape[0], count, window.height, window.width)
        working = np.result_type(*(file.working for product in self.acquisitions for file in product))
        values = np.zeros(shape, dtype=working)
        valid = np.zeros(shape, dtype=bool)
        for index in range(count):
            channel = 0
            for file in self.acquisitions[first + index]:
                span = slice(channel, channel + len(file.bands))
                values[span, index], valid[span, index] = read_window(file, window)
                channel += len(file.bands)
        return Pixels(values, valid)

    def template(self) -> Template:
        file = self.acquisitions[0][0]
        nodata = file.nodata if file.nodata is None or np.isfinite(file.nodata) else None
        return replace(Template.like(self, file.scales[0], file.offsets[0]), crs=file.crs, nodata=nodata)

    def write_filled(self, destination: Path, patches: Iterable[Patch], provenance: Provenance) -> list[Path]:
        from data_adapters.geotiff.write import FilledFile

        single = len(self.files) == 1 and destination.suffix.lower() in (".tif", ".tiff")
        with ExitStack() as stack:
            # The last file entered is the first one closed; none is renamed into place before all are done.
            targets = {
                path: FilledFile(path, destination if single else destination / path.name, provenance)
                for path in self.files
            }
            for target in targets.values():
                stack.enter_context(target)
            for patch in patches:
                channel = 0
                for file in self.acquisitions[patch.slice]:
                    span = slice(channel, channel + len(file.bands))
                    targets[file.path].lay_in(file, patch.window, patch.values[span], patch.made[span])
                    channel += len(file.bands)
        return [path for target in targets.values() for path in target.written]


def read_window(file: RasterFile, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Physical values and validity of one file's bands in a window, both (bands, h, w).

    An integer nodata value marks a pixel only where every band holds it, since zero in one band alone is
    a legitimate value; NaN marks its own band.
    """
    area = RasterWindow(window.column, window.row, window.width, window.height)
    try:
        with open_raster(file.path) as data:
            bands = list(file.bands)
            raw = data.read(bands, window=area)
            seen = data.read_masks(bands, window=area) > 0
            # GDAL itself heeds alpha only in files of two or four bands, of 8 or 16 bits.
            opaque = data.read(list(file.alpha), window=area).all(axis=0) if file.alpha else True
    except BrokenFile:
        raise
    except Exception as error:
        raise BrokenFile(f"pixels cannot be read ({error})", where=file.path, do="restore it") from error
    if raw.dtype.kind in "iu":
        seen = np.broadcast_to(seen.any(axis=0), seen.shape)
        values = raw.astype(file.working)
    else:
        seen = seen & np.isfinite(raw)
        values = np.nan_to_num(raw.astype(file.working))
    scales, offsets = (np.array(v)[:, None, None] for v in (file.scales, file.offsets))
    if (scales != 1).any() or (offsets != 0).any():
        values = (values * scales + offsets).astype(file.working)
    return values, seen & opaque


def scene(row: Sequence[Product]) -> GeoTiffScene:
    """The scene of one stack (or, with one date, of one raster)."""
    first = row[0]
    file = first[0]
    dated = len(row) > 1
    where = file.path if len(row) == len(first) == 1 else file.path.parent
    if dated and len(first) > 1:
        where = where.parent
    days = tuple(product[0].day for product in row) if file.day else ()
    start = date.fromisoformat(days[0]) if days else None
    positions = [float((date.fromisoformat(d) - start).days) for d in days] if start else [0.0]
    transform = file.transform
    rows, columns = abs(transform.e) or 1.0, abs(transform.a) or 1.0
    channels = tuple(Channel(name) for member in first for name in member.names)
    return GeoTiffScene(
        name=where.stem if where.is_file() else where.name,
        path=where,
        format="geotiff",
        kind="stack" if dated else "raster",
        modality="",
        shape=(len(channels), len(row), file.height, file.width),
        dtype=file.dtype,
        channels=channels,
        grid=Grid((1.0, rows, columns), _unit(file.crs), "map" if file.crs else "pixels", tuple(positions)),
        group=str(where.name),
        files=tuple(member.path for product in row for member in product),
        facts=dict(file.facts),
        dates=days,
        acquisitions=tuple(row),
    )


def _unit(crs: str) -> str:
    if not crs:
        return "pixels"
    from rasterio.crs import CRS

    return "degrees" if CRS.from_wkt(crs).is_geographic else "m"
