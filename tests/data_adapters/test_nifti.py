"""NIfTI: stored values, axes and header are the file's own; only what was made is new."""

import nibabel
import numpy as np
import pytest
from adapter_factories import SHARED, bits_equal, draw_part, everything, nifti, noise, only, patch, provenance, template
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import from_matvec
from nibabel.eulerangles import euler2mat
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from data_adapters import Window, adapter
from data_adapters.errors import BrokenFile, NotThisFormat, Unwritable

SHAPE = (7, 6, 5)
DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")
ORIENTATIONS = ("RAS", "LPS", "LAS", "PIR", "ASL", "SRP")
SCALINGS = ((None, 0.0), (2.5, 0.0), (0.01, -1024.0), (1e-4, 500.0), (-1.0, 10.0))
IGNORED = {"descrip", "scl_slope", "scl_inter", "magic", "vox_offset", "sizeof_hdr"}
"""Header fields that say "derived", are judged by the values they give, or follow from the container."""


def oriented(codes, turn=0.0):
    """An affine with the axes ``codes`` and a turn about an oblique axis."""
    flips = inv_ornt_aff(axcodes2ornt(codes), SHAPE)
    return from_matvec(euler2mat(turn, turn / 2, -turn), (-11, 7, 3)) @ flips @ np.diag([2.0, 3.0, 4.0, 1.0])


def stored(path):
    """Values as they lie in the file."""
    return np.array(nibabel.load(path).dataobj.get_unscaled())


READ = {"S": "LPS", "I": "LPS", "A": "LIP", "P": "LIP", "R": "PIR", "L": "PIR"}
"""Where columns, rows and slices run as a radiologist sees them, by where the slices of the array run."""


def shown(volume, affine):
    """An array (X, Y, Z[, T]) as slices, rows and columns, volumes after each other; turned by nibabel."""
    target = READ[nibabel.aff2axcodes(affine)[2]]
    turned = apply_orientation(volume, ornt_transform(io_orientation(affine), axcodes2ornt(target)))
    return np.moveaxis(turned.reshape(*turned.shape[:3], -1, order="F"), (3, 2, 1, 0), (0, 1, 2, 3)).reshape(
        -1, *turned.shape[1::-1]
    )


def fields(path):
    """Header fields by name, bytes of each, in little endian."""
    header = nibabel.load(path).header.as_byteswapped("<")
    return {name: np.asarray(header[name]).tobytes() for name in header if name not in IGNORED}


def assert_kept(source, filled):
    one, other = nibabel.load(source), nibabel.load(filled)
    assert type(one) is type(other)
    assert fields(source) == fields(filled)
    assert np.array_equal(one.affine, other.affine)
    assert np.array_equal(one.get_qform(), other.get_qform()) and np.array_equal(one.get_sform(), other.get_sform())
    assert (one.dataobj.slope, one.dataobj.inter) == (other.dataobj.slope, other.dataobj.inter)
    *kept, said = [e.get_content() for e in other.header.extensions]
    assert [e.get_content() for e in one.header.extensions] == kept and b"pixels_sha256" in said
    assert one.header.endianness == other.header.endianness


@pytest.mark.parametrize("what", ["nothing", "what was read"])
@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_was_read_is_written_back(tmp_path, dtype, scaling, what):
    slope, inter = scaling
    if dtype == "float64" and slope is not None:
        pytest.skip("scaled doubles have no exact inverse in doubles")
    source = nifti(tmp_path / "a.nii", noise(SHAPE, dtype), slope=slope, inter=inter)
    scene = only(source)
    patches = [] if what == "nothing" else everything(scene)
    filled = scene.write_filled(tmp_path / "b.nii", patches, provenance())[0]
    assert bits_equal(stored(source), stored(filled))
    assert_kept(source, filled)


@pytest.mark.parametrize("name", ["b.nii", "b.nii.gz"])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("codes", [(1, 1), (2, 0), (0, 1), (0, 0), (4, 3)])
def test_versions_codes_and_byte_orders_are_kept(tmp_path, version, codes, big_endian, name):
    volume = noise(SHAPE, "int16").astype(">i2" if big_endian else "<i2")
    source = nifti(
        tmp_path / "a.nii", volume, version=version, codes=codes, big_endian=big_endian, affine=oriented("RAS", 0.3)
    )
    scene = only(source)
    filled, mask = scene.write_filled(tmp_path / name, everything(scene), provenance())
    assert (stored(source) == stored(filled)).all()
    assert_kept(source, filled)
    assert b"synthetic" in nibabel.load(filled).header["descrip"].item()
    assert stored(mask).all() and np.array_equal(nibabel.load(mask).affine, nibabel.load(source).affine)


