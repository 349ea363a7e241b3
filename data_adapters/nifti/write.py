"""Writing NIfTI: volumes like a source, and samples of a template."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Image
from nibabel.nifti2 import Nifti2Image
from numpy.typing import NDArray

from data_adapters.anatomy import affine_of
from data_adapters.atomic import replacing
from data_adapters.nifti.fixity import sign
from data_adapters.scene import Provenance, Template, to_stored

OF_TIMING = ("slice_code", "slice_start", "slice_end", "slice_duration")
"""When each slice was acquired, which slices put between others were not."""


def alike(image: Any, raw: NDArray[Any], steps: int, slope: float = 1.0, intercept: float = 0.0) -> Any:
    """An image of other stored values with the header, affines and extensions of ``image``, as one file.

    ``raw`` has so many ``steps`` along its third axis for each of the image's own.
    """
    kind = Nifti2Image if isinstance(image.header, Nifti2Image.header_class) else Nifti1Image
    # With its affine withheld, nibabel leaves both of the header's own, and their codes, as they are.
    fresh = kind(raw, None, image.header.copy())
    header = fresh.header
    header.set_data_dtype(raw.dtype)
    header.set_slope_inter(slope, intercept)
    if steps > 1:
        header["pixdim"][3] /= steps
        for row in ("srow_x", "srow_y", "srow_z"):
            header[row][2] /= steps
        if header.get_dim_info()[2] in (None, 2):
            for timing in OF_TIMING:
                header[timing] = 0
    return fresh


def move(header: Any, steps: float) -> None:
    """Let a lone slice lie so many steps along the third axis from where the first one lay."""
    for row in ("srow_x", "srow_y", "srow_z"):
        header[row][3] += header[row][2] * steps
    if int(header["qform_code"]):
        for offset, along in zip(("qoffset_x", "qoffset_y", "qoffset_z"), header.get_qform()[:3, 2], strict=True):
            header[offset] += along * steps
    for timing in OF_TIMING:
        header[timing] = 0


def save(image: Any, destination: Path) -> Path:
    """Write atomically; the gzip stream carries no time, so that equal volumes are equal files."""
    with replacing(destination) as temporary:
        data = image.to_bytes()
        temporary.write_bytes(gzip.compress(data, mtime=0) if destination.name.endswith(".gz") else data)
    return destination


def write_synthetic(
    stem: Path, values: NDArray[np.floating[Any]], template: Template, provenance: Provenance
) -> list[Path]:
    """A synthetic sample, (1, S, H, W) in physical units, as NIfTI in the plane of its source."""
    dtype = np.dtype(template.dtype)
    if dtype == np.int64:
        dtype = np.dtype(np.int32)
    stored = to_stored(values[0], dtype, template.slope, template.intercept).transpose(2, 1, 0)
    affine = affine_of(template.plane, stored.shape[::-1], template.spacing)
    image = (Nifti2Image if max(stored.shape) > 32767 else Nifti1Image)(stored, affine)
    image.header.set_xyzt_units("mm" if template.unit == "mm" else 0)
    image.header.set_slope_inter(template.slope, template.intercept)
    sign(image, stored, "synthetic", provenance)
    return [save(image, stem.with_name(stem.name + ".nii.gz"))]
