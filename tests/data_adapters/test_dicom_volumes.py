"""Which slices of a series make one volume: geometry first, then whatever the standard has to tell them apart."""

import numpy as np
import pytest
from adapter_factories import dicom_slice, noise, only, save_dicom
from pydicom.dataset import Dataset

from data_adapters import open_scenes, scan
from data_adapters.errors import DuplicatePositions, NoPixels

DEPTH = 4


def series(folder, states, place=lambda slot: slot, copy_pixels=False):
    """A series of slices, each a (slot, {keyword: value}); files are named in an order that tells nothing."""
    folder.mkdir(exist_ok=True)
    names = np.random.default_rng(1).permutation(len(states))
    for number, (slot, state) in enumerate(states):
        plane = noise((6, 7), "int16", slot if copy_pixels else number)
        dataset = dicom_slice(plane, (0, 0, 2.0 * place(slot)))
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        for keyword, value in state.items():
            setattr(dataset, keyword, value)
        save_dicom(dataset, folder / f"{names[number]:03d}.dcm")
    return folder


def every(*states):
    """Every slot in every state."""
    return [(slot, state) for state in states for slot in range(DEPTH)]


APART = {
    "echo numbers": every({"EchoNumbers": 1}, {"EchoNumbers": 2}),
    "echo times": every({"EchoTime": 4.6}, {"EchoTime": 9.2}, {"EchoTime": 13.8}),
    "temporal positions": every(*({"TemporalPositionIdentifier": t} for t in range(5))),
    "b-values": every({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}),
    "b-values and directions": every(
        {"DiffusionBValue": 0.0},
        *(
            {"DiffusionBValue": b, "DiffusionGradientOrientation": direction}
            for b in (500.0, 1000.0)
            for direction in ([1.0, 0, 0], [0, 1.0, 0])
        ),
    ),
    "magnitude and phase": every(*({"ImageType": ["ORIGINAL", "PRIMARY", c]} for c in "MP")),
    "trigger times": every(*({"TriggerTime": t} for t in (0.0, 40.0, 80.0))),
    "acquisitions": every({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
    "kernels": every({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}),
    "echo and phase at once": every(
        *({"EchoTime": e, "ImageType": ["ORIGINAL", "PRIMARY", c]} for e in (2.0, 4.0) for c in ("M", "P"))
    ),
    "times, while acquisitions go up": [
        (slot, {"TemporalPositionIdentifier": t, "AcquisitionNumber": 10 * t + slot})
        for t in (1, 2)
        for slot in range(DEPTH)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_volumes_at_one_place_are_told_apart(tmp_path, name):
    states = APART[name]
    scenes = open_scenes(series(tmp_path / "s", states))
    assert len(scenes) == len(states) // DEPTH
    assert all(scene.shape[1] == DEPTH and scene.missing() == () for scene in scenes)
    assert len({scene.name for scene in scenes}) == len(scenes) == len({s.facts["told apart by"] for s in scenes})
    planes = np.stack([noise((6, 7), "int16", number) for number in range(len(states))]).astype("float32")
    found = [scene.read(0, DEPTH).values[0] + 1024 for scene in scenes]
    assert {v.tobytes() for v in found} == {v.tobytes() for v in planes.reshape(-1, DEPTH, 6, 7)}


TOGETHER = {
    "acquisition numbers go up": [(slot, {"AcquisitionNumber": slot + 1}) for slot in range(DEPTH)],
    "trigger times go up": [(slot, {"TriggerTime": 10.0 * slot}) for slot in range(DEPTH)],
    "two acquisitions of half the slices": [(slot, {"AcquisitionNumber": slot % 2}) for slot in range(DEPTH)],
    "image types change": [(slot, {"ImageType": ["ORIGINAL", "PRIMARY", "MA"[slot % 2]]}) for slot in range(DEPTH)],
}


@pytest.mark.parametrize("name", TOGETHER)
def test_what_merely_differs_tears_no_series_apart(tmp_path, name):
    scene = only(series(tmp_path / "s", TOGETHER[name]))
    assert scene.shape[1] == DEPTH and scene.missing() == () and "told apart by" not in scene.facts


@pytest.mark.parametrize("holes", [(1,), (2,)])
def test_gaps_are_found_in_each_volume(tmp_path, holes):
    states = [(s, st) for s, st in every({"EchoTime": 4.6}, {"EchoTime": 9.2}) if s not in holes or st["EchoTime"] > 5]
    scenes = open_scenes(series(tmp_path / "s", states))
    assert sorted(scene.missing() for scene in scenes) == [(), holes]


@pytest.mark.parametrize("copies", [True, False])
def test_what_nothing_tells_apart_is_said_to_be_copies_or_not(tmp_path, copies):
    scene = only(series(tmp_path / "s", every({}, {}), copy_pixels=copies))
    with pytest.raises(DuplicatePositions, match="identical copies" if copies else "different contents"):
        scene.missing()
    assert scene.shape[1] == 2 * DEPTH


def test_some_copies_are_counted(tmp_path):
    states = every({}, {})
    folder = series(tmp_path / "s", states, copy_pixels=True)
    dataset = dicom_slice(noise((6, 7), "int16", 99), (0, 0, 0.0))
    dataset.SOPInstanceUID = "1.2.4"
    save_dicom(dataset, folder / "odd.dcm")
    with pytest.raises(DuplicatePositions, match="3 of 4 copies"):
        only(folder).missing()


# Objects without images


def without_image(path, name, modality):
    from pydicom.uid import UID_dictionary

    dataset = Dataset()
    dataset.SOPClassUID = next(uid for uid, entry in UID_dictionary.items() if entry[0] == name)
    dataset.SOPInstanceUID, dataset.Modality = f"1.2.5.{path.stem}", modality
    return save_dicom(dataset, path)


KINDS = {
    "RT Plan Storage": "RTPLAN", "Comprehensive SR Storage": "SR", "12-lead ECG Waveform Storage": "ECG",
    "Media Storage Directory Storage": "", "Encapsulated PDF Storage": "DOC",
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_an_object_without_image_says_what_it_is(tmp_path, name):
    path = without_image(tmp_path / "1.dcm", name, KINDS[name])
    with pytest.raises(NoPixels, match=name):
        open_scenes(path)
    assert scan(path).passed_over == {name: 1}


def test_objects_without_images_are_passed_over_and_counted(tmp_path):
    series(tmp_path / "s", every({}))
    for number, name in enumerate([*KINDS, "RT Plan Storage"]):
        without_image(tmp_path / f"{number}.dcm", name, KINDS[name])
    found = scan(tmp_path)
    assert len(found.scenes) == 1 and found.problems == ()
    assert found.passed_over == {name: 1 + (name == "RT Plan Storage") for name in KINDS}
    assert len(open_scenes(tmp_path)) == 1


def test_a_folder_of_nothing_else_names_them_all(tmp_path):
    for number in range(3):
        without_image(tmp_path / f"{number}.dcm", "RT Plan Storage" if number else "Comprehensive SR Storage", "SR")
    with pytest.raises(NoPixels, match="2 RT Plan Storage, 1 Comprehensive SR Storage"):
        open_scenes(tmp_path)
