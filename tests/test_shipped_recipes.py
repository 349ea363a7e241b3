"""Every shipped recipe, on phantoms of its kind: it ingests, learns a few tiles, and writes what it is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from augmentor import fill, synthesize, train
from augmentor.recipe import load, shipped
from data_adapters import open_scenes, phantoms

Drawer = Callable[[Path], Path]


def chest(folder: Path) -> Path:
    return phantoms.chest_set(folder, 24, 0, 64)


def ct(folder: Path) -> Path:
    for seed in range(2):
        phantoms.write_ct(folder / str(seed), phantoms.ct_volume(seed, 48, 36), seed)
    return folder


def mr(folder: Path) -> Path:
    folder.mkdir()
    for seed in range(2):
        phantoms.write_mr(folder / f"{seed}.nii.gz", phantoms.mr_volume(seed, 48, 36), seed)
    return folder


def dated(write: Callable[[Path, int, int, int], Path], stem: str) -> Drawer:
    """A folder of one place in three seasons."""

    def draw(folder: Path) -> Path:
        for month, day in ((3, 80), (6, 170), (9, 260)):
            write(folder / f"{stem}2024{month:02d}15.tif", 0, 256, day)
        return folder

    return draw


CHEST = ("conditions.finding.column=finding", "data.group=patient")
SYNTHESIZED: dict[str, tuple[Drawer, str, tuple[str, ...]]] = {
    "chest_xray": (chest, ".dcm", CHEST),
    "mammography": (lambda folder: phantoms.mammogram_set(folder, 24, 0), ".png", ()),
    "ct_volume": (ct, "", ()),
    "mr_volume": (mr, ".nii.gz", ()),
    "ultrasound": (lambda folder: phantoms.ultrasound_set(folder, 24, 0), ".png", ()),
    "histology": (lambda folder: phantoms.histology_set(folder, 24, 0), ".png", ()),
    "sentinel2_tiles": (dated(phantoms.write_sentinel2, "S2A_MSIL2A_"), ".tif", ()),
    "landsat_tiles": (dated(phantoms.write_landsat, "LC08_L2SP_"), ".tif", ()),
    "aerial_rgb": (lambda folder: phantoms.aerial_set(folder, 24, 0), ".tif", ()),
    "sar_tiles": (lambda folder: phantoms.write_radar(folder / "s1.tif", 0), ".tif", ()),
    "satellite_tiles": (lambda folder: phantoms.write_sentinel2(folder / "scene.tif", 0), ".tif", ()),
}
"""Who draws what a recipe is for, how its samples end (a folder is a series), and what its columns are called."""

FILLED = ("ct_missing_slices", "mri_missing_slices", "sentinel2_clouds")


def test_every_shipped_recipe_is_tried() -> None:
    assert {*SYNTHESIZED, *FILLED} == set(shipped())


@pytest.mark.parametrize("name", SYNTHESIZED)
def test_a_recipe_learns_from_what_it_is_for_and_writes_samples_of_it(name: str, tmp_path: Path) -> None:
    draw, suffix, changes = SYNTHESIZED[name]
    cubes = len(load(name).tiles.size) == 3
    small = ("game.images=16", "game.batch=4") if cubes else ("game.images=64",)
    run = train(name, data=draw(tmp_path / "data"), changes=(*changes, *small), runs=tmp_path / "runs")
    out = synthesize(2, run=run.folder, out=tmp_path / "out")
    source, made = open_scenes(tmp_path / "data")[0], open_scenes(out)
    samples = sorted(path for path in out.iterdir() if path.name.startswith("sample_") and path.suffix != ".json")
    assert len([path for path in samples if path.name.endswith(suffix) and path.is_dir() == (not suffix)]) == 2
    pictures = [scene for scene in made if scene.path.name.startswith("sample_")]
    assert [scene.channels for scene in pictures] == [source.channels] * 2
    assert pictures[0].shape[1] == (load(name).tiles.size[0] if cubes else 1)
    assert all(np.ptp(scene.read(0, 1).values) > 0 for scene in pictures)


def holed(name: str, folder: Path) -> tuple[Path, Path, Path | None]:
    """What a recipe that fills learns from, what it fills, and a mask of that."""
    if name == "ct_missing_slices":
        volume = phantoms.ct_volume(0, 32, 12)
        return phantoms.write_ct(folder / "whole", volume, 0), phantoms.write_ct(folder / "ct", volume, 1, [5]), None
    if name == "mri_missing_slices":
        folder.mkdir()
        volume = phantoms.mr_volume(0, 32, 12)
        whole = phantoms.write_mr(folder / "whole.nii.gz", volume, 0)
        return whole, phantoms.write_mr(folder / "mr.nii.gz", volume * (np.arange(12) != 5)[:, None, None], 0), None
    places = phantoms.Phantoms(*(folder / place for place in phantoms.Phantoms._fields))
    phantoms.write_stack(places, 0, 64, 4)
    return places.stack, places.stack, places.clouds


@pytest.mark.parametrize("name", FILLED)
def test_a_recipe_learns_to_fill_what_it_is_for(name: str, tmp_path: Path) -> None:
    data, source, mask = holed(name, tmp_path / "data")
    # Windows small enough for some of a small volume to be held out.
    changes = ("game.images=64", "tiles.size=[16,16]")
    run = train(name, data=data, masks=mask, changes=changes, runs=tmp_path / "runs")
    out = tmp_path / ("out.nii.gz" if source.is_file() else "out")
    found = fill(source, out, mask=mask, run=run.folder, adapting=False)
    assert found.pixels > 0
    before = open_scenes(source)[0]
    filled = next(
        scene for scene in open_scenes(out) if scene.channels == before.channels and scene.kind == before.kind
    )
    assert filled.shape == before.shape and (mask is not None or filled.missing() == ())
