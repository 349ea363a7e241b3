"""Bombs, and huge sizes declared in small files: a typed error or a right answer, in little memory and time."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
import rasterio
from nibabel.nifti1 import Nifti1Image
from nibabel.nifti2 import Nifti2Image

from benchmarks.fuzz import fuzzed, seeds_of
from benchmarks.fuzz_seeds import Files
from data_adapters import open_scenes, room
from data_adapters.errors import BrokenFile, TooLarge

pytestmark = pytest.mark.usefixtures("little_memory")

SECONDS, MIB = 10.0, 256.0
"""What a case may take: of memory, twice what one file may ask for at once."""

MEBIBYTE = 1 << 20


@cache
def seeds() -> dict[str, list[Files]]:
    return seeds_of(None)


def outcome(target: str, files: Files) -> str:
    """What becomes of files that are handed to a target, with nothing escaping."""
    found = fuzzed([files], target, [0], seconds=SECONDS, mib=MIB)
    assert found.escapes == []
    (said,) = found.said
    return said


def zeros(mebibytes: int, wbits: int = -zlib.MAX_WBITS, head: bytes = b"") -> bytes:
    """So many MiB of zeros after a head, deflated a thousandfold."""
    packing = zlib.compressobj(9, zlib.DEFLATED, wbits)
    parts = [packing.compress(head), *(packing.compress(bytes(MEBIBYTE)) for _ in range(mebibytes)), packing.flush()]
    return b"".join(parts)


# Decompression bombs


def deflated_dicom() -> Files:
    """A data set with an element of 160 MiB, in 160 KiB."""
    ((name, plain),) = seeds()["dicom"][names("dicom", "deflated")].items()
    dataset = pydicom.dcmread(io.BytesIO(plain))
    start = 144 + dataset.file_meta.FileMetaInformationGroupLength
    element = struct.pack("<HH2sHI", 0x7FE1, 0x0010, b"OB", 0, 160 * MEBIBYTE)
    inside = zlib.decompress(plain[start:], -zlib.MAX_WBITS)
    return {name: plain[:start] + zeros(160, head=inside + element)}


def gzipped_nifti() -> Files:
    """A volume of 160 MiB of zeros, all of it there, in 160 KiB."""
    image = Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4))
    image.header["dim"][:4] = 3, 1024, 1024, 160
    return {"bomb.nii.gz": zeros(160, zlib.MAX_WBITS | 16, image.header.binaryblock + bytes(4))}


def large_png() -> Files:
    """A picture of 8,000 x 5,000 pixels of one colour, all of it there, in 160 KiB: less than Pillow warns of."""
    width, height = 8_000, 5_000
    rows = zlib.compressobj(9)
    data = b"".join([*(rows.compress(bytes(4 * width + 1)) for _ in range(height)), rows.flush()])
    return {"bomb.png": png(struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0), data)}


def deflated_tiff() -> Files:
    """One tile of 12,800 x 12,800 zeros, all of them there."""
    return {"bomb.tif": tiff(12_800, 12_800, zeros(157, zlib.MAX_WBITS), tile=12_800)}


def png(head: bytes, data: bytes) -> bytes:
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    whole = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def tiff(
    width: int, height: int, data: bytes, *, strip: int = 1, tile: int = 0, bits: int = 8, samples: int = 1
) -> bytes:
    """A deflated TIFF of one strip or tile, saying so of itself."""
    tags = {256: width, 257: height, 258: bits, 259: 8, 262: 1, 277: samples}
    tags |= {322: tile, 323: tile, 324: 8, 325: len(data)} if tile else {273: 8, 278: strip, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


BOMBS: dict[str, tuple[str, Callable[[], Files]]] = {
    "deflated DICOM": ("dicom", deflated_dicom),
    "gzipped NIfTI": ("nifti", gzipped_nifti),
    "PNG": ("image", large_png),
    "deflated TIFF": ("tiff", deflated_tiff),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_unpacks_to_more_than_memory_is_too_large(name: str) -> None:
    target, made = BOMBS[name]
    files = made()
    assert sum(map(len, files.values())) < 2 * MEBIBYTE
    assert outcome(target, files) == TooLarge.__name__


def test_what_unpacks_to_less_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bombs on a machine that has room for them are right answers: a mask may well be all zeros."""
    monkeypatch.setattr(room, "memory", lambda: 2 << 30)
    found = fuzzed([large_png()], "image", [0], seconds=60, mib=1024)
    assert dict(found.said) == {"answered": 1}


