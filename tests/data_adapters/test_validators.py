"""What tools that no one here wrote say of the files: samples and filled copies of every format."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from adapter_factories import dicom_series, geotiff, nifti, noise, only, patch, provenance, template
from dicom_factories import enhanced
from pydicom import dcmread

from data_adapters import Channel, Window, adapter, phantoms

SIZE = 48


def tool(name):
    """The path of a program, beside the interpreter or on the path; skips where it is not installed."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    return found or pytest.skip(f"{name} is not installed")


def run(name, *arguments):
    """Exit status and all that the program said."""
    done = subprocess.run([tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def errors(text):
    """Lines that name an error; dicom3tools exits with 0 all the same."""
    return [line for line in text.splitlines() if line.startswith("Error")]


SAMPLES = {
    "CT": {},
    "CT signed": {"dtype": "int16", "low": -2048, "high": 2047, "intercept": 0.0},
    "MR": {"low": 0, "high": 4095, "intercept": 0.0},
    "MR scaled": {"low": 0, "high": 8190, "slope": 2.0, "intercept": 0.0},
    "CR": {"kind": "image", "low": 0, "high": 4095, "intercept": 0.0},
    "CR scaled": {"kind": "image", "low": -1, "high": 1, "slope": 0.001, "intercept": -1.0},
    "DX": {"kind": "image", "dtype": "uint8", "bits": 8, "low": 0, "high": 255, "intercept": 0.0},
}


def sample(folder, name):
    modality = name.split()[0]
    known = template("dicom", modality=modality, channels=(Channel(modality),), **SAMPLES[name])
    values = np.random.default_rng(0).uniform(known.low, known.high, (1, 1 if known.kind == "image" else 4, 16, 20))
    return adapter("dicom").write_sample(folder / "sample", values, known, provenance())


@pytest.fixture(scope="module")
def filled_ct(tmp_path_factory):
    """A phantom series with five slices missing, filled."""
    folder = tmp_path_factory.mktemp("ct")
    holed = only(phantoms.write_ct(folder / "in", phantoms.ct_volume(1, SIZE, 18), 1, leave_out=(3, 7, 8, 9, 14)))
    patches = [patch(holed, i, holed.plane, 40 + i) for i in holed.missing()]
    return holed.write_filled(folder / "out", patches, provenance())


@pytest.mark.parametrize("name", SAMPLES)
def test_dciodvfy_finds_no_error_in_a_sample(tmp_path, name):
    for path in sample(tmp_path, name):
        assert errors(run("dciodvfy", path)[1]) == []


def test_dciodvfy_finds_no_error_in_a_filled_series(filled_ct):
    for path in filled_ct[2:5]:
        assert errors(run("dciodvfy", path)[1]) == []


def test_dciodvfy_finds_no_new_error_in_a_series_that_had_some(tmp_path):
    folder = dicom_series(tmp_path / "in", noise((4, 16, 20), "int16"))
    before = set(errors(run("dciodvfy", folder / "001.dcm")[1]))
    scene = only(folder)
    for path in scene.write_filled(tmp_path / "out", [patch(scene, 1, Window(1, 1, 4, 4), 9)], provenance())[:2]:
        assert set(errors(run("dciodvfy", path)[1])) <= before


@pytest.mark.parametrize("name", SAMPLES)
def test_dcentvfy_finds_a_sample_consistent(tmp_path, name):
    assert errors(run("dcentvfy", *sample(tmp_path, name))[1]) == []


def test_dcentvfy_finds_a_filled_series_consistent(filled_ct):
    # With the sources beside them, to which the made slices refer.
    sources = sorted((filled_ct[0].parents[1] / "in").iterdir())
    assert errors(run("dcentvfy", *filled_ct, *sources)[1]) == []


@pytest.mark.parametrize("name", ["CT", "MR", "CR"])
def test_dcmdump_and_dcmftest_read_a_sample(tmp_path, name):
    for path in sample(tmp_path, name):
        assert run("dcmftest", path)[0] == 0
        status, said = run("dcmdump", "-q", path)
        assert status == 0 and "(0008,001c) CS [YES]" in said


def reassembled(folder, out):
    """The one volume that dcm2niix makes of a series."""
    out.mkdir()
    status, said = run("dcm2niix", "-b", "n", "-z", "n", "-f", "v", "-o", out, folder)
    assert status == 0 and not re.search(r"missing|varies|unequal|error", said, re.IGNORECASE), said
    (volume,) = out.glob("*.nii")
    return nibabel.load(volume)


def test_dcm2niix_reassembles_a_filled_ct_series(tmp_path, filled_ct):
    volume = reassembled(filled_ct[0].parent, tmp_path / "nii")
    assert volume.shape == (SIZE, SIZE, 18) and volume.header.get_zooms()[2] == pytest.approx(2.5)
    values = only(filled_ct[0].parent).read(0, 18).values[0]
    # dcm2niix turns rows upside down.
    assert np.array_equal(np.asanyarray(volume.dataobj)[:, ::-1].transpose(2, 1, 0), values)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_series_of_every_plane_passes_and_reassembles_in_its_place(tmp_path, modality, plane):
    """The DICOM series and the NIfTI volume of one sample are one volume in space to dcm2niix."""
    known = template("dicom", modality=modality, channels=(Channel(modality),), plane=plane, **SAMPLES["MR"])
    values = np.random.default_rng(0).integers(0, 4000, (1, 6, 16, 20)).astype(float)
    files = adapter("dicom").write_sample(tmp_path / "s", values, known, provenance())
    assert errors(run("dciodvfy", files[0])[1]) == []
    assert errors(run("dcentvfy", *files)[1]) == []
    volume = nibabel.as_closest_canonical(reassembled(files[0].parent, tmp_path / "nii"))
    (path,) = adapter("nifti").write_sample(tmp_path / "s", values, known, provenance())
    ours = nibabel.as_closest_canonical(nibabel.load(path))
    assert np.array_equal(volume.get_fdata(), ours.get_fdata())
    assert volume.header.get_zooms() == pytest.approx(ours.header.get_zooms(), rel=1e-4)


def test_dcm2niix_reassembles_a_filled_mr_series(tmp_path):
    known = template("dicom", modality="MR", channels=(Channel("MR"),), low=0, high=4095, intercept=0.0)
    volume = phantoms.mr_volume(1, SIZE, 14)[None]
    files = adapter("dicom").write_sample(tmp_path / "in", volume, known, provenance())
    for index in (4, 9, 10):
        files[index].unlink()
    holed = only(tmp_path / "in")
    assert holed.missing() == (4, 9, 10)
    patches = [patch(holed, i, holed.plane, 300) for i in holed.missing()]
    holed.write_filled(tmp_path / "out", patches, provenance(seed=9))
    assert reassembled(tmp_path / "out", tmp_path / "nii").shape == (SIZE, SIZE, 14)


@pytest.mark.parametrize("name", ["CT", "CT signed", "MR"])
def test_dcm2niix_reassembles_a_sample(tmp_path, name):
    folder = sample(tmp_path, name)[0].parent
    assert reassembled(folder, tmp_path / "nii").shape == (20, 16, 4)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("what", ["sample", "filled"])
def test_nifti_tool_accepts_header_and_image(tmp_path, what, version):
    if what == "sample":
        files = adapter("nifti").write_sample(tmp_path / "s", np.ones((1, 4, 5, 6)), template("nifti"), provenance())
    else:
        scene = only(nifti(tmp_path / "a.nii", noise((7, 6, 5), "int16"), version=version, slope=2.0))
        files = scene.write_filled(tmp_path / "b.nii.gz", [patch(scene, 1, scene.plane, 4)], provenance())
    for path in files:
        # Its checks know NIfTI-1 alone; a NIfTI-2 header it can show.
        checks = ["-check_hdr", "-check_nim"] if version == 1 or what == "sample" else ["-disp_hdr2"]
        status, said = run("nifti_tool", *checks, "-infiles", path)
        assert status == 0 and not re.search(r"\*\*|FAIL|error", said), said


@pytest.mark.parametrize("mechanism", ["none", "nodata", "alpha", "mask"])
@pytest.mark.parametrize("cog", [False, True])
def test_gdalinfo_reads_every_band_of_a_filled_copy(tmp_path, mechanism, cog):
    import rasterio.shutil

    path = geotiff(tmp_path / "a.tif", mechanism=mechanism, tiled=True)
    if cog:
        rasterio.shutil.copy(path, tmp_path / "cog.tif", driver="COG")
        path = tmp_path / "cog.tif"
    scene = only(path)
    before = run("gdalinfo", "-checksum", path)[1]
    same, *_ = scene.write_filled(tmp_path / "same.tif", [], provenance())
    changed, *_ = scene.write_filled(tmp_path / "b.tif", [patch(scene, 0, Window(30, 30, 4, 4), 5)], provenance())

    def sums(text):
        return re.findall(r"Checksum=(\d+)", text)

    assert sums(run("gdalinfo", "-checksum", same)[1]) == sums(before)
    status, said = run("gdalinfo", "-checksum", changed)
    assert status == 0 and len(sums(said)) == len(sums(before)) and "ERROR" not in said
    assert sums(said)[:3] != sums(before)[:3] and (sums(said)[3:] == sums(before)[3:])
    assert "MISSION=kept" in said and "Description = B02" in said


def test_gdalinfo_reads_a_sample(tmp_path):
    (path,) = adapter("geotiff").write_sample(
        tmp_path / "s", np.full((2, 1, 8, 9), 50.0), template("geotiff"), provenance()
    )
    status, said = run("gdalinfo", "-checksum", path)
    assert status == 0 and "ERROR" not in said and "SYNTHETIC=YES" in said and said.count("Checksum=") == 2


def test_rio_cogeo_still_takes_a_filled_cog_for_one(tmp_path):
    import rasterio.shutil

    rasterio.shutil.copy(
        geotiff(tmp_path / "a.tif", size=(300, 600)), tmp_path / "cog.tif", driver="COG", blocksize=128
    )
    scene = only(tmp_path / "cog.tif")
    out = scene.write_filled(tmp_path / "b.tif", [patch(scene, 0, Window(9, 9, 99, 99), 5)], provenance())[0]
    tool("rio")
    validate = pytest.importorskip("rio_cogeo.cogeo").cog_validate
    assert validate(out)[0]


ROWS = {"upright": 0.0, "tilted": 0.3}


def upsampled(scene, out, factor):
    """A scene with so many steps for each of its own, every new slice of one value."""
    finer = scene.finer(factor)
    return finer.write_filled(out, [patch(finer, i, finer.plane, 40 + i) for i in finer.missing()], provenance())


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("lost", [(), (3, 4)])
def test_a_finer_series_passes_and_reassembles(tmp_path, row, lost):
    phantoms.write_ct(tmp_path / "in", phantoms.ct_volume(1, SIZE, 8), 1, leave_out=lost)
    for path in (tmp_path / "in").iterdir():
        image = dcmread(path)
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, float(y) + ROWS[row] * float(z), z]
        image.save_as(path)
    *files, _made = upsampled(only(tmp_path / "in"), tmp_path / "out", 2)
    assert all(errors(run("dciodvfy", path)[1]) == [] for path in files[:5])
    assert errors(run("dcentvfy", *files, *(tmp_path / "in").iterdir())[1]) == []
    (tmp_path / "nii").mkdir()
    status, said = run("dcm2niix", "-b", "n", "-z", "n", "-f", "v", "-o", tmp_path / "nii", tmp_path / "out")
    assert status == 0 and not re.search(r"missing|varies|unequal|error", said, re.IGNORECASE), said
    # Of a tilted series it makes an upright volume, too.
    volume = nibabel.load(tmp_path / "nii" / "v.nii")
    assert volume.shape == (SIZE, SIZE, 15) and volume.header.get_zooms()[2] == pytest.approx(1.25)
    values = only(tmp_path / "out").read(0, 15).values[0]
    assert np.array_equal(np.asanyarray(volume.dataobj)[:, ::-1].transpose(2, 1, 0), values)


def test_frames_put_into_an_enhanced_object_give_no_new_error_and_reassemble(tmp_path):
    source = enhanced(tmp_path / "a.dcm", noise((4, 16, 20), "uint16"), [(0, 0, 2.0 * i) for i in range(4)])
    path, _made = upsampled(only(source), tmp_path / "out", 4)
    assert set(errors(run("dciodvfy", path)[1])) <= set(errors(run("dciodvfy", source)[1]))
    volume = reassembled(tmp_path / "out", tmp_path / "nii")
    assert volume.shape == (20, 16, 13) and volume.header.get_zooms() == pytest.approx((0.5, 0.75, 0.5))
    values = only(path).read(0, 13).values[0]
    assert np.array_equal(np.asanyarray(volume.dataobj)[:, ::-1].transpose(2, 1, 0), values)


def test_nifti_tool_accepts_a_finer_volume(tmp_path):
    for path in upsampled(only(nifti(tmp_path / "a.nii", noise((7, 6, 5), "int16"))), tmp_path / "b.nii.gz", 3):
        status, said = run("nifti_tool", "-check_hdr", "-check_nim", "-infiles", path)
        assert status == 0 and not re.search(r"\*\*|FAIL|error", said), said
