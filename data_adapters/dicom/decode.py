"""One DICOM file to physical values: headers first, pixels when asked."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import get_frame
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, convert_color_space
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    RLELossless,
)

from data_adapters import room
from data_adapters.dicom import jp2, jpeg
from data_adapters.dicom.geometry import normal
from data_adapters.errors import BrokenFile, UserError
from data_adapters.scene import to_physical, working_dtype

jpeg.register()

SMALLEST = 72
"""Bytes of a compressed frame, at least: the head of its item, and that of an RLE codestream (PS3.5 G.5)."""


@contextmanager
def lenient() -> Iterator[None]:
    """Read what is there: values that bend the standard are common, and not the user's to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_deflated(path: Path) -> None:
    """Raise TooLarge for a data set that unpacks to more than memory: pydicom unpacks all of it at once."""
    if path.stat().st_size * room.DENSEST <= room.memory() * room.PART:
        return
    meta = read_file_meta_info(path)
    if UID(str(meta.get("TransferSyntaxUID", ""))).is_deflated:
        # Preamble, magic, and the element that says how long the rest of the meta group is (PS3.10 7.1).
        room.inflated(path, 128 + 4 + 12 + int(meta.get("FileMetaInformationGroupLength", 0)))


def read_header(path: Path, *, pixels: bool = False) -> FileDataset:
    """The data set of a file, without its pixels unless asked. A missing preamble or meta group is forgiven.

    Raises:
        BrokenFile: if it does not parse as DICOM.
    """
    try:
        with lenient():
            _check_deflated(path)
            dataset = dcmread(path, stop_before_pixels=not pixels, force=True)
    except UserError:
        raise
    except Exception as error:
        raise BrokenFile(f"not readable as DICOM ({error})", where=path, do="restore it from its source") from error
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


NONSENSE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, NotImplementedError, struct.error,
            OSError, EOFError, BytesLengthException)  # fmt: skip
"""What values that make no sense are told by, once pydicom or numpy turn them into numbers; the last three, of values
and sequences that end before they should."""


@contextmanager
def sensible(path: Path) -> Iterator[None]:
    """Say of a header whose values make no sense whose it is.

    Raises:
        BrokenFile: in place of what conversions raise.
    """
    try:
        yield
    except NONSENSE as error:
        raise BrokenFile(
            f"a header value makes no sense ({error})", where=path, do="restore it from its source"
        ) from error


def kind_of(header: FileDataset) -> str:
    """What an object is: the name of its SOP class (PS3.6 table A-1), or else its modality."""
    stated = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    return str(UID(str(stated)).name) if stated else str(header.get("Modality") or "unknown object")


def has_pixels(header: Dataset) -> bool:
    """Whether a header belongs to an image (Rows and Columns are type 1 in every image module)."""
    return "Rows" in header and "Columns" in header


def frame_count(header: Dataset) -> int:
    """NumberOfFrames, 1 where none is stated.

    Raises:
        ValueError, TypeError: if it is no number.
    """
    return max(1, int(header.get("NumberOfFrames") or 1))


def plane(header: Dataset) -> tuple[int, int]:
    """Rows and columns.

    Raises:
        ValueError, TypeError: if there is no pixel in them.
    """
    rows, columns = int(header.Rows), int(header.Columns)
    if rows < 1 or columns < 1:
        raise ValueError(f"{rows} rows of {columns} pixels")
    return rows, columns


def check_size(path: Path, header: FileDataset) -> None:
    """Check that a file is long enough for the frames that its header speaks of, but for the last one.

    Raises:
        BrokenFile: if it is not.
        ValueError, TypeError: if a value makes no sense.
    """
    syntax = header.file_meta.TransferSyntaxUID
    rows, columns = plane(header)
    least = rows * columns * int(header.get("SamplesPerPixel", 1)) * int(header.get("BitsAllocated", 8)) // 8
    if syntax.is_encapsulated:
        least = SMALLEST
    room.held((frame_count(header) - 1) * least, path, packed=syntax.is_deflated)


