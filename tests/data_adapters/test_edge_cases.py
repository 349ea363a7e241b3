"""Real odd files: whatever is wrong with them, a user gets a sentence and never a traceback."""

import shutil
import subprocess

import numpy as np
import pytest
from adapter_factories import SHARED, only, provenance
from pydicom import dcmread
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless
from test_validators import errors, run

from data_adapters import Patch, Window, open_scenes, scan
from data_adapters.errors import BrokenFile, NoPixels, NotThisFormat, Unwritable, UserError

FOLDERS = sorted(p for p in (SHARED / "edge_cases").glob("*/*") if p.is_dir()) or []
FOLDERS += [p for p in (SHARED / "edge_cases" / name for name in ("nifti", "tiff", "images")) if p.is_dir()]


@pytest.mark.skipif(not FOLDERS, reason="real data are not here")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_every_file_is_a_scene_or_a_sentence(tmp_path, folder):
    found = scan(folder)
    assert all(isinstance(p, UserError) and "\n" not in str(p) and str(p) for p in found.problems)
    assert found.scenes or found.problems
    for number, scene in enumerate(found.scenes):
        try:
            pixels = scene.read(0, scene.shape[1])
            assert pixels.values.shape == pixels.valid.shape == scene.shape
            assert np.isfinite(pixels.values[pixels.valid]).all()
            template = scene.template()
            assert len(template.channels) == scene.shape[0]
            suffix = {"geotiff": ".tif", "png": ".png", "nifti": ".nii"}.get(scene.format, "")
            files = scene.write_filled(tmp_path / f"{number}{suffix}", [], provenance())
            again = scan(files[0] if len(files) == 1 or suffix else files[0].parent).scenes
            assert [s.shape for s in again] == [scene.shape]
            assert np.array_equal(again[0].read(0, scene.shape[1]).values, pixels.values)
            assert again[0].missing() == scene.missing()
        except UserError as error:
            assert str(error) and "\n" not in str(error)


# DICOM, beside a reader that no one here wrote

DICOM = SHARED / "edge_cases" / "dicom"
FILES = sorted(p for p in DICOM.glob("*/*") if p.is_file()) if DICOM.is_dir() else []
NAMED = {path.name: path for path in FILES if path.parent.name.startswith("pydicom")}

REFUSED = {
    BrokenFile: (
        "JPEG2000-embedded-sequence-delimiter.dcm", "MR_truncated.dcm", "badVR.dcm",
        "emri_small_jpeg_2k_lossless_too_short.dcm",
    ),
    NotThisFormat: ("no_meta.dcm",),
    NoPixels: (
        "ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "UN_sequence.dcm", "empty_charset_LEI.dcm",
        "meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm", "no_meta_group_length.dcm", "priv_SQ.dcm", "reportsi.dcm",
        "reportsi_with_empty_number_tags.dcm", "rtplan.dcm", "rtplan_truncated.dcm", "rtstruct.dcm", "test-SR.dcm",
        "waveform_ecg.dcm",
    ),
}  # fmt: skip
"""Files that hold no image or half of one. In ``badVR`` the frames are counted as "1A"."""

GDCM_CANNOT = (
    "parametric_map_float.dcm", "rtdose_1frame.dcm", "rtdose_expb_1frame.dcm", "rtdose_rle_1frame.dcm",
)  # fmt: skip

GDCM_ERRS = {
    "SC_rgb_rle_16bit.dcm": ("SC_rgb_rle.dcm", 257),
    "SC_rgb_rle_16bit_2frame.dcm": ("SC_rgb_rle_2frame.dcm", 257),
    "SC_rgb_rle_32bit.dcm": ("SC_rgb_rle.dcm", 16843009),
    "SC_rgb_rle_32bit_2frame.dcm": ("SC_rgb_rle_2frame.dcm", 16843009),
    "rtdose_expb.dcm": ("rtdose.dcm", 1),
}
"""Where GDCM mixes up the bytes of wide words: the same picture in a form that it reads, and how much brighter."""


def read(path):
    """All pixels of a file's scenes, (channels, slices, rows, columns)."""
    return np.concatenate([scene.read(0, scene.shape[1]).values for scene in open_scenes(path)], axis=1)


def read_by_gdcm(path):
    """What GDCM makes of a file, by way of SimpleITK."""
    sitk = pytest.importorskip("SimpleITK")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    image = reader.Execute()
    values = sitk.GetArrayFromImage(image).astype(np.float64)
    values = np.moveaxis(values, -1, 0) if image.GetNumberOfComponentsPerPixel() == 3 else values[None]
    return values if values.ndim == 4 else values[:, None]


