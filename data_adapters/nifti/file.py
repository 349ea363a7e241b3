"""NIfTI files as they lie on disk: headers, and stored values that are read when they are asked for."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.nifti1 import Nifti1Image
from nibabel.nifti2 import Nifti2Image
from numpy.typing import NDArray

from data_adapters import room
from data_adapters.errors import BrokenFile, TooLarge, UserError
from data_adapters.nifti import GZIP, NIFTI_1, NIFTI_2, magic

KINDS = {NIFTI_1[0]: Nifti1Image, NIFTI_2[0]: Nifti2Image}
"""What the magic of one file stands for."""


def load(path: Path) -> Any:
    """The image of a file, its pixels still on disk; what the file is called does not matter but for pairs.

    Raises:
        BrokenFile: if it is no readable NIfTI.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(348)
        kind, packed = KINDS.get(magic(path, head)), head[:2] == GZIP
        if kind is None or path.name.endswith(".nii.gz" if packed else ".nii"):
            return nibabel.load(path)
        return kind.from_stream(gzip.open(path) if packed else path.open("rb"))
    except Exception as error:
        raise BrokenFile(f"not readable as NIfTI ({error})", where=path, do="restore it from its source") from error


def check_size(path: Path, image: Any) -> None:
    """Raise UserError unless the file is long enough for the pixels that its header speaks of."""
    if min(image.shape) < 1:
        raise BrokenFile(f"says that it is {image.shape} voxels", where=path, do="restore it from its source")
    pixels = _pixel_file(path, image)
    if not pixels.is_file():
        raise BrokenFile(f"has no {pixels.name} beside it", where=path, do="put the two files of the pair together")
    room.held(math.prod(image.shape) * image.get_data_dtype().itemsize, pixels, packed=_packed(pixels))
    if math.prod(image.shape[2:]) > room.MOST_SLICES:
        raise TooLarge(f"holds {math.prod(image.shape[2:])} slices", where=path, do="split it")


def _pixel_file(path: Path, image: Any) -> Path:
    """The file itself; of a pair, the other one."""
    return Path(image.file_map["image"].filename or path)


def _packed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == GZIP


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say of pixels that cannot be read whose they are."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise BrokenFile(f"pixels cannot be read ({error})", where=path, do="restore it from its source") from error


@lru_cache(maxsize=2)
def stored(path: Path, changed: int) -> NDArray[Any]:
    """Stored values as they lie in the file: mapped, or unpacked once for all the windows that are read."""
    image = load(path)
    if _packed(_pixel_file(path, image)):
        # nibabel takes the memory that a header asks for before it looks for the pixels; what is mapped takes none.
        room.taken(math.prod(image.shape) * image.get_data_dtype().itemsize, path)
    return np.asanyarray(image.dataobj.get_unscaled())


def stem_of(path: Path) -> str:
    """The name without its NIfTI suffixes."""
    return re.sub(r"(\.nii)?(\.gz)?$|\.hdr$", "", path.name)


def scaling(image: Any) -> tuple[float, float]:
    """Slope and intercept from stored to physical values."""
    return float(image.dataobj.slope), float(image.dataobj.inter)
