"""A date that was never acquired, as a GeoTIFF of its own on the grid of its stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window as RasterWindow

from data_adapters.atomic import replacing
from data_adapters.fixity import as_text
from data_adapters.geotiff.fixity import PROVENANCE, pixel_digest
from data_adapters.geotiff.products import Product
from data_adapters.geotiff.rasters import open_raster
from data_adapters.geotiff.write import avoid_nodata, profile_on
from data_adapters.scene import Channel, Patch, Provenance, to_stored


def write_day(
    destination: Path,
    like: Product,
    shape: tuple[int, int],
    channels: Sequence[Channel],
    day: str,
    patches: Iterable[Patch],
    provenance: Provenance,
) -> Path:
    """Write ``patches`` of a ``day`` (ISO) on a grid of ``shape``, (rows, columns), stored as in the product ``like``.

    All bands go into one file, in the scene's order. Pixels that no patch made are nodata, or masked where the files
    of the stack have no value for that. The header tells the day (tag 306), for a name may not.
    """
    files = [placed.file for placed in like.files]
    dtype, nodata = np.dtype(files[0].dtype), files[0].nodata
    scales, offsets = ([v for file in files for v in getattr(file, part)] for part in ("scales", "offsets"))
    profile = profile_on(like, shape, bands=len(channels), dtype=dtype.name, nodata=nodata)
    with replacing(destination) as temporary:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), open_raster(temporary, "w", **profile) as data:
            made_all = np.zeros(shape, dtype=np.uint8)
            for patch in patches:
                area = RasterWindow(patch.window.column, patch.window.row, patch.window.width, patch.window.height)
                made = patch.made.any(axis=0)
                for band, (values, scale, offset) in enumerate(zip(patch.values, scales, offsets, strict=True), 1):
                    fresh = avoid_nodata(to_stored(values, dtype, scale, offset), nodata)
                    data.write(np.where(made, fresh, nodata or 0).astype(dtype), band, window=area)
                made_all[patch.window.slices] |= made
            data.descriptions = [channel.name for channel in channels]
            if any(scaling != (1.0, 0.0) for scaling in zip(scales, offsets, strict=True)):
                data.scales, data.offsets = scales, offsets
            if nodata is None and not made_all.all():
                data.write_mask(made_all * np.uint8(255))
            data.update_tags(SYNTHETIC="YES", TIFFTAG_DATETIME=f"{day.replace('-', ':')} 00:00:00")
        said = as_text(provenance, pixel_digest(temporary))
        with open_raster(temporary, "r+") as data:
            data.update_tags(**{PROVENANCE: said})
    return destination
