"""DICOM: order and gaps by geometry, values by header, and a way back that changes nothing else."""

import contextlib
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from adapter_factories import (
    AXIAL,
    SHARED,
    bits_equal,
    dicom_series,
    dicom_slice,
    draw_part,
    everything,
    noise,
    only,
    patch,
    provenance,
    save_dicom,
    template,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from data_adapters import Window, adapter, open_scenes, scan
from data_adapters.dicom import decode
from data_adapters.dicom.geometry import find_slots
from data_adapters.errors import (
    BrokenFile,
    BurnedInText,
    DuplicatePositions,
    IrregularSpacing,
    NoPixels,
    TiltedSeries,
    Unwritable,
)

SHAPE = (6, 8, 10)
REAL = pytest.mark.skipif(not SHARED.is_dir(), reason="real data are not here")
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg-ls": JPEGLSLossless,
    "jpeg 2000": JPEG2000Lossless,
}


def oblique(angle):
    """Row and column cosines of a plane turned about two axes."""
    c, s = np.cos(angle), np.sin(angle)
    return (c, s, 0.0, -s * c, c * c, s)


def along(orientation, distances):
    """Positions along the normal of an orientation."""
    across = np.cross(orientation[:3], orientation[3:])
    return [tuple(np.array([-40.0, 12.0, 7.0]) + d * across) for d in distances]


def ct(dtype="uint16", bits=12, shape=SHAPE, seed=0):
    """Stored values of a series that fit its bits."""
    lowest = -(1 << (bits - 1)) if np.dtype(dtype).kind == "i" else 0
    return np.random.default_rng(seed).integers(lowest, lowest + (1 << bits), shape).astype(dtype)


def stored(path):
    return decode.decode(path)[0]


def element_bytes(dataset, *, without=()):
    """Every element but the pixels and those that must differ, as text."""
    return {str(e.tag): repr(e.value) for e in dataset if e.keyword not in ("PixelData", *without)}


DERIVED = (
    "SOPInstanceUID", "SeriesInstanceUID", "InstanceNumber", "SeriesDescription", "SyntheticData", "ImageType",
)  # fmt: skip
REBUILT = (
    "DerivationDescription", "ContributingEquipmentSequence", "SourceImageSequence",
    "SmallestImagePixelValue", "LargestImagePixelValue",
)  # fmt: skip

# Order and gaps


@pytest.mark.parametrize("orientation", [AXIAL, (0, 1, 0, 0, 0, -1), oblique(0.37), oblique(-1.1)])
@pytest.mark.parametrize("holes", [(), (2,), (1, 2, 4), (3, 5, 6)])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_gaps_are_found_by_geometry_whatever_the_order(tmp_path_factory, orientation, holes, seed):
    there = [i for i in range(8) if i not in holes]
    volume = ct(shape=(8, 4, 5))
    places = along(orientation, [2.5 * i for i in range(8)])
    order = np.random.default_rng(seed).permutation(len(there))
    shuffled = [there[k] for k in order]
    folder = dicom_series(
        tmp_path_factory.mktemp("ct"),
        volume[shuffled],
        positions=[places[i] for i in shuffled],
        orientation=orientation,
        numbers=[int(n) for n in np.random.default_rng(seed + 1).permutation(len(there))],
    )
    scene = only(folder)
    assert scene.missing() == holes and scene.shape == (1, 8, 4, 5)
    assert scene.grid.spacing == pytest.approx((2.5, 0.75, 0.5), abs=1e-4)
    pixels = scene.read(0, 8)
    assert np.array_equal(pixels.values[0, there], volume[there].astype(float) - 1024)
    assert pixels.valid[0].any(axis=(1, 2)).tolist() == [i in there for i in range(8)]


def test_positions_rounded_by_a_scanner_are_still_regular(tmp_path):
    distances = [round(0.9 * i, 1) + (0.002 if i % 3 else -0.002) for i in range(12)]
    places = along(oblique(0.4), distances)
    del places[5]
    scene = only(dicom_series(tmp_path, ct(shape=(11, 4, 4)), positions=places, orientation=oblique(0.4)))
    assert scene.missing() == (5,)


