"""Rasters at the terminal: stripes without data, as Landsat 7 has had since its scan line corrector failed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter

from augmentor.cli import main
from augmentor.errors import TooLittleContext
from augmentor.fill import fill
from augmentor.filling.blocks import REACH
from augmentor.filling.choose import scaling
from augmentor.holes.kinds import Holes
from data_adapters import open_scenes

SIDE = 300


def ground(dtype: str) -> NDArray[Any]:
    rough = np.random.default_rng(0).normal(size=(3, SIDE, SIDE))
    smooth = gaussian_filter(rough, (0, 12, 12))
    return (120 + 60 * smooth / np.abs(smooth).max()).astype(dtype)


def stripes() -> NDArray[np.bool_]:
    """Slanted, and wider towards the sides."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    wide = 1 + 11 * np.abs(columns - SIDE / 2) / (SIDE / 2)
    return np.asarray((rows + 0.15 * columns) % 33 < wide)


def write(path: Path, bands: NDArray[Any], nodata: float | None = None) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=SIDE, width=SIDE, count=len(bands), dtype=bands.dtype, crs="EPSG:32618",
        transform=from_origin(300_000, 2_800_000, 30, 30), nodata=nodata,
    ) as data:  # fmt: skip
        data.write(bands)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("by", ["nodata", "mask", "wider mask"])
def test_stripes_are_filled_and_what_lies_between_them_is_not_touched(tmp_path: Path, dtype: str, by: str) -> None:
    truth, lost = ground(dtype), stripes()
    source = write(tmp_path / "scene.tif", np.where(lost, 0, truth).astype(dtype), 0 if by == "nodata" else None)
    words: list[object] = ["fill", source, "-o", tmp_path / "out.tif", "--prior-only"]
    if by != "nodata":
        words += ["--mask", write(tmp_path / "gaps.tif", lost[None].astype(np.uint8))]
    if by == "wider mask":
        words += ["--grow", 1]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "out.tif") as data:
        made = data.read()
    with rasterio.open(tmp_path / "out_made.tif") as data:
        marked = data.read(1) > 0
    np.testing.assert_array_equal(made[:, ~marked], truth[:, ~marked])
    assert (marked & lost).sum() == lost.sum()
    assert (marked.sum() > lost.sum()) == (by == "wider mask")
    errors = (made.astype(float) - truth)[:, lost]
    assert np.sqrt((errors**2).mean()) < 0.15 * truth.std()
    # No seam where one block of the plane meets the next, at 256.
    seam = np.zeros_like(lost)
    seam[254:258], seam[:, 254:258] = True, True
    assert np.abs((made.astype(float) - truth)[:, lost & seam]).mean() < 2 * np.abs(errors).mean()


