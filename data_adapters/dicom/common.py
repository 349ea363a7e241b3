"""What every DICOM file that we write has in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from data_adapters.atomic import replacing
from data_adapters.dicom import decode
from data_adapters.dicom.fixity import MAKER, statement
from data_adapters.scene import Provenance

IMPLEMENTATION = generate_uid(entropy_srcs=["t2t-augmentor", "implementation"])
SYNTHESIZING = ("109100", "DCM", "Synthesizing Equipment")


def uid(provenance: Provenance, *parts: object) -> str:
    """A UID derived from what was made and how, so that a rerun gives the same one."""
    return generate_uid(entropy_srcs=[provenance.digest(*parts)])


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One coded concept (PS3.3 section 8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def contribution(provenance: Provenance, purpose: Dataset, pixels: str) -> Dataset:
    """An item of ContributingEquipmentSequence naming tool, version, checkpoint and the digest of the ``pixels``, empty
    where none is known (PS3.3 C.12.1)."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [purpose]
    item.Manufacturer = MAKER
    item.ManufacturerModelName = provenance.method[:64]
    item.SoftwareVersions = [provenance.version, f"checkpoint {provenance.checkpoint[:16] or 'none'}"]
    item.ContributionDescription = statement(provenance, pixels)
    return item


def set_pixels(dataset: Dataset, stored: NDArray[Any], padding: float | None = None) -> None:
    """Put stored words into a data set, native, with the range it has to state.

    They are (rows, columns) or (frames, rows, columns); three samples a pixel, where it has so many, come last.
    """
    samples = int(dataset.get("SamplesPerPixel", 1))
    dataset.Rows, dataset.Columns = stored.shape[-3:-1] if samples > 1 else stored.shape[-2:]
    single_bits = dataset.get("BitsAllocated") == 1
    if not single_bits:
        dataset.BitsAllocated = stored.dtype.itemsize * 8
    _state_range(dataset, stored, padding)
    # What described compressed frames goes with them.
    for keyword in ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            del dataset[keyword]
    if samples > 1:
        dataset.PlanarConfiguration = 0
    syntax = dataset.file_meta.TransferSyntaxUID if hasattr(dataset, "file_meta") else ExplicitVRLittleEndian
    native = stored.astype(stored.dtype.newbyteorder("<" if syntax.is_little_endian else ">"))
    data = pack_bits(stored, pad=False) if single_bits else native.tobytes()
    dataset.add_new("PixelData", "OB" if stored.dtype.itemsize == 1 else "OW", data + b"\0" * (len(data) % 2))


def _state_range(dataset: Dataset, stored: NDArray[Any], padding: float | None) -> None:
    """SmallestImagePixelValue and LargestImagePixelValue, where a gray value is a word of up to 16 bits (PS3.6)."""
    gray = str(dataset.get("PhotometricInterpretation", "MONOCHROME2")).startswith("MONOCHROME")
    lowest, highest = decode.limits(dataset)
    word = "SS" if stored.dtype.kind == "i" else "US"
    counted = stored[stored != padding] if padding is not None and (stored != padding).any() else stored
    for keyword, value in (("SmallestImagePixelValue", counted.min()), ("LargestImagePixelValue", counted.max())):
        # Words with more than a value in them have no range to state.
        if gray and stored.dtype.itemsize <= 2 and lowest <= value <= highest:
            dataset.add_new(keyword, word, int(value))
        elif keyword in dataset:
            del dataset[keyword]


def decimal(value: float) -> str:
    """A number as a DS of at most 16 characters (PS3.5 6.2)."""
    for digits in range(12, 3, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"{value} does not fit a decimal string")


def decimals(values: Sequence[float]) -> list[str]:
    return [decimal(float(v)) for v in values]


def save(dataset: Dataset, destination: Path) -> Path:
    """Write a data set, Explicit VR little endian unless its meta group says otherwise, atomically."""
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "AUGMENTOR"
    if "TransferSyntaxUID" not in meta:
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    with replacing(destination) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
    return destination


def display_window(stored: NDArray[Any], slope: float, intercept: float) -> tuple[float, float]:
    """Window centre and width, in physical units, that show 99 % of the values."""
    ordered = np.sort(stored, axis=None)
    low, high = (float(ordered[round(part * (ordered.size - 1))]) * slope + intercept for part in (0.005, 0.995))
    return float(low + high) / 2, max(1.0, float(high - low))
