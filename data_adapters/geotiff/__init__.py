"""GeoTIFF and JPEG 2000: single rasters, per-band files of one product, dated stacks of one place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import Unwritable, UserError
from data_adapters.fixity import Stated
from data_adapters.scene import Provenance, Scene, Template

NAME = "geotiff"
SUFFIXES = (".tif", ".tiff", ".jp2")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF and BigTIFF begin, in either byte order."""
JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
"""The signature box of ISO/IEC 15444-1, annex I.5.1."""


def claims(path: Path, head: bytes) -> bool:
    """Whether the content starts as TIFF or BigTIFF, in either byte order, or as JPEG 2000 does."""
    if path.suffix.lower() in (".msk", ".ovr"):
        # An external mask or overview: part of the raster beside it, and read with it.
        return False
    return head[:4] in TIFF or head.startswith(JP2)


def scan(files: Sequence[Path]) -> tuple[list[Scene], list[UserError]]:
    """Scenes from headers alone: per-band files joined, dated files on one grid stacked."""
    from data_adapters.geotiff.products import products
    from data_adapters.geotiff.rasters import read_file
    from data_adapters.geotiff.scenes import scene
    from data_adapters.geotiff.stacks import stacks

    headers, problems = [], list[UserError]()
    for path in files:
        try:
            headers.append(read_file(path))
        except UserError as error:
            problems.append(error)
    rows, mismatches = stacks(products(headers))
    return sorted(map(scene, rows), key=lambda s: s.name), [*problems, *mismatches]


def stated(path: Path) -> Stated | None:
    """What a file says of its making, in a tag."""
    from data_adapters.geotiff import fixity

    return fixity.stated(path)


def pixel_digest(path: Path) -> str:
    """The digest of a file's pixels."""
    from data_adapters.geotiff import fixity

    return fixity.pixel_digest(path)


def write_sample(
    stem: Path, values: NDArray[np.floating[Any]], template: Template, provenance: Provenance
) -> list[Path]:
    """A synthetic sample, (C, 1, H, W) in physical units, as GeoTIFF."""
    from data_adapters.geotiff.write import write_synthetic

    if values.shape[1] != 1 or template.modality in ("CT", "MR", "CR", "DX"):
        raise Unwritable("medical images and volumes do not belong into a GeoTIFF", do="write dicom, nifti or png")
    return write_synthetic(stem, values, template, provenance)
