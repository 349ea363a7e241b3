"""A DICOM segmentation as the mask of a series to fill, and as the label map of images to learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from pydicom import dcmread

from augmentor.cli import main
from augmentor.segmentation import label_maps
from data_adapters import Provenance, Scene, open_scenes, phantoms
from data_adapters.dicom.segmentation import write_label_map
from data_adapters.errors import GridMismatch

SIDE, DEPTH = 32, 6
REGION = (slice(8, 14), slice(10, 20))
"""Rows and columns that are labelled."""


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def only(path: Path) -> Scene:
    (scene,) = open_scenes(path)
    return scene


def series(folder: Path, seed: int = 0) -> Path:
    return phantoms.write_ct(folder, phantoms.ct_volume(seed, SIDE, DEPTH), seed)


def labelled(*slices: int) -> NDArray[np.uint8]:
    """Labels 1 and 2 in some slices."""
    found = np.zeros((DEPTH, SIDE, SIDE), np.uint8)
    for index in slices:
        found[index, *REGION] = 1 + index % 2
    return found


def segmentation(path: Path, folder: Path, labels: NDArray[Any]) -> Path:
    """The segmentation of a series by such labels; it leaves out slices without any."""
    headers = [dcmread(file) for file in only(folder).files]
    headers.sort(key=lambda header: float(header.ImagePositionPatient[2]))
    (written,) = write_label_map(path, headers, labels, {}, Provenance("test", "1", "by hand"))
    return written


def test_a_segmentation_says_what_is_to_be_filled(tmp_path: Path) -> None:
    folder, labels = series(tmp_path / "ct"), labelled(*range(DEPTH))
    mask = segmentation(tmp_path / "seg.dcm", folder, labels)
    result = augmentor("fill", folder, "-o", tmp_path / "out", "--mask", mask, "--prior-only")
    assert result.exit_code == 0, result.output
    before, after = (only(path).read(0, DEPTH).values[0] for path in (folder, tmp_path / "out"))
    assert np.array_equal(before[labels == 0], after[labels == 0])
    assert not np.array_equal(before[labels > 0], after[labels > 0])


def test_a_single_segment_can_be_chosen(tmp_path: Path) -> None:
    folder, labels = series(tmp_path / "ct"), labelled(*range(DEPTH))
    mask = segmentation(tmp_path / "seg.dcm", folder, labels)
    result = augmentor("fill", folder, "-o", tmp_path / "out", "--mask", mask, "--mask-means", "mask:2", "--prior-only")
    assert result.exit_code == 0, result.output
    assert f"{(labels == 2).sum()} pixels rebuilt" in result.output


def test_a_segmentation_is_not_filled(tmp_path: Path) -> None:
    mask = segmentation(tmp_path / "seg.dcm", series(tmp_path / "ct"), labelled(0, 1))
    result = augmentor("fill", mask, "-o", tmp_path / "out", "--prior-only")
    assert result.exit_code == 2 and "holds classes or labels" in result.output


@pytest.mark.parametrize("slices", [range(DEPTH), (0, 1), (2, 4), (0, 5), (4,)], ids=str)
def test_a_segmentation_is_the_label_map_of_its_series(tmp_path: Path, slices: tuple[int, ...]) -> None:
    names = ("a", "b")
    folders = [series(tmp_path / "images" / name, seed) for seed, name in enumerate(names)]
    for folder in folders:
        segmentation(tmp_path / "maps" / f"{folder.name}_seg.dcm", folder, labelled(*slices))
    scenes = open_scenes(tmp_path / "images")
    maps = label_maps(scenes, tmp_path / "maps")
    for scene in scenes:
        assert np.array_equal(maps[scene.name].read(0, DEPTH).values[0], labelled(*slices))


def test_a_segmentation_of_another_place_is_no_label_map(tmp_path: Path) -> None:
    folder = series(tmp_path / "ct")
    mask = segmentation(tmp_path / "seg.dcm", folder, labelled(0, 1))
    dataset = dcmread(mask)
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        groups.PlanePositionSequence[0].ImagePositionPatient[0] += 50
    dataset.save_as(mask)
    with pytest.raises(GridMismatch, match="no slices of ct"):
        label_maps([only(folder)], mask)