def in_the_units_of_gdcm(values, path):
    """GDCM leaves doses unscaled, gives single bits as 0 and 255, and of colour tables of 16 bits the upper 8."""
    header = dcmread(path, stop_before_pixels=True, force=True)
    if "DoseGridScaling" in header:
        return values / float(header.DoseGridScaling)
    if header.BitsAllocated == 1 and header.Modality == "SEG":
        return values * 255
    return values // 256 if header.PhotometricInterpretation == "PALETTE COLOR" else values


def refusal(path):
    return next((error for error, names in REFUSED.items() if path.name in names), None)


@pytest.mark.parametrize("path", [p for p in FILES if refusal(p)], ids=lambda p: p.name)
def test_what_is_no_image_is_refused_by_its_own_error(path):
    with pytest.raises(refusal(path)):
        read(path)


def both_read(path):
    return not refusal(path) and path.name not in (*GDCM_CANNOT, *GDCM_ERRS)


@pytest.mark.parametrize("path", [p for p in FILES if both_read(p)], ids=lambda p: f"{p.parent.name}/{p.name}")
def test_pixels_are_those_that_gdcm_reads(path):
    ours, theirs = in_the_units_of_gdcm(read(path).astype(np.float64), path), read_by_gdcm(path)
    assert ours.shape == theirs.shape
    assert np.allclose(ours, theirs, rtol=1e-12, atol=0)


@pytest.mark.skipif(not FILES, reason="real data are not here")
@pytest.mark.parametrize("name", GDCM_ERRS)
def test_where_gdcm_errs_the_same_picture_in_another_form_is_equal(name):
    other, times = GDCM_ERRS[name]
    ours = read(NAMED[name]).astype(np.float64)
    assert np.array_equal(ours, read(NAMED[other]).astype(np.float64) * times)
    assert not np.array_equal(in_the_units_of_gdcm(ours, NAMED[name]), read_by_gdcm(NAMED[name]))


@pytest.mark.skipif(not FILES, reason="real data are not here")
@pytest.mark.parametrize("name", [name for name in GDCM_CANNOT if name.startswith("rtdose")])
def test_a_dose_that_gdcm_cannot_read_is_the_first_plane_of_the_others(name):
    assert np.array_equal(read(NAMED[name])[:, 0], read(NAMED["rtdose.dcm"])[:, 0])


@pytest.mark.skipif(not FILES, reason="real data are not here")
def test_a_float_map_that_gdcm_cannot_read_is_what_dcmtk_dumps():
    dump = shutil.which("dcmdump") or pytest.skip("dcmdump is not installed")
    path = NAMED["parametric_map_float.dcm"]
    said = subprocess.run([dump, "-q", "+L", "+P", "FloatPixelData", str(path)], check=True, capture_output=True)
    numbers = [float(number) for number in said.stdout.decode().split("OF ")[1].split()[0].split("\\")]
    assert np.allclose(read(path).ravel(), numbers, rtol=1e-5)


REPEATED = ("Illegal root for UID", "Value invalid for this VR", "<ReferencedFrameNumber>")
"""Errors that repeat what the source says: its odd UIDs, and frames where its class has but one."""


def faults(path):
    return {line for line in errors(run("dciodvfy", path)[1]) if not any(fault in line for fault in REPEATED)}


@pytest.mark.parametrize("path", [p for p in FILES if not refusal(p)], ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_window_filled_with_what_was_read_changes_no_value_and_makes_no_error(tmp_path, path):
    scene = only(path)
    window = Window(1, 1, *(min(9, size - 1) for size in scene.shape[2:]))
    there = scene.read(0, 1, window)
    laid_in = [Patch(0, window, there.values[:, 0], there.valid[:, 0])]
    try:
        out, *made = scene.write_filled(tmp_path / "out.dcm", laid_in, provenance())
    except Unwritable:
        assert "float" in path.name or scene.classes
        return
    before, after = scene.read(0, scene.shape[1]), only(out).read(0, scene.shape[1])
    # In a file that is stored as YBR of 8 bits, a colour comes back within its rounding.
    rounded = 2 if dcmread(out, stop_before_pixels=True).PhotometricInterpretation.startswith("YBR") else 0
    assert np.abs(before.values - after.values).max() <= rounded
    assert faults(out) <= faults(path) and len(made) == there.valid.any()
    source, filled = (dcmread(p, stop_before_pixels=True, force=True) for p in (path, out))
    lossy = source.file_meta.get("TransferSyntaxUID") in (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
    assert filled.get("LossyImageCompression") == ("01" if lossy else source.get("LossyImageCompression"))
    assert all(faults(mask) <= faults(path) for mask in made)