def spots() -> NDArray[np.bool_]:
    """A few small clouds."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    places = np.random.default_rng(1).integers(20, SIDE - 20, (6, 2))
    return np.asarray(np.any([np.hypot(rows - y, columns - x) < 7 for y, x in places], axis=0))


@pytest.mark.parametrize("lost", [stripes, spots])
def test_so_wrong_as_is_said_are_holes_of_every_shape(tmp_path: Path, lost: Callable[[], NDArray[np.bool_]]) -> None:
    truth = (120 + 8 * gaussian_filter(np.random.default_rng(2).normal(size=(1, SIDE, SIDE)), (0, 8, 8)) * 28).astype(
        np.float32
    )
    hole = lost()
    source = write(tmp_path / "scene.tif", truth)
    mask = write(tmp_path / "gaps.tif", hole[None].astype(np.uint8))
    said = fill(source, tmp_path / "out.tif", mask=mask, prior_only=True).expected_error
    made, low, high = (rasterio.open(tmp_path / f"out{end}.tif").read() for end in ("", "_low", "_high"))
    error = float(np.sqrt(((made - truth)[:, hole] ** 2).mean()))
    assert float(said.split()[0]) == pytest.approx(error, rel=0.35)
    assert ((low <= truth) & (truth <= high))[:, hole].mean() == pytest.approx(0.9, abs=0.06)


def test_a_scene_whose_middle_is_hidden_is_scaled_by_what_shows(tmp_path: Path) -> None:
    side = 700
    random = np.random.default_rng(0)
    with rasterio.open(
        tmp_path / "scene.tif", "w", driver="GTiff", height=side, width=side, count=2, dtype="uint16",
        crs="EPSG:32618", transform=from_origin(300_000, 2_800_000, 30, 30),
    ) as data:  # fmt: skip
        data.write(random.integers(1000, 9000, (2, side, side)).astype(np.uint16))
    (scene,) = open_scenes(tmp_path / "scene.tif")
    lost = np.zeros((side, side), bool)
    lost[200:500, 200:500] = True
    holes = Holes(lambda window: np.repeat(lost[window.slices][None, None], 2, axis=0))
    found = scaling(scene, holes, None)
    assert np.allclose(found.low, 1000, atol=50) and np.allclose(found.high, 9000, atol=50)


def test_a_hole_too_deep_is_refused_before_anything_is_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    side = 2 * (REACH + 60)
    source = tmp_path / "scene.tif"
    bands = np.full((1, side, side), 700, np.uint16)
    bands[:, 20:, 20:] = 0
    with rasterio.open(
        source, "w", driver="GTiff", height=side, width=side, count=1, dtype="uint16", nodata=0,
        crs="EPSG:32618", transform=from_origin(300_000, 2_800_000, 30, 30),
    ) as data:  # fmt: skip
        data.write(bands)

    def learned(*_: object, **__: object) -> None:
        raise AssertionError("learned first")

    monkeypatch.setattr(import_module("augmentor.fill"), "choose", learned)
    with pytest.raises(TooLittleContext, match=f"within {REACH} pixels"):
        fill(source, tmp_path / "out.tif")


def rastered(folder: Path, dates: list[NDArray[Any]]) -> Path:
    """One raster, or a folder of as many dates."""
    if len(dates) == 1:
        return write(folder / "scene.tif", dates[0])
    (folder / "dates").mkdir()
    for day, bands in enumerate(dates, 1):
        write(folder / f"dates/S2_2020-05-0{day}.tif", bands)
    return folder / "dates"


@pytest.mark.parametrize("dates", [1, 3])
def test_a_hole_across_blocks_is_filled_as_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dates: int) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    light = [400 * columns / SIDE, 300 * rows / SIDE, -200 * columns / SIDE]
    source = rastered(tmp_path, [(ground("float32") * 10 + each).astype(np.float32) for each in light[:dates]])
    hole = np.hypot(rows - 140, columns - 150) < 60
    mask = write(tmp_path / "mask.tif", hole[None].astype(np.uint8))
    if dates > 1:
        (tmp_path / "masks").mkdir()
        mask = mask.rename(tmp_path / "masks/S2_2020-05-02.tif")
        for day in (1, 3):
            write(tmp_path / f"masks/S2_2020-05-0{day}.tif", np.zeros((1, SIDE, SIDE), np.uint8))
        mask = mask.parent
    made = []
    for side in (1024, 150):
        monkeypatch.setattr(import_module("augmentor.filling.blocks"), "SIDES", (side, side))
        filled = fill(source, tmp_path / f"out{side}{'' if dates > 1 else '.tif'}", mask=mask, prior_only=True)
        path = tmp_path / (f"out{side}/S2_2020-05-02.tif" if dates > 1 else f"out{side}.tif")
        assert path in filled.files
        with rasterio.open(path) as data:
            made.append(data.read())
    whole, parts = made
    np.testing.assert_allclose(parts[:, hole], whole[:, hole], atol=0.01 * np.ptp(whole))


def test_a_hole_as_wide_as_what_a_block_shows_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A band of hole that covers blocks and their margins, though nowhere far from what is observed."""
    blocks = import_module("augmentor.filling.blocks")
    for name, value in {"SIDES": (40, 40), "MARGIN": 8, "REACH": 60}.items():
        monkeypatch.setattr(blocks, name, value)
    hole = np.zeros((SIDE, SIDE), bool)
    hole[:110, 100:200] = True
    source, mask = write(tmp_path / "scene.tif", ground("float32")), write(tmp_path / "m.tif", hole[None].astype("u1"))
    assert fill(source, tmp_path / "out.tif", mask=mask, prior_only=True).pixels == hole.sum()
