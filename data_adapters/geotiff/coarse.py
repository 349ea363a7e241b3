"""Pixels made on a fine grid, gathered into the pixels of a coarser file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from data_adapters.geotiff.products import Part
from data_adapters.geotiff.rasters import RasterFile, open_raster
from data_adapters.scene import Window

BLOCK = 256


class Coarse:
    """Sums and counts of fine pixels, a pixel of ``file`` each, kept on disk: patches come in any order and size."""

    def __init__(self, file: RasterFile) -> None:
        self.file = file
        self._stack = ExitStack()

    def __enter__(self) -> Coarse:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        profile = {
            "driver": "GTiff", "height": self.file.height, "width": self.file.width, "count": 2 * len(self.file.bands),
            "dtype": "float64", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "SPARSE_OK": True,
            "compress": "deflate", "BIGTIFF": "IF_SAFER",
        }  # fmt: skip
        self._sums: Any = self._stack.enter_context(open_raster(folder / "sums.tif", "w+", **profile))
        return self

    def add(self, part: Part, factor: int, values: NDArray[Any], made: NDArray[np.bool_]) -> None:
        """Add fine ``values`` where ``made``, both (bands, h, w), of the part of the file that they cover."""
        own, crop = part.own, part.crop
        area = RasterWindow(own.column, own.row, own.width, own.height)
        fine = np.zeros((2, len(values), own.height * factor, own.width * factor))
        fine[0, :, *crop.slices] = np.where(made, values, 0)
        fine[1, :, *crop.slices] = made
        coarse = fine.reshape(2 * len(values), own.height, factor, own.width, factor).sum(axis=(2, 4))
        self._sums.write(self._sums.read(window=area) + coarse, window=area)

    def means(self) -> Iterator[tuple[Window, NDArray[Any], NDArray[np.bool_]]]:
        """Block by block, the mean of what was added to each pixel, and where anything was: (bands, h, w)."""
        for _, area in self._sums.block_windows(1):
            sums, counts = np.split(self._sums.read(window=area), 2)
            if counts.any():
                window = Window(area.row_off, area.col_off, area.height, area.width)
                yield window, sums / np.maximum(counts, 1), counts > 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
