"""GeoTIFF: single rasters, per-band files of one product, dated stacks of one footprint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import Unwritable, UserError
from data_adapters.scene import Provenance, Scene, Template

NAME = "geotiff"
SUFFIXES = (".tif", ".tiff")


def claims(path: Path, head: bytes) -> bool:
    """Whether the content starts as TIFF or BigTIFF, in either byte order."""
    if path.suffix.lower() in (".msk", ".ovr"):
        # An external mask or overview: part of the raster beside it, and read with it.
        return False
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def scan(files: Sequence[Path]) -> tuple[list[Scene], list[UserError]]:
    """Scenes from headers alone: per-band files joined, dated files on one grid stacked."""
    from data_adapters.geotiff.rasters import products, read_file, stacks
    from data_adapters.geotiff.scenes import scene

    headers, problems = [], list[UserError]()
    for path in files:
        try:
            headers.append(read_file(path))
        except UserError as error:
            problems.append(error)
    found = [scene(row) for row in stacks(products(headers))]
    return sorted(found, key=lambda s: s.name), problems


def write_sample(
    stem: Path, values: NDArray[np.floating[Any]], template: Template, provenance: Provenance
) -> list[Path]:
    """A synthetic sample, (C, 1, H, W) in physical units, as GeoTIFF."""
    from data_adapters.geotiff.write import write_synthetic

    if values.shape[1] != 1 or template.modality in ("CT", "MR", "CR", "DX"):
        raise Unwritable("medical images and volumes do not belong into a GeoTIFF", do="write dicom, nifti or png")
    return write_synthetic(stem, values, template, provenance)
