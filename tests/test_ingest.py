"""Which images are learned together, and what is said where too few are left."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from augmentor.cli import main
from data_adapters import Channel, Provenance, Template, adapter
from data_adapters.anatomy import Plane

SIDE, DEPTH = 24, 20
OTHERS: list[Plane] = ["coronal", "sagittal"]


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def recipe(folder: Path, *tiles: str) -> Path:
    path = folder / "own.yaml"
    path.write_text(f"name: own\ntiles: {{{', '.join(tiles)}}}\n")
    return path


def ingested(folder: Path, data: Path, *tiles: str) -> Result:
    return augmentor("ingest", recipe(folder, *tiles), "--data", data, "--store", folder / "store")


def volume(folder: Path, name: str, form: str, plane: Plane) -> None:
    """A volume whose slices lie in a plane."""
    like = Template(form, "volume", "MR", (Channel("MR"),), "int16", 0, 999, spacing=(2, 1, 1), unit="mm", plane=plane)
    values = np.random.default_rng(0).uniform(0, 999, (1, DEPTH, SIDE, SIDE))
    adapter(form).write_sample(folder / name, values, like, Provenance("test", "1", "by hand", source=name))


@pytest.mark.parametrize("form", ["dicom", "nifti"])
@pytest.mark.parametrize("other", OTHERS)
def test_volumes_of_another_plane_are_left_out(tmp_path: Path, form: str, other: Plane) -> None:
    data = tmp_path / "data"
    data.mkdir()
    volume(data, "a", form, "axial")
    volume(data, "b", form, other)
    volume(data, "c", form, "axial")
    result = ingested(tmp_path, data, "size: [16, 16]")
    assert result.exit_code == 0, result.output
    assert "1 of 3 scenes are of another kind and left out" in result.output
    assert f": {2 * DEPTH} tiles" in result.output
    assert other in augmentor("inspect", data).output


def label_map(folder: Path, name: str) -> None:
    """Blocks of labels on the grid of ``volume``, of whose kind its header says nothing."""
    like = Template("nifti", "volume", "", (Channel("label"),), "uint8", 0, 9, spacing=(2, 1, 1), unit="mm")
    values = np.arange(16.0).reshape(4, 4).repeat(SIDE // 4, 0).repeat(SIDE // 4, 1) // 2
    volume = np.broadcast_to(values, (1, DEPTH, SIDE, SIDE))
    adapter("nifti").write_sample(folder / name, volume, like, Provenance("test", "1", "by hand", source=name))


@pytest.mark.parametrize("images", [0, 1, 2, 3])
def test_label_maps_beside_images_are_left_out(tmp_path: Path, images: int) -> None:
    """However many they are; where there is nothing else, they are what is learned from."""
    data = tmp_path / "data"
    data.mkdir()
    for number in range(images):
        volume(data, f"case{number}", "nifti", "axial")
    for number in range(2):
        label_map(data, f"a{number}_labels")
    result = ingested(tmp_path, data, "size: [16, 16]", "valid_at_least: 0", "held_out: 0.5")
    said = f"2 of {images + 2} scenes hold labels and are left out"
    assert (said in result.output) == (images > 0)
    assert (result.exit_code == 0) == (images != 1), result.output
    assert images == 1 or f": {(images or 2) * DEPTH} tiles" in result.output


def pictures(folder: Path, shape: tuple[int, ...], count: int = 20) -> Path:
    folder.mkdir()
    for index in range(count):
        Image.fromarray(np.full(shape, index, np.uint8)).save(folder / f"{index}.png")
    return folder


def blank(folder: Path) -> Path:
    """Volumes of floats that are NaN for the most part."""
    folder.mkdir()
    values: NDArray[np.float32] = np.full((SIDE, SIDE, DEPTH), np.nan, np.float32)
    values[:4] = 1
    for name in "ab":
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / f"{name}.nii")
    return folder


@pytest.mark.parametrize(
    ("data", "tiles", "why", "remedy"),
    [
        (lambda f: pictures(f, (20, 20)), ("cut: grid", "size: [64, 64]"), "20 left out as smaller", "tiles.size"),
        (lambda f: pictures(f, (20, 90)), ("size: [32, 32]",), "20 left out as too long and narrow", "tiles.cut"),
        (blank, ("size: [16, 16]",), f"{2 * DEPTH} left out as not observed", "fewer gaps"),
        (lambda f: pictures(f, (20, 20), 3), ("size: [16, 16]",), "3 tiles of 3 patients", "at least 16 tiles"),
    ],
    ids=["small", "narrow", "blank", "few"],
)
def test_what_leaves_too_few_tiles_is_said(tmp_path, data, tiles, why, remedy):  # type: ignore[no-untyped-def]
    result = ingested(tmp_path, data(tmp_path / "data"), *tiles)
    assert result.exit_code == 2
    said = result.output.splitlines()[-1]
    assert said.startswith("TooLittleData: ") and why in said and remedy in said.split(";", 1)[1]
