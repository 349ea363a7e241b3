"""One DICOM file to physical values: headers first, pixels when asked."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from data_adapters.errors import BrokenFile
from data_adapters.scene import working_dtype


@contextmanager
def lenient() -> Iterator[None]:
    """Read what is there: values that bend the standard are common, and not the user's to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_header(path: Path, *, pixels: bool = False) -> FileDataset:
    """The data set of a file, without its pixels unless asked. A missing preamble or meta group is forgiven.

    Raises:
        BrokenFile: if it does not parse as DICOM.
    """
    try:
        with lenient():
            dataset = dcmread(path, stop_before_pixels=not pixels, force=True)
    except Exception as error:
        raise BrokenFile(f"not readable as DICOM ({error})", where=path, do="restore it from its source") from error
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def has_pixels(header: Dataset) -> bool:
    """Whether a header belongs to an image (Rows and Columns are type 1 in every image module)."""
    return "Rows" in header and "Columns" in header


def stored_dtype(header: Dataset) -> np.dtype[Any]:
    """The numpy type of the stored pixels."""
    if "BitsAllocated" not in header:
        return np.dtype(np.float32)
    bits = max(8, int(header.BitsAllocated))
    return np.dtype(f"{'i' if header.get('PixelRepresentation', 0) else 'u'}{bits // 8}")


def is_inverted(header: Dataset) -> bool:
    """MONOCHROME1: the smallest value is shown white (PS3.3 C.7.6.3.1.2)."""
    return str(header.get("PhotometricInterpretation", "")) == "MONOCHROME1"


def inverted(stored: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Stored values mirrored within BitsStored; its own inverse."""
    top = (1 << int(header.BitsStored)) - 1
    return (-1 - stored) if header.get("PixelRepresentation", 0) else (top - stored)


def rescale(header: Dataset, frame: int = 0) -> tuple[float, float]:
    """Slope and intercept to physical units; enhanced objects keep them in functional groups."""
    for holder in (header, *_groups(header, "PixelValueTransformationSequence", frame)):
        if "RescaleSlope" in holder:
            slope = float(holder.RescaleSlope)
            return slope if slope != 0 else 1.0, float(holder.get("RescaleIntercept", 0))
    return 1.0, 0.0


def _groups(header: Dataset, sequence: str, frame: int = 0) -> list[Dataset]:
    """Items of a functional-group macro: the frame's own first, then the shared one (PS3.3 C.7.6.16)."""
    found = []
    own = header.get("PerFrameFunctionalGroupsSequence", [])
    for groups in (own[frame : frame + 1], header.get("SharedFunctionalGroupsSequence", [])):
        found += [item for group in groups for item in group.get(sequence, [])]
    return found


def position(header: Dataset, frame: int = 0) -> list[float] | None:
    """ImagePositionPatient in mm, from the frame's functional group in enhanced objects."""
    return _numbers(header, "ImagePositionPatient", "PlanePositionSequence", frame, 3)


def orientation(header: Dataset, frame: int = 0) -> list[float] | None:
    """ImageOrientationPatient: direction cosines of rows and columns."""
    return _numbers(header, "ImageOrientationPatient", "PlaneOrientationSequence", frame, 6)


def pixel_spacing(header: Dataset) -> list[float] | None:
    """Distance between rows and between columns, in mm; of the detector where none is calibrated."""
    found = _numbers(header, "PixelSpacing", "PixelMeasuresSequence", 0, 2)
    found = found or _numbers(header, "ImagerPixelSpacing", "", 0, 2)
    return found if found and min(found) > 0 else None


def _numbers(header: Dataset, keyword: str, sequence: str, frame: int, count: int) -> list[float] | None:
    for holder in (header, *(_groups(header, sequence, frame) if sequence else [])):
        value = holder.get(keyword)
        if value is not None and not isinstance(value, float) and len(value) == count:
            return [float(v) for v in value]
    return None


def decode(path: Path, frame: int | None = None) -> tuple[NDArray[Any], FileDataset]:
    """Stored pixels of one frame, (rows, columns) or (rows, columns, 3) as RGB, and the full data set.

    Raises:
        BrokenFile: if the pixels are truncated or no decoder reads them.
    """
    dataset = read_header(path, pixels=True)
    try:
        with lenient():
            stored = pixel_array(dataset, index=frame if int(dataset.get("NumberOfFrames") or 1) > 1 else None)
            if str(dataset.get("PhotometricInterpretation", "")) == "PALETTE COLOR":
                stored = apply_color_lut(stored, dataset)
    except Exception as error:
        raise BrokenFile(f"pixels cannot be decoded ({error})", where=path, do="restore it from its source") from error
    return stored, dataset


def padding(header: Dataset) -> tuple[int, int] | None:
    """The first and last stored value that mean "not observed" (PS3.3 C.7.5.1.1.2), or None."""
    if header.get("PixelPaddingValue") is None:
        return None
    value = int(header.PixelPaddingValue)
    limit = int(header.get("PixelPaddingRangeLimit", value))
    return min(value, limit), max(value, limit)


def physical(
    stored: NDArray[Any], dataset: Dataset, frame: int = 0
) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
    """Values in physical units and where they were observed; MONOCHROME1 comes out upright."""
    valid = np.ones(stored.shape, dtype=bool)
    if (padded := padding(dataset)) is not None and stored.dtype.kind in "iu":
        valid = (stored < padded[0]) | (stored > padded[1])
    if is_inverted(dataset):
        stored = inverted(stored, dataset)
    if "ModalityLUTSequence" in dataset:
        return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32), valid
    slope, intercept = rescale(dataset, frame)
    values = stored.astype(np.float64) * slope + intercept
    return values.astype(working_dtype(stored.dtype, slope, intercept)), valid