@pytest.mark.parametrize("turn", [0.0, 0.4])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_orientations_are_kept_and_only_the_patch_changes(tmp_path, codes, turn):
    source = nifti(tmp_path / "a.nii", noise(SHAPE, "int16"), affine=oriented(codes, turn), slope=0.5, inter=3.0)
    scene = only(source)
    window = Window(1, 2, 3, 4)
    made = np.random.default_rng(0).random((1, 3, 4)) < 0.5
    filled, mask = scene.write_filled(tmp_path / "b.nii", [patch(scene, 2, window, 55.5, made)], provenance())
    assert_kept(source, filled)
    before, after, marked = (shown(stored(path), oriented(codes, turn)) for path in (source, filled, mask))
    where = np.zeros(before.shape, bool)
    where[2, 1:4, 2:6] = made[0]
    assert np.array_equal(scene.read(0, scene.shape[1]).values[0], before * 0.5 + 3.0)
    assert np.array_equal(marked > 0, where)
    assert np.array_equal(after[~where], before[~where])
    assert (after[where] == 105).all()
    assert (only(filled).read(2, 1, window).values[0][made] == 55.5).all()


@pytest.mark.parametrize("shape", [(7, 6, 5, 3), (7, 6, 1), (7, 6, 5, 1, 2)])
def test_volumes_of_four_dimensions_follow_each_other(tmp_path, shape):
    volume = noise(shape, "int16")
    source = nifti(tmp_path / "a.nii", volume)
    scene = only(source)
    flat = shown(volume, nibabel.load(source).affine)
    assert scene.shape == (1, *flat.shape)
    assert np.array_equal(scene.read(0, len(flat)).values[0], flat)
    window = Window(1, 2, 3, 2)
    assert np.array_equal(scene.read(len(flat) - 1, 1, window).values[0, 0], flat[-1, 1:4, 2:4])
    filled = scene.write_filled(tmp_path / "b.nii", everything(scene), provenance())[0]
    assert bits_equal(stored(filled), volume)
    assert_kept(source, filled)


def test_not_finite_values_are_not_observed_and_stay(tmp_path):
    volume = noise(SHAPE, "float32")
    volume[0, 0, 0], volume[1, 1, 1], volume[2, 2, 2] = np.nan, np.inf, -np.inf
    scene = only(nifti(tmp_path / "a.nii", volume))
    pixels = scene.read(0, 5)
    assert (~pixels.valid).sum() == 3 and np.isfinite(pixels.values).all()
    filled = scene.write_filled(tmp_path / "b.nii", everything(scene), provenance())[0]
    assert bits_equal(stored(filled), volume)


def test_equal_volumes_are_equal_files(tmp_path):
    scene = only(nifti(tmp_path / "a.nii.gz", noise(SHAPE, "int16")))
    first = scene.write_filled(tmp_path / "one" / "b.nii.gz", [], provenance())
    second = scene.write_filled(tmp_path / "two" / "b.nii.gz", [], provenance())
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    sample = [
        adapter("nifti").write_sample(tmp_path / n, np.ones((1, 3, 4, 5)), template("nifti"), provenance())[0]
        for n in ("s", "t")
    ]
    assert sample[0].read_bytes() == sample[1].read_bytes()


@pytest.mark.parametrize("name", ["scan", "a.nii", "a.nii.gz", "a.dcm"])
def test_into_a_folder_the_mask_never_takes_the_place_of_the_volume(tmp_path, name):
    nifti(tmp_path / "x.nii.gz", noise(SHAPE, "int16")).rename(tmp_path / name)
    scene = only(tmp_path / name)
    files = scene.write_filled(tmp_path / "out", [patch(scene, 1, scene.plane, 5)], provenance())
    assert files[1].name == files[0].name.replace(".nii", "_made.nii") and sorted(files[0].parent.iterdir()) == files
    assert bits_equal(stored(files[0])[..., 2:], stored_any(scene.path)[..., 2:])


def stored_any(path):
    """Values of a gzipped NIfTI, whatever its name."""
    import gzip

    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return np.array(nibabel.Nifti1Image.from_bytes(content).dataobj.get_unscaled())


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
def test_a_pair_of_files_is_one_scene_and_is_written_as_one_file(tmp_path, kind):
    volume = noise(SHAPE, "int16")
    kind(volume, np.diag([2.0, 3.0, 4.0, 1.0])).to_filename(tmp_path / "a.hdr")
    scene = only(tmp_path)
    assert np.array_equal(scene.read(0, 5).values[0], shown(volume, np.eye(4)))
    filled = scene.write_filled(tmp_path / "out", [], provenance())[0]
    assert filled.name == "a.nii" and bits_equal(stored(filled), volume)


def test_blank_slices_between_others_are_missing(tmp_path):
    volume = noise((7, 6, 9), "int16")
    volume[..., [0, 3, 4, 8]] = 0
    volume[..., 6] = 7
    scene = only(nifti(tmp_path / "a.nii", volume))
    assert scene.missing() == (3, 4, 6)
    assert only(nifti(tmp_path / "b.nii", np.zeros(SHAPE, "int16"))).missing() == ()


