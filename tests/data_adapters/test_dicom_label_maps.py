"""A segmentation that stands alone is a label map: what was written is read, slice for slice."""

import numpy as np
import pytest
from adapter_factories import SHARED, dicom_series, everything, noise, only, provenance
from dicom_factories import colour, enhanced
from pydicom import dcmread

from data_adapters import Window, adapter
from data_adapters.dicom.segmentation import write_label_map
from data_adapters.errors import BrokenFile, GridMismatch, OverlappingSegments, Unwritable

SIZE = (5, 7)
"""Frames that begin amid a byte."""

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)


def rows(count):
    return [(1.0, -2.0, 2.5 * index) for index in range(count)]


SOURCES = {
    "series": lambda path: dicom_series(path, noise((6, *SIZE), "uint16"), positions=rows(6)),
    "series from the head down": lambda path: dicom_series(
        path, noise((6, *SIZE), "uint16"), positions=rows(6)[::-1], names=[f"{6 - i}.dcm" for i in range(6)]
    ),
    "oblique series": lambda path: dicom_series(
        path, noise((6, *SIZE), "uint16"), positions=[(1.5 * i, -2.0 * i, 4.0) for i in range(6)], orientation=OBLIQUE
    ),
    "enhanced": lambda path: enhanced(path / "a.dcm", noise((6, *SIZE), "uint16"), rows(6)),
    "single slice": lambda path: dicom_series(path, noise((1, *SIZE), "uint16")),
    "cine": lambda path: colour(path / "a.dcm", noise((6, *SIZE, 3), "uint8")),
}


def drawn(shape, labels=4):
    """Labels that all occur, in every slice."""
    found = np.random.default_rng(3).integers(0, labels, shape)
    found[:, 0, :labels] = np.arange(labels)
    return found


def in_order(scene):
    """Headers of a scene's files, in the order of its slices."""
    return [dcmread(path) for path in dict.fromkeys(slot.path for slot in scene.slots)]


def segmentation(path, scene, labels, **changes):
    """A segmentation of other kinds than we write, by highdicom."""
    highdicom = pytest.importorskip("highdicom")
    from pydicom.sr.coding import Code

    kind = highdicom.seg.SegmentationTypeValues[changes.pop("kind", "BINARY")]
    numbers = range(1, changes.pop("segments", int(labels.max())) + 1)
    sources = in_order(scene)
    for source in sources:
        for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
            setattr(source, keyword, "")
    code = Code("123037004", "SCT", "Anatomical Structure")
    described = [highdicom.seg.SegmentDescription(n, f"organ {n}", code, code, "MANUAL") for n in numbers]
    highdicom.seg.Segmentation(
        sources, labels, kind, described, series_instance_uid="1.2.3", series_number=1,
        sop_instance_uid="1.2.4", instance_number=1, manufacturer="m", manufacturer_model_name="m",
        software_versions="1", device_serial_number="1", **changes,
    ).save_as(path)  # fmt: skip
    return path


@pytest.mark.parametrize("kind", SOURCES)
def test_a_label_map_that_is_written_is_read(tmp_path, kind):
    scene = only(SOURCES[kind](tmp_path / "in"))
    labels = drawn(scene.shape[1:])
    write_label_map(tmp_path / "seg.dcm", in_order(scene), labels, {2: "liver"}, provenance())
    found = only(tmp_path / "seg.dcm")
    assert found.shape == (1, *scene.shape[1:]) and found.kind == ("volume" if scene.shape[1] > 1 else "image")
    assert found.corner == scene.corner and found.classes and found.group == scene.group
    # Between the slices of an image that has one there is nothing.
    first = 0 if scene.shape[1] > 1 else 1
    assert found.grid.spacing[first:] == pytest.approx(scene.grid.spacing[first:])
    assert found.grid.unit == scene.grid.unit and found.grid.frame == scene.grid.frame
    assert found.grid.positions == pytest.approx(scene.grid.positions)
    assert found.facts["segments"] == "1 Label 1, 2 liver, 3 Label 3"
    pixels = found.read(0, scene.shape[1])
    assert np.array_equal(pixels.values[0], labels) and pixels.valid.all()
    for first in range(scene.shape[1]):
        part = found.read(first, 1, Window(1, 2, 3, 4)).values
        assert np.array_equal(part[0, 0], labels[first, 1:4, 2:6])


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("omit", [True, False])
def test_segmentations_of_others_are_read(tmp_path, kind, omit):
    scene = only(SOURCES["series"](tmp_path / "in"))
    labels = drawn(scene.shape[1:]).astype(np.uint8)
    labels[2] = 0
    path = segmentation(tmp_path / "seg.dcm", scene, labels, kind=kind, omit_empty_frames=omit)
    found = only(path)
    assert found.shape == scene.shape and found.corner == scene.corner
    assert np.array_equal(found.read(0, 6).values[0], labels)


