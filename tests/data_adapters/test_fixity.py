"""A digest of pixels is of their values alone: no way of storing them changes it, and every changed value does."""

import gzip
import hashlib
import json

import nibabel
import numpy as np
import pydicom
import pytest
import rasterio
import rasterio.shutil
from adapter_factories import dicom_series, geotiff, nifti, noise, only, patch, provenance, template
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from data_adapters import Channel, Delivery, Window, adapter, write_labels
from data_adapters.dicom.compress import SYNTAXES
from data_adapters.fixity import PixelDigest, Stated, as_text, digest_of, pixel_digest, stated

WHOLE = ["int8", "uint8", "int16", "uint16", "int32", "uint32"]
RUN = {"recipe": "a" * 64, "checkpoint": "b" * 64, "seed": 3, "index": 17}
CT = {"modality": "CT", "channels": (Channel("CT"),), "dtype": "int16", "low": -1024, "high": 1000, "intercept": 0.0}


def small(dtype):
    """Values that every type has."""
    return np.random.default_rng(0).integers(0, 100, (3, 4, 5)).astype(dtype)


@pytest.mark.parametrize("dtype", [*WHOLE, "float32", "float64"])
@pytest.mark.parametrize("order", "<>")
def test_types_and_byte_orders_do_not_count(dtype, order):
    assert digest_of(small(np.dtype(dtype).newbyteorder(order))) == digest_of(small("float64"))


def test_the_layout_in_memory_does_not_count_and_the_shape_does():
    values = small("int16")
    assert digest_of(np.asfortranarray(values)) == digest_of(values)
    assert digest_of(values.reshape(4, 3, 5)) != digest_of(values)


def test_no_zero_and_no_nan_is_another():
    one, other = np.array([0.0, np.nan]), np.array([-0.0, -np.nan])
    other.view(np.uint64)[1] |= 1
    assert digest_of(one) == digest_of(other)


@pytest.mark.parametrize("dtype", [*WHOLE, "int64", "uint64", "float32", "float64"])
def test_every_value_counts_to_its_last_digit(dtype):
    values = noise((4, 5), dtype)
    changed = values.copy()
    last = changed[2, 3]
    changed[2, 3] = np.nextafter(last, 0) if changed.dtype.kind == "f" else last ^ 1
    assert digest_of(changed) != digest_of(values)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_pieces_are_as_good_as_the_whole(rows):
    values = noise((sum(rows), 7), "int16")
    found = PixelDigest(*values.shape)
    for piece in np.split(values, np.cumsum(rows)[:-1]):
        found.add(piece)
    assert found.hexdigest() == digest_of(values)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"tool": 1}',
        "what?",
        None,
        '{"seed": "x"}',
        "[" * 100_000,
        as_text(provenance(), "").replace('"seed": 7', '"seed": 1e999'),
    ],
)
def test_what_is_no_provenance_is_none(text):
    assert Stated.from_text(text) is None


def test_a_provenance_comes_back_as_it_was_written():
    made = provenance(**RUN, conditions={"finding": "none"}, guidance=2.0)
    said = Stated.from_text(as_text(made, "d" * 64))
    assert said == Stated("t2t-augmentor", "0.1", "law", **RUN, guidance=2.0, conditions=made.conditions,
                          pixels="d" * 64)  # fmt: skip


# Each format: a file, the ways in which others store it anew without loss, and how one pixel of it is changed.


def dicom(folder):
    values = np.random.default_rng(0).uniform(-1000, 1000, (1, 1, 40, 48))
    return adapter("dicom").write_sample(folder / "s", values, template("dicom", **CT), provenance(**RUN))[0]


def again_in(syntax):
    def rewrite(path):
        dataset = pydicom.dcmread(path)
        words = dataset.pixel_array
        little = syntax != ExplicitVRBigEndian
        # pydicom does not swap words when it swaps what is around them.
        dataset.PixelData = words.astype(words.dtype.newbyteorder("<" if little else ">")).tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        implicit = syntax == ImplicitVRLittleEndian
        pydicom.dcmwrite(path, dataset, implicit_vr=implicit, little_endian=little, force_encoding=True)

    return rewrite


