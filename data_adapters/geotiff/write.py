"""GeoTIFF out: a filled copy that differs from its source in the holes alone, and synthetic samples."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import StatisticsError
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterWindow

from data_adapters.atomic import replacing
from data_adapters.fixity import as_text
from data_adapters.geotiff.coarse import Coarse
from data_adapters.geotiff.cog import LOSSY, compression, custom_domains, lay_out, layout
from data_adapters.geotiff.fixity import PROVENANCE, digest_of_planes, pixel_digest
from data_adapters.geotiff.products import Placed, Product
from data_adapters.geotiff.rasters import RasterFile, open_raster
from data_adapters.naming import named_beside
from data_adapters.scene import Provenance, Template, Window, to_stored


def written_name(file: RasterFile) -> str:
    """JPEG 2000 cannot be rewritten in part without loss, so it goes out as GeoTIFF."""
    return file.path.name if file.driver == "GTiff" else f"{file.path.stem}.tif"


class FilledFile:
    """A copy of a scene's file being edited in place, beside a mask of what was made where it is to be ``marked``.

    The copy is made byte by byte, so that tags, domains, masks, GCPs, RPCs, offsets and colour maps stay
    as they were; only blocks with holes are rewritten. A file in which nothing is made stays a byte copy.
    Files that GDAL reads with it (external masks and overviews, world files) are copied with it.
    JPEG 2000 becomes a GeoTIFF of equal pixels and tags.
    """

    def __init__(self, placed: Placed, destination: Path, provenance: Provenance, *, marked: bool = True) -> None:
        self.placed = placed
        self.file = placed.file
        self.source = placed.file.path
        self.destination = destination
        self.provenance = provenance
        self.marked = marked
        self.written: list[Path] = []
        self._stack = ExitStack()
        self._data: Any = None
        self._mask: Any = None
        self._levels: list[int] = []
        self._cog: dict[str, Any] | None = None
        self._coarse: Coarse | None = None

    def __enter__(self) -> FilledFile:
        self._copy = self._stack.enter_context(replacing(self.destination))
        self.written.append(self.destination)
        if self.file.driver != "GTiff":
            self._convert()
            return self
        shutil.copyfile(self.source, self._copy)
        with open_raster(self.source) as data:
            companions = [Path(name) for name in data.files if Path(name).name.startswith(self.source.stem)]
        for companion in companions:
            if companion.name == self.source.name:
                continue
            beside = self.destination.with_name(self.destination.stem + companion.name[len(self.source.stem) :])
            # Its temporary name goes with that of the copy, so that GDAL finds the one beside the other.
            shutil.copyfile(companion, self._stack.enter_context(replacing(beside)))
            self.written.append(beside)
        return self

    def _convert(self) -> None:
        """The copy as a GeoTIFF of whole numbers of bytes, whatever the source's compression and bit depth."""
        bits = str(8 * np.dtype(self.file.dtype).itemsize)
        options = {"compress": "deflate", "tiled": "YES", "BIGTIFF": "IF_SAFER", "NBITS": bits}
        rasterio.shutil.copy(self.source, self._copy, driver="GTiff", **options)
        with open_raster(self.source) as source:
            domains = custom_domains(source)
        with open_raster(self._copy, "r+") as data:
            _say(data, domains)

    def lay_in(self, window: Window, values: NDArray[Any], made: NDArray[np.bool_]) -> None:
        """Replace pixels where ``made`` (bands, h, w), in a window of the scene, as far as the file reaches.

        A pixel that is coarser than the scene's takes, in the end, the mean of what was made of it.
        """
        part = self.placed.part(window)
        if part is None or not made[:, *part.target.slices].any():
            return
        values, made = values[:, *part.target.slices], made[:, *part.target.slices]
        if self.placed.factor == 1:
            self._lay_in(part.own, values, made)
            return
        if self._coarse is None:
            self._coarse = self._stack.enter_context(Coarse(self.file))
        self._coarse.add(part, self.placed.factor, values, made)

    def _lay_in(self, window: Window, values: NDArray[Any], made: NDArray[np.bool_]) -> None:
        if self._data is None:
            self._open()
        file = self.file
        area = RasterWindow(window.column, window.row, window.width, window.height)
        dtype = np.dtype(file.dtype)
        bits = self._data.tags(file.bands[0], ns="IMAGE_STRUCTURE").get("NBITS")
        top = 2 ** int(bits) - 1 if bits and dtype.kind in "iu" else None
        for index, band in enumerate(file.bands):
            if not made[index].any():
                continue
            raw = self._data.read(band, window=area)
            fresh = to_stored(values[index], dtype, file.scales[index], file.offsets[index], high=top)
            fresh = avoid_nodata(fresh, file.nodata, top)
            self._data.write(np.where(made[index], fresh, raw), band, window=area)
        touched = np.asarray(made.any(axis=0))
        self._mark_valid(file, area, touched)
        if self._mask is not None:
            old = self._mask.read(1, window=area)
            self._mask.write(old | touched.astype(np.uint8), 1, window=area)

    def _open(self) -> None:
        with open_raster(self.source) as source:
            profile = {**source.profile, "driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": None}
            profile["compress"] = "deflate"
            for key in ("photometric", "predictor", "nbits"):
                profile.pop(key, None)
            self._levels = source.overviews(1) if source.driver == "GTiff" else []
            domains = custom_domains(source)
            lossy = self.file.driver == "GTiff" and compression(source) in LOSSY
            if source.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG":
                self._cog = layout(source)
        if lossy:
            rasterio.shutil.copy(self.source, self._copy, driver="GTiff", compress="deflate", BIGTIFF="IF_SAFER")
        self._data = self._stack.enter_context(open_raster(self._copy, "r+", IGNORE_COG_LAYOUT_BREAK="YES"))
        if lossy:
            _say(self._data, domains)
        if not self.marked:
            return
        mask_path = named_beside(self.destination, "made")
        temporary = self._stack.enter_context(replacing(mask_path))
        self._mask = self._stack.enter_context(open_raster(temporary, "w+", **profile))
        self.written.append(mask_path)

    def _mark_valid(self, file: RasterFile, area: RasterWindow, touched: NDArray[np.bool_]) -> None:
        """A made pixel is valid by the mechanism that the file itself uses."""
        data = self._data
        for band in file.alpha:
            alpha = data.read(band, window=area)
            opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
            data.write(np.where(touched, opaque, alpha), band, window=area)
        if MaskFlags.per_dataset in data.mask_flag_enums[0] and not file.alpha:
            mask = data.read_masks(1, window=area)
            data.write_mask(np.where(touched, 255, mask).astype(np.uint8), window=area)

    def _restate(self) -> None:
        """Statistics that the file tells of its bands, told of the new pixels."""
        data = self._data
        stated = [band for band in data.indexes if any(tag.startswith("STATISTICS_") for tag in data.tags(band))]
        for band in stated:
            # Of a band in which nothing is observed there are none.
            with suppress(StatisticsError):
                data.update_stats(stats=data.stats(indexes=[band], approx=False), indexes=[band])

    def _sign(self, written: Any) -> None:
        """Say who made the pixels of a finished file, and their digest, for which they are read from disk again."""
        path = Path(written.name)
        written.close()
        said = as_text(self.provenance, pixel_digest(path))
        with open_raster(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as data:
            data.update_tags(**{PROVENANCE: said})
            if written is self._data and self._levels:
                resampling = Resampling.nearest if self.file.holds_classes else Resampling.average
                data.build_overviews(self._levels, resampling)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._coarse is not None:
            for window, values, made in self._coarse.means():
                self._lay_in(window, values, made)
        if kind is None and self._data is not None:
            self._restate()
            for written in (self._data, self._mask) if self._mask is not None else (self._data,):
                self._sign(written)
            if self._cog:
                lay_out(self._copy, self._cog)
        self._stack.__exit__(kind, error, trace)


def _say(data: Any, domains: dict[str, dict[str, str]]) -> None:
    """Write tags in domains of their own; XML is not tags, and comes with the copy."""
    for domain, tags in domains.items():
        if not domain.startswith("xml:"):
            data.update_tags(ns=domain, **tags)


def avoid_nodata(stored: NDArray[Any], nodata: float | None, top: int | None = None) -> NDArray[Any]:
    """A made pixel never equals nodata: such values move by one count, or a little, and stay in the type, whose
    largest value is ``top`` where a file has fewer bits.

    GDAL takes floats within some last digits of nodata for nodata, hence more than the next float.
    """
    if nodata is None or np.isnan(nodata):
        return stored
    if stored.dtype.kind != "f":
        largest = np.iinfo(stored.dtype).max if top is None else top
        step = nodata + 1 if nodata < largest else nodata - 1
        return np.where(stored == nodata, step, stored).astype(stored.dtype)
    near = np.abs(stored.astype(np.float64) - nodata) <= 1e-6 * abs(nodata)
    step = nodata * (1 - 2e-6) if nodata else float(np.finfo(stored.dtype).tiny)
    return np.where(near, step, stored).astype(stored.dtype)


def write_synthetic(stem: Path, values: NDArray[Any], template: Template, provenance: Provenance) -> list[Path]:
    """A sample (C, 1, H, W) as a GeoTIFF at the origin of its coordinate system: it shows no real place."""
    dtype = np.dtype(template.dtype)
    scalings = [template.scaling(channel) for channel in range(len(values))]
    stored = np.stack([to_stored(v[0], dtype, *scaling) for v, scaling in zip(values, scalings, strict=True)])
    stored = avoid_nodata(stored, template.nodata)
    bands, height, width = stored.shape
    located = bool(template.crs)
    destination = stem.with_name(stem.name + ".tif")
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": height, "width": width, "count": bands, "dtype": dtype.name,
        "nodata": template.nodata, "compress": "deflate", "predictor": 3 if dtype.kind == "f" else 2,
        "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    if located:
        profile["crs"] = CRS.from_wkt(template.crs)
        profile["transform"] = from_origin(0, 0, template.spacing[2], template.spacing[1])
    with replacing(destination) as temporary, open_raster(temporary, "w", **profile) as data:
        data.write(stored)
        data.descriptions = [channel.name for channel in template.channels]
        if any(scaling != (1, 0) for scaling in scalings):
            data.scales, data.offsets = ([scaling[part] for scaling in scalings] for part in (0, 1))
        said = as_text(provenance, digest_of_planes(stored))
        data.update_tags(SYNTHETIC="YES", **{PROVENANCE: said})
    return [destination]


def profile_on(product: Product, shape: tuple[int, ...], *, bands: int, dtype: str, nodata: float | None) -> Any:
    """What a new file says of itself that has so many rows and columns on the grid that a ``product`` lies on."""
    file, placed = product.finest, product.files[0]
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": shape[0], "width": shape[1], "count": bands, "dtype": dtype, "nodata": nodata,
        "compress": "deflate", "predictor": 3 if np.dtype(dtype).kind == "f" else 2,
        "tiled": True, "blockxsize": 256, "blockysize": 256, "BIGTIFF": "IF_SAFER",
        "transform": file.transform * Affine.translation(-placed.column, -placed.row),
    }  # fmt: skip
    return {**profile, "crs": CRS.from_wkt(file.crs)} if file.crs else profile


def write_planes(
    destination: Path, values: NDArray[np.float32], product: Product, names: Sequence[str], provenance: Provenance
) -> Path:
    """Write numbers (bands, H, W), NaN where none is known, on the grid that a ``product`` lies on."""
    bands, *shape = values.shape
    profile = profile_on(product, tuple(shape), bands=bands, dtype="float32", nodata=float("nan"))
    with replacing(destination) as temporary, open_raster(temporary, "w", **profile) as data:
        data.write(values)
        data.descriptions = list(names)
        with open_raster(product.finest.path) as source:
            if source.gcps[0]:
                data.gcps = source.gcps
        data.update_tags(**{PROVENANCE: as_text(provenance, digest_of_planes(values))})
    return destination