def test_a_strip_of_many_rows_is_read_row_by_row() -> None:
    files = {"bomb.tif": tiff(12_800, 12_800, zeros(157, zlib.MAX_WBITS), strip=12_800)}
    assert outcome("tiff", files) == "answered"


def test_sizes_are_told_as_people_say_them() -> None:
    assert [room.told(size) for size in (0, 1023, 1024, 3 << 29, 1 << 70)] == [
        "0 bytes",
        "1023 bytes",
        "1 KiB",
        "1.5 GiB",
        "1.02e+03 EiB",
    ]


# Declared sizes


def names(target: str, name: str) -> int:
    """The number of a seed, by a file's beginning or name."""
    order = sorted(
        {
            "dicom": ("plain", "rle", "jpeg-ls", "jpeg2000", "deflated", "big", "frames", "rgb", "palette", "labels"),
        }[target]
    )
    return order.index(name)


def dicom(seed: str, **elements: int) -> Files:
    """An image whose header says something else of its size."""
    ((name, plain),) = seeds()["dicom"][names("dicom", seed)].items()
    dataset = pydicom.dcmread(io.BytesIO(plain))
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    changed = io.BytesIO()
    dataset.save_as(changed)
    return {name: changed.getvalue()}


def nifti(version: int, shape: tuple[int, ...], *, packed: bool, offset: float = 352.0) -> Files:
    kind = {1: Nifti1Image, 2: Nifti2Image}[version]
    header = kind(np.zeros((2, 2, 2), np.int16), np.eye(4)).header
    header["dim"][: len(shape) + 1] = len(shape), *shape
    header["vox_offset"] = offset
    whole = header.binaryblock + bytes(4) + bytes(4096)
    return {"huge.nii.gz": gzip.compress(whole)} if packed else {"huge.nii": whole}


def jpeg2000(side: int) -> bytes:
    """A picture in one tile that says in both of its heads that it is so large (ISO/IEC 15444-1, I.5.3.1 and A.5.1)."""
    files = next(files for files in seeds()["tiff"] if any(name.endswith(".jp2") for name in files))
    data = bytearray(files["jpeg2000.jp2"])
    large = struct.pack(">II", side, side)
    at = data.index(b"ihdr") + 4
    data[at : at + 8] = large
    at = data.index(b"\xff\x4f\xff\x51") + 8
    data[at : at + 8], data[at + 16 : at + 24] = large, large
    return bytes(data)


def store(change: Callable[[dict[str, object]], None]) -> Files:
    """A tile store whose array of pixels says something else of itself."""
    files = dict(seeds()["store"][1])
    told = json.loads(files["tiles.zarr/pixels/zarr.json"])
    change(told)
    return files | {"tiles.zarr/pixels/zarr.json": json.dumps(told).encode()}


def run(tile: list[int]) -> Files:
    files = dict(seeds()["run"][0])
    return files | {"facts.json": json.dumps(json.loads(files["facts.json"]) | {"tile": tile}).encode()}


def weights(length: int, said: object) -> Files:
    files = dict(seeds()["run"][0])
    text = json.dumps(said).encode()
    return files | {"generator.safetensors": struct.pack("<Q", length or len(text)) + text + bytes(64)}


def shaped(*shape: int) -> Callable[[dict[str, object]], None]:
    return lambda told: told.update(shape=list(shape))


def in_chunks(*shape: int) -> Callable[[dict[str, object]], None]:
    return lambda told: told.update(
        chunk_grid={"name": "regular", "configuration": {"chunk_shape": list(shape)}}, shape=[6, *shape[1:]]
    )


