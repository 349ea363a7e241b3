"""Slots between slices: what was there stays where and what it was, and headers say what they now must."""

import dataclasses

import nibabel
import numpy as np
import pytest
from adapter_factories import bits_equal, dicom_series, geotiff, nifti, noise, only, patch, provenance
from dicom_factories import colour, enhanced
from pydicom import dcmread

from data_adapters import Window
from data_adapters.dicom import decode
from data_adapters.errors import IrregularSpacing, Unwritable

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
ACROSS = np.cross(OBLIQUE[:3], OBLIQUE[3:])
AFFINE = np.array([[0.0, 0.2, -3.9, 80], [-1.9, 0.1, 0, 40], [0.1, 2.9, 0.3, -60], [0, 0, 0, 1]])


def series(folder, places=None, count=4, **elements):
    return only(dicom_series(folder, noise((count, 8, 10), "int16"), positions=places, **elements))


SCENES = {
    "CT": lambda folder: series(folder),
    "oblique CT": lambda folder: series(folder, [tuple(2.5 * i * ACROSS) for i in range(4)], orientation=OBLIQUE),
    "tilted CT": lambda folder: series(folder, [(0, 0.8 * i, 2.5 * i) for i in range(4)]),
    "CT with a gap": lambda folder: series(folder, [(0, 0, 2.5 * i) for i in (0, 1, 3, 4)]),
    "tilted CT with a gap": lambda folder: series(folder, [(3, 0.8 * i, 2.5 * i) for i in (0, 1, 3, 4)]),
    "enhanced MR": lambda folder: only(
        enhanced(folder / "a.dcm", noise((4, 8, 10), "uint16"), [(0, 0, 2.0 * i) for i in (3, 2, 1, 0)])
    ),
    "NIfTI": lambda folder: only(nifti(folder / "a.nii", noise((7, 6, 5), "int16"), slope=2.0, affine=AFFINE)),
    "NIfTI upside down": lambda folder: only(
        nifti(folder / "a.nii.gz", noise((7, 6, 5), "float32"), affine=np.diag([2.0, -3, -4, 1]))
    ),
    "4-D NIfTI": lambda folder: only(nifti(folder / "a.nii", noise((7, 6, 5, 3), "uint8"), version=2)),
}


@pytest.fixture(params=SCENES)
def scene(request, tmp_path):
    return SCENES[request.param](tmp_path)


