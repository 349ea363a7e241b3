"""Objects of many frames and of colours: read like series are, and filled without touching what is there."""

import numpy as np
import pytest
from adapter_factories import AXIAL, bits_equal, noise, only, patch, provenance
from dicom_factories import attributes, colour, enhanced
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless, RLELossless
from test_validators import errors, run

from data_adapters import Window, open_scenes, scan
from data_adapters.dicom import decode
from data_adapters.errors import Unwritable

DEPTH = 6
SAGITTAL = (0, 1, 0, 0, 0, -1)


def places(count=DEPTH, holes=()):
    return [(1.0, 2.0, 2.0 * index) for index in range(count) if index not in holes]


def volume(count=DEPTH, dtype="uint16", size=(8, 10)):
    return noise((count, *size), dtype, 3)


def words(path):
    return np.stack(decode.decode_frames(path, range(decode.frame_count(decode.read_header(path))))[0])


# Reading


def test_frames_of_one_object_are_told_apart_like_files(tmp_path):
    frames = volume(2 * DEPTH)
    echoes = [4.6, 9.2] * DEPTH
    path = enhanced(tmp_path / "a.dcm", frames, [p for p in places() for _ in range(2)], echoes=echoes)
    scenes = open_scenes(path)
    assert [s.shape for s in scenes] == [(1, DEPTH, 8, 10)] * 2
    assert {s.facts["told apart by"] for s in scenes} == {"EffectiveEchoTime 4.6", "EffectiveEchoTime 9.2"}
    assert [np.array_equal(s.read(0, DEPTH).values[0], frames[k::2]) for k, s in enumerate(scenes)] == [True, True]


def test_frames_of_other_orientation_are_another_volume(tmp_path):
    frames = volume(2 * DEPTH)
    positions = [*places(), *((2.0 * i, 0, 0) for i in range(DEPTH))]
    path = enhanced(tmp_path / "a.dcm", frames, positions, orientations=[AXIAL] * DEPTH + [SAGITTAL] * DEPTH)
    assert [s.shape[1] for s in open_scenes(path)] == [DEPTH, DEPTH]


def test_each_frame_has_its_own_rescale(tmp_path):
    rescales = [(1.0 + index, -index) for index in range(DEPTH)]
    path = enhanced(tmp_path / "a.dcm", volume(), places(), rescales=rescales)
    expected = np.stack([plane * slope + add for plane, (slope, add) in zip(volume(), rescales, strict=True)])
    assert np.allclose(only(path).read(0, DEPTH).values[0], expected)


# Filling

ORDERS = {"forwards": list(range(DEPTH)), "backwards": list(range(DEPTH))[::-1], "mixed": [3, 0, 5, 1, 2, 4]}


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("holes", [(), (2,), (1, 4)])
@pytest.mark.parametrize("order", ORDERS)
def test_missing_slots_become_frames_and_all_others_stay(tmp_path, order, holes, syntax):
    order = [slot for slot in ORDERS[order] if slot not in holes]
    positions = places()
    options = {"syntax": syntax} if syntax else {}
    rescales = [(2.0, 5.0 * slot) for slot in order]
    path = enhanced(tmp_path / "in.dcm", volume()[order], [positions[i] for i in order], rescales=rescales, **options)
    scene = only(path)
    assert scene.missing() == holes
    window = Window(1, 2, 3, 4)
    patches = [patch(scene, slot, scene.plane, 100.0) for slot in holes] + [patch(scene, 0, window, 50.0)]
    out, made = scene.write_filled(tmp_path / "out.dcm", patches, provenance())
    before, after = dcmread(path), dcmread(out)
    assert after.NumberOfFrames == DEPTH == len(after.PerFrameFunctionalGroupsSequence)
    placed = [decode.position(after, frame)[2] / 2.0 for frame in range(DEPTH)]
    kept = [placed.index(slot) for slot in order]
    assert kept == sorted(kept) and sorted(placed) == list(range(DEPTH))
    expected = volume()[order]
    expected[order.index(0)][window.slices] = np.rint((50.0 - 0.0) / 2.0)
    assert bits_equal(words(out)[kept], expected)
    again = only(out)
    assert again.missing() == () and again.shape == (1, DEPTH, 8, 10)
    assert all((abs(again.read(slot, 1).values - 100) <= 1).all() for slot in holes)
    # Whatever described a frame that is there describes it still, but for the count of slices and its type.
    for frame in range(len(order)):
        old, new = (d.PerFrameFunctionalGroupsSequence[f] for d, f in ((before, frame), (after, kept[frame])))
        changed = ("FrameContentSequence", "MRImageFrameTypeSequence", "DerivationImageSequence")
        assert attributes(old, changed) == attributes(new, changed)
        dates = [g.FrameContentSequence[0].get("FrameAcquisitionDateTime") for g in (old, new)]
        assert dates[0] == dates[1]
    groups = [after.PerFrameFunctionalGroupsSequence[placed.index(slot)] for slot in range(DEPTH)]
    numbers = [g.FrameContentSequence[0].InStackPositionNumber for g in groups]
    assert numbers == list(range(1, DEPTH + 1))
    assert [list(g.FrameContentSequence[0].DimensionIndexValues) for g in groups] == [[1, n, 1] for n in numbers]
    kinds = [g.MRImageFrameTypeSequence[0].FrameType[0] for g in groups]
    assert kinds == ["DERIVED" if slot in (0, *holes) else "ORIGINAL" for slot in range(DEPTH)]
    assert after.ImageType[0] == "MIXED" and list(after.ImageType[1:]) == list(before.ImageType[1:])
    sources = [g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber for g in groups]
    assert [sources[slot] for slot in order] == [frame + 1 for frame in range(len(order))]
    assert "FrameAcquisitionDateTime" not in "".join(str(groups[slot].FrameContentSequence) for slot in holes)
    assert after.SyntheticData == "YES" and after.StudyInstanceUID == before.StudyInstanceUID
    assert set(errors(run("dciodvfy", out)[1])) <= set(errors(run("dciodvfy", path)[1]))
    assert errors(run("dciodvfy", made)[1]) == []