DECLARED: dict[str, tuple[str, Callable[[], Files]]] = {
    **{
        f"DICOM, {seed}, {what}": ("dicom", lambda seed=seed, said=said: dicom(seed, **said))
        for seed in ("plain", "rle", "jpeg-ls", "jpeg2000", "deflated")
        for what, said in {
            "rows and columns": {"Rows": 65535, "Columns": 65535},
            "frames": {"NumberOfFrames": 2**31 - 1},
            "all": {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 2**31 - 1},
        }.items()
    },
    "DICOM, no rows": ("dicom", lambda: dicom("plain", Rows=0)),
    "DICOM, frames below zero": ("dicom", lambda: dicom("frames", NumberOfFrames=-7, Rows=65535, Columns=65535)),
    "DICOM, a segmentation's frames": ("dicom", lambda: dicom("labels", NumberOfFrames=2**31 - 1)),
    **{
        f"NIfTI-{version}, {shape}{', gzip' if packed else ''}": (
            "nifti",
            lambda version=version, shape=shape, packed=packed: nifti(version, shape, packed=packed),
        )
        for packed in (False, True)
        for version, shape in (
            (1, (32767, 32767, 32767)),
            (1, (1, 1, 32767, 32767)),
            (1, (1, 1, 1, 32767, 32767, 2, 2)),
            (2, (2**40, 1, 1)),
            (2, (1, 1, 2**31)),
            (2, (2**62, 2**62, 2**62)),
        )
    },
    "NIfTI, negative": ("nifti", lambda: nifti(1, (4, -4, 4), packed=False)),
    "NIfTI, pixels beyond the end": ("nifti", lambda: nifti(1, (4, 4, 4), packed=False, offset=1e18)),
    "TIFF, width and height": ("tiff", lambda: {"huge.tif": tiff(2**31 - 1, 2**31 - 1, zlib.compress(b"x"))}),
    "TIFF, one strip": ("tiff", lambda: {"huge.tif": tiff(65535, 65535, zlib.compress(b"x"), strip=65535)}),
    "TIFF, bands": ("tiff", lambda: {"huge.tif": tiff(4, 4, zlib.compress(b"x"), samples=65535)}),
    "TIFF, bits": ("tiff", lambda: {"huge.tif": tiff(4, 4, zlib.compress(b"x"), bits=65535)}),
    **{
        f"JPEG 2000, {side}": ("tiff", lambda side=side: {"huge.jp2": jpeg2000(side)})
        for side in (65_535, 200_000, 2**31 - 1)
    },
    "PNG": ("image", lambda: {"huge.png": png(struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0), b"x")}),
    "tile store, tiles": ("store", lambda: store(shaped(2**40, 1, 8, 8))),
    "tile store, a tile": ("store", lambda: store(shaped(6, 1, 2**20, 2**20))),
    "tile store, a chunk": ("store", lambda: store(in_chunks(2**30, 1, 2**10, 2**10))),
    "run, a tile": ("run", lambda: run([4096, 4096, 4096])),
    "run, sides": ("run", lambda: run([2**40, 8])),
    "weights, their head": ("run", lambda: weights(2**62, {})),
    "weights, a tensor": (
        "run",
        lambda: weights(0, {"start": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
    ),
}


@pytest.mark.parametrize("name", DECLARED)
def test_a_huge_size_in_a_small_file_is_refused_by_name(name: str) -> None:
    target, made = DECLARED[name]
    files = made()
    assert sum(map(len, files.values())) < 2 * MEBIBYTE
    assert outcome(target, files) in ("BrokenFile", "TooLarge", "RunError", "NotThisFormat")


def test_a_raster_of_holes_is_read_by_window_and_refused_whole(tmp_path: Path) -> None:
    """A TIFF whose blocks are not there is as large as it says, and legitimate."""
    path = tmp_path / "sparse.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=200_000, height=200_000, count=1, dtype="uint16", tiled=True, SPARSE_OK=True
    ):
        pass
    assert path.stat().st_size < 20 * MEBIBYTE
    (scene,) = open_scenes(path)
    with pytest.raises(TooLarge, match="memory"):
        scene.read(0, 1)
    assert outcome("tiff", {"sparse.tif": path.read_bytes()}) == "answered"


def test_a_file_cut_short_says_how_long_it_ought_to_be(tmp_path: Path) -> None:
    ((_, data),) = nifti(1, (400, 400, 400), packed=False).items()
    (tmp_path / "short.nii").write_bytes(data)
    with pytest.raises(BrokenFile, match=r"122 MiB of pixels, in a file of 4\.34 KiB"):
        open_scenes(tmp_path)
