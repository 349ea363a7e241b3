"""A GeoTIFF, a set of per-band files, or a dated stack of them, as a ``Scene``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.windows import Window as RasterWindow

from data_adapters import room
from data_adapters.errors import BrokenFile, Unwritable, UserError
from data_adapters.geotiff.names import delivery
from data_adapters.geotiff.products import Placed, Product
from data_adapters.geotiff.rasters import RasterFile, open_raster
from data_adapters.geotiff.stacks import Stack
from data_adapters.scene import Channel, Grid, Patch, Pixels, Place, Provenance, Scene, Template, Window


@dataclass(frozen=True)
class GeoTiffScene(Scene):
    """``acquisitions[s]`` is the product of slice s, whose files' bands in order are the scene's channels."""

    acquisitions: tuple[Product, ...] = ()

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        window = window or self.plane
        room.taken(9 * self.shape[0] * count * window.height * window.width, self.path)
        found = [[_read(placed, window) for placed in p.files] for p in self.acquisitions[first : first + count]]
        values, valid = (
            _joined([_joined([file[part] for file in date], 0)[:, None] for date in found], 1) for part in (0, 1)
        )
        return Pixels(values, valid)

    @property
    def classes(self) -> bool:
        return any(placed.file.classes for product in self.acquisitions for placed in product.files)

    def covered(self, window: Window) -> NDArray[np.bool_]:
        """Where each date's files lie in a window of the grid that holds them all: (S, h, w)."""
        found = np.zeros((self.shape[1], window.height, window.width), dtype=bool)
        for index, product in enumerate(self.acquisitions):
            placed = product.files[0]
            rows = slice(max(0, placed.row - window.row), max(0, placed.bottom - window.row))
            columns = slice(max(0, placed.column - window.column), max(0, placed.right - window.column))
            found[index, rows, columns] = True
        return found

    @property
    def corner(self) -> Place | None:
        product = self.acquisitions[0]
        if not product.finest.upright:
            return None
        placed = product.files[0]
        step = product.finest.transform
        at = (step.c - placed.column * step.a, step.f - placed.row * step.e)
        return Place(CRS.from_wkt(product.finest.crs).to_string(), at)

    @cached_property
    def layers(self) -> dict[str, Scene]:
        """What came with the image and is none, by name: classes, quality bits, probabilities, on the scene's grid.

        A layer that only some dates have is a stack of those.
        """
        names = dict.fromkeys(name for product in self.acquisitions for name, _ in product.layers)
        return {name: self._layer(name) for name in names}

    def _layer(self, name: str) -> Scene:
        having = [(i, p, dict(p.layers)[name]) for i, p in enumerate(self.acquisitions) if name in dict(p.layers)]
        first = having[0][2].file
        bands = len(first.bands)
        return replace(
            self,
            name=f"{self.name}_{name}",
            path=first.path,
            shape=(bands, len(having), *self.shape[2:]),
            dtype=first.dtype,
            channels=tuple(Channel(n if bands > 1 else name) for n in first.names),
            grid=replace(self.grid, positions=tuple(self.grid.positions[i] for i, _, _ in having)),
            files=tuple(placed.file.path for _, _, placed in having),
            dates=tuple(self.dates[i] for i, _, _ in having) if self.dates else (),
            acquisitions=tuple(replace(p, files=(placed,), layers=()) for _, p, placed in having),
        )

    def template(self) -> Template:
        file = self.acquisitions[0].files[0].file
        nodata = file.nodata if file.nodata is None or np.isfinite(file.nodata) else None
        every = [p.file for p in self.acquisitions[0].files]
        scalings = tuple((s, o) for f in every for s, o in zip(f.scales, f.offsets, strict=True))
        like = Template.like(self, file.scales[0], file.offsets[0])
        return replace(like, crs=file.crs, nodata=nodata, scalings=scalings if len(set(scalings)) > 1 else ())

    def write_filled(
        self, destination: Path, patches: Iterable[Patch], provenance: Provenance, *, marked: bool = True
    ) -> list[Path]:
        from data_adapters.geotiff.write import FilledFile, written_name

        every = [placed for product in self.acquisitions for placed in product.files]
        named_as_file = destination.suffix.lower() in (".tif", ".tiff")
        if len(every) == 1 and destination.suffix.lower() == ".jp2":
            raise Unwritable("JPEG 2000 cannot be rewritten in part", where=destination, do="name the output .tif")
        shared = Counter(written_name(placed.file) for placed in every).most_common(1)[0][1] > 1
        with ExitStack() as stack:
            # The last file entered is the first one closed; none is renamed into place before all are done.
            targets: dict[Path, FilledFile] = {}
            for placed in every:
                # Dates in folders of their own may name their files alike.
                folder = destination / placed.file.path.parent.name if shared else destination
                alone = len(every) == 1 and named_as_file
                to = destination if alone else folder / written_name(placed.file)
                targets[placed.file.path] = stack.enter_context(FilledFile(placed, to, provenance, marked=marked))
            for patch in patches:
                channel = 0
                for placed in self.acquisitions[patch.slice].files:
                    span = slice(channel, channel + len(placed.file.bands))
                    targets[placed.file.path].lay_in(patch.window, patch.values[span], patch.made[span])
                    channel += len(placed.file.bands)
        return [path for target in targets.values() for path in target.written]

    def write_slice(
        self, destination: Path, position: float, day: str, patches: Iterable[Patch], provenance: Provenance
    ) -> list[Path]:
        from data_adapters.geotiff.day import write_day

        # What its files say of their bands is most likely what the next file would say.
        nearest = int(np.abs(np.subtract(self.grid.positions, position)).argmin())
        if destination.suffix.lower() not in (".tif", ".tiff"):
            destination = destination / f"{self.name}_{day}.tif"
        shape = (self.shape[2], self.shape[3])
        return [write_day(destination, self.acquisitions[nearest], shape, self.channels, day, patches, provenance)]

    def write_map(self, stem: Path, values: NDArray[np.float32], about: str, provenance: Provenance) -> list[Path]:
        from data_adapters.geotiff.write import write_planes

        names = [f"{about}, {day}" for day in self.dates] if len(self.dates) == len(values) else [about] * len(values)
        return [write_planes(stem.with_name(f"{stem.name}.tif"), values, self.acquisitions[0], names, provenance)]