def test_one_echo_of_two_is_filled_by_itself(tmp_path):
    positions = [(p, e) for e in (4.6, 9.2) for p in places(holes=(2,) if e > 5 else ())]
    frames = volume(len(positions))
    path = enhanced(tmp_path / "a.dcm", frames, [p for p, _ in positions], echoes=[e for _, e in positions])
    scene = next(s for s in open_scenes(path) if s.missing())
    out, _ = scene.write_filled(tmp_path / "out.dcm", [patch(scene, 2, scene.plane, 9)], provenance())
    assert bits_equal(words(out)[[0, 1, 3, 4, 5]], frames[DEPTH:])
    echoes = {g.MREchoSequence[0].EffectiveEchoTime for g in dcmread(out).PerFrameFunctionalGroupsSequence}
    assert echoes == {9.2} and only(out).missing() == ()


def test_an_object_in_which_nothing_was_made_stays_as_it_is_stored(tmp_path):
    path = enhanced(tmp_path / "a.dcm", volume(), places(), syntax=RLELossless)
    (out,) = only(path).write_filled(tmp_path / "out.dcm", [], provenance())
    before, after = dcmread(path), dcmread(out)
    assert after.PixelData == before.PixelData and after.SyntheticData == "NO"
    identity = ("SOPInstanceUID", "SeriesInstanceUID", "InstanceNumber", "SeriesDescription", "SyntheticData",
                "ContributingEquipmentSequence")  # fmt: skip
    assert attributes(before, identity) == attributes(after, identity)


# Colours

PALETTE = np.random.default_rng(5).integers(0, 256, (200, 3))
COLOURS = {
    "RGB": ("RGB", (8, 10, 3), None),
    "YBR": ("YBR_FULL", (8, 10, 3), None),
    "cine": ("RGB", (4, 8, 10, 3), None),
    "palette": ("PALETTE COLOR", (8, 10), PALETTE.astype("uint8")),
    "wide palette": ("PALETTE COLOR", (8, 10), (PALETTE * 257).astype("uint16")),
    "palette cine": ("PALETTE COLOR", (4, 8, 10), PALETTE.astype("uint8")),
}


def drawn(path, name, **options):
    photometric, shape, palette = COLOURS[name]
    pixels = noise(shape, "uint8")
    if palette is not None:
        pixels %= len(palette)
    return colour(path, pixels, photometric, palette=palette, **options), pixels


@pytest.mark.parametrize("syntax", [None, RLELossless])
@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_filled_where_asked_and_nowhere_else(tmp_path, name, syntax):
    path, pixels = drawn(tmp_path / "a.dcm", name, **({"syntax": syntax} if syntax else {}))
    scene = only(path)
    last = scene.shape[1] - 1
    window = Window(2, 3, 3, 4)
    wanted = scene.read(last, 1, Window(0, 0, 1, 1)).values[:, 0]
    laid_in = patch(scene, last, window, 0.0)
    laid_in.values[:] = wanted
    out, made = scene.write_filled(tmp_path / "out.dcm", [laid_in], provenance())
    again = only(out).read(0, scene.shape[1])
    before = scene.read(0, scene.shape[1])
    # YBR_FULL of 8 bits cannot say every colour.
    assert np.abs(again.values[:, last, *window.slices] - wanted).max() <= (2 if name == "YBR" else 0)
    outside = np.ones(scene.shape[1:], bool)
    outside[last, *window.slices] = False
    assert np.array_equal(again.values[:, outside], before.values[:, outside])
    # What was compressed in YBR has no native form that every image class allows but RGB.
    stays = not (name == "YBR" and syntax)
    assert dcmread(out).PhotometricInterpretation == (COLOURS[name][0] if stays else "RGB")
    mask = outside.reshape(pixels.shape[:-1] if pixels.shape[-1] == 3 else pixels.shape)
    assert not stays or bits_equal(words(out).reshape(pixels.shape)[mask], pixels[mask])
    assert set(errors(run("dciodvfy", out)[1])) <= set(errors(run("dciodvfy", path)[1]))
    assert errors(run("dciodvfy", made)[1]) == []
    assert scan(tmp_path).passed_over == {"Segmentation Storage": 1}


def test_frames_without_places_can_neither_be_added_nor_left_out(tmp_path):
    path = enhanced(tmp_path / "a.dcm", volume(), places(holes=()), GridFrameOffsetVector=None)
    dataset = dcmread(path)
    for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        del dataset[keyword]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], list(AXIAL)
    dataset.PixelSpacing, dataset.GridFrameOffsetVector = [1, 1], [0, 1, 2, 4, 5, 6]
    dataset.save_as(tmp_path / "dose.dcm")
    scene = only(tmp_path / "dose.dcm")
    assert scene.missing() == (3,)
    with pytest.raises(Unwritable, match="no places of their own"):
        scene.write_filled(tmp_path / "out", [patch(scene, 3, scene.plane, 1)], provenance())