def slots_of(scene, factor):
    """The slot of each slice when there are ``factor`` for one, by counting."""
    depth = scene.shape[1] // scene.volumes
    every = ((depth - 1) * factor + 1) * np.arange(scene.volumes)[:, None] + factor * np.arange(depth)
    return every.ravel().tolist()


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_slices_are_where_and_what_they_were(scene, factor):
    finer, slots = scene.finer(factor), slots_of(scene, factor)
    depth = scene.shape[1] // scene.volumes
    assert finer.shape == (1, scene.volumes * ((depth - 1) * factor + 1), *scene.shape[2:])
    old, new = scene.read(0, scene.shape[1]), finer.read(0, finer.shape[1])
    assert bits_equal(new.values[:, slots], old.values) and bits_equal(new.valid[:, slots], np.array(old.valid))
    assert not np.delete(new.valid, slots, axis=1).any()
    between = scene.grid.spacing[0]
    assert finer.grid.spacing == pytest.approx((between / factor, *scene.grid.spacing[1:]))
    inside = np.array(finer.grid.positions[: finer.shape[1] // scene.volumes])
    assert np.diff(inside) == pytest.approx(between / factor)
    assert inside[::factor] == pytest.approx(scene.grid.positions[:depth])
    lost = {slots[i] for i in scene.missing()}
    assert finer.missing() == tuple(i for i in range(finer.shape[1]) if i not in slots or i in lost)
    assert finer.corner == scene.corner


def test_any_part_is_what_lies_there_in_the_whole(scene):
    finer = scene.finer(3)
    whole = finer.read(0, finer.shape[1])
    window = Window(1, 2, 4, 3)
    for first in range(finer.shape[1]):
        for count in (1, 2, 5):
            part = finer.read(first, min(count, finer.shape[1] - first), window)
            region = (slice(None), slice(first, first + count), *window.slices)
            assert bits_equal(part.values, whole.values[region].copy())
            assert bits_equal(np.array(part.valid), whole.valid[region].copy())


def test_twice_finer_is_as_fine_as_at_once(scene):
    once, twice = scene.finer(6), scene.finer(2).finer(3)
    assert once.grid.positions == pytest.approx(twice.grid.positions)
    assert once.grid.spacing == pytest.approx(twice.grid.spacing)
    alike = dataclasses.replace(twice, grid=once.grid)
    if hasattr(scene, "places"):
        assert np.allclose(once.places, twice.places)
        alike = dataclasses.replace(alike, places=once.places)
    assert alike == once


def filled(scene, out, factor=2):
    """Every new slot of a finer scene made of its own number."""
    finer = scene.finer(factor)
    patches = [patch(finer, i, finer.plane, 10 + i) for i in finer.missing()]
    return finer, finer.write_filled(out, patches, provenance())


@pytest.mark.parametrize("name", ["CT", "oblique CT", "tilted CT", "CT with a gap", "tilted CT with a gap"])
def test_a_finer_series_lies_on_one_row_and_keeps_its_slices(tmp_path, name):
    scene = SCENES[name](tmp_path / "in")
    finer, (*files, _made) = filled(scene, tmp_path / "out", 5)
    again = only(tmp_path / "out")
    assert again.shape == finer.shape and again.missing() == ()
    assert again.grid.spacing == pytest.approx(finer.grid.spacing)
    assert np.allclose(again.places, finer.places, atol=1e-6)
    steps = np.diff(again.places, axis=0)
    assert np.allclose(steps, steps[0], atol=1e-6)
    for number, (path, slot) in enumerate(zip(files, finer.slots, strict=True)):
        image = dcmread(path)
        assert image.InstanceNumber == number + 1
        assert image.SpacingBetweenSlices == pytest.approx(0.5) and image.SliceThickness == 2.5
        assert image.SyntheticData == ("YES" if slot is None else "NO")
        if slot is not None:
            assert image.PixelData == dcmread(slot.path).PixelData
            assert image.ImagePositionPatient == dcmread(slot.path).ImagePositionPatient
        else:
            assert (decode.decode(path)[0] == 10 + number + 1024).all()


@pytest.mark.parametrize(
    ("locations", "expected"),
    [
        ((7.0, 9.5, 12.0, 14.5), (8.25, 10.75, 13.25)),
        ((-7.0, -9.5, -12.0, -14.5), (-8.25, -10.75, -13.25)),
        ((7.0, 7.0, 7.0, 7.0), None),
        ((7.0, 9.5, None, 14.5), None),
    ],
)
def test_locations_count_on_where_they_count(tmp_path, locations, expected):
    folder = dicom_series(tmp_path / "in", noise((4, 8, 10), "int16"))
    for path, location in zip(sorted(folder.iterdir()), locations, strict=True):
        image = dcmread(path)
        image.SliceLocation = location
        image.save_as(path)
    _, (*files, _made) = filled(only(folder), tmp_path / "out")
    told = [dcmread(path).get("SliceLocation") for path in files]
    assert told[::2] == list(locations)
    assert told[1::2] == ([None] * 3 if expected is None else pytest.approx(expected))


def test_values_between_slices_of_different_scales_have_room(tmp_path):
    """As in PET, where each slice has a rescale of its own; a new one takes that which holds both."""
    folder = dicom_series(tmp_path / "in", np.full((3, 8, 10), 4000, "uint16"), rescale=(1.0, 0.0), bits=12)
    for path, slope in zip(sorted(folder.iterdir()), (1.0, 5.0, 2.0), strict=True):
        image = dcmread(path)
        image.RescaleSlope = slope
        image.save_as(path)
    finer = only(folder).finer(4)
    between = np.interp(range(9), [0, 4, 8], [4000.0, 20000, 8000])
    patches = [patch(finer, i, finer.plane, between[i]) for i in finer.missing()]
    finer.write_filled(tmp_path / "out", patches, provenance())
    assert np.allclose(only(tmp_path / "out").read(0, 9).values[0, :, 0, 0], between, atol=2.5)


def test_frames_are_put_between_those_of_an_enhanced_object(tmp_path):
    scene = SCENES["enhanced MR"](tmp_path / "in")
    finer, (path, _made) = filled(scene, tmp_path / "out")
    again, image = only(path), dcmread(path)
    assert again.shape == finer.shape and again.missing() == () and image.NumberOfFrames == 7
    frames = image.PerFrameFunctionalGroupsSequence
    places = [float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) for frame in frames]
    assert places == [6, 5, 4, 3, 2, 1, 0]
    contents = [frame.FrameContentSequence[0] for frame in frames]
    assert [content.InStackPositionNumber for content in contents] == [7, 6, 5, 4, 3, 2, 1]
    assert [content.DimensionIndexValues[1] for content in contents] == [7, 6, 5, 4, 3, 2, 1]
    (measures,) = image.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert measures.SpacingBetweenSlices == 1 and measures.SliceThickness == 2
    assert np.array_equal(image.pixel_array[::2], dcmread(scene.path).pixel_array)
    derived = [frame.MRImageFrameTypeSequence[0].FrameType[0] == "DERIVED" for frame in frames]
    assert derived == [False, True] * 3 + [False]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("codes", [(1, 1), (2, 0), (0, 3), (0, 0)])
@pytest.mark.parametrize("affine", [AFFINE, np.diag([2.0, -3, -4, 1])])
def test_a_finer_volume_lies_where_it_lay(tmp_path, affine, codes, version):
    path = nifti(
        tmp_path / "a.nii", noise((7, 6, 5), "int16"), affine=affine, qform=affine, codes=codes, version=version
    )
    _, (out, made) = filled(only(path), tmp_path / "b.nii", 4)
    old, new = nibabel.load(path), nibabel.load(out)
    assert bits_equal(np.asanyarray(new.dataobj)[:, :, ::4], np.asanyarray(old.dataobj))
    finer = np.diag([1, 1, 0.25, 1])
    assert np.allclose(new.affine, old.affine @ finer, atol=1e-5)
    for form in ("get_sform", "get_qform"):
        before, after = (getattr(image, form)(coded=True) for image in (old, new))
        assert before[1] == after[1]
        if after[1]:
            assert np.allclose(after[0], before[0] @ finer, atol=1e-5)
    assert new.header.get_zooms() == pytest.approx(np.multiply(old.header.get_zooms(), [1, 1, 0.25]))
    assert np.array_equal(nibabel.load(made).affine, new.affine)
    assert np.asanyarray(nibabel.load(made).dataobj).astype(bool)[0, 0].tolist() == [i % 4 > 0 for i in range(17)]


def test_times_of_slices_go_and_times_of_volumes_stay(tmp_path):
    path = nifti(tmp_path / "a.nii", noise((7, 6, 5, 2), "int16"))
    image = nibabel.load(path)
    image.header.set_dim_info(0, 1, 2)
    image.header["slice_code"], image.header["slice_end"], image.header["slice_duration"] = 1, 4, 0.45
    image.to_filename(tmp_path / "timed.nii")
    _, (out, _made) = filled(only(tmp_path / "timed.nii"), tmp_path / "b.nii")
    header = nibabel.load(out).header
    assert [int(header[key]) for key in ("slice_code", "slice_end", "slice_duration")] == [0, 0, 0]
    assert header["pixdim"][4] == 2.25 and header["toffset"] == 1.5 and header.get_dim_info() == (0, 1, 2)


REFUSED = {
    "uneven": (lambda folder: series(folder, [(0, 0, z) for z in (0, 1, 2.7, 4.2)]), IrregularSpacing),
    "frames without places": (
        lambda folder: only(colour(folder / "a.dcm", noise((3, 8, 10, 3), "uint8"))),
        Unwritable,
    ),
    "raster": (lambda folder: only(geotiff(folder / "a.tif")), Unwritable),
}


@pytest.mark.parametrize("name", REFUSED)
def test_where_nothing_lies_between_slices_none_are_put(tmp_path, name):
    make, error = REFUSED[name]
    with pytest.raises(error):
        make(tmp_path).finer(2)


def test_blank_ends_of_a_volume_are_missing_when_asked_for_alone(tmp_path):
    volume = noise((7, 6, 9), "int16")
    volume[:, :, [0, 1, 4, 8]] = 0
    scene = only(nifti(tmp_path / "a.nii", volume))
    assert scene.missing() == (4,) and scene.missing(ends=True) == (0, 1, 4, 8)
    assert scene.finer(2).missing() == (1, 3, 5, 7, 8, 9, 11, 13, 15)
    assert set(scene.finer(2).missing(ends=True)) - set(scene.finer(2).missing()) == {0, 2, 16}
