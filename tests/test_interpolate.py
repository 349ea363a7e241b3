"""Dates and slices that were never acquired, at the terminal: made from the others, with the doubt drawn in."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path

import nibabel
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter

from augmentor.cli import main
from augmentor.filling.columns import columns
from augmentor.filling.season import Season
from augmentor.filling.view import View
from augmentor.holes.between import never_acquired
from augmentor.holes.column import Column
from augmentor.holes.find import masked
from augmentor.holes.hide import Hider, Lost, dates
from augmentor.interpolate import interpolate
from augmentor.scaling import Scaling
from augmentor.view import look
from data_adapters import open_scenes, phantoms
from data_adapters.between import between

SIDE = 48
FIRST = date(2019, 3, 1)


def rough(seed: int) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(size=(2, SIDE, SIDE))
    return np.asarray(gaussian_filter(noise, (0, 3, 3)) * 3000)


def ground(day: float) -> NDArray[np.uint16]:
    """Two bands that change steadily: what lies between two dates is known."""
    return (4000 + rough(0) + day / 100 * rough(1)).astype(np.uint16)


def stack(folder: Path, days: tuple[int, ...], nodata: float | None = None) -> Path:
    for day in days:
        write(folder / f"place_{FIRST + timedelta(day)}.tif", ground(day), nodata)
    return folder


def write(path: Path, bands: NDArray[np.uint16] | NDArray[np.uint8], nodata: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=SIDE, width=SIDE, count=len(bands), dtype=bands.dtype, crs="EPSG:32633",
        transform=from_origin(300_000, 5_000_000, 10, 10), nodata=nodata,
    ) as data:  # fmt: skip
        data.write(bands)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["interpolate", *map(str, words)])


def read(path: Path) -> NDArray[np.float64]:
    with rasterio.open(path) as data:
        return np.asarray(data.read().astype(float))


@pytest.mark.parametrize("learned", [False, True], ids=["prior", "learned"])
def test_a_date_between_two_is_as_far_between_them_as_it_lies(tmp_path: Path, learned: bool) -> None:
    source = stack(tmp_path / "in", (0, 20, 50, 70, 100, 130))
    before = {path: path.read_bytes() for path in source.iterdir()}
    how = ["--adapt-tiles", 64] if learned else ["--prior-only", "--stac"]
    result = run(source, "-o", tmp_path / "out.tif", "--at", FIRST + timedelta(30), *how)
    assert result.exit_code == 0, result.output
    assert "10 days from 2019-03-21, 20 days from 2019-04-20" in result.output
    assert "expected error: " in result.output
    made, low, high = (read(tmp_path / name) for name in ("out.tif", "out_low.tif", "out_high.tif"))
    # A step in one date's greys lies within two: all are rounded.
    assert np.abs(made - ground(30)).max() <= (2 if not learned else 40)
    assert (low <= made).all() and (made <= high).all()
    record = json.loads((tmp_path / "out.tif.json").read_text())
    assert record["at"] == "2019-03-31" and record["synthetic"] and len(record["sources"]) == 6
    assert (tmp_path / "out.tif.png").stat().st_size > 0
    if not learned:
        item = json.loads(next(tmp_path.glob("*.stac.json")).read_text())
        assert item["properties"]["datetime"].startswith("2019-03-31")
    assert {path: path.read_bytes() for path in source.iterdir()} == before


def test_the_interval_holds_what_a_date_shows_that_was_left_out(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    (scene,) = open_scenes(drawn.stack)
    left_out = scene.dates[3]
    for path in scene.files:
        if left_out not in path.name:
            write_again(path, tmp_path / "in" / path.name)
    made = interpolate(tmp_path / "in", tmp_path / "out.tif", at=left_out, mask=drawn.clouds, prior_only=True)
    clear = ~masked(scene, drawn.clouds)(scene.plane)[:, 3]
    truth = scene.read(3, 1)
    low, high = (read(path) for path in made.files[1:3])
    inside = (low <= truth.values[:, 0]) & (truth.values[:, 0] <= high)
    assert inside[clear & truth.valid[:, 0]].mean() > 0.7


def write_again(source: Path, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(source.read_bytes())


def test_a_slice_between_two_lies_half_way(tmp_path: Path) -> None:
    depth = np.arange(12, dtype=np.float32) * 10
    volume = rough(2)[0][:, :, None] + rough(3)[0][:, :, None] * depth / 60
    nibabel.save(nibabel.Nifti1Image(volume.astype(np.float32), np.diag([1, 1, 4.0, 1])), tmp_path / "a.nii.gz")
    result = run(tmp_path / "a.nii.gz", "-o", tmp_path / "b.nii.gz", "--at", "22", "--prior-only")
    assert result.exit_code == 0, result.output
    assert "interpolation between slices" in result.output
    made = nibabel.load(tmp_path / "b.nii.gz")
    truth = (volume[:, :, 5] + volume[:, :, 6]) / 2
    np.testing.assert_allclose(made.get_fdata()[:, :, 0], truth, atol=1e-2 * np.ptp(volume))
    np.testing.assert_allclose(made.affine[:3, 3], (0, 0, 22))


@pytest.mark.parametrize(("at", "steps"), [("32", 1), ("36", 2), ("-8", 2)])
def test_beyond_a_volume_the_nearest_slice_is_repeated_as_wrong_as_slices_so_far_apart_differ(
    tmp_path: Path, at: str, steps: int
) -> None:
    volume = np.cumsum([rough(k)[0] for k in range(8)], axis=0).transpose(1, 2, 0).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([1, 1, 4.0, 1])), tmp_path / "a.nii")
    result = run(tmp_path / "a.nii", "-o", tmp_path / "b.nii", f"--at={at}", "--extrapolate")
    assert result.exit_code == 0, result.output
    assert "repeating the nearest slice" in result.output
    nearest = volume[:, :, 0 if at.startswith("-") else 7]
    made, low, high = (nibabel.load(tmp_path / f"b{end}.nii").get_fdata()[:, :, 0] for end in ("", "_low", "_high"))
    np.testing.assert_allclose(made, nearest, atol=1e-3)
    differ = volume[:, :, steps:] - volume[:, :, :-steps]
    told = float(re.findall(r"expected error: ([\d.]+)", result.output)[0])
    assert told == pytest.approx(np.sqrt((differ**2).mean()), rel=0.15)
    inside = np.mean([np.abs(d) <= np.minimum(made - low, high - made) for d in np.moveaxis(differ, 2, 0)])
    assert inside == pytest.approx(0.9, abs=0.08)


def test_nobody_knows_how_wrong_it_is_to_repeat_the_only_slice_that_shows_a_place(tmp_path: Path) -> None:
    volume = np.full((40, 40, 2), np.nan, np.float32)
    volume[:, :, 1] = rough(0)[0][:40, :40]
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([1, 1, 4.0, 1])), tmp_path / "a.nii")
    result = run(tmp_path / "a.nii", "-o", tmp_path / "b.nii", "--at", "8", "--extrapolate")
    assert result.exit_code == 0, result.output
    assert "repeating the nearest slice" in result.output and "expected error: unknown" in result.output
    assert not list(tmp_path.glob("*_low*"))


def test_a_slice_between_others_that_a_mask_covers_wholly_is_refused(tmp_path: Path) -> None:
    for name, values in {"a": rough(0)[0], "m": np.ones((SIDE, SIDE))}.items():
        image = nibabel.Nifti1Image(np.stack(6 * [values], axis=2).astype(np.float32), np.diag([1, 1, 4.0, 1]))
        nibabel.save(image, tmp_path / f"{name}.nii")
    result = run(tmp_path / "a.nii", "-o", tmp_path / "b.nii", "--at", "10", "--mask", tmp_path / "m.nii")
    assert result.exit_code == 2 and "nothing is known" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii", "m.nii"]


@pytest.mark.parametrize(("at", "covered", "away"), [("26", (6, 7), 6), ("2", (0, 1), 6), ("29", (7,), 5)])
def test_beyond_the_last_slice_that_a_mask_leaves_it_has_to_be_asked_for(
    tmp_path: Path, at: str, covered: tuple[int, ...], away: int
) -> None:
    volume = np.cumsum([rough(k)[0] for k in range(8)], axis=0).transpose(1, 2, 0).astype(np.float32)
    mask = np.zeros(volume.shape, np.uint8)
    mask[:, :, list(covered)] = 1
    for name, values in {"a": volume, "m": mask}.items():
        nibabel.save(nibabel.Nifti1Image(values, np.diag([1, 1, 4.0, 1])), tmp_path / f"{name}.nii")
    words = (tmp_path / "a.nii", "-o", tmp_path / "b.nii", "--at", at, "--mask", tmp_path / "m.nii", "--prior-only")
    seen = [4 * index for index in range(8) if index not in covered]
    nearest = max(seen) if covered[-1] == 7 else min(seen)
    refused = run(*words)
    assert refused.exit_code == 2 and f"beyond what is seen, {min(seen)} to {max(seen)} mm" in refused.output
    assert not (tmp_path / "b.nii").exists()
    result = run(*words, "--extrapolate")
    assert result.exit_code == 0, result.output
    assert f"beyond all others, {away} mm from slice {nearest // 4}" in result.output
    made = nibabel.load(tmp_path / "b.nii").get_fdata()[:, :, 0]
    np.testing.assert_allclose(made, volume[:, :, nearest // 4], atol=1e-3)


def test_overcast_dates_are_no_neighbours(tmp_path: Path) -> None:
    source = stack(tmp_path / "in", (0, 20, 40, 60, 80))
    for day in (0, 20, 40, 60, 80):
        cloud = np.full((1, SIDE, SIDE), day in (0, 20, 60), np.uint8)
        write(tmp_path / "clouds" / f"clouds_{FIRST + timedelta(day)}.tif", cloud)
    masks = ("--mask", tmp_path / "clouds", "--prior-only")
    early = (source, "-o", tmp_path / "early.tif", "--at", FIRST + timedelta(10), *masks)
    refused = run(*early)
    assert refused.exit_code == 2
    assert f"beyond what is seen, {FIRST + timedelta(40)} to {FIRST + timedelta(80)}" in refused.output
    assert f"30 days from {FIRST + timedelta(40)}" in run(*early, "--extrapolate").output
    result = run(source, "-o", tmp_path / "out.tif", "--at", FIRST + timedelta(50), *masks)
    assert f"10 days from {FIRST + timedelta(40)}, 30 days from {FIRST + timedelta(80)}" in result.output
    assert np.abs(read(tmp_path / "out.tif") - ground(50)).max() <= 60


@pytest.mark.parametrize("kind", ["slice", "date"])
def test_what_was_never_acquired_has_nothing_to_be_held_against(kind: str, tmp_path: Path) -> None:
    if kind == "slice":
        source = tmp_path / "a.nii"
        nibabel.save(nibabel.Nifti1Image(np.stack(8 * [rough(2)[0]], axis=2), np.diag([1, 1, 4.0, 1])), source)
        made, at = tmp_path / "b.nii", "6"
    else:
        source, made, at = stack(tmp_path / "in", (0, 20, 40)), tmp_path / "b.tif", str(FIRST + timedelta(30))
    assert run(source, "-o", made, "--at", at, "--prior-only").exit_code == 0
    result = CliRunner().invoke(main, ["verify", str(made), "--source", str(source)])
    assert result.exit_code == 2 and "holds nothing that was observed" in result.output, result.output


def test_where_there_is_one_answer_alone_it_is_said_that_there_is_no_sample_of_others(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.stack(12 * [rough(2)[0]], axis=2), np.diag([1, 1, 4.0, 1])), tmp_path / "a.nii")
    result = run(tmp_path / "a.nii", "-o", tmp_path / "b.nii", "--at", "22.3", "--sharp")
    assert result.exit_code == 0 and "no sample of others" in result.output, result.output


@pytest.mark.parametrize("covered", [False, True])
def test_what_is_covered_or_never_seen_is_not_looked_at(tmp_path: Path, covered: bool) -> None:
    source = stack(tmp_path / "in", (0, 20, 40, 60), nodata=0)
    nowhere = np.s_[:, 40:, 40:]
    for path in source.iterdir():
        bands = read(path).astype(np.uint16)
        bands[nowhere] = 0
        write(path, bands, 0)
    clouds = np.zeros((4, 1, SIDE, SIDE), np.uint8)
    if covered:
        clouds[1, 0, 5:20] = 1
        bright = source / f"place_{FIRST + timedelta(20)}.tif"
        write(bright, np.where(clouds[1] > 0, 60_000, read(bright)).astype(np.uint16), 0)
    for cloud, day in zip(clouds, (0, 20, 40, 60), strict=True):
        write(tmp_path / "clouds" / f"clouds_{FIRST + timedelta(day)}.tif", cloud)
    result = run(source, "-o", tmp_path / "out.tif", "--at", FIRST + timedelta(30),
                 "--mask", tmp_path / "clouds", "--prior-only")  # fmt: skip
    assert result.exit_code == 0, result.output
    made = read(tmp_path / "out.tif")
    assert (made[nowhere] == 0).all() and (np.delete(made.reshape(2, -1), np.flatnonzero(made[0] == 0), 1) > 0).all()
    seen = made[0] > 0
    assert seen.sum() == SIDE * SIDE - 64
    assert np.abs(made - ground(30))[:, seen].max() <= 60


LATER = FIRST + timedelta(90)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at", LATER], "beyond what is seen"),
        (["--at", "2019-03-21"], "is one of its dates"),
        (["--at", "soon"], "is no date"),
        (["--at", "2019-03-25", "--grow", 3], "there is no mask"),
        (["--at", "2019-03-25", "--mask", "nowhere"], "no such file"),
        (["--at", "2019-03-25", "--scene", "other"], "name one of them"),
        (["--at", "2019-03-25", "--prior-only", "--sharp"], "a sample was asked for"),
    ],
)
def test_bad_words_are_said_and_nothing_is_written(tmp_path: Path, words: list[object], said: str) -> None:
    source = stack(tmp_path / "in", (0, 20, 40))
    result = run(source, "-o", tmp_path / "out.tif", *words)
    assert result.exit_code == 2 and said in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_lies_beyond_is_made_where_it_is_asked_for_and_said_so(tmp_path: Path) -> None:
    source = stack(tmp_path / "in", (0, 20, 40, 60, 80))
    result = run(source, "-o", tmp_path / "out.tif", "--at", LATER, "--extrapolate", "--prior-only")
    assert result.exit_code == 0, result.output
    assert "beyond all others, 10 days from 2019-05-20" in result.output
    assert json.loads((tmp_path / "out.tif.json").read_text())["holes"].startswith(f"all of {LATER}, beyond all others")


def test_a_page_shows_how_sure_it_is(tmp_path: Path) -> None:
    source = stack(tmp_path / "in", (0, 20, 40, 60))
    made = interpolate(source, tmp_path / "out.tif", at=str(FIRST + timedelta(30)), prior_only=True)
    for where in (None, source):
        looked = look(made.files[0], source=where)
        assert [layer.role for layer in looked.layers] == ["values", "spread"]
        assert "not at hand" not in " ".join(looked.said)


# What is rehearsed


def dated(known: list[bool]) -> Column:
    values = np.random.default_rng(0).normal(size=(2, len(known), 40, 40)).astype(np.float32)
    seen = np.broadcast_to(np.array(known)[:, None, None], (len(known), 40, 40))
    return Column.of(values, seen, [10.0 * i for i in range(len(known))])


@pytest.mark.parametrize(("lost", "able"), [("date", [2, 4, 5]), ("later", [2, 4, 5, 7]), ("earlier", [1, 2, 4, 5])])
def test_dates_are_hidden_whole_and_with_all_that_lie_beyond(lost: Lost, able: list[int]) -> None:
    column = dated([False, True, True, False, True, True, False, True])
    assert dates(column, lost) == able
    hidden = Hider([column], volume=False, seed=0, size=(32, 32), lost=lost).draw(60)
    assert hidden.hole.all() and set(hidden.slices.tolist()) == set(able)
    # Of the hidden date nothing is told, and of the side that is lost no distance.
    assert (hidden.told[:, :3] == 0).all()
    channels = 2
    to_before, to_after = (hidden.told[:, 5 * channels + 1 + side] for side in (0, 1))
    assert ((to_before == 1).all(), (to_after == 1).all()) in {
        "date": [(False, False)], "later": [(False, True), (False, False)], "earlier": [(True, False), (False, False)],
    }[lost]  # fmt: skip


def test_dates_that_are_learned_from_are_not_judged_by(drawn: phantoms.Phantoms) -> None:
    (scene,) = open_scenes(drawn.stack)
    wanted = between(scene, (date.fromisoformat(scene.dates[2]) + timedelta(1)).isoformat())
    holes = never_acquired(wanted, masked(scene, drawn.clouds))
    view = View(wanted, holes, Scaling((0.0,) * scene.shape[0], (1.0,) * scene.shape[0]), (Season(wanted),))
    found = columns(view, (32, 32), (1,), 0)
    own, aside = (part[0].told.any(axis=(1, 2)) for part in (found.own, found.aside))
    assert own.any() and aside.any() and not (own & aside).any()
    assert not own[wanted.slot] and not aside[wanted.slot]


def test_the_season_comes_round(drawn: phantoms.Phantoms) -> None:
    (scene,) = open_scenes(drawn.stack)
    told = Season(scene).load(scene.plane)
    assert told.shape == (2, *scene.shape[1:])
    np.testing.assert_allclose((told**2).sum(axis=0), 1, rtol=1e-5)
    days = [date.fromisoformat(day).timetuple().tm_yday - 1 for day in scene.dates]
    np.testing.assert_allclose(told[0, :, 0, 0], np.cos(2 * np.pi * np.array(days) / 365.25), atol=1e-5)


@pytest.mark.parametrize(("unit", "length"), [("mm", 1.0), ("meter", 1000.0), ("micron", 0.001)])
def test_a_place_is_in_mm_whatever_the_file_counts_in(tmp_path: Path, unit: str, length: float) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 4, 9), np.int16), np.diag([2 / length] * 3 + [1]))
    image.header.set_xyzt_units(unit)
    image.to_filename(tmp_path / "a.nii")
    (scene,) = open_scenes(tmp_path / "a.nii")
    assert between(scene, "3").grid.positions[3] == pytest.approx(3 / length)