@pytest.mark.parametrize(("level", "labelled"), [(0.49, 0), (0.51, 1), (1.0, 1)])
def test_a_fraction_counts_from_the_half_on(tmp_path, level, labelled):
    scene = only(SOURCES["series"](tmp_path / "in"))
    share = np.full((*scene.shape[1:], 1), level)
    path = segmentation(
        tmp_path / "seg.dcm", scene, share, kind="FRACTIONAL", segments=1, fractional_type="OCCUPANCY",
        max_fractional_value=200,
    )  # fmt: skip
    assert (only(path).read(0, 6).values == labelled).all()


def test_segments_that_overlap_are_named(tmp_path):
    scene = only(SOURCES["series"](tmp_path / "in"))
    share = np.zeros((*scene.shape[1:], 3), np.uint8)
    share[:, 1, :, 0], share[3, :, 2, 2] = 1, 1
    found = only(segmentation(tmp_path / "seg.dcm", scene, share, segments=3))
    assert (found.read(0, 3).values[0, :, 1] == 1).all()
    with pytest.raises(OverlappingSegments, match=r"1 \(organ 1\) and 3 \(organ 3\) overlap in slice 3"):
        found.read(0, 6)


@pytest.mark.parametrize("kind", ["series", "series from the head down", "oblique series", "enhanced"])
@pytest.mark.parametrize("labelled", [[0, 1], [2, 3, 4], [5], [1, 5], [0, 2, 4]])
def test_what_leaves_slices_out_finds_its_place_on_the_series(tmp_path, kind, labelled):
    scene = only(SOURCES[kind](tmp_path / "in"))
    labels = np.zeros(scene.shape[1:], int)
    labels[labelled] = drawn((len(labelled), *SIZE))
    write_label_map(tmp_path / "seg.dcm", in_order(scene), labels, {}, provenance())
    alone = only(tmp_path / "seg.dcm")
    assert alone.shape[1] < scene.shape[1]
    found = alone.on(scene)
    assert found.shape == (1, *scene.shape[1:]) and found.corner == scene.corner
    assert np.array_equal(found.read(0, 6).values[0], labels)


@pytest.mark.parametrize("shift", [(0, 0, 1.0), (0, 0, 5.0), (0.4, 0, 0)])
def test_a_segmentation_of_another_series_is_refused(tmp_path, shift):
    scene = only(SOURCES["series"](tmp_path / "in"))
    labels = drawn(scene.shape[1:])
    write_label_map(tmp_path / "seg.dcm", in_order(scene), labels, {}, provenance())
    places = [tuple(np.add(place, shift)) for place in rows(6)]
    other = only(dicom_series(tmp_path / "other", noise((6, *SIZE), "uint16"), positions=places))
    with pytest.raises(GridMismatch, match="no slices of other"):
        only(tmp_path / "seg.dcm").on(other)


def test_a_frame_of_no_segment_is_refused_and_a_label_map_is_never_filled(tmp_path):
    scene = only(SOURCES["series"](tmp_path / "in"))
    (path,) = write_label_map(tmp_path / "seg.dcm", in_order(scene), drawn(scene.shape[1:]), {}, provenance())
    with pytest.raises(Unwritable, match="nothing to fill"):
        only(path).write_filled(tmp_path / "out", everything(only(path)), provenance())
    dataset = dcmread(path)
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        del groups.SegmentIdentificationSequence
    dataset.save_as(path)
    with pytest.raises(BrokenFile, match="which segment frame 1 shows"):
        only(path)


def test_a_segmentation_of_a_sample_is_read(tmp_path):
    from adapter_factories import template

    from data_adapters import Channel, write_labels

    like = template("dicom", channels=(Channel("CT"),), modality="CT", kind="volume", plane="sagittal")
    images = adapter("dicom").write_sample(tmp_path / "s", noise((1, 4, *SIZE), "float32"), like, provenance())
    labels = drawn((4, *SIZE), 3)
    (path,) = write_labels(tmp_path / "s_seg", labels, (0, 1, 2), like, provenance(), images)
    assert only(path).corner == only(tmp_path / "s").corner
    assert np.array_equal(only(path).read(0, 4).values[0], labels)


@pytest.mark.parametrize("name", ["liver_1frame", "liver_expb_1frame"])
def test_a_real_one_is_read_as_pydicom_does(name):
    path = SHARED / f"edge_cases/dicom/pydicom/{name}.dcm"
    if not path.exists():
        pytest.skip("no shared data")
    found = only(path)
    assert np.array_equal(found.read(0, 1).values[0, 0], dcmread(path).pixel_array)
    assert found.facts["segments"] == "1 Liver"
