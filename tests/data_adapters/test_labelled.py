"""Maps of labels are known by their values, images are not taken for them, and what the header says counts first."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

from augmentor.cli import main
from data_adapters import open_scenes, phantoms
from data_adapters.errors import BrokenFile
from data_adapters.labelled import labelled
from tests.data_adapters.adapter_factories import SHARED, nifti, only

SHAPE = (6, 40, 48)


def organs(count: int, least: float = 0.12) -> NDArray[np.uint8]:
    """Blobs of ``count`` labels on a background."""
    fields = gaussian_filter(np.random.default_rng(0).normal(size=(count, *SHAPE)), (0, 1, 4, 4))
    return np.where(fields.max(axis=0) > least, fields.argmax(axis=0) + 1, 0).astype(np.uint8)


def noisy(dtype: str = "int16", spread: float = 30) -> NDArray[Any]:
    random = np.random.default_rng(1)
    smooth = gaussian_filter(random.normal(size=SHAPE), (1, 6, 6))
    return np.round(400 * smooth / np.abs(smooth).max() + random.normal(0, spread, SHAPE)).astype(dtype)


MAPS = {
    "a binary mask": organs(1),
    "organs": organs(9),
    "organs numbered far apart": organs(9).astype(np.int32) * 1000 - 7,
    "organs as floats": organs(9).astype(np.float64),
    "organs without a background": organs(9, least=-1),
}
IMAGES = {
    "CT": noisy(),
    "CT around which nothing is": np.where(organs(1) > 0, noisy(), -1024),
    "bytes": np.clip(noisy() + 128, 0, 255).astype(np.uint8),
    "smooth bytes": np.round(zoom(noisy()[:, :10, :12] / 8 + 60, (1, 8, 8), order=1)).astype(np.uint8),
    "floats": noisy().astype(np.float32) / 7,
    "smooth floats": gaussian_filter(noisy().astype(np.float32), (0, 3, 3)),
    "organs with some values between": np.where(noisy() > 0, organs(4), organs(4) + 0.5),
    "one value": np.full(SHAPE, 3, np.int16),
    "one value a slice": np.arange(6, dtype=np.int16)[:, None, None] + np.zeros(SHAPE, np.int16),
    "nothing": np.zeros((0, 0, 0), np.int16),
    "not a number": np.full(SHAPE, np.nan),
}


@pytest.mark.parametrize("name", MAPS)
def test_few_whole_numbers_in_patches_are_labels(name: str) -> None:
    assert labelled(MAPS[name])


@pytest.mark.parametrize("name", IMAGES)
def test_anything_else_is_an_image(name: str) -> None:
    assert not labelled(IMAGES[name])


@pytest.mark.parametrize("values", [MAPS["organs"], IMAGES["CT"]], ids=["labels", "image"])
@pytest.mark.parametrize("turn", [lambda v: v[::-1], lambda v: v.swapaxes(1, 2), lambda v: 5 - 3 * v.astype(int)])
def test_neither_turning_nor_renumbering_changes_that(values: NDArray[Any], turn: Any) -> None:
    assert labelled(turn(values)) == labelled(values)


def test_what_has_too_many_values_is_an_image_however_blocky() -> None:
    blocks = zoom(np.arange(6 * 20 * 24).reshape(6, 20, 24), (1, 4, 4), order=0)
    assert not labelled(blocks)
    assert labelled(blocks // 200)


@pytest.mark.parametrize("values", ["organs", "organs as floats", "CT"])
@pytest.mark.parametrize(("intent", "classes"), [("none", None), ("label", True), ("estimate", False)])
def test_an_intent_counts_more_than_values(tmp_path: Path, values: str, intent: str, classes: bool | None) -> None:
    stored = {**MAPS, **IMAGES}[values].transpose(2, 1, 0)
    scene = only(nifti(tmp_path / "a.nii.gz", stored, intent=intent))
    assert scene.classes == (values != "CT" if classes is None else classes)


@pytest.mark.parametrize("slope", [None, 1.0, 2.5])
def test_scaled_values_are_measured_ones(tmp_path: Path, slope: float | None) -> None:
    stored = MAPS["organs"].transpose(2, 1, 0)
    assert only(nifti(tmp_path / "a.nii", stored, slope=slope, intent="none")).classes == (slope != 2.5)


@pytest.mark.parametrize("verb", [["fill", "--spacing", 2], ["interpolate", "--at", 10]], ids=lambda words: words[0])
def test_nothing_is_made_between_labels(tmp_path: Path, verb: list[Any]) -> None:
    path = nifti(tmp_path / "organs.nii.gz", MAPS["organs"].transpose(2, 1, 0), intent="none")
    words = [str(word) for word in (verb[0], path, "-o", tmp_path / "out.nii.gz", *verb[1:])]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2 and "holds classes or labels" in result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["organs.nii.gz"]


def test_our_own_phantom_is_an_image(tmp_path: Path) -> None:
    brain = phantoms.mr_volume(0, 64)
    assert not only(phantoms.write_mr(tmp_path / "mr.nii.gz", brain, 0)).classes


@pytest.mark.parametrize("colours", [1, 3])
def test_gray_pictures_may_be_labels(tmp_path: Path, colours: int) -> None:
    plane = np.stack([MAPS["organs"][0]] * colours, axis=-1).squeeze()
    Image.fromarray(plane).save(tmp_path / "mask.png")
    Image.fromarray(IMAGES["bytes"][0]).save(tmp_path / "image.png")
    assert only(tmp_path / "mask.png").classes == (colours == 1)
    assert not only(tmp_path / "image.png").classes


@pytest.mark.parametrize("name", ["organs.nii.gz", "mask.png"])
def test_what_cannot_be_read_is_not_said_to_be_labels(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".png":
        Image.fromarray(np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8)).save(path)
    else:
        nifti(path, np.random.default_rng(0).integers(0, 9, (40, 40, 6), np.int16), intent="none")
    path.write_bytes(path.read_bytes()[: 3 * path.stat().st_size // 4])
    scene = only(path)
    assert not scene.classes
    with pytest.raises(BrokenFile):
        scene.read(0, 1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="real data are not here")
def test_real_volumes_are_told_apart() -> None:
    found = {path.name: open_scenes(path)[0].classes for path in (SHARED / "nifti").glob("*.nii.gz")}
    assert {name for name, classes in found.items() if classes} == {"totalseg_example_seg.nii.gz"}
