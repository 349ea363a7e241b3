"""NIfTI-1 and -2 volumes, compressed or not: shown as a radiologist sees them, written back as they lay."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import Unwritable, UserError
from data_adapters.fixity import Stated
from data_adapters.scene import Provenance, Scene, Template, one_each

NAME = "nifti"
SUFFIXES = (".nii", ".nii.gz", ".hdr")
"""Of a .hdr/.img pair the header is the file that is claimed."""
GZIP = b"\x1f\x8b"
NIFTI_1, NIFTI_2 = (b"n+1\0", b"ni1\0"), (b"n+2\0", b"ni2\0")
"""The magic of one file, and of a .hdr/.img pair."""


def magic(path: Path, head: bytes) -> bytes:
    """The magic of NIfTI-1 (byte 344) or -2 (byte 4) in the content, gunzipped if need be, whose first bytes are
    ``head``; empty where it has none."""
    if head[:2] == GZIP:
        try:
            with gzip.open(path) as stream:
                head = stream.read(348)
        except (OSError, EOFError, zlib.error):
            return b""
    one, two = head[344:348], head[4:8]
    return one if one in NIFTI_1 else two if two in NIFTI_2 else b""


def claims(path: Path, head: bytes) -> bool:
    """Whether the content carries the magic of NIfTI-1 or -2."""
    return bool(magic(path, head))


def scan(files: Sequence[Path]) -> tuple[list[Scene], list[UserError]]:
    """One scene a file (a 4-D file: its first volume's slices, then the next one's)."""
    from data_adapters.nifti.scene import open_scene

    return one_each(files, open_scene)


def stated(path: Path) -> Stated | None:
    """What a file says of its making, in an extension."""
    from data_adapters.nifti import fixity

    return fixity.stated(path)


def pixel_digest(path: Path) -> str:
    """The digest of a file's pixels."""
    from data_adapters.nifti import fixity

    return fixity.pixel_digest(path)


def write_sample(
    stem: Path, values: NDArray[np.floating[Any]], template: Template, provenance: Provenance
) -> list[Path]:
    """A synthetic sample, (1, S, H, W) in physical units, as NIfTI in the plane of its source.

    Raises:
        Unwritable: if there are several channels.
    """
    from data_adapters.nifti.write import write_synthetic

    if values.shape[0] != 1:
        raise Unwritable(f"{values.shape[0]} channels do not fit a NIfTI volume", do="write geotiff or png")
    return write_synthetic(stem, values, template, provenance)