def dicom_changed(path):
    dataset = pydicom.dcmread(path)
    words = dataset.pixel_array.copy()
    words[5, 7] ^= 1
    dataset.PixelData = words.tobytes()
    dataset.save_as(path)


def volume(folder):
    values = np.random.default_rng(0).uniform(0, 1000, (1, 5, 12, 14))
    known = template("nifti", dtype="int16", low=0, high=1000, slope=0.5, intercept=3.0)
    return adapter("nifti").write_sample(folder / "s", values, known, provenance(**RUN))[0]


def unpacked(path):
    path.write_bytes(gzip.decompress(path.read_bytes()))


def swapped(path):
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))
    raw = image.dataobj.get_unscaled()
    header = image.header.as_byteswapped()
    other = nibabel.Nifti1Image(raw, None, header)
    other.header.set_slope_inter(0.5, 3.0)
    other.header.extensions.extend(image.header.extensions)
    path.write_bytes(gzip.compress(other.to_bytes()))


def nifti_changed(path):
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[-1] ^= 1
    path.write_bytes(gzip.compress(data))


def raster(folder):
    values = np.random.default_rng(0).uniform(0, 1000, (2, 1, 70, 90))
    return adapter("geotiff").write_sample(folder / "s", values, template("geotiff"), provenance(**RUN))[0]


def stored_as(**options):
    def rewrite(path):
        other = path.with_name("other.tif")
        rasterio.shutil.copy(path, other, driver="GTiff", **options)
        other.replace(path)

    return rewrite


def raster_changed(path):
    with rasterio.open(path, "r+") as data:
        band = data.read(2)
        band[5, 7] ^= 1
        data.write(band, 2)


def picture(channels, dtype):
    def draw(folder):
        top = np.iinfo(dtype).max
        values = np.random.default_rng(0).integers(0, top, (channels, 1, 20, 24)).astype(float)
        known = template("png", channels=tuple(map(Channel, "abc"[:channels])), dtype=dtype, low=0, high=top)
        return adapter("png").write_sample(folder / "s", values, known, provenance(**RUN))[0]

    return draw


def redrawn(path, change):
    """The picture through ``change``, with the same texts."""
    with Image.open(path) as image:
        said, other = image.info["Provenance"], change(image.copy())
    notes = PngInfo()
    notes.add_text("Provenance", said, zip=True)
    other.save(path, pnginfo=notes, optimize=True)


def in_mode(mode):
    return lambda path: redrawn(path, lambda image: image.convert(mode) if mode else image)


def picture_changed(path):
    def change(image):
        values = np.array(image)
        values[5, 7] ^= 1
        return Image.fromarray(values)

    redrawn(path, change)


def compressed(name):
    return lambda path: Delivery(compress=name)([path])