def test_slices_are_missing_inside_their_own_volume_alone(tmp_path):
    volume = noise((7, 6, 5, 2), "int16")
    volume[..., [0, 2, 4], 0] = 0
    volume[..., [0, 1, 3], 1] = 0
    scene = only(nifti(tmp_path / "a.nii", volume))
    # Of the first volume the ends are not between slices, of the second the first two.
    assert scene.missing() == (2, 8)
    lengths = np.diff(scene.grid.positions)
    assert lengths[4] > 50 * lengths[0] > 0


def test_disagreeing_forms_are_said(tmp_path):
    scene = only(nifti(tmp_path / "a.nii", noise(SHAPE, "int16"), qform=np.diag([2.0, 3.0, 5.0, 1.0])))
    assert "disagree" in scene.facts["warning"]
    assert "warning" not in only(nifti(tmp_path / "b.nii", noise(SHAPE, "int16"))).facts


@pytest.mark.parametrize("volume", [np.zeros((4, 5), "int16"), np.zeros((4, 5, 6), "complex64")])
def test_what_is_no_volume_of_numbers_is_said(tmp_path, volume):
    nibabel.Nifti1Image(volume, np.eye(4)).to_filename(tmp_path / "a.nii")
    with pytest.raises(NotThisFormat, match="3-D or 4-D"):
        only(tmp_path / "a.nii")


def test_a_cut_volume_is_broken_when_filled_and_nothing_is_left(tmp_path):
    path = nifti(tmp_path / "a.nii", noise(SHAPE, "int16"))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BrokenFile):
        only(path).write_filled(tmp_path / "out" / "b.nii", [], provenance())
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module", params=["plain", "gzip", "four"])
def scene(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nifti")
    shape = (9, 8, 6, 2) if request.param == "four" else (9, 8, 12)
    return only(nifti(folder / ("a.nii.gz" if request.param == "gzip" else "a.nii"), noise(shape, "int16"), slope=2.0))


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_window_is_a_part_of_the_whole(scene, data):
    part, cut = draw_part(data, scene)
    assert bits_equal(part.values, np.ascontiguousarray(cut.values))
    assert part.valid.all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "float32"])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -20.0)])
def test_a_sample_is_read_back_as_it_was_made(tmp_path, dtype, slope, intercept):
    values = np.random.default_rng(0).uniform(0, 100, (1, 3, 4, 5))
    known = template("nifti", dtype=dtype, slope=slope, intercept=intercept)
    (path,) = adapter("nifti").write_sample(tmp_path / "s", values, known, provenance())
    scene = only(path)
    assert scene.shape == (1, 3, 4, 5) and scene.grid.spacing == pytest.approx(known.spacing)
    assert np.abs(scene.read(0, 3).values - values).max() <= (1e-4 if dtype == "float32" else slope / 2 + 1e-9)
    image = nibabel.load(path)
    assert image.get_data_dtype() != np.int64 and image.header.get_xyzt_units()[0] == "mm"
    assert b"synthetic" in image.header["descrip"].item()
    assert scene.template().slope == pytest.approx(slope)


@pytest.mark.parametrize("codes", ["LPS", "LIP", "PIR", "RAS", "ASL", "SRP"])
def test_a_sample_lies_in_the_plane_of_its_source(tmp_path, codes):
    """What was seen as a row of a source is a row of a sample, toward the same side of the patient."""
    source = nifti(tmp_path / "a.nii", noise(SHAPE, "int16"), affine=oriented(codes))
    scene = only(source)
    values = scene.read(0, scene.shape[1]).values
    (path,) = adapter("nifti").write_sample(tmp_path / "s", values, scene.template(), provenance())
    again = only(path)
    assert np.array_equal(again.read(0, scene.shape[1]).values, values)
    assert again.axes.plane == scene.axes.plane and again.grid.spacing == pytest.approx(scene.grid.spacing)
    # In space, too: both hold the same values at the same places, but for a shift.
    one, other = nibabel.load(source), nibabel.load(path)
    assert np.array_equal(
        nibabel.as_closest_canonical(one).get_fdata(), nibabel.as_closest_canonical(other).get_fdata()
    )


def test_several_channels_do_not_fit(tmp_path):
    with pytest.raises(Unwritable, match="channels"):
        adapter("nifti").write_sample(tmp_path / "s", np.zeros((3, 2, 4, 4)), template("nifti"), provenance())


@pytest.mark.skipif(not SHARED.is_dir(), reason="real data are not here")
@pytest.mark.parametrize(
    "name", ["example4d.nii.gz", "example_nifti2.nii.gz", "anatomical.nii", "reoriented_anat_moved.nii"]
)
def test_real_headers_are_kept(tmp_path, name):
    source = SHARED / "edge_cases" / "nifti" / name
    scene = only(source)
    filled = scene.write_filled(tmp_path / name, [], provenance())[0]
    assert bits_equal(stored(source), stored(filled))
    assert_kept(source, filled)
