"""Auxiliary rasters: laid on the scene, told to the network alone, and worth something where they know the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter

from augmentor.cli import main
from augmentor.filling.auxiliary import auxiliary
from augmentor.filling.rehearsal import Rehearsal
from augmentor.filling.view import View
from augmentor.holes.context import channels
from augmentor.holes.find import find
from augmentor.scaling import Scaling
from data_adapters import Window, open_scenes
from data_adapters.errors import GridMismatch

SIDE = 48
PART = Window(5, 9, 17, 22)
RANDOM = np.random.default_rng(0)


def raster(path: Path, bands: NDArray[Any], *, pixel: float = 10.0, nodata: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2], count=len(bands), dtype=bands.dtype,
        crs="EPSG:32633", transform=from_origin(500_000, 5_000_000, pixel, pixel), nodata=nodata,
    ) as data:  # fmt: skip
        data.write(bands)
    return path


def noise(bands: int = 1, side: int = SIDE) -> NDArray[np.uint16]:
    return RANDOM.integers(1, 1000, (bands, side, side)).astype(np.uint16)


def scene_of(path: Path) -> Any:
    return open_scenes(path)[0]


@pytest.mark.parametrize("factor", [1, 2, 3, 6])
@pytest.mark.parametrize("bands", [1, 3])
def test_it_is_told_where_the_scene_lies(tmp_path: Path, factor: int, bands: int) -> None:
    scene = scene_of(raster(tmp_path / "scene.tif", noise(2)))
    shown = noise(bands, SIDE // factor)
    shown[:, 0, 0] = 0
    found = auxiliary(raster(tmp_path / "radar.tif", shown, pixel=10.0 * factor, nodata=0), scene)
    told = found.load(scene.plane)
    assert told.shape == (found.channels, 1, SIDE, SIDE) == (bands + 1, 1, SIDE, SIDE)
    whole = shown.repeat(factor, axis=1).repeat(factor, axis=2)
    seen = (whole > 0).all(axis=0)
    np.testing.assert_array_equal(told[-1, 0] == 1, seen)
    assert not told[:, 0, ~seen].any()
    back = found.scaling.to_physical(told[:-1], 3)[:, 0]
    np.testing.assert_allclose(back[:, seen], whole[:, seen], rtol=1e-4, atol=0.01)
    np.testing.assert_array_equal(found.load(PART), told[:, :, *PART.slices])


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (["2020-01-01"], [0, 0, 0]),
        (["2020-01-01", "2020-03-01"], [0, 0, 1]),
        (["2020-03-01", "2020-03-02", "2020-06-01"], [0, 0, 1]),
        (["2019-01-01", "2020-01-11", "2020-01-21", "2020-03-20"], [1, 1, 3]),
    ],
)
def test_of_several_dates_the_nearest_is_told(tmp_path: Path, days: list[str], told: list[int]) -> None:
    for day in ("2020-01-10", "2020-01-15", "2020-03-10"):
        raster(tmp_path / f"stack/S2_{day}.tif", noise())
    stack = scene_of(tmp_path / "stack")
    planes = [noise() for _ in days]
    for day, plane in zip(days, planes, strict=True):
        raster(tmp_path / f"radar/S1_{day}.tif", plane)
    found = auxiliary(tmp_path / "radar", stack).placed.read(stack.plane)
    np.testing.assert_array_equal(found.values[0], np.concatenate([planes[i] for i in told]))


def test_it_is_told_beside_the_context_and_mirrored_with_it(tmp_path: Path) -> None:
    truth = noise(1, 96)
    scene = scene_of(raster(tmp_path / "scene.tif", truth))
    mask = np.zeros_like(truth, np.uint8)
    mask[0, 20:30, 40:60] = 1
    unit = Scaling((0.0,), (1000.0,))
    raster(tmp_path / "same.tif", truth)
    same = auxiliary(tmp_path / "same.tif", scene)
    view = View(scene, find(scene, raster(tmp_path / "mask.tif", mask))[0], unit, (same, same))
    rehearsal = Rehearsal(view)
    hidden = rehearsal.lessons("linear").draw(12)
    assert hidden.told.shape[1] == channels(1, 4)
    twice = same.scaling.to_physical(hidden.told[:, [-4, -2]])
    inside = np.broadcast_to(hidden.hole, hidden.truth.shape)
    for again in (twice[:, :1], twice[:, 1:]):
        np.testing.assert_allclose(again[inside], unit.to_physical(hidden.truth)[inside], rtol=1e-3, atol=0.1)
    assert (hidden.told[:, [-3, -1]] == 1).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_has_another_beside_it_across_its_slices_too(tmp_path: Path, axis: int) -> None:
    shape = (40, 44, 12)
    values = RANDOM.integers(1, 1000, shape).astype(np.int16)
    holed = values.copy()
    holed[:, :, [3, 7]] = 0
    for name, what in (("t2", holed), ("t1", values)):
        nibabel.save(nibabel.Nifti1Image(what, np.eye(4)), tmp_path / f"{name}.nii.gz")
    scene = scene_of(tmp_path / "t2.nii.gz")
    view = View(scene, find(scene, None)[0], Scaling((0.0,), (1000.0,)), (auxiliary(tmp_path / "t1.nii.gz", scene),))
    column = Rehearsal(view).learn[axis]
    shown = view.beside[0].scaling.to_physical(column.beside[:1], 3)
    there = np.broadcast_to(column.told, shown.shape)
    assert there.any()
    np.testing.assert_allclose(shown[there], view.scaling.to_physical(column.values, 3)[there], rtol=1e-3, atol=0.5)


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_what_it_knows_is_learned(tmp_path: Path) -> None:
    """Ground that cannot be guessed, and another sensor that shows it upside down."""
    ground = 1000 + 800 * np.clip(gaussian_filter(RANDOM.normal(size=(1, 128, 128)), (0, 1.5, 1.5)) * 4, -1, 1)
    clouds = np.zeros((1, 128, 128), np.uint8)
    clouds[0, 40:60, 30:70] = 1
    scene = raster(tmp_path / "scene.tif", np.where(clouds, 5000, ground).astype(np.uint16))
    mask = raster(tmp_path / "mask.tif", clouds)
    radar = raster(tmp_path / "radar.tif", (9000 - 3 * ground).astype(np.float32))
    errors = []
    for name, words in (("without", ("--prior-only",)), ("with", ("--aux", radar, "--adapt-tiles", 1600))):
        out = tmp_path / f"{name}.tif"
        result = augmentor("fill", scene, "--mask", mask, "-o", out, *words)
        assert result.exit_code == 0, result.output
        with rasterio.open(out) as data:
            made = data.read().astype(float)
        np.testing.assert_array_equal(made[clouds == 0], ground.astype(np.uint16)[clouds == 0])
        errors.append(np.sqrt(((made - ground)[clouds > 0] ** 2).mean()))
    assert errors[1] < errors[0] / 2
    assert json.loads((tmp_path / "with.tif.json").read_text())["auxiliary"] == ["radar"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--aux", "radar.tif", "--prior-only"), "leave --aux out"),
        (("--aux", "radar.tif", "--no-adapt"), "leave --aux out"),
        (("--aux", "radar.tif", "--run", "some"), "leave --aux out"),
        (("--aux", "small.tif"), "auxiliary raster of 47x47 for a scene of 48x48"),
        (("--aux", "both"), "2 scenes where one auxiliary raster was expected"),
        (("--aux", "nothing.tif"), "nothing.tif"),
    ],
)
def test_what_cannot_be_told_is_said_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    raster(tmp_path / "scene.tif", noise(), nodata=int(noise()[0, 0, 0]))
    raster(tmp_path / "radar.tif", noise())
    raster(tmp_path / "small.tif", noise(1, 47))
    raster(tmp_path / "both/a.tif", noise(1))
    raster(tmp_path / "both/b.tif", noise(2))
    result = augmentor("fill", "scene.tif", "-o", "out.tif", *words)
    assert result.exit_code == 2 and result.output.count("\n") == 1, result.output
    assert said in result.output and "Traceback" not in result.output
    assert not (tmp_path / "out.tif").exists()


def test_another_place_is_refused(tmp_path: Path) -> None:
    scene = scene_of(raster(tmp_path / "scene.tif", noise()))
    with pytest.raises(GridMismatch, match="pixel sizes of auxiliary raster and scene differ"):
        auxiliary(raster(tmp_path / "other.tif", noise(), pixel=20.0), scene)
