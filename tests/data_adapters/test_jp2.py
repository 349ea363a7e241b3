"""JPEG 2000 in boxes: read where they lead to the codestream, refused where they lead nowhere."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless

from data_adapters import open_scenes, phantoms
from data_adapters.dicom import jp2
from data_adapters.errors import BrokenFile

SIGNATURE = jp2.START + b"\r\n\x87\n"


def box(kind: bytes, content: bytes = b"", length: int | None = None) -> bytes:
    said = 8 + len(content) if length is None else length
    return said.to_bytes(4, "big") + kind + content


@pytest.fixture(scope="module")
def radiograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom in JPEG 2000, as a codestream alone."""
    folder = tmp_path_factory.mktemp("jp2")
    phantoms.chest_set(folder, 1, 3, 48)
    (path,) = folder.glob("*.dcm")
    dataset = dcmread(path)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.save_as(path)
    return path


def boxed(radiograph: Path, path: Path, *before: bytes) -> Path:
    """The same radiograph with boxes before its codestream."""
    dataset = dcmread(radiograph)
    codestream = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([b"".join([SIGNATURE, *before, box(jp2.CODESTREAM, codestream)])])
    dataset.save_as(path)
    return path


LEADING = [(), (box(b"ftyp", b"jp2 \0\0\0\0jp2 "),), (box(b"free"), box(b"free", bytes(100)))]
ASTRAY = [box(b"free", bytes(16), length=0), box(b"free", bytes(16), length=7), box(b"free", length=1)]


@pytest.mark.parametrize("before", LEADING, ids=len)
def test_boxes_that_lead_to_the_codestream_are_passed(before: tuple[bytes, ...]) -> None:
    jp2.check(b"".join([SIGNATURE, *before, box(jp2.CODESTREAM, b"\xff\x4f")]))


def test_a_codestream_without_boxes_is_passed(radiograph: Path) -> None:
    jp2.check(get_frame(dcmread(radiograph).PixelData, 0, number_of_frames=1))
    assert np.ptp(open_scenes(radiograph)[0].read(0, 1).values) > 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("before", ASTRAY, ids=["no length", "less than its head", "as if it were longer"])
def test_boxes_that_lead_nowhere_are_refused(radiograph: Path, tmp_path: Path, before: bytes) -> None:
    """pydicom 3.0 goes round in a box without a length for ever."""
    (scene,) = open_scenes(boxed(radiograph, tmp_path / "astray.dcm", before))
    with pytest.raises(BrokenFile, match="a JP2 box of"):
        scene.read(0, 1)
