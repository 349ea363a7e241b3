"""The label map of a sample says of every pixel what was asked, in the object that its format has for it."""

import numpy as np
import pytest
from adapter_factories import only, provenance, template
from pydicom import dcmread
from test_validators import errors, run

from data_adapters import Channel, adapter, scan, write_labels
from data_adapters.errors import Unwritable

KINDS = [("dicom", "CT", 3), ("dicom", "MR", 3), ("dicom", "CR", 1), ("dicom", "DX", 1), ("nifti", "MR", 3),
         ("geotiff", "", 1), ("png", "", 1)]  # fmt: skip
KNOWN = [(0, 1), (0, 2, 7), (0, 3, 300)]


def written(folder, form, modality, depth, labels, known):
    changes = {"modality": modality, "kind": "volume" if depth > 1 else "image"} if modality else {}
    like = template(form, channels=(Channel(modality or "gray"),), **changes)
    values = np.random.default_rng(0).uniform(0, 200, (1, depth, 16, 20))
    images = adapter(form).write_sample(folder / "s", values, like, provenance())
    return images, write_labels(folder / "s_seg", labels, known, like, provenance(), images)


def drawn(depth, known):
    labels = np.random.default_rng(1).choice(known, (depth, 16, 20))
    labels[0, 0, : len(known)] = known
    return labels


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize(("form", "modality", "depth"), [k for k in KINDS if k[0] != "dicom"])
def test_whole_numbers_come_back(tmp_path, form, modality, depth, known):
    labels = drawn(depth, known)
    _, (path,) = written(tmp_path, form, modality, depth, labels, known)
    assert np.array_equal(only(path).read(0, depth).values[0], labels)


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize(("form", "modality", "depth"), [k for k in KINDS if k[0] == "dicom"])
def test_a_dicom_sample_has_a_segmentation_that_refers_to_it(tmp_path, form, modality, depth, known):
    import highdicom

    labels = drawn(depth, known)
    images, (path,) = written(tmp_path, form, modality, depth, labels, known)
    segmentation = highdicom.seg.segread(path)
    assert [s.SegmentLabel for s in segmentation.SegmentSequence] == [f"Label {value}" for value in known[1:]]
    sources = [dcmread(image) for image in images]
    pixels = segmentation.get_pixels_by_source_instance([source.SOPInstanceUID for source in sources])
    for number, value in enumerate(known[1:]):
        assert np.array_equal(pixels[..., number] > 0, labels == value)
    assert segmentation.StudyInstanceUID == sources[0].StudyInstanceUID
    assert segmentation.PatientID == sources[0].PatientID and segmentation.PatientID.startswith("SYN-")
    assert errors(run("dciodvfy", path)[1]) == []
    # It stands beside the images without being taken for one.
    inventory = scan(tmp_path)
    assert inventory.passed_over == {"Segmentation Storage": 1} and not inventory.problems


@pytest.mark.parametrize("known", [(0, 70000), (-1, 1)])
def test_labels_that_a_png_has_no_room_for_are_refused_and_kept_elsewhere(tmp_path, known):
    labels = drawn(1, known)
    with pytest.raises(Unwritable, match="do not fit a PNG"):
        written(tmp_path, "png", "", 1, labels, known)
    _, (path,) = written(tmp_path, "geotiff", "", 1, labels, known)
    assert np.array_equal(only(path).read(0, 1).values[0], labels)


@pytest.mark.parametrize(("known", "present"), [((0, 1, 2), 2), ((0, 1, 2), 1), ((0, 3, 300), 300)])
def test_a_label_has_the_same_segment_in_every_sample(tmp_path, known, present):
    labels = np.where(drawn(3, (0, 1)) > 0, present, 0)
    _, (path,) = written(tmp_path, "dicom", "CT", 3, labels, known)
    assert np.array_equal(only(path).read(0, 3).values[0], np.searchsorted(known, labels))
    assert errors(run("dciodvfy", path)[1]) == []


def test_a_sample_of_background_alone_needs_none(tmp_path):
    images, beside = written(tmp_path, "dicom", "CT", 2, np.zeros((2, 16, 20), int), (0, 1))
    assert len(images) == 2 and beside == []
