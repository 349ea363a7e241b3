"""What a GeoTIFF says of its making, and the digest of its pixels, strip by strip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from data_adapters.errors import BrokenFile
from data_adapters.fixity import PixelDigest, Stated, digest_of
from data_adapters.geotiff.rasters import open_raster

PROVENANCE = "AUGMENTOR_PROVENANCE"
"""The tag that says who made the pixels; of the default domain, the one that every copy by GDAL keeps."""

AT_ONCE = 1 << 23
"""Values of a strip, at most where a block is no higher."""


def digest_of_planes(stored: NDArray[Any]) -> str:
    """What ``pixel_digest`` gives of the file of (bands, rows, columns)."""
    return digest_of(np.asarray(stored).transpose(1, 0, 2))


def stated(path: Path) -> Stated | None:
    """What a file says of its making.

    Raises:
        BrokenFile: if it cannot be read.
    """
    with open_raster(path) as data:
        return Stated.from_text(data.tags().get(PROVENANCE))


def pixel_digest(path: Path) -> str:
    """The digest of a file's pixels: row by row, and in each its bands, so that a raster is read once and in order.

    Raises:
        BrokenFile: if they cannot be read.
    """
    with open_raster(path) as data:
        height, width, count, block = data.height, data.width, data.count, data.block_shapes[0][0]
    found = PixelDigest(height, count, width)
    rows = max(1, AT_ONCE // (count * width) // block) * block
    for first in range(0, height, rows):
        # Opened anew for each strip, or GDAL would keep the last one's blocks up to a part of all memory.
        with open_raster(path) as data:
            try:
                strip = data.read(window=RasterWindow(0, first, width, min(rows, height - first)))
            except RasterioError as error:
                raise BrokenFile(f"pixels cannot be read ({error})", where=path, do="restore it") from error
        found.add(strip.transpose(1, 0, 2))
    return found.hexdigest()