def is_palette(header: Dataset) -> bool:
    """Whether pixels are entries of a colour table (PS3.3 C.7.6.3.1.5)."""
    return str(header.get("PhotometricInterpretation", "")) == "PALETTE COLOR"


def is_colour(header: Dataset) -> bool:
    """Whether a pixel is a colour: three samples, or an entry of a colour table."""
    return int(header.get("SamplesPerPixel", 1)) == 3 or is_palette(header)


def stored_dtype(header: Dataset) -> np.dtype[Any]:
    """The numpy type of the stored pixels; that of its entries for a colour table."""
    bits = int(header.get("BitsAllocated", 32))
    if "BitsStored" not in header:
        return np.dtype(f"f{bits // 8}")
    if is_palette(header):
        return np.dtype(f"u{lut_bits(header) // 8}")
    return np.dtype(f"{'i' if header.get('PixelRepresentation', 0) else 'u'}{max(8, bits) // 8}")


def lut_bits(header: Dataset) -> int:
    """Bits of each entry of a colour table: 8 or 16 (PS3.3 C.7.6.3.1.5)."""
    return 16 if int(header.RedPaletteColorLookupTableDescriptor[2]) > 8 else 8


def is_inverted(header: Dataset) -> bool:
    """MONOCHROME1: the smallest value is shown white (PS3.3 C.7.6.3.1.2)."""
    return str(header.get("PhotometricInterpretation", "")) == "MONOCHROME1"