def _joined(arrays: Sequence[NDArray[Any]], axis: int) -> NDArray[Any]:
    """One array as it is, several after each other."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)


def _read(placed: Placed, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values and validity (bands, h, w) of a file in a window of the scene, its pixels repeated where coarser."""
    part = placed.part(window)
    if part is not None and placed.factor == 1 and part.own[2:] == window[2:]:
        return read_window(placed.file, part.own)
    shape = (len(placed.file.bands), window.height, window.width)
    canvas = np.zeros(shape, dtype=placed.file.working), np.zeros(shape, dtype=bool)
    if part is not None:
        for array, out in zip(read_window(placed.file, part.own), canvas, strict=True):
            fine = array.repeat(placed.factor, axis=1).repeat(placed.factor, axis=2) if placed.factor > 1 else array
            out[:, *part.target.slices] = fine[:, *part.crop.slices]
    return canvas


def read_window(file: RasterFile, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Physical values and validity of one file's bands in a window, both (bands, h, w).

    An integer nodata value marks a pixel only where every band holds it, since zero in one band alone is
    a legitimate value; NaN marks its own band.
    """
    area = RasterWindow(window.column, window.row, window.width, window.height)
    try:
        with open_raster(file.path) as data:
            bands = list(file.bands)
            down, across = data.block_shapes[bands[0] - 1]
            room.taken(down * across * np.dtype(file.dtype).itemsize, file.path, "lay it out in smaller blocks")
            values = np.empty((len(bands), window.height, window.width), file.working)
            # One by one: GDAL converts several bands at once at half the speed.
            for band, plane in zip(bands, values, strict=True):
                data.read(band, window=area, out=plane)
            flags = data.mask_flag_enums
            everywhere = all(flags[band - 1] == [MaskFlags.all_valid] for band in bands)
            seen = np.broadcast_to(True, values.shape) if everywhere else data.read_masks(bands, window=area) > 0
            # GDAL itself heeds alpha only in files of two or four bands, of 8 or 16 bits.
            opaque = data.read(list(file.alpha), window=area).all(axis=0) if file.alpha else None
    except UserError:
        raise
    except Exception as error:
        raise BrokenFile(f"pixels cannot be read ({error})", where=file.path, do="restore it") from error
    if np.dtype(file.dtype).kind in "iu":
        seen = seen if everywhere else np.broadcast_to(seen.any(axis=0), seen.shape)
    else:
        seen = seen & np.isfinite(values)
        values = np.nan_to_num(values, copy=False)
    scales, offsets = (np.array(v)[:, None, None] for v in (file.scales, file.offsets))
    if (scales != 1).any() or (offsets != 0).any():
        values = (values * scales + offsets).astype(file.working)
    return values, seen if opaque is None else seen & opaque


def scene(stack: Stack) -> GeoTiffScene:
    """The scene of one stack (or, with one date, of one raster)."""
    first = stack.products[0]
    file = first.finest
    dated = len(stack.products) > 1
    where = file.path if len(stack.products) == len(first.files) == 1 else delivery(file.path)
    if dated and (len(first.files) > 1 or where.suffix.upper() == ".SAFE"):
        where = where.parent
    days = tuple(p.finest.day for p in stack.products) if file.day else ()
    start = date.fromisoformat(days[0]) if days else None
    positions = [float((date.fromisoformat(d) - start).days) for d in days] if start else [0.0]
    transform = file.transform
    rows, columns = abs(transform.e) or 1.0, abs(transform.a) or 1.0
    channels = tuple(Channel(name) for name in first.names)
    return GeoTiffScene(
        name=where.name if where.is_dir() else where.stem,
        path=where,
        format="geotiff",
        kind="stack" if dated else "raster",
        modality="",
        shape=(len(channels), len(stack.products), stack.height, stack.width),
        dtype=file.dtype,
        channels=channels,
        grid=Grid((1.0, rows, columns), _unit(file.crs), "map" if file.crs else "pixels", tuple(positions)),
        group=str(where.name),
        files=tuple(placed.file.path for product in stack.products for placed in product.files),
        facts={**dict(file.facts), **_joined_facts(stack)},
        dates=days,
        acquisitions=tuple(stack.products),
    )


def _joined_facts(stack: Stack) -> dict[str, str]:
    """What a user should know of how files were joined."""
    facts = {}
    first = stack.products[0]
    coarse = [f"{n} by {p.factor}" for p in first.files if p.factor > 1 for n in p.file.names]
    if coarse:
        facts["coarser bands"] = ", ".join(coarse)
    layers = dict.fromkeys(name for product in stack.products for name, _ in product.layers)
    if layers:
        facts["layers"] = ", ".join(layers)
    aside = [name for product in stack.products for name in product.aside]
    if aside:
        facts["set aside"] = ", ".join(aside[:4]) + (f" and {len(aside) - 4} more" if len(aside) > 4 else "")
    corners = {(p.files[0].row, p.files[0].column, p.files[0].bottom, p.files[0].right) for p in stack.products}
    if len(corners) > 1:
        facts["footprints"] = f"{len(corners)} that differ by whole pixels, on one grid that holds them all"
    return facts


def _unit(crs: str) -> str:
    if not crs:
        return "pixels"
    return "degrees" if CRS.from_wkt(crs).is_geographic else "m"
