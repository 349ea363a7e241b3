"""export(ingest(x)) == x, over whatever a DICOM image may be stored as; and bits that are no value never become one."""

import numpy as np
import pytest
from adapter_factories import AXIAL, bits_equal, dicom_series, dicom_slice, noise, only, patch, provenance, save_dicom
from dicom_factories import attributes, colour, enhanced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.pixels.utils import pack_bits
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from data_adapters import Window, open_scenes
from data_adapters.dicom import decode
from data_adapters.errors import BrokenFile

NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
ORIENTATIONS = [AXIAL, (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1), (0.8, 0.6, 0, -0.6, 0.8, 0)]
SIZE = (40, 36)

MUST_CHANGE = {
    "SOPInstanceUID": "another object",
    "SeriesInstanceUID": "of another series",
    "SeriesDescription": "which says that it is filled",
    "InstanceNumber": "counted along the normal",
    "SyntheticData": "NO, as nothing was made",
    "ContributingEquipmentSequence": "one item more: who wrote the object, and the digest of its pixels",
}
"""All that differs between a source and its copy in which nothing was made."""

MUST_CHANGE_BY_FILE = {**MUST_CHANGE, "ImageType": "DERIVED, for a whole series is of one type"}


@st.composite
def stored_forms(draw):
    """Type, bits, photometric interpretation, transfer syntax, slices and orientation that go together."""
    syntax = draw(st.sampled_from([*NATIVE, RLELossless, JPEGLSLossless, JPEG2000Lossless]))
    allocated = draw(st.sampled_from([8, 16, 32] if syntax in NATIVE else [8, 16]))
    bits = draw(st.integers(max(2, allocated // 2 + 1), allocated))
    signed = draw(st.booleans()) and syntax != JPEGLSLossless
    return {
        "dtype": f"{'i' if signed else 'u'}{allocated // 8}",
        "bits": bits,
        "photometric": draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
        "syntax": syntax,
        "frames": draw(st.integers(1, 4)),
        "orientation": draw(st.sampled_from(ORIENTATIONS)),
        "enhanced": draw(st.booleans()),
        "rescale": draw(st.sampled_from([(1.0, 0.0), (0.5, -1024.0), (2.25, 3.0)])),
        "seed": draw(st.integers(0, 99)),
    }


def drawn(folder, form):
    """The series or object of a form, and its stored words."""
    lowest = -(1 << (form["bits"] - 1)) if form["dtype"].startswith("i") else 0
    shape = (form["frames"], *SIZE)
    values = np.random.default_rng(form["seed"]).integers(lowest, lowest + (1 << form["bits"]), shape)
    words = values.astype(form["dtype"])
    across = np.cross(form["orientation"][:3], form["orientation"][3:])
    positions = [tuple(2.0 * slot * across) for slot in range(form["frames"])]
    options = {"bits": form["bits"], "syntax": form["syntax"], "PhotometricInterpretation": form["photometric"]}
    if form["enhanced"] and form["frames"] > 1:
        orientations, rescales = ([form[k]] * form["frames"] for k in ("orientation", "rescale"))
        return enhanced(
            folder / "a.dcm", words, positions, orientations=orientations, rescales=rescales, **options
        ), words
    return dicom_series(
        folder, words, positions=positions, orientation=form["orientation"], rescale=form["rescale"], **options
    ), words


def words_of(paths):
    return np.concatenate([decode.decode_frames(p, range(decode.frame_count(dcmread(p))))[0] for p in paths])


def same_but_for(before, after, table):
    for source, copy in zip(before, after, strict=True):
        one, other = dcmread(source), dcmread(copy)
        assert attributes(one, table) == attributes(other, table)
        assert one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID
        assert one.PixelData == other.PixelData


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(form=stored_forms())
def test_what_nothing_was_made_in_is_written_as_it_was_stored(tmp_path_factory, form):
    folder = tmp_path_factory.mktemp("law")
    source, words = drawn(folder / "in", form)
    scene = only(source)
    files = scene.write_filled(folder / "out", [], provenance())
    sources = [slot.path for slot in scene.slots][:: len(scene.slots) // len(scene.files)]
    assert bits_equal(words_of(files).astype(words.dtype), words)
    same_but_for(sources, files, MUST_CHANGE if len(scene.files) < len(words) else MUST_CHANGE_BY_FILE)
    again = only(folder / "out")
    assert again.shape == scene.shape and again.grid == scene.grid
    assert bits_equal(again.read(0, len(words)).values, scene.read(0, len(words)).values)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(form=stored_forms(), data=st.data())
def test_a_hole_filled_with_what_was_read_changes_no_pixel(tmp_path_factory, form, data):
    folder = tmp_path_factory.mktemp("law")
    source, words = drawn(folder / "in", form)
    scene = only(source)
    slot = data.draw(st.integers(0, len(words) - 1))
    row, column = (data.draw(st.integers(0, size - 1)) for size in SIZE)
    window = Window(row, column, SIZE[0] - row, SIZE[1] - column)
    laid_in = patch(scene, slot, window, 0.0)
    laid_in.values[:] = scene.read(slot, 1, window).values[:, 0]
    *files, _ = scene.write_filled(folder / "out", [laid_in], provenance())
    assert bits_equal(words_of(files).astype(words.dtype), words)
    assert bits_equal(only(folder / "out").read(0, len(words)).values, scene.read(0, len(words)).values)


SPACES = [
    ("RGB", None, [*NATIVE, RLELossless, JPEGLSLossless, JPEG2000Lossless]),
    ("YBR_FULL", None, [*NATIVE, RLELossless]),
    ("PALETTE COLOR", "uint8", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless]),
    ("PALETTE COLOR", "uint16", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless]),
]


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize(("space", "table", "syntax"), [(s, t, x) for s, t, syntaxes in SPACES for x in syntaxes])
def test_colours_in_which_nothing_was_made_are_written_as_they_were_stored(tmp_path, space, table, syntax, frames):
    shape = (*([frames] if frames > 1 else []), *SIZE, *([] if table else [3]))
    palette = noise((256, 3), table) if table else None
    path = colour(tmp_path / "a.dcm", noise(shape, "uint8"), space, palette=palette, syntax=syntax)
    scene = only(path)
    (out,) = scene.write_filled(tmp_path / "out", [], provenance())
    same_but_for([path], [out], MUST_CHANGE_BY_FILE)
    assert bits_equal(only(out).read(0, frames).values, scene.read(0, frames).values)


# Bits that are no value


def junk(folder, words, bits, high, **elements):
    """A series whose values lie below bit ``high`` of words that hold something else as well."""
    return dicom_series(folder, words, bits=bits, HighBit=high, rescale=(1.0, 0.0), **elements)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32"])
@pytest.mark.parametrize(("bits", "high"), [(12, 11), (12, 15), (10, 12), (5, 4), (12, 13)])
def test_bits_beside_bits_stored_never_become_a_value_and_stay_where_they_are(tmp_path, dtype, bits, high):
    words = noise((2, *SIZE), dtype, seed=bits)
    scene = only(junk(tmp_path / "in", words, bits, high))
    expected = (words.astype(np.int64) >> (high + 1 - bits)) & ((1 << bits) - 1)
    if dtype.startswith("i"):
        expected = np.where(expected >= 1 << (bits - 1), expected - (1 << bits), expected)
    assert np.array_equal(scene.read(0, 2).values[0], expected)
    window = Window(3, 4, 5, 6)
    *files, _ = scene.write_filled(tmp_path / "out", [patch(scene, 1, window, 11.0)], provenance())
    again = only(tmp_path / "out").read(0, 2).values[0]
    expected[1][window.slices] = 11
    assert np.array_equal(again, expected)
    outside = np.ones(words.shape, bool)
    outside[1][window.slices] = False
    assert bits_equal(words_of(files)[outside], words[outside])


def test_one_bit_is_a_value_and_is_written_back(tmp_path):
    plane = noise((8, 10), "uint8") % 2
    dataset = dicom_slice(plane, (0, 0, 0), bits=1, rescale=(1, 0))
    dataset.BitsAllocated = 1
    dataset.SOPInstanceUID, dataset.PixelData = "1.2.3", pack_bits(plane)
    scene = only(save_dicom(dataset, tmp_path / "a.dcm"))
    assert np.array_equal(scene.read(0, 1).values[0, 0], plane)
    (same,) = scene.write_filled(tmp_path / "same", [], provenance())
    assert dcmread(same).PixelData == dataset.PixelData
    out, _ = scene.write_filled(tmp_path / "out", [patch(scene, 0, Window(1, 1, 2, 3), 1.0)], provenance())
    plane[1:3, 1:4] = 1
    assert np.array_equal(only(out).read(0, 1).values[0, 0], plane)


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_floats_are_values_as_they_are(tmp_path, keyword):
    dtype = "float32" if keyword.startswith("Float") else "float64"
    plane = noise((8, 10), dtype)
    plane[2, 3] = np.nan
    dataset = dicom_slice(noise((8, 10), "uint16"), (0, 0, 0), rescale=(1, 0))
    for gone in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        del dataset[gone]
    dataset.BitsAllocated, dataset.SOPInstanceUID = 8 * plane.dtype.itemsize, "1.2.3"
    setattr(dataset, keyword, plane.tobytes())
    scene = only(save_dicom(dataset, tmp_path / "a.dcm"))
    pixels = scene.read(0, 1)
    assert scene.dtype == dtype and bits_equal(pixels.values[0, 0], np.nan_to_num(plane))
    assert np.array_equal(pixels.valid[0, 0], np.isfinite(plane))


def test_a_negative_padding_that_is_stated_as_an_unsigned_word_is_padding(tmp_path):
    volume = noise((2, 8, 10), "int16") % 1000
    volume[:, :3] = -2000
    folder = dicom_series(tmp_path / "in", volume)
    for path in folder.iterdir():
        dataset = dcmread(path)
        dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
        dataset.save_as(path)
    assert np.array_equal(only(folder).read(0, 2).valid[0], volume != -2000)


@pytest.mark.parametrize("samples", [2, 4])
def test_samples_that_are_no_colour_are_refused(tmp_path, samples):
    path = colour(tmp_path / "a.dcm", noise((8, 10, 3), "uint8"), SamplesPerPixel=samples)
    with pytest.raises(BrokenFile, match=f"{samples} samples a pixel"):
        open_scenes(path)