FORMS = {
    "dicom": (dicom, dicom_changed, {
        **{name: compressed(name) for name in SYNTAXES},
        **{syntax.name: again_in(syntax) for syntax in
           (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian)},
    }),
    "nifti": (volume, nifti_changed, {"unpacked": unpacked, "swapped": swapped}),
    "geotiff": (raster, raster_changed, {
        "COG": lambda path: Delivery(cog=True)([path]),
        "LZW": stored_as(compress="lzw", predictor=2),
        "tiled": stored_as(tiled="YES", blockxsize=32, blockysize=16),
        "by bands": stored_as(interleave="band"),
    }),
    "gray": (picture(1, "uint8"), picture_changed, {"RGB": in_mode("RGB"), "optimised": in_mode(None)}),
    "16 bits": (picture(1, "uint16"), picture_changed, {"optimised": in_mode(None)}),
    "colour": (picture(3, "uint8"), picture_changed, {"RGBA": in_mode("RGBA"), "optimised": in_mode(None)}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_sample_says_all_that_it_was_made_of(tmp_path, form):
    path = FORMS[form][0](tmp_path)
    said = stated(path)
    assert said is not None and (said.tool, said.version, said.method) == ("t2t-augmentor", "0.1", "law")
    assert {name: getattr(said, name) for name in RUN} == RUN
    assert not said.filled and said.pixels == pixel_digest(path)


@pytest.mark.parametrize(("form", "way"), [(form, way) for form in FORMS for way in FORMS[form][2]])
def test_pixels_stored_otherwise_without_loss_are_the_same(tmp_path, form, way):
    path = FORMS[form][0](tmp_path)
    before = path.read_bytes()
    FORMS[form][2][way](path)
    assert path.read_bytes() != before or way in ("Explicit VR Little Endian",)
    said = stated(path)
    assert said is not None and said.pixels == pixel_digest(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_pixel_changed_by_one_is_told(tmp_path, form):
    path = FORMS[form][0](tmp_path)
    FORMS[form][1](path)
    said = stated(path)
    assert said is not None and said.pixels != pixel_digest(path)


SOURCES = {
    "dicom": lambda folder: dicom_series(folder / "in", noise((3, 20, 24), "int16")),
    "nifti": lambda folder: nifti(folder / "in.nii.gz", noise((20, 24, 3), "int16")),
    "geotiff": lambda folder: geotiff(folder / "in.tif"),
}
OUT = {"dicom": "out", "nifti": "out.nii.gz", "geotiff": "out.tif"}


@pytest.mark.parametrize("form", SOURCES)
def test_each_filled_file_says_of_what_source_it_is_and_so_does_its_mask(tmp_path, form):
    scene = only(SOURCES[form](tmp_path))
    laid_in = patch(scene, 0, Window(2, 3, 5, 6), 50.0)
    files = scene.write_filled(tmp_path / OUT[form], [laid_in], provenance(source="in"))
    assert len(files) > 1
    for path in files:
        said = stated(path)
        assert said is not None and said.filled and said.pixels == pixel_digest(path), path


def test_what_was_said_of_a_file_that_is_filled_again_gives_way_to_the_new(tmp_path):
    once = only(SOURCES["nifti"](tmp_path)).write_filled(tmp_path / "a.nii.gz", [], provenance(source="first"))[0]
    twice = only(once).write_filled(tmp_path / "b.nii.gz", [], provenance(source="second"))[0]
    said = stated(twice)
    assert said is not None and said.source == "second"
    assert len(nibabel.load(twice).header.extensions) == len(nibabel.load(once).header.extensions)


@pytest.mark.parametrize("form", ["dicom", "nifti", "geotiff", "png"])
def test_label_maps_of_samples_say_it_too(tmp_path, form):
    known = template(form, **(CT if form == "dicom" else {}), kind="image")
    labels = np.random.default_rng(0).integers(0, 3, (1, 20, 24)).astype(np.int32)
    values = np.zeros((len(known.channels), 1, 20, 24))
    images = adapter(form).write_sample(tmp_path / "s", values, known, provenance(**RUN))
    (path,) = write_labels(tmp_path / "s_seg", labels, (0, 1, 2), known, provenance(**RUN), images)
    said = stated(path)
    assert said is not None and said.index == 17 and said.pixels == pixel_digest(path)


def test_a_sample_in_json_is_read_by_anyone(tmp_path):
    """The digest by the words of its definition alone: no code of this package."""
    path = FORMS["geotiff"][0](tmp_path)
    with rasterio.open(path) as data:
        values = data.read().transpose(1, 0, 2).astype("<f8")
        said = json.loads(data.tags()["AUGMENTOR_PROVENANCE"])
    text = "x".join(map(str, values.shape)).encode() + b"\n"
    assert hashlib.sha256(text + values.tobytes()).hexdigest() == said["pixels_sha256"]