@settings(max_examples=30, deadline=None)
@given(
    spacing=st.floats(0.3, 20),
    numbers=st.sets(st.integers(0, 60), min_size=2, max_size=30),
    angle=st.floats(-3, 3),
    seed=st.integers(0, 99),
)
def test_slots_agree_with_an_independent_count(spacing, numbers, angle, seed):
    get_volume_positions = pytest.importorskip("highdicom.spatial").get_volume_positions
    # Some two slices must be neighbours, or nothing tells one spacing from its multiples.
    order = np.random.default_rng(seed).permutation(sorted(numbers | {min(numbers) + 1}))
    places = np.array(along(oblique(angle), spacing * order))
    found = find_slots(places, oblique(angle), Path("a"))
    distance, indices = get_volume_positions(places.tolist(), list(oblique(angle)), allow_missing_positions=True)
    assume(indices is not None)
    assert found.spacing == pytest.approx(distance)
    assert found.of in (tuple(indices), tuple(max(indices) - i for i in indices))
    assert np.allclose([found.position(i) for i in found.of], places)


@pytest.mark.parametrize("cosine", [0.0005, 0.1234999999, 0.7])
def test_cosines_rounded_differently_do_not_tear_a_series_apart(tmp_path, cosine):
    rest = float(np.sqrt(1 - cosine**2))
    for index, jitter in enumerate([1e-7, -1e-7, 2e-6, -2e-6]):
        orientation = (rest, cosine + jitter, 0, -cosine - jitter, rest, 0)
        dataset = dicom_slice(ct(shape=(4, 5)), (0, 0, 2 * index), orientation)
        dataset.SOPInstanceUID = f"1.2.{index}"
        save_dicom(dataset, tmp_path / f"{index}.dcm")
    assert only(tmp_path).shape[1] == 4


