"""A JPEG that ends GDCM ends a process apart, and the next one is read."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLossless, JPEGLSLossless

from benchmarks.fuzz_seeds import CT, WHO, smooth
from data_adapters import adapter, open_scenes
from data_adapters.dicom import jpeg
from data_adapters.errors import BrokenFile

SIDES = (24, 32)


def codestream(shape: tuple[int, int] = SIDES, *, colours: bool = False) -> bytes:
    plane = smooth(shape, 255).astype(np.uint8)
    to = io.BytesIO()
    Image.fromarray(np.dstack([plane] * 3) if colours else plane).save(to, "JPEG", quality=95)
    return to.getvalue()


def image(folder: Path, source: bytes, name: str = "x") -> Path:
    """A DICOM image of 8 bits whose pixels are a codestream, whatever that is."""
    (path,) = adapter("dicom").write_sample(folder / name, smooth((1, 1, *SIDES), 255), CT, WHO)
    dataset = pydicom.dcmread(path)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.RescaleIntercept = 0
    dataset.PixelData = encapsulate([source])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(path)
    return path


def read(path: Path) -> np.ndarray:
    (scene,) = open_scenes(path)
    return scene.read(0, 1).values[0, 0]


def test_a_jpeg_is_read_as_others_read_it(tmp_path: Path) -> None:
    source = codestream()
    assert np.array_equal(read(image(tmp_path, source)), np.asarray(Image.open(io.BytesIO(source))))
    assert jpeg.LABEL in get_decoder(JPEGBaseline8Bit).available_plugins


def test_gdcm_is_asked_in_no_other_process() -> None:
    for syntax in (JPEGBaseline8Bit, JPEGLossless, JPEGLSLossless, JPEG2000Lossless):
        assert "gdcm" not in get_decoder(syntax).available_plugins


HEAD = b"\xff\xd8"
BROKEN: dict[str, bytes] = {
    "no JPEG": b"x" * 100,
    "a head alone": HEAD + b"\xff\xd9",
    "no frame": HEAD + b"\xff\xe0\x00\x10" + bytes(200),
    "a length of nothing": HEAD + b"\xff\xe0\x00\x00" + bytes(50),
    "another size": codestream((33, 32)),
    "colours": codestream(colours=True),
}


def test_what_a_codestream_says_is_read_through_fill_and_not_through_junk() -> None:
    source = codestream(colours=True)
    assert jpeg.coded(source) == jpeg.Coded(8, *SIDES, 3)
    assert jpeg.coded(source.replace(b"\xff\xc0", b"\xff\xff\xff\xc0", 1)) == jpeg.Coded(8, *SIDES, 3)
    for broken in (b"", b"\xff", source[:20], source.replace(b"\xff\xc0", b"\x00\x00\xff\xc0", 1)):
        with pytest.raises(ValueError, match=r"stray|no frame|start"):
            jpeg.coded(broken)


@pytest.mark.parametrize("name", BROKEN)
def test_a_codestream_that_is_none_or_anothers_is_not_handed_over(name: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="cannot be decoded"):
        read(image(tmp_path, BROKEN[name]))


def test_what_ends_gdcm_ends_it_alone(tmp_path: Path) -> None:
    """Scans of noise behind a good head, of which some make GDCM end; good ones between are read."""
    source = codestream()
    start = source.index(b"\xff\xda")
    random = np.random.default_rng(0)
    whole = image(tmp_path, source, "whole")
    wanted = read(whole)
    ended = 0
    for number in range(12):
        noise = random.integers(0, 256, 40, dtype=np.uint8).tobytes()
        request = source[: start + 14] + noise[: 3 * number]
        before = jpeg._apart._process
        with suppress(BrokenFile):
            read(image(tmp_path, request, f"broken{number}"))
        ended += jpeg._apart._process is not before
        assert np.array_equal(read(whole), wanted)
    assert ended


def test_a_process_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    path = image(tmp_path, codestream())
    wanted = read(path)
    process = jpeg._apart._process
    assert process is not None
    process.kill()
    process.wait()
    # The first who asks finds it gone; Pillow answers in its place.
    for _ in range(2):
        assert np.array_equal(read(path), wanted)
    assert jpeg._apart._process is not process


def test_a_fork_has_a_process_of_its_own(tmp_path: Path) -> None:
    path = image(tmp_path, codestream())
    wanted = read(path)
    parents = jpeg._apart._process
    pid = os.fork()
    if pid == 0:
        good = np.array_equal(read(path), wanted) and jpeg._apart._process is not parents
        jpeg._apart.end()
        os._exit(0 if good else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert np.array_equal(read(path), wanted)
    assert jpeg._apart._process is parents