def inverted(stored: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Stored values mirrored within BitsStored; its own inverse."""
    if stored.dtype.kind == "f":
        return -stored
    top = (1 << stored_bits(header)) - 1
    return (-1 - stored) if header.get("PixelRepresentation", 0) else (top - stored)


def stored_bits(header: Dataset) -> int:
    """BitsStored; what makes no sense is taken as usual."""
    bits = int(header.get("BitsStored", 16))
    return bits if 0 < bits <= 64 else int(header.get("BitsAllocated", 16))


def limits(header: Dataset) -> tuple[int, int]:
    """The smallest and largest value that BitsStored has room for."""
    bits = stored_bits(header)
    lowest = -(1 << (bits - 1)) if header.get("PixelRepresentation", 0) else 0
    return lowest, lowest + (1 << bits) - 1


def rescale(header: Dataset, frame: int = 0) -> tuple[float, float]:
    """Slope and intercept to physical units; enhanced objects keep them in functional groups, doses in a scaling.

    Raises:
        ValueError, TypeError: if they are no numbers.
    """
    slope, intercept = _stated_scaling(header, frame)
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise ValueError(f"a rescale slope of {slope} and intercept of {intercept}")
    return slope or 1.0, intercept


def _stated_scaling(header: Dataset, frame: int) -> tuple[float, float]:
    if "DoseGridScaling" in header:
        return float(header.DoseGridScaling), 0.0
    for holder in (*_groups(header, "PixelValueTransformationSequence", frame), header):
        if "RescaleSlope" in holder:
            return float(holder.RescaleSlope), float(holder.get("RescaleIntercept", 0))
    return 1.0, 0.0


def _groups(header: Dataset, sequence: str, frame: int = 0) -> list[Dataset]:
    """Items of a functional-group macro: the frame's own first, then the shared one (PS3.3 C.7.6.16)."""
    return [item for groups in functional_groups(header, frame) for item in groups.get(sequence) or []]


def functional_groups(header: Dataset, frame: int) -> list[Dataset]:
    """What an enhanced object says of a frame: its own functional groups, then those that all frames share."""
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    return [*own[frame : frame + 1], *(header.get("SharedFunctionalGroupsSequence") or [])]


def position(header: Dataset, frame: int = 0) -> list[float] | None:
    """ImagePositionPatient in mm, from the frame's functional group in enhanced objects; in a dose, by its offset."""
    corner = _numbers(header, "ImagePositionPatient", "PlanePositionSequence", frame, 3)
    offsets = header.get("GridFrameOffsetVector")
    if corner is None or not isinstance(offsets, Sequence) or len(offsets) <= frame:
        return corner
    direction = orientation(header)
    if direction is None:
        return corner
    # Offsets start from zero or from the first plane's own place (PS3.3 C.8.8.3.2).
    further = float(offsets[frame]) - float(offsets[0])
    return (np.array(corner) + further * normal(direction)).tolist()


def orientation(header: Dataset, frame: int = 0) -> list[float] | None:
    """ImageOrientationPatient: direction cosines of rows and columns."""
    return _numbers(header, "ImageOrientationPatient", "PlaneOrientationSequence", frame, 6)


def pixel_spacing(header: Dataset, frame: int = 0) -> list[float] | None:
    """Distance between rows and between columns, in mm; of the detector where none is calibrated."""
    found = _numbers(header, "PixelSpacing", "PixelMeasuresSequence", frame, 2)
    found = found or _numbers(header, "ImagerPixelSpacing", "", frame, 2)
    return found if found and min(found) > 0 else None


APART = ("SpacingBetweenSlices", "SliceThickness")


def between(header: Dataset) -> float:
    """The distance in mm that a header states between its slices, else their thickness, else 1."""
    return _first_stated(header, APART)


def thickness(header: Dataset) -> float:
    """The thickness in mm that a header states of its slices, else their distance, else 1."""
    return _first_stated(header, APART[::-1])


def _first_stated(header: Dataset, keywords: Sequence[str]) -> float:
    holders = (header, *_groups(header, "PixelMeasuresSequence"))
    stated = [holder.get(keyword) for keyword in keywords for holder in holders]
    return next((_finite(abs(float(value)), keywords[0]) for value in stated if value), 1.0)


def _finite(number: float, what: str) -> float:
    """A number that is one, or ValueError."""
    if not math.isfinite(number):
        raise ValueError(f"{what} of {number}")
    return number


def _numbers(header: Dataset, keyword: str, sequence: str, frame: int, count: int) -> list[float] | None:
    for holder in (*(_groups(header, sequence, frame) if sequence else []), header):
        value = holder.get(keyword)
        if value is not None and not isinstance(value, float) and len(value) == count:
            return [_finite(float(v), keyword) for v in value]
    return None


def decode(path: Path, frame: int | None = None) -> tuple[NDArray[Any], FileDataset]:
    """Stored words of one frame, and the full data set; as ``decode_frames``."""
    (words,), dataset = decode_frames(path, [frame or 0])
    return words, dataset


def decode_frames(path: Path, frames: Sequence[int]) -> tuple[list[NDArray[Any]], FileDataset]:
    """Stored words of some frames, each (rows, columns) or (rows, columns, 3), and the full data set.

    Words are as they are stored, with whatever bits lie beside BitsStored. PhotometricInterpretation of the data
    set becomes what the words are in, which a decoder may have changed (YBR_RCT comes out of JPEG 2000 as RGB).

    Raises:
        BrokenFile: if the pixels are truncated or no decoder reads them.
    """
    dataset = read_header(path, pixels=True)
    syntax = dataset.file_meta.TransferSyntaxUID
    with sensible(path):
        rows, columns = plane(dataset)
        depth = int(dataset.get("SamplesPerPixel", 1)) * max(8, int(dataset.get("BitsAllocated", 8))) // 8
        room.taken(len(frames) * rows * columns * depth, path)
    try:
        with lenient():
            options: dict[str, Any] = {"correct_unused_bits": False} if keeps_words(syntax) else {}
            decoder = get_decoder(syntax)
            if dataset.get("BitsAllocated") == 1 and dataset.Rows * dataset.Columns % 8 and any(frames):
                # pydicom 3.0 cuts a frame of single bits short that begins amid a byte, unless all are read.
                every, _ = decoder.as_array(dataset, raw=True)
                return [every[frame] for frame in frames], dataset
            if syntax in JPEG2000TransferSyntaxes:
                for frame in frames:
                    jp2.check(get_frame(dataset.PixelData, frame, number_of_frames=dataset.get("NumberOfFrames") or 1))
            found = list(decoder.iter_array(dataset, indices=frames, raw=True, **options))
    except Exception as error:
        raise BrokenFile(f"pixels cannot be decoded ({error})", where=path, do="restore it from its source") from error
    # As what it ought to be, whatever it was written as.
    dataset.add_new("PhotometricInterpretation", "CS", found[0][1]["photometric_interpretation"])
    return [words for words, _ in found], dataset


def keeps_words(syntax: UID) -> bool:
    """Whether a transfer syntax stores every bit of BitsAllocated, as no image codestream does."""
    return not syntax.is_encapsulated or syntax == RLELossless


def field(header: Dataset) -> tuple[int, int]:
    """BitsStored, and how many bits of a word lie below them (PS3.5 8.1.1); what makes no sense is taken as usual."""
    allocated, bits = int(header.BitsAllocated), int(header.BitsStored)
    high = int(header.get("HighBit", bits - 1)) if keeps_words(header.file_meta.TransferSyntaxUID) else bits - 1
    if 0 < bits <= high + 1 <= allocated:
        return bits, high + 1 - bits
    return (bits if 0 < bits <= allocated else allocated), 0


def in_field(words: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Values of stored words: overlays and junk beside BitsStored are left out, the sign is carried on."""
    if words.dtype.kind == "f" or int(header.BitsAllocated) == 1:
        return words
    bits, below = field(header)
    allocated = words.dtype.itemsize * 8
    above = allocated - bits - below
    return np.asarray((words << above) >> (allocated - bits)) if allocated > bits else words


def padding(header: Dataset) -> tuple[int, int] | None:
    """The first and last stored value that mean "not observed" (PS3.3 C.7.5.1.1.2), or None."""
    if header.get("PixelPaddingValue") is None or is_colour(header):
        return None
    value = int(header.PixelPaddingValue)
    limit = int(header.get("PixelPaddingRangeLimit", value))
    if header.get("PixelRepresentation", 0):
        # Writers are fond of stating a negative value as an unsigned word.
        value, limit = (v - (1 << 16) if v >= 1 << 15 else v for v in (value, limit))
    return min(value, limit), max(value, limit)


def physical(
    words: NDArray[Any], dataset: Dataset, frame: int = 0
) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
    """Values in physical units, and where they were observed: (rows, columns), or (rows, columns, 3) as RGB.

    MONOCHROME1 comes out upright.

    Raises:
        ValueError, NotImplementedError: if colours are in a space that is not known here.
    """
    stored = in_field(words, dataset)
    valid: NDArray[np.bool_] = np.broadcast_to(True, stored.shape)
    if is_colour(dataset):
        colours = rgb(stored, dataset)
        return colours.astype(working_dtype(colours.dtype)), np.broadcast_to(True, colours.shape)
    if stored.dtype.kind == "f":
        valid = np.isfinite(stored)
        stored = np.nan_to_num(stored)
    elif (padded := padding(dataset)) is not None:
        valid = (stored < padded[0]) | (stored > padded[1])
    if is_inverted(dataset):
        stored = inverted(stored, dataset)
    if "ModalityLUTSequence" in dataset:
        return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32), valid
    return to_physical(stored, *rescale(dataset, frame)), valid


def rgb(stored: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Colours (..., 3) of stored values, in the type of their samples or of the colour table's entries.

    Raises:
        ValueError, NotImplementedError: if they are in a space that is not known here.
    """
    space = str(header.PhotometricInterpretation)
    if space == "PALETTE COLOR":
        return from_palette(stored, header)
    if space == "RGB":
        return stored
    if stored.dtype.itemsize > 1:
        raise ValueError(f"{space} of {stored.dtype.itemsize * 8} bits is not known to the standard")
    return np.asarray(convert_color_space(stored, space, "RGB"))


def from_palette(entries: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Colours (..., 3) of entries of the header's colour table."""
    count = int(header.RedPaletteColorLookupTableDescriptor[0])
    table = Dataset()
    for element in header.group_dataset(0x0028):
        if "PaletteColorLookupTable" in element.keyword:
            # The byte that evens out a table of odd length is no entry; pydicom takes it for one.
            odd = isinstance(element.value, bytes) and len(element.value) == count + 1
            table[element.tag] = DataElement(element.tag, element.VR, element.value[:count] if odd else element.value)
    return np.asarray(apply_color_lut(entries, table))
