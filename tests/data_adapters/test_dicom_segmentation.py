"""Label maps and masks as segmentation objects: they say where, of which image, and beside one never pass for it."""

import subprocess
import sys

import numpy as np
import pytest
from adapter_factories import dicom_series, noise, only, patch, provenance
from dicom_factories import colour, enhanced
from pydicom import dcmread
from test_validators import errors, run

from data_adapters import Window, scan
from data_adapters.dicom.segmentation import write_label_map
from data_adapters.errors import Unwritable

SIZE = (8, 10)


def series(folder):
    volume = noise((5, *SIZE), "uint16")
    places = [(0, 0, 2.5 * slot) for slot in (0, 1, 3, 4, 6)]
    return dicom_series(
        folder, volume, positions=places, StudyDate="20240301", ContentDate="20240302", ContentTime="12"
    )


def stack(path):
    places = [(0, 0, 2.0 * slot) for slot in (0, 1, 3, 4, 5)]
    return enhanced(path, noise((5, *SIZE), "uint16"), places)


def xray(path):
    folder = dicom_series(path, noise((1, *SIZE), "uint16"))
    dataset = dcmread(folder / "000.dcm")
    for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness"):
        del dataset[keyword]
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.1", "CR"
    dataset.save_as(folder / "000.dcm")
    return folder


KINDS = {
    "series": series,
    "frames": lambda path: stack(path / "a.dcm"),
    "X-ray": xray,
    "photograph": lambda path: colour(path / "a.dcm", noise((*SIZE, 3), "uint8")),
    "cine": lambda path: colour(path / "a.dcm", noise((4, *SIZE, 3), "uint8")),
    "flat gray cine": lambda path: colour(
        path / "a.dcm", noise((4, *SIZE), "uint8") % 9, "PALETTE COLOR", palette=noise((9, 3), "uint8")
    ),
}


def patches(scene):
    """Something in the first and the last slice, and all of what is missing."""
    last = scene.shape[1] - 1
    windows = {0: Window(1, 2, 3, 4), last: Window(4, 0, 2, 10)} | dict.fromkeys(scene.missing(), scene.plane)
    return [patch(scene, slot, window, 7.0) for slot, window in windows.items()]


def shown(path, sources):
    """Which pixels of which frame a segmentation marks: {(SOPInstanceUID, frame): mask}, as highdicom reads it."""
    highdicom = pytest.importorskip("highdicom")
    segmented = highdicom.seg.segread(path)
    pixels = np.atleast_3d(segmented.pixel_array.T).T
    found = {}
    for plane, groups in zip(pixels, segmented.PerFrameFunctionalGroupsSequence, strict=True):
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        number = groups.get("SegmentIdentificationSequence") or segmented.SharedFunctionalGroupsSequence[
            0
        ].get("SegmentIdentificationSequence")  # fmt: skip
        key = (source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber", 1))
        found.setdefault(key, np.zeros(plane.shape, int))[plane > 0] = number[0].ReferencedSegmentNumber
    return segmented, found


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_made_is_marked_on_the_images_it_was_made_in(tmp_path, kind):
    scene = only(KINDS[kind](tmp_path / "in"))
    *files, made = scene.write_filled(tmp_path / "out", patches(scene), provenance())
    images = [dcmread(f) for f in files]
    segmented, found = shown(made, images)
    expected = np.zeros(scene.shape[1:], int)
    for laid_in in patches(scene):
        expected[laid_in.slice][laid_in.window.slices] |= laid_in.made.any(axis=0)
    places = [(d.SOPInstanceUID, frame + 1) for d in images for frame in range(int(d.get("NumberOfFrames", 1)))]
    assert {key: mask.tolist() for key, mask in found.items()} == {
        key: mask.tolist() for key, mask in zip(places, expected, strict=True) if mask.any()
    }
    referred = {r.ReferencedSOPInstanceUID for r in segmented.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred == {key[0] for key in found} == {r.ReferencedSOPInstanceUID for r in segmented.SourceImageSequence}
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert segmented.get(keyword) == images[0].get(keyword)
    assert segmented.ReferencedSeriesSequence[0].SeriesInstanceUID == images[0].SeriesInstanceUID
    (segment,) = segmented.SegmentSequence
    assert segment.SegmentLabel == "Synthetic pixels" and segment.SegmentAlgorithmType == "AUTOMATIC"
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("t2t-augmentor", "0.1")
    assert errors(run("dciodvfy", made)[1]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_segmentation_beside_images_is_none_and_alone_a_label_map(tmp_path, kind):
    scene = only(KINDS[kind](tmp_path / "in"))
    made = scene.write_filled(tmp_path / "out" / "a", patches(scene), provenance())[-1]
    found = scan(tmp_path / "out")
    assert [s.shape for s in found.scenes] == [scene.shape] and found.problems == ()
    assert found.passed_over == {"Segmentation Storage": 1}
    label_map = only(made)
    assert label_map.classes and label_map.modality == "SEG" and label_map.shape[2:] == scene.shape[2:]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rerun_gives_the_same_file_and_another_seed_other_identities(tmp_path, kind):
    scene = only(KINDS[kind](tmp_path / "in"))
    runs = [
        scene.write_filled(tmp_path / name, patches(scene), provenance(seed=seed))[-1]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert runs[0].read_bytes() == runs[1].read_bytes()
    ours, others = (dcmread(run) for run in (runs[0], runs[2]))
    assert ours.SOPInstanceUID != others.SOPInstanceUID and ours.SeriesInstanceUID != others.SeriesInstanceUID


@pytest.mark.parametrize("kind", ["series", "frames", "X-ray"])
@pytest.mark.parametrize("names", [{2: "liver", 5: "spleen", 900: "x" * 80}, {}])
def test_labels_become_segments_by_name(tmp_path, kind, names):
    scene = only(KINDS[kind](tmp_path / "in"))
    sources = [dcmread(f) for f in scene.files]
    frames = sum(int(d.get("NumberOfFrames", 1)) for d in sources)
    labels = np.random.default_rng(2).choice([0, 2, 5, 900], (frames, *SIZE))
    (path,) = write_label_map(tmp_path / "labels.dcm", sources, labels, names, provenance())
    segmented, found = shown(path, sources)
    assert [s.SegmentLabel for s in segmented.SegmentSequence] == [
        names.get(label, f"Label {label}")[:64] for label in (2, 5, 900)
    ]
    read = np.array([0, 2, 5, 900])[np.stack([*found.values()])]
    assert {plane.tobytes() for plane in read} == {plane.tobytes() for plane in labels.astype(read.dtype)}
    assert errors(run("dciodvfy", path)[1]) == []


def test_empty_labels_write_nothing_and_misfits_are_refused(tmp_path):
    source = dcmread(only(xray(tmp_path / "in")).files[0])
    assert write_label_map(tmp_path / "a.dcm", [source], np.zeros((1, *SIZE), int), {}, provenance()) == []
    with pytest.raises(Unwritable, match="labels of shape"):
        write_label_map(tmp_path / "a.dcm", [source], np.ones((2, *SIZE), int), {}, provenance())
    assert not (tmp_path / "a.dcm").exists()


def test_what_is_needed_to_segment_is_only_loaded_then():
    code = "import sys, data_adapters.dicom.fill; print('highdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
