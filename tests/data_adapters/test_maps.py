"""A number for every pixel, on a scene's own grid, in every format."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
import rasterio
from PIL import Image

from augmentor.verify import verify
from data_adapters import Provenance, Scene, open_scenes, phantoms, scan
from data_adapters.errors import Unwritable

EDGES = Path(__file__).parents[3] / "shared/data/edge_cases"

WHO = Provenance("t2t-augmentor", "0", "a test", recipe="a" * 64, checkpoint="b" * 64, source="a scene")


def picture(folder: Path) -> Path:
    path = folder / "plain.png"
    Image.fromarray(np.arange(40 * 50, dtype=np.uint8).reshape(40, 50)).save(path)
    return path


SCENES: dict[str, Callable[[phantoms.Phantoms, Path], Path]] = {
    "radiograph": lambda drawn, folder: sorted(drawn.chest.glob("*.dcm"))[0],
    "CT": lambda drawn, folder: drawn.ct_truth,
    "CT with gaps": lambda drawn, folder: drawn.ct,
    "NIfTI": lambda drawn, folder: drawn.mr,
    "stack": lambda drawn, folder: drawn.stack,
    "PNG": lambda drawn, folder: picture(folder),
}


def written(path: Path, folder: Path) -> tuple[Scene, np.ndarray, Path]:
    """A scene, numbers that differ everywhere but for a corner where none is known, and the file that holds them."""
    (scene,) = open_scenes(path)
    values = np.random.default_rng(0).gamma(2, 1, scene.shape[1:]).astype(np.float32)
    values[:, :3, :4] = np.nan
    (file,) = scene.write_map(folder / "map", values, "a test", WHO)
    return scene, values, file


@pytest.mark.parametrize("name", SCENES)
def test_every_number_comes_back_and_says_who_wrote_it(name: str, drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    scene, values, file = written(SCENES[name](drawn, tmp_path), tmp_path)
    if scene.format == "dicom":
        dataset = pydicom.dcmread(file)
        found = dataset.pixel_array.reshape(-1, *values.shape[1:])
        shown = {frame.path: slot for slot, frame in enumerate(scene.slots) if frame is not None}
        slots = {pydicom.dcmread(path).SOPInstanceUID: slot for path, slot in shown.items()}
        values = values[
            [
                slots[groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
                for groups in dataset.PerFrameFunctionalGroupsSequence
            ]
        ]
        assert len(values) == len(slots)
    elif scene.format == "nifti":
        stored = nibabel.load(file)
        (source,) = scene.files
        np.testing.assert_array_equal(stored.affine, nibabel.load(source).affine)
        (again,) = open_scenes(file)
        found = np.where((pixels := again.read(0, again.shape[1])).valid, pixels.values, np.nan)[0]
    elif scene.format == "geotiff":
        with rasterio.open(file) as data, rasterio.open(scene.files[0]) as source:
            assert (data.crs, data.transform) == (source.crs, source.transform)
            found = data.read()
    else:
        found = np.asarray(Image.open(file), float)[None] / 100
        values = np.round(np.nan_to_num(values), 2)
    np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-6)
    assert all(verdict.fine for verdict in verify(file))


@pytest.mark.parametrize("name", ["radiograph", "CT", "CT with gaps"])
def test_a_parametric_map_belongs_to_its_images(name: str, drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    scene, values, file = written(SCENES[name](drawn, tmp_path), tmp_path)
    found = pydicom.dcmread(file)
    sources = [pydicom.dcmread(path, stop_before_pixels=True) for path in scene.files]
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID"):
        assert found[keyword] == sources[0][keyword]
    assert found.SeriesInstanceUID != sources[0].SeriesInstanceUID
    named = {i.ReferencedSOPInstanceUID for i in found.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named == {source.SOPInstanceUID for source in sources}
    assert "SyntheticData" not in found
    assert highdicom.imread(file).get_frames().shape == (len(sources), *values.shape[1:])
    (again,) = scene.write_map(tmp_path / "again", values, "a test", WHO)
    assert again.read_bytes() == file.read_bytes()


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="dcmtk is not installed")
def test_dcmtk_reads_a_parametric_map(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    _, _, file = written(drawn.ct_truth, tmp_path)
    said = subprocess.run(["dcmdump", str(file)], capture_output=True, text=True, check=True)
    assert "ParametricMapStorage" in said.stdout


def test_a_label_map_has_no_map(tmp_path: Path, drawn: phantoms.Phantoms) -> None:
    from data_adapters import write_labels

    (scene,) = open_scenes(drawn.ct_truth)
    labels = np.ones(scene.shape[1:], np.int32)
    (file,) = write_labels(tmp_path / "labels", labels, (0, 1), scene.template(), WHO, scene.files)
    (found,) = open_scenes(file)
    with pytest.raises(Unwritable, match="no room for a map"):
        found.write_map(tmp_path / "map", labels.astype(np.float32), "a test", WHO)


@pytest.mark.parametrize("lacking", ["StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"])
def test_an_image_that_cannot_be_referred_to_has_no_map(lacking: str, drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    image = pydicom.dcmread(sorted(drawn.chest.glob("*.dcm"))[0])
    image[lacking].value = ""
    image.save_as(tmp_path / "image.dcm")
    (scene,) = open_scenes(tmp_path / "image.dcm")
    with pytest.raises(Unwritable, match=f"has no {lacking}"):
        scene.write_map(tmp_path / "map", np.ones(scene.shape[1:], np.float32), "a test", WHO)
    assert not (tmp_path / "map.dcm").exists()


@pytest.mark.skipif(not EDGES.is_dir(), reason="the edge cases are not here")
def test_every_odd_image_has_a_map_or_a_reason(tmp_path: Path) -> None:
    """Frames on each other, frames without a place, headers without UIDs, and whatever else there is."""
    scenes = [scene for scene in scan(EDGES).scenes if not scene.classes]
    assert len(scenes) > 40
    said = 0
    for number, scene in enumerate(scenes):
        values = np.random.default_rng(number).random(scene.shape[1:]).astype(np.float32)
        try:
            (file,) = scene.write_map(tmp_path / str(number), values, "a test", WHO)
        except Unwritable:
            said += 1
        else:
            assert all(verdict.fine for verdict in verify(file)), scene.path
    assert said < len(scenes) / 4