TROUBLES = {
    "duplicate": ([0, 2.5, 2.5, 5.0], 0.0, DuplicatePositions, "2.50"),
    "all alike": ([3.0, 3.0, 3.0], 0.0, DuplicatePositions, "3.00"),
    "irregular": ([0, 1.0, 2.7, 4.2], 0.0, IrregularSpacing, "1.00, 1.50, 1.70"),
    "one odd gap": (
        [0, 2.0, 4.0, 6.7, 8.7],
        0.0,
        IrregularSpacing,
        "2.00, 2.70 mm.*2.70 from slice 2, 2.00 from slice 3",
    ),
    "tilted and irregular": (
        [0, 2.5, 6.0, 7.5],
        (0, 1, 2.4, 3),
        IrregularSpacing,
        "1.50, 2.50, 3.50.*sheared .* 21.8 degrees",
    ),
    "off their line": ([0, 2.5, 5.0, 7.5], (0, 0, 0.5, 0), IrregularSpacing, "0.50 mm beside .* after slices 1, 2 "),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_slices_that_make_no_volume_say_why_and_can_be_read(tmp_path, name):
    distances, aside, kind, listed = TROUBLES[name]
    places = [(0.0, y, z) for y, z in np.broadcast(aside, distances)]
    volume = ct(shape=(len(distances), 4, 5))
    scene = only(dicom_series(tmp_path, volume, positions=places))
    with pytest.raises(kind, match=listed):
        scene.missing()
    assert scene.shape[1] == len(distances)
    assert scene.read(0, len(distances)).valid.all()


@pytest.mark.parametrize("shear", [0.4, -0.2, 0.02])
def test_a_tilted_series_has_slots_along_its_row_and_is_no_upright_volume(tmp_path, shear):
    places = [(0.0, shear * d, d) for d in (0, 2.5, 7.5, 10)]
    scene = only(dicom_series(tmp_path / "in", ct(shape=(4, 4, 5)), positions=places))
    assert isinstance(scene.trouble, TiltedSeries)
    assert scene.missing() == (2,) and scene.facts["tilt"] == f"{np.degrees(np.arctan(abs(shear))):.1f} degrees"
    files = scene.write_filled(tmp_path / "out", [patch(scene, 2, scene.plane, 40)], provenance())
    assert dcmread(files[2]).ImagePositionPatient == pytest.approx([0, shear * 5, 5])
    assert only(tmp_path / "out").missing() == ()


def test_one_identity_for_all_slices_loses_none(tmp_path):
    volume = ct()
    scene = only(dicom_series(tmp_path / "in", volume, one_instance=True))
    assert np.array_equal(scene.read(0, 6).values[0], volume.astype(float) - 1024)
    files = scene.write_filled(tmp_path / "out", [], provenance())
    assert len({dcmread(f).SOPInstanceUID for f in files}) == 6


def test_blanked_identities_are_made_whole_on_the_way_out_and_keep_folders_apart(tmp_path):
    blank = {"SOPClassUID": "", "StudyInstanceUID": "", "SeriesInstanceUID": "", "PatientID": ""}
    for name in ("a", "b"):
        dicom_series(tmp_path / "in" / name, ct())
        for path in (tmp_path / "in" / name).iterdir():
            dataset = dcmread(path)
            for keyword, value in blank.items():
                setattr(dataset, keyword, value)
            dataset.save_as(path)
    scenes = open_scenes(tmp_path / "in")
    assert [s.shape[1] for s in scenes] == [6, 6] and scenes[0].group != scenes[1].group
    *files, made = scenes[0].write_filled(tmp_path / "out", everything(scenes[0]), provenance())
    for path in files:
        filled = dcmread(path)
        assert dcmread(made).StudyInstanceUID == filled.StudyInstanceUID
        assert filled.SOPClassUID == CTImageStorage and filled.StudyInstanceUID and filled.SeriesInstanceUID


def test_series_and_localizers_are_kept_apart(tmp_path):
    dicom_series(tmp_path / "a", ct())
    dicom_series(tmp_path / "a", ct()[:1], names=["l.dcm"], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    dicom_series(tmp_path / "a", ct(), names=[f"b{i}" for i in range(6)], SeriesInstanceUID="1.2.3", PatientID="2")
    scenes = open_scenes(tmp_path)
    assert sorted(s.shape[1] for s in scenes) == [1, 6, 6]
    assert len({s.name for s in scenes}) == 3 and len({s.group for s in scenes}) == 2


def test_the_patient_is_only_a_digest(tmp_path):
    scene = only(dicom_series(tmp_path, ct()))
    said = repr(scene) + repr(scene.template())
    assert "Doe" not in said and "4711" not in said
    assert only(dicom_series(tmp_path, ct(), StudyDescription="x")).group == scene.group


# Values

VALUES = [
    ("uint8", 8, "MONOCHROME2", None),
    ("uint16", 12, "MONOCHROME2", None),
    ("uint16", 16, "MONOCHROME2", 0),
    ("int16", 16, "MONOCHROME2", -2000),
    ("int16", 12, "MONOCHROME2", -2048),
    ("uint8", 8, "MONOCHROME1", None),
    ("uint16", 12, "MONOCHROME1", 4095),
    ("int16", 12, "MONOCHROME1", None),
    ("int16", 16, "MONOCHROME1", -32768),
]
RESCALES = [(1.0, -1024.0), (0.5, 3.0), (1.2341, 0.0)]


def series(folder, dtype, bits, photometric, padding, **changes):
    volume = ct(dtype, bits)
    elements = {"PhotometricInterpretation": photometric, **changes}
    if padding is not None:
        volume[:, :2, :3] = padding
    folder = dicom_series(folder, volume, bits=bits, **elements)
    if padding is not None:
        for path in folder.iterdir():
            dataset = dcmread(path)
            dataset.add_new("PixelPaddingValue", "SS" if np.dtype(dtype).kind == "i" else "US", padding)
            dataset.save_as(path)
    return folder, volume


@pytest.mark.parametrize("rescale", RESCALES)
@pytest.mark.parametrize(("dtype", "bits", "photometric", "padding"), VALUES)
def test_physical_values_are_upright_and_padding_is_not_observed(tmp_path, dtype, bits, photometric, padding, rescale):
    folder, volume = series(
        tmp_path, dtype, bits, photometric, padding, RescaleSlope=rescale[0], RescaleIntercept=rescale[1]
    )
    pixels = only(folder).read(0, 6)
    upright = volume.astype(np.int64)
    if photometric == "MONOCHROME1":
        upright = (-1 if volume.dtype.kind == "i" else (1 << bits) - 1) - upright
    assert pixels.values[0] == pytest.approx(upright * rescale[0] + rescale[1], abs=1e-2)
    assert np.array_equal(pixels.valid[0], volume != padding if padding is not None else np.ones(SHAPE, bool))


@pytest.mark.parametrize("rescale", RESCALES)
@pytest.mark.parametrize(("dtype", "bits", "photometric", "padding"), VALUES)
def test_what_was_read_is_written_back(tmp_path, dtype, bits, photometric, padding, rescale):
    folder, volume = series(
        tmp_path / "in", dtype, bits, photometric, padding, RescaleSlope=rescale[0], RescaleIntercept=rescale[1]
    )  # fmt: skip
    scene = only(folder)
    *files, _ = scene.write_filled(tmp_path / "out", everything(scene), provenance())
    assert bits_equal(np.stack([stored(f) for f in files]), volume)
    for source, filled in zip(sorted(folder.iterdir()), files, strict=True):
        before, after = dcmread(source), dcmread(filled)
        assert element_bytes(before, without=DERIVED) == element_bytes(after, without=DERIVED + REBUILT)
    assert np.array_equal(only(tmp_path / "out").read(0, 6).values, scene.read(0, 6).values)


@pytest.mark.parametrize("limit", [None, 10])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("padding", [0, 5, 4095])
def test_a_made_pixel_never_reads_as_padding(tmp_path, padding, photometric, limit):
    folder, _ = series(tmp_path / "in", "uint16", 12, photometric, padding)
    if limit is not None:
        for path in folder.iterdir():
            dataset = dcmread(path)
            dataset.add_new("PixelPaddingRangeLimit", "US", max(0, padding - limit))
            dataset.save_as(path)
    scene = only(folder)
    made = [patch(scene, i, scene.plane, value) for i, value in enumerate((-1024, -1019, 3071, 0, 3066))]
    *files, _ = scene.write_filled(tmp_path / "out", made, provenance())
    filled = only(tmp_path / "out").read(0, 5)
    assert filled.valid.all() and len(files) == 6
    assert np.abs(filled.values[0, 3]).max() == 0


@pytest.mark.parametrize("name", SYNTAXES)
def test_every_transfer_syntax_is_read_and_untouched_slices_keep_it(tmp_path, name):
    volume = ct("uint16", 16, shape=(6, 64, 64))
    scene = only(dicom_series(tmp_path / "in", volume, syntax=SYNTAXES[name]))
    assert np.array_equal(scene.read(0, 6).values[0], volume.astype(float) - 1024)
    window = Window(2, 3, 4, 5)
    *files, _ = scene.write_filled(tmp_path / "out", [patch(scene, 2, window, 100)], provenance())
    expected = volume.copy()
    expected[2, 2:6, 3:8] = 1124
    assert bits_equal(np.stack([stored(f) for f in files]).astype("uint16"), expected)
    syntaxes = [dcmread(f).file_meta.TransferSyntaxUID for f in files]
    assert syntaxes.pop(2) == (ExplicitVRLittleEndian if SYNTAXES[name].is_encapsulated else SYNTAXES[name])
    assert set(syntaxes) == {SYNTAXES[name]}


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_a_filled_series_keeps_study_and_frame_and_says_what_was_made(tmp_path, order):
    volume = ct()
    places = [(1.0, 2.0, 2.5 * i) for i in ((0, 1, 3, 4, 6, 7) if order == "forwards" else (7, 6, 4, 3, 1, 0))]
    folder = dicom_series(
        tmp_path / "in", volume, positions=places, SliceLocation=7.0, StudyDescription="kept"
    )  # fmt: skip
    scene = only(folder)
    assert scene.missing() == (2, 5)
    *files, _ = scene.write_filled(
        tmp_path / "out", [patch(scene, i, scene.plane, 40) for i in (2, 5)], provenance(checkpoint="f" * 64)
    )
    filled = [dcmread(f) for f in files]
    one = dcmread(folder / "000.dcm")
    assert [d.SyntheticData for d in filled] == ["NO", "NO", "YES", "NO", "NO", "YES", "NO", "NO"]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyDescription", "StudyDate"):
        assert {d[keyword].value for d in filled} == {one[keyword].value}
    assert len({d.SeriesInstanceUID for d in filled}) == 1 and filled[0].SeriesInstanceUID != one.SeriesInstanceUID
    assert len({d.SOPInstanceUID for d in filled}) == 8
    assert not {d.SOPInstanceUID for d in filled} & {dcmread(p).SOPInstanceUID for p in folder.iterdir()}
    for index, dataset in enumerate(filled):
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert dataset.ImageType == ["DERIVED", "SECONDARY", "AXIAL"] and dataset.InstanceNumber == index + 1
        assert [float(v) for v in dataset.ImagePositionPatient] == [1.0, 2.0, 2.5 * index]
        assert dataset[0x0009, 0x1001].value in ("keep me", b"keep me")
    made = filled[2]
    assert made.LargestImagePixelValue == made.SmallestImagePixelValue == 1064 and "SliceLocation" not in made
    equipment = made.ContributingEquipmentSequence[-1]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109103"
    assert "f" * 16 in str(equipment.SoftwareVersions)
    assert made.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    again = only(tmp_path / "out")
    assert again.missing() == () and (again.read(2, 1).values == 40).all()


def test_a_gap_that_nothing_was_made_for_stays_a_gap(tmp_path):
    places = [(0, 0, z) for z in (0, 1, 2, 4, 5, 7)]
    scene = only(dicom_series(tmp_path / "in", ct(), positions=places))
    *files, _ = scene.write_filled(tmp_path / "out", [patch(scene, 3, scene.plane, 40)], provenance())
    assert len(files) == 7 and only(tmp_path / "out").missing() == (6,)


@pytest.mark.parametrize("padding", [None, 5])
def test_what_a_patch_leaves_open_in_a_new_slice_is_padding(tmp_path, padding):
    volume = ct()
    elements = {} if padding is None else {"PixelPaddingValue": padding}
    places = [(0, 0, z) for z in (0, 1, 2, 4, 5, 6)]
    scene = only(dicom_series(tmp_path / "in", volume, positions=places, **elements))
    window = Window(1, 1, 3, 3)
    *files, _ = scene.write_filled(tmp_path / "out", [patch(scene, 3, window, 40)], provenance())
    pixels = only(tmp_path / "out").read(3, 1)
    assert len(files) == 7 and (pixels.values[:, :, *window.slices] == 40).all()
    assert pixels.valid[0, 0].sum() == (9 if padding is not None else 80)


def test_what_described_the_old_pixels_goes_only_from_made_slices(tmp_path):
    icon = Dataset()
    icon.Rows = icon.Columns = 1
    folder = dicom_series(tmp_path / "in", ct(), positions=[(0, 0, z) for z in (0, 1, 2, 4, 5, 6)])
    for path in folder.iterdir():
        dataset = dcmread(path)
        dataset.IconImageSequence = [icon]
        dataset.add_new(0x60003000, "OW", bytes(20))
        dataset.DigitalSignaturesSequence = [Dataset()]
        dataset.save_as(path)
    scene = only(folder)
    *files, _ = scene.write_filled(tmp_path / "out", [patch(scene, i, scene.plane, 40) for i in (1, 3)], provenance())
    filled = [dcmread(f) for f in files]
    assert ["IconImageSequence" in d for d in filled] == [True, False, True, False, True, True, True]
    assert [0x60003000 in d for d in filled] == [True, True, True, False, True, True, True]
    assert not any("DigitalSignaturesSequence" in d for d in filled)


def test_a_rerun_gives_equal_files_and_another_seed_other_identities(tmp_path):
    scene = only(dicom_series(tmp_path / "in", ct()))
    runs = [
        scene.write_filled(tmp_path / name, [patch(scene, 1, scene.plane, 3)], provenance(seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    contents = [[f.read_bytes() for f in files] for files in runs]
    assert contents[0] == contents[1]
    assert not {dcmread(f).SOPInstanceUID for f in runs[0]} & {dcmread(f).SOPInstanceUID for f in runs[2]}


def test_two_series_filled_alike_share_no_identity(tmp_path):
    files = []
    for number in (1, 2):
        folder = dicom_series(tmp_path / str(number), ct(), SeriesInstanceUID=f"1.2.{number}")
        for path in folder.iterdir():
            dataset = dcmread(path)
            dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID[:50]}.{number}"
            dataset.save_as(path)
        files += only(folder).write_filled(tmp_path / "out" / str(number), [], provenance())
    assert len({dcmread(f).SOPInstanceUID for f in files}) == 12
    assert len({dcmread(f).SeriesInstanceUID for f in files}) == 2


def test_the_source_is_never_written_to(tmp_path):
    folder = dicom_series(tmp_path / "in", ct())
    before = {p: p.read_bytes() for p in folder.iterdir()}
    scene = only(folder)
    scene.write_filled(tmp_path / "out", everything(scene), provenance())
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


def test_a_single_image_may_be_written_to_a_named_file(tmp_path):
    scene = only(dicom_series(tmp_path / "in", ct()[:1]))
    out, _ = scene.write_filled(tmp_path / "out.dcm", [patch(scene, 0, Window(1, 1, 2, 2), 9)], provenance())
    assert out == tmp_path / "out.dcm" and (only(out).read(0, 1, Window(1, 1, 2, 2)).values == 9).all()


def test_wide_pixels_are_filled_without_a_stated_range(tmp_path):
    volume = noise((3, 4, 5), "uint32")
    scene = only(dicom_series(tmp_path / "in", volume, bits=32))
    *files, _ = scene.write_filled(tmp_path / "out", everything(scene), provenance())
    assert bits_equal(np.stack([stored(f) for f in files]), volume)


# Kinds of objects


def multi_frame(path, slopes=(1.0, 2.0, 3.0)):
    """An enhanced MR whose frames have their own places and rescale, out of order."""
    volume = ct(shape=(3, 4, 5))
    dataset = dicom_slice(volume[0], (0, 0, 0))
    dataset.SOPClassUID, dataset.Modality, dataset.NumberOfFrames = EnhancedMRImageStorage, "MR", 3
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["multi"])
    dataset.PixelData = volume.tobytes()
    shared = Dataset()
    for keyword in ("ImageOrientationPatient", "PixelSpacing"):
        item = Dataset()
        item[keyword] = dataset[keyword]
        name = {"ImageOrientationPatient": "PlaneOrientationSequence", "PixelSpacing": "PixelMeasuresSequence"}
        setattr(shared, name[keyword], [item])
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index, place in enumerate((4.0, 0.0, 2.0)):
        where, values, frame = Dataset(), Dataset(), Dataset()
        where.ImagePositionPatient = [0, 0, place]
        values.RescaleSlope, values.RescaleIntercept = slopes[index], 0
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [where], [values]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    for keyword in (
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        del dataset[keyword]
    return save_dicom(dataset, path), volume


def test_frames_of_one_file_lie_by_their_own_place_and_rescale(tmp_path):
    path, volume = multi_frame(tmp_path / "a.dcm")
    scene = only(path)
    assert scene.shape == (1, 3, 4, 5) and scene.grid.spacing == (2.0, 0.75, 0.5)
    expected = np.stack([volume[1] * 2.0, volume[2] * 3.0, volume[0] * 1.0])
    assert np.array_equal(scene.read(0, 3).values[0], expected)
    (out,) = scene.write_filled(tmp_path / "out", [], provenance())
    assert np.array_equal(only(out).read(0, 3).values[0], expected)


def test_colour_is_read_by_channel_and_written_back(tmp_path):
    plane = noise((8, 10, 3), "uint8")
    dataset = dicom_slice(plane[..., 0], (0, 0, 0), bits=8, rescale=(1, 0))
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel, dataset.PlanarConfiguration = "RGB", 3, 0
    dataset.SOPInstanceUID, dataset.PixelData = "1.2.3", plane.tobytes()
    scene = only(save_dicom(dataset, tmp_path / "a.dcm"))
    assert [c.name for c in scene.channels] == ["red", "green", "blue"]
    assert np.array_equal(np.moveaxis(scene.read(0, 1).values[:, 0], 0, -1), plane)
    (out,) = scene.write_filled(tmp_path / "out", [], provenance())
    assert np.array_equal(np.moveaxis(only(out).read(0, 1).values[:, 0], 0, -1), plane)


def test_burned_in_text_and_objects_without_pixels_are_named(tmp_path):
    folder = dicom_series(tmp_path, ct()[:1], BurnedInAnnotation="YES")
    with pytest.raises(BurnedInText):
        open_scenes(folder)
    dataset = dcmread(folder / "000.dcm")
    for keyword in ("Rows", "Columns", "PixelData", "BurnedInAnnotation"):
        del dataset[keyword]
    dataset.save_as(folder / "000.dcm")
    with pytest.raises(NoPixels, match="CT Image Storage"):
        open_scenes(folder)


@pytest.mark.parametrize("keyword", ["ImageOrientationPatient", "PixelSpacing", "Rows", "NumberOfFrames"])
def test_a_header_without_sense_is_broken_not_a_crash(tmp_path, keyword):
    folder = dicom_series(tmp_path, ct()[:2])
    for path in folder.iterdir():
        dataset = dcmread(path)
        nonsense = {"ImageOrientationPatient": [0] * 6, "PixelSpacing": [0, 0], "Rows": 0, "NumberOfFrames": -3}
        setattr(dataset, keyword, nonsense[keyword])
        dataset.save_as(path)
    found = scan(folder)
    for scene in found.scenes:
        assert min(scene.grid.spacing) > 0
        with contextlib.suppress(BrokenFile):
            scene.read(0, scene.shape[1])
    assert {type(p) for p in found.problems} <= {BrokenFile}


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    places = [(0, 0, z) for z in (0, 1, 2, 5, 6, 7)]
    return only(dicom_series(tmp_path_factory.mktemp("gappy"), ct(), positions=places))


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_window_is_a_part_of_the_whole(gappy, data):
    part, cut = draw_part(data, gappy)
    assert np.array_equal(part.values, cut.values)
    assert np.array_equal(part.valid, cut.valid)


# Synthetic samples

SAMPLES = [
    ("CT", {}),
    ("CT", {"dtype": "int16", "low": -2048, "high": 2047, "intercept": 0.0}),
    ("CT", {"dtype": "int16", "low": -500, "high": 1500, "intercept": 1000.0}),
    ("MR", {"dtype": "int16", "low": 0, "high": 1200, "intercept": 0.0, "bits": 16}),
    ("MR", {"low": 0, "high": 12000, "slope": 4.0, "intercept": -3.0}),
    ("CR", {"kind": "image", "low": 0, "high": 4095, "intercept": 0.0}),
    ("CR", {"kind": "image", "low": -50, "high": 50, "slope": 0.05, "intercept": -50.0}),
    ("DX", {"kind": "image", "dtype": "uint8", "bits": 8, "low": 0, "high": 255, "intercept": 0.0}),
]


def sample(folder, modality, changes, slices=3, **who):
    known = template("dicom", modality=modality, **changes)
    depth = 1 if known.kind == "image" else slices
    values = np.random.default_rng(1).uniform(known.low, known.high, (1, depth, 16, 20))
    return adapter("dicom").write_sample(folder / "s", values, known, provenance(**who)), values, known


@pytest.mark.parametrize(("modality", "changes"), SAMPLES)
def test_a_sample_is_read_back_as_it_was_made(tmp_path, modality, changes):
    files, values, known = sample(tmp_path, modality, changes)
    scene = only(files[0].parent if len(files) > 1 else files[0])
    assert scene.shape == values.shape and scene.modality == modality
    assert np.abs(scene.read(0, scene.shape[1]).values - values).max() <= known.slope / 2 + 1e-3
    assert scene.grid.spacing[1:] == pytest.approx(known.spacing[1:])
    assert len(files) == 1 or scene.grid.spacing[0] == pytest.approx(known.spacing[0])


PEOPLE = {"PN", "DA", "DT", "TM", "AS"}
"""Value representations that tell of a person or a day."""


@pytest.mark.parametrize(("modality", "changes"), SAMPLES)
def test_a_sample_carries_no_patient(tmp_path, modality, changes):
    files, _, _ = sample(tmp_path, modality, changes)
    for path in files:
        dataset = dcmread(path)
        for element in dataset.iterall():
            assert not element.tag.is_private
            if element.VR in PEOPLE:
                assert str(element.value) == "" or str(element.value).startswith("Synthetic^")
        assert dataset.PatientIdentityRemoved == "YES" and dataset.DeidentificationMethod
        assert dataset.PatientID.startswith("SYN-") and "^" in str(dataset.PatientName)
        assert dataset.SyntheticData == "YES" and dataset.ImageType[:2] == ["DERIVED", "SECONDARY"]
        assert not any(k in dataset for k in ("IconImageSequence", "OriginalAttributesSequence", "InstitutionName"))
        equipment = dataset.ContributingEquipmentSequence[0]
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert all(len(str(v)) <= 16 for e in dataset if e.VR == "DS" for v in np.atleast_1d(e.value or ""))


def test_equal_provenance_gives_equal_files_and_other_provenance_other_identities(tmp_path):
    runs = {
        name: sample(tmp_path / name, "CT", {}, **who)[0]
        for name, who in {
            "a": {},
            "b": {},
            "seed": {"seed": 8},
            "index": {"index": 1},
            "run": {"checkpoint": "x"},
        }.items()
    }
    assert [f.read_bytes() for f in runs["a"]] == [f.read_bytes() for f in runs["b"]]
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        seen = {name: {dcmread(f)[keyword].value for f in files} for name, files in runs.items()}
        for one, other in itertools.combinations(("a", "seed", "index", "run"), 2):
            assert not seen[one] & seen[other]


@pytest.mark.parametrize(("channels", "modality"), [(3, "CT"), (1, "US"), (1, "")])
def test_what_has_no_image_class_is_refused(tmp_path, channels, modality):
    with pytest.raises(Unwritable, match="CR, CT, DX, MR"):
        adapter("dicom").write_sample(
            tmp_path / "s", np.zeros((channels, 1, 4, 4)), template("dicom", modality=modality), provenance()
        )


# Real data


@REAL
@pytest.mark.parametrize("holes", [(7,), (3, 4, 5, 40), tuple(range(2, 60, 4))])
def test_slices_left_out_of_a_real_series_are_found(tmp_path, holes):
    whole = only(SHARED / "mr_dicom" / "sag_mprage_64")
    assert whole.missing() == () and whole.shape == (1, 64, 256, 256)
    for index, slot in enumerate(whole.slots):
        if index not in holes:
            shutil.copy(slot.path, tmp_path / f"{(index * 37) % 64:02d}.dcm")
    scene = only(tmp_path)
    assert scene.missing() == holes and scene.shape == whole.shape
    assert scene.grid.spacing == pytest.approx(whole.grid.spacing, rel=1e-3)


@REAL
def test_a_real_series_that_shares_one_identity_is_whole(tmp_path):
    scene = only(SHARED / "ct_dicom" / "abdomen_20_j2k")
    assert scene.shape == (1, 20, 512, 512) and scene.missing() == ()
    assert scene.grid.spacing[0] == pytest.approx(2.0)
    window = Window(200, 200, 16, 16)
    files = scene.write_filled(tmp_path / "out", [patch(scene, 9, window, -500)], provenance())
    outside = np.ones((512, 512), bool)
    outside[window.slices] = False
    for index in (8, 9):
        kept = stored(files[index]) == stored(scene.slots[index].path)
        assert kept[outside].all() and (index == 9 or kept.all())


@REAL
@pytest.mark.parametrize(
    ("name", "kind"), [("ge_head_28_irregular", IrregularSpacing), ("phantom_tilted_34_rle", TiltedSeries)]
)
def test_real_tilted_series_say_so(name, kind):
    scene = only(SHARED / "ct_dicom" / name)
    assert isinstance(scene.trouble, kind) and scene.read(0, 1).valid.any()
