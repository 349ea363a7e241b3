"""What is done with written files: only what suits their format, and nothing that changes a pixel."""

import json

import numpy as np
import pydicom
import pytest
import rasterio
from adapter_factories import dicom_series, geotiff, only, patch, provenance, template
from pydicom.uid import CTImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from data_adapters import Channel, Delivery, Window, adapter
from data_adapters.dicom.compress import SYNTAXES
from data_adapters.errors import NotDelivered, Unwritable

GEOTIFF = ({"cog": True}, {"stac": True})
DICOM = ({"compress": "rle"}, {"pacs": "localhost:1/AET"}, {"web": "http://localhost:1"})


@pytest.mark.parametrize(("wish", "form"), [(w, f) for w in GEOTIFF for f in ("dicom", "nifti", "png")] +
                         [(w, f) for w in DICOM for f in ("geotiff", "nifti", "png")])  # fmt: skip
def test_a_wish_that_does_not_suit_the_format_is_refused_before_any_work(wish, form):
    with pytest.raises(Unwritable, match="leave out --"):
        Delivery(**wish).check(form)


@pytest.mark.parametrize("form", ["dicom", "nifti", "geotiff", "png"])
def test_no_wish_suits_every_format_and_does_nothing(tmp_path, form):
    Delivery().check(form)
    path = tmp_path / "a"
    path.write_bytes(b"whatever")
    assert Delivery()([path]) == [] and path.read_bytes() == b"whatever"


def test_an_archive_that_does_not_listen_is_found_out_before_any_work():
    with pytest.raises(NotDelivered, match="does not answer"):
        Delivery(pacs="127.0.0.1:1/AET").check("dicom")


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize(
    ("modality", "changes"),
    [("CT", {}), ("CT", {"dtype": "int16", "low": -2048, "high": 2047, "intercept": 0.0}),
     ("CR", {"dtype": "uint8", "bits": 8, "low": 0, "high": 255, "intercept": 0.0})],
)  # fmt: skip
def test_compressed_files_hold_the_same_pixels_and_the_same_elements(tmp_path, name, modality, changes):
    known = template("dicom", modality=modality, channels=(Channel(modality),), **changes)
    values = np.random.default_rng(0).uniform(known.low, known.high, (1, 2, 32, 36))
    files = adapter("dicom").write_sample(tmp_path / "s", values, known, provenance())
    before = [pydicom.dcmread(path) for path in files]
    assert Delivery(compress=name)(files) == []
    for path, plain in zip(files, before, strict=True):
        packed = pydicom.dcmread(path)
        assert packed.file_meta.TransferSyntaxUID == SYNTAXES[name]
        assert np.array_equal(packed.pixel_array, plain.pixel_array)
        assert packed.SOPInstanceUID == plain.SOPInstanceUID == packed.file_meta.MediaStorageSOPInstanceUID
        assert {e.tag for e in packed} == {e.tag for e in plain}
        assert all(packed[e.tag] == e for e in plain if e.keyword != "PixelData")
    again = [path.read_bytes() for path in files]
    Delivery(compress=name)(files)
    assert [path.read_bytes() for path in files] == again


def test_an_image_too_small_for_jpeg_2000_is_said_and_stays(tmp_path):
    files = adapter("dicom").write_sample(tmp_path / "s", np.zeros((1, 1, 8, 8)), template("dicom"), provenance())
    before = files[0].read_bytes()
    with pytest.raises(Unwritable, match="does not fit jpeg2000"):
        Delivery(compress="jpeg2000")(files)
    assert files[0].read_bytes() == before


def test_what_is_compressed_is_sent_compressed(tmp_path):
    arrived = []
    server = AE(ae_title="SMALL")
    server.add_supported_context(CTImageStorage, list(SYNTAXES.values()))
    server.add_supported_context(Verification)

    def keep(event):
        arrived.append(event.context.transfer_syntax)
        return 0x0000

    handlers = [(evt.EVT_C_STORE, keep), (evt.EVT_C_ECHO, lambda event: 0x0000)]
    running = server.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        wishes = Delivery(compress="rle", pacs=f"127.0.0.1:{running.server_address[1]}/SMALL")
        wishes.check("dicom")
        wishes(adapter("dicom").write_sample(tmp_path / "s", np.zeros((1, 3, 8, 8)), template("dicom"), provenance()))
    finally:
        running.shutdown()
    assert arrived == [SYNTAXES["rle"]] * 3


def test_a_filled_series_is_compressed_where_it_was_made(tmp_path):
    scene = only(dicom_series(tmp_path / "in", np.arange(4 * 16 * 20, dtype="int16").reshape(4, 16, 20)))
    files = scene.write_filled(tmp_path / "out", [patch(scene, 1, scene.plane, 9)], provenance())
    values = only(tmp_path / "out").read(0, 4).values
    Delivery(compress="jpeg-ls")(
        [path for path in files if "Modality" in (d := pydicom.dcmread(path)) and d.Modality == "CT"]
    )
    assert np.array_equal(only(tmp_path / "out").read(0, 4).values, values)


def test_a_filled_raster_is_laid_out_and_described_beside_its_mask(tmp_path):
    cogeo = pytest.importorskip("rio_cogeo.cogeo")
    scene = only(geotiff(tmp_path / "a.tif", size=(300, 600), bands=2, mechanism="nodata"))
    files = scene.write_filled(tmp_path / "b.tif", [patch(scene, 0, Window(9, 9, 99, 99), 5)], provenance())
    before = only(files[0]).read(0, 1)
    (item,) = Delivery(cog=True, stac=True)(files)
    assert cogeo.cog_validate(files[0])[0]
    after = only(files[0]).read(0, 1)
    assert np.array_equal(after.values, before.values) and np.array_equal(after.valid, before.valid)
    with rasterio.open(files[0]) as data:
        assert data.tags()["MISSION"] == "kept" and data.descriptions == ("B01", "B02")
    described = json.loads(item.read_text())
    assert item.parent == files[0].parent and described["type"] == "Feature"
    assert {asset["href"].removeprefix("./") for asset in described["assets"].values()} == {f.name for f in files}
    assert str(tmp_path) not in item.read_text()
