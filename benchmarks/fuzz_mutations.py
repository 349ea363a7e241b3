"""What is done to the files of a seed: blind to what the bytes mean, or by the structure of their format."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any

import pydicom
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from pydicom.datadict import dictionary_VR, keyword_dict

from benchmarks.fuzz_seeds import Files

Mutation = Callable[[bytes, random.Random, bytes], bytes]
"""Takes contents, what draws, and the contents of another seed's file; raises ValueError where it does not apply."""

MOST = 4
"""Changes to one case, at most."""

NUMBERS = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1,
           2**63 - 1)  # fmt: skip
WORDS = ("", "0", "-1", "1e400", "nan", "-inf", "NaN", "None", "true", "~", "''", "[]", "{}", "x" * 300, "\0", "é",
         "\\", "99999999999999999999", "0x10", "1,2", "../../etc/passwd", "/dev/zero", "=1+1",
         "!!python/object/apply:os.system", "&a [*a]", "*a", "1e9", "2024-13-45", "\u202e", "- ", ": ", "#",
         "\t", "1\\2\\3")  # fmt: skip


# Blind to what the bytes mean


def flip(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """Some bits the other way round."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        changed[_at(data, draw)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def run(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """A run of one byte, or of any."""
    start, length = _at(data, draw), draw.choice((1, 2, 4, 8, 32, 200))
    fresh = draw.randbytes(length) if draw.random() < 0.5 else bytes([draw.choice((0, 1, 32, 127, 128, 255))]) * length
    return data[:start] + fresh + data[start + length :]


def number(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """A telling number in place of whatever was there: a length, an offset, a dimension."""
    form = draw.choice(["<H", ">H", "<I", ">I", "<Q", ">Q", "<i", ">i"])
    size = struct.calcsize(form)
    start = _at(data, draw)
    value = draw.choice(NUMBERS) % 2 ** (8 * size)
    fresh = value.to_bytes(size, "little" if form[0] == "<" else "big")
    return data[:start] + fresh + data[start + size :]


def truncate(data: bytes, draw: random.Random, other: bytes) -> bytes:
    return data[: _at(data, draw)]


def cut(data: bytes, draw: random.Random, other: bytes) -> bytes:
    start = _at(data, draw)
    return data[:start] + data[start + draw.choice((1, 2, 8, 64, 1000)) :]


def repeat(data: bytes, draw: random.Random, other: bytes) -> bytes:
    start, length = _at(data, draw), draw.choice((1, 4, 12, 64, 500))
    return data[:start] + data[start : start + length] * draw.choice((2, 3, 50)) + data[start + length :]


def splice(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """The head of one file and the tail of another."""
    if not other:
        raise ValueError("nothing to splice with")
    return data[: _at(data, draw)] + other[_at(other, draw) :]


def _at(data: bytes, draw: random.Random) -> int:
    """A place in the contents, half of the time near their beginning, where headers are."""
    if not data:
        raise ValueError("nothing there")
    return draw.randrange(min(len(data), 512) if draw.random() < 0.5 else len(data))


BLIND: tuple[Mutation, ...] = (flip, flip, run, run, number, number, number, truncate, cut, repeat, splice)


# By structure


def packed(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """What is inside of a gzip stream changed, and packed again."""
    inside = gzip.decompress(data)
    change = draw.choice((*BLIND, volume_field, volume_field, volume_field))
    return gzip.compress(change(inside, draw, other), compresslevel=1, mtime=0)


def volume_field(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """A field of a NIfTI header."""
    kind = Nifti1Header if data[344:348] in (b"n+1\0", b"ni1\0") else Nifti2Header
    form: Any = kind.template_dtype
    if len(data) < form.itemsize or data[:2] == b"\x1f\x8b":
        raise ValueError("no such header")
    name = draw.choice([*form.names, "dim", "dim", "dim", "pixdim", "datatype", "bitpix", "vox_offset"])
    field, offset = form.fields[name][:2]
    size = field.base.itemsize
    start = offset + size * draw.randrange(max(1, field.itemsize // size))
    if field.base.kind == "f":
        value = draw.choice((0.0, -1.0, 1e30, -1e30, float("nan"), float("inf"), 352.0, 3e-39, 2.5))
        fresh = struct.pack("<f" if size == 4 else "<d", value)
    elif field.base.kind == "i":
        fresh = (draw.choice((*NUMBERS, *range(12))) % 2 ** (8 * size)).to_bytes(size, "little")
    else:
        fresh = draw.randbytes(size)
    return data[:start] + fresh + data[start + size :]


KEYWORDS = ("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
            "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "PixelSpacing",
            "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue",
            "PixelPaddingRangeLimit", "SliceThickness", "SpacingBetweenSlices", "Modality", "SOPClassUID", "ImageType",
            "SeriesInstanceUID", "DoseGridScaling", "GridFrameOffsetVector", "SpecificCharacterSet", "PatientID",
            "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "SegmentationType",
            "MaximumFractionalValue", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence",
            "ModalityLUTSequence", "SegmentSequence", "ExtendedOffsetTable", "EchoTime", "RescaleType")  # fmt: skip
OF_PATIENTS = ("", "0", "-1", "1e400", "NaN", "abc", "1\\2", "1\\2\\3", "0\\0\\0\\0\\0\\0", "1\\0\\0\\0\\1\\0",
               "MONOCHROME1", "RGB", "YBR_FULL", "YBR_FULL_422", "PALETTE COLOR", "SEG", "LABELMAP", "FRACTIONAL",
               "YES", "ISO 2022 IR 87", "1.2.840.10008.1.2", "999999999999", "a" * 100, "é\\",
               "1e300\\1e-300")  # fmt: skip


def element(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """An element of a DICOM data set: removed, put in, or of another value, however little sense that makes."""
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    places = [dataset, *(item for found in dataset if found.VR == "SQ" for item in found.value)]
    place = draw.choice(places)
    there = [found.keyword for found in place if found.keyword]
    keyword = draw.choice((*KEYWORDS, *there))
    what = draw.random()
    if what < 0.2 and keyword in place:
        del place[keyword]
    elif what < 0.3:
        dataset.file_meta.TransferSyntaxUID = draw.choice(
            pydicom.uid.PrivateTransferSyntaxes + pydicom.uid.AllTransferSyntaxes
        )
    else:
        form = draw.choice(
            (dictionary_VR(keyword_dict[keyword]), "US", "DS", "LO", "UN", "SQ", "OB")[: 1 + draw.randrange(7)]
        )
        place[keyword] = pydicom.DataElement(keyword_dict[keyword], form, _value(form, draw), already_converted=True)
    to = io.BytesIO()
    pydicom.dcmwrite(to, dataset, enforce_file_format=False)
    return to.getvalue()


def _value(form: str, draw: random.Random) -> Any:
    if form in ("US", "UL", "SS", "SL", "UV", "SV"):
        width = {"US": 16, "SS": 15, "UL": 32, "SL": 31, "UV": 64, "SV": 63}[form]
        count = draw.choice((0, 1, 1, 1, 2, 3))
        values = [draw.choice(NUMBERS) % 2**width for _ in range(count)]
        return values[0] if count == 1 else values
    if form in ("FL", "FD"):
        return draw.choice((0.0, -1.0, 1e30, float("nan"), float("inf")))
    if form == "SQ":
        return pydicom.Sequence([pydicom.Dataset() for _ in range(draw.randrange(3))])
    if form in ("OB", "OW", "UN", "OF", "OD", "OL", "OV"):
        return draw.randbytes(draw.choice((0, 1, 2, 7, 64)))
    if form in ("DS", "IS"):
        # Held as text: pydicom's own types refuse what files nevertheless say.
        return pydicom.multival.MultiValue(str, draw.choice(OF_PATIENTS).split("\\"))
    return draw.choice(OF_PATIENTS)


TIFF_TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
TAGS = (254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 347, 33550,
        33922, 34264, 34735, 34736, 34737, 42112, 42113, 330, 50844)  # fmt: skip


def tag(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """An entry of a TIFF's first directory: its tag, type, count or value."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        raise ValueError("no TIFF")
    big = struct.unpack(order + "H", data[2:4])[0] == 43
    first = struct.unpack(order + ("Q" if big else "I"), data[8:16] if big else data[4:8])[0]
    form, size, of_count = (order + "HHQQ", 20, "Q") if big else (order + "HHII", 12, "H")
    head = struct.calcsize(order + of_count)
    (count,) = struct.unpack(order + of_count, data[first : first + head])
    if not 0 < count < 200:
        raise ValueError("no directory")
    start = first + head + size * draw.randrange(count)
    entry = list(struct.unpack(form, data[start : start + size]))
    part = draw.randrange(5)
    entry[min(part, 3)] = (
        draw.choice(TAGS) if part == 0 else draw.choice([*TIFF_TYPES, 0, 99]) if part == 1 else draw.choice(NUMBERS)
    )
    limits = (16, 16, 64, 64) if big else (16, 16, 32, 32)
    fresh = struct.pack(form, *(value % 2**bits for value, bits in zip(entry, limits, strict=True)))
    return data[:start] + fresh + data[start + size :]


def chunk(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """A chunk of a PNG changed, dropped, doubled or made, its checksum put right."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("no PNG")
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    index = draw.randrange(len(chunks))
    name, body = chunks[index]
    what = draw.randrange(5)
    if what == 0:
        del chunks[index]
    elif what == 1:
        chunks.insert(index, chunks[draw.randrange(len(chunks))])
    elif what == 2:
        kind = draw.choice((b"tRNS", b"PLTE", b"gAMA", b"iCCP", b"zTXt", b"iTXt", b"acTL", b"fcTL", b"eXIf", b"sBIT"))
        bomb = b"key\0\0" + zlib.compress(bytes(3_000_000))
        chunks.insert(1, (kind, draw.choice((b"", body, draw.randbytes(30), bomb))))
    elif body:
        chunks[index] = name, draw.choice((flip, run, number))(body, draw, other)
    fresh = [struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks]
    return data[:8] + b"".join(fresh)


def line(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """A line of a text dropped, doubled, moved, indented, or with another word."""
    lines = data.decode("utf-8", "surrogateescape").splitlines(keepends=True)
    if not lines:
        raise ValueError("no line")
    index, what = draw.randrange(len(lines)), draw.randrange(6)
    if what == 0:
        del lines[index]
    elif what == 1:
        lines.insert(index, lines[draw.randrange(len(lines))])
    elif what == 2:
        lines[index] = "  " * draw.randrange(1, 40) + lines[index].lstrip()
    elif what == 3:
        lines.insert(index, draw.choice(WORDS) + "\n")
    else:
        words = re.split(r"(\W+)", lines[index])
        words[draw.randrange(len(words))] = draw.choice(WORDS)
        lines[index] = "".join(words)
    return "".join(lines).encode("utf-8", "surrogateescape")


VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**70, 1.5, float("nan"), float("inf"), "", "x", "0", [], [1], [[]], {}, {"a": 1}, [None],
    ["a", "b"], [-1, -1], "9" * 5000,
)  # fmt: skip


def value(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """Somewhere in a JSON record, or in one line of several, another value, or a key less or more."""
    rows = data.splitlines()
    several = len(rows) > 1 and rows[0].rstrip().endswith(b"}")
    index = draw.randrange(len(rows)) if several else 0
    record = json.loads(rows[index] if several else data)
    holder = record
    for _ in range(12):
        if not isinstance(holder, dict | list) or not holder:
            raise ValueError("nothing to change")
        key = draw.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if not isinstance(holder[key], dict | list) or not holder[key] or draw.random() < 0.3:
            break
        holder = holder[key]
    what = draw.random()
    if what < 0.2:
        del holder[key]
    elif what < 0.3 and isinstance(holder, dict):
        holder["strange"] = draw.choice(VALUES)
    else:
        holder[key] = draw.choice(VALUES)
    if not several:
        return json.dumps(record).encode()
    rows[index] = json.dumps(record).encode()
    return b"\n".join(rows)


def member(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """One member of a zip archive, as checkpoints are, changed, and the archive put together again."""
    fresh = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(fresh, "w") as made:
        names = archive.namelist()
        # Most of it is one pickle; the rest are tensors.
        pickles = [name for name in names if name.endswith(".pkl")]
        chosen = draw.choice(pickles) if pickles and draw.random() < 0.6 else draw.choice(names)
        for name in names:
            inside = archive.read(name)
            if name == chosen:
                inside = draw.choice((flip, flip, run, number, truncate, cut))(inside, draw, other)
            made.writestr(zipfile.ZipInfo(name), inside)
    return fresh.getvalue()


def tensors(data: bytes, draw: random.Random, other: bytes) -> bytes:
    """The JSON header of a safetensors file, its length put right or not."""
    (length,) = struct.unpack("<Q", data[:8])
    head = value(data[8 : 8 + length], draw, other)
    stated = len(head) if draw.random() < 0.8 else draw.choice(NUMBERS)
    return struct.pack("<Q", stated % 2**64) + head + data[8 + length :]


STRUCTURED: dict[str, tuple[Mutation, ...]] = {
    ".dcm": (element,),
    ".nii": (volume_field,),
    ".gz": (packed,),
    ".tif": (tag,),
    ".tiff": (tag,),
    ".png": (chunk,),
    ".yaml": (line,),
    ".csv": (line,),
    ".json": (value, value, line),
    ".jsonl": (value, value, line),
    ".pt": (member,),
    ".safetensors": (tensors,),
}
"""By suffix, the changes that know the format."""


def changed(files: Files, others: Sequence[Files], draw: random.Random) -> Files:
    """A case: the files of a seed, some changed once to ``MOST`` times, rarely one of them left out."""
    made = dict(files)
    for _ in range(draw.choice((1, 1, 1, 2, 3, MOST))):
        if not made:
            break
        name = draw.choice(sorted(made))
        if len(made) > 1 and draw.random() < 0.05:
            del made[name]
            continue
        known = STRUCTURED.get(PurePath(name).suffix, ())
        if PurePath(name).name == "zarr.json":
            known = (value,)
        change = draw.choice(known) if known and draw.random() < 0.6 else draw.choice(BLIND)
        other = draw.choice(others)
        piece = other[draw.choice(sorted(other))] if other else b""
        try:
            made[name] = change(made[name], draw, piece)
        except Exception:
            # What is no longer of its format cannot be changed by it; its bytes can.
            if made[name]:
                made[name] = draw.choice((flip, run, number))(made[name], draw, piece)
    return made
