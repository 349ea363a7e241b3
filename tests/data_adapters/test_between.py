"""A slot among slices or dates: nothing is in it, and what is written of it lies where it should."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import rasterio
from adapter_factories import bits_equal, dicom_series, geotiff, nifti, noise, only, patch, provenance
from dicom_factories import enhanced
from pydicom import dcmread

from data_adapters import Patch, Scene, Window, open_scenes
from data_adapters.between import Between, between
from data_adapters.errors import DuplicatePositions, IrregularSpacing, Unwritable, WrongPlace
from data_adapters.fixity import Stated
from data_adapters.registry import owner

AFFINE = np.array([[0.0, 0.2, -3.9, 80], [-1.9, 0.1, 0, 40], [0.1, 2.9, 0.3, -60], [0, 0, 0, 1]])
DAYS = (0, 10, 17, 40)


def ready(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def series(folder: Path, places: list[tuple[float, float, float]] | None = None, **elements: object) -> Scene:
    return only(dicom_series(folder, noise((4, 8, 10), "int16"), positions=places, **elements))


def stack(folder: Path, dtype: str, mechanism: str, **options: Any) -> Scene:
    for number, day in enumerate(DAYS):
        name = f"s_{date(2020, 1, 31) + timedelta(day)}.tif"
        geotiff(folder / name, dtype=dtype, mechanism=mechanism, seed=number, **options)
    return only(folder)


VOLUMES = {
    "CT": lambda folder: series(folder),
    "tilted CT": lambda folder: series(folder, [(0, 0.8 * i, 2.5 * i) for i in range(4)]),
    "irregular CT": lambda folder: series(folder, [(0, 0, v) for v in (0.0, 2.5, 4.1, 7.7)]),
    "enhanced MR": lambda folder: only(
        enhanced(ready(folder) / "a.dcm", noise((4, 8, 10), "uint16"), [(0, 0, 2.0 * i) for i in (3, 2, 1, 0)])
    ),
    "NIfTI": lambda folder: only(nifti(ready(folder) / "a.nii", noise((7, 6, 5), "int16"), slope=2.0, affine=AFFINE)),
    "NIfTI upside down": lambda folder: only(
        nifti(ready(folder) / "a.nii.gz", noise((7, 6, 5), "float32"), affine=np.diag([2.0, -3, -4, 1]))
    ),
}
STACKS = {
    "whole numbers": lambda folder: stack(folder, "uint16", "none"),
    "nodata": lambda folder: stack(folder, "int16", "nodata"),
    "floats": lambda folder: stack(folder, "float32", "nan"),
    "scaled": lambda folder: stack(folder, "int16", "none", scaled=True),
}


@pytest.fixture(params=[*VOLUMES, *STACKS])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    found: Scene = (VOLUMES | STACKS)[request.param](tmp_path / "in")
    return found


def places(scene: Scene) -> list[tuple[str, int]]:
    """Some places between slices, before and behind them, and how many slices lie before each."""
    if scene.dates:
        return [("2020-02-01", 1), ("2020-02-20", 3), ("2020-01-01", 0), ("2021-01-01", 4)]
    at, last = scene.grid.positions, scene.shape[1]
    return [(f"{0.3 * at[0] + 0.7 * at[1]}", 1), (f"{(at[2] + at[3]) / 2}", 3), ("-2", 0), (f"{at[-1] + 1}", last)]


def test_a_slot_holds_nothing_and_the_others_what_they_held(scene: Scene) -> None:
    old = scene.read(0, scene.shape[1])
    regular = scene.kind == "volume" and not isinstance(scene.trouble, IrregularSpacing)
    for at, slot in places(scene):
        wider = between(scene, at)
        assert sum(own < wider.slot for own in wider.own) == slot and len(wider.own) == scene.shape[1]
        assert (wider.finer_scene is not None) == (regular and slot == 3)
        assert wider.inside == (slot not in (0, scene.shape[1]))
        new = wider.read(0, wider.shape[1])
        assert bits_equal(new.values[:, wider.own], old.values) and not new.valid[:, wider.slot].any()
        assert bits_equal(new.valid[:, wider.own], np.array(old.valid))
        assert (np.diff(wider.grid.positions) > 0).all()
        assert list(wider.dates) == sorted(wider.dates)
        for first in range(wider.shape[1]):
            for count in range(1, wider.shape[1] - first + 1):
                part = wider.read(first, count, Window(1, 2, 4, 3))
                region = np.s_[:, first : first + count, 1:5, 2:5]
                assert bits_equal(part.values, new.values[region].copy())
                assert bits_equal(np.array(part.valid), new.valid[region].copy())


@pytest.mark.parametrize("off", [0.004, 0.3, 0.504])
def test_a_slot_lies_where_it_was_asked_for(off: float, tmp_path: Path) -> None:
    scene = VOLUMES["CT"](tmp_path / "in")
    at, step = scene.grid.positions[1], scene.grid.spacing[0]
    wider = between(scene, f"{at + off * step}")
    assert wider.grid.positions[wider.slot] == pytest.approx(at + off * step, abs=1e-3 * step)
    assert wider.slot not in wider.own


@pytest.mark.parametrize("part", [0.5, 0.3])
def test_a_slot_beside_a_missing_slice_lies_beside_those_that_are_there(part: float, tmp_path: Path) -> None:
    full = VOLUMES["CT"](tmp_path / "in")
    full.files[1].unlink()
    scene = only(tmp_path / "in")
    at = scene.grid.positions
    wider = between(scene, f"{at[1] + part * (at[2] - at[1])}")
    assert [at[wider.own.index(other)] for other in wider.beside] == [at[0], at[2]]
    assert wider.lacking == (1,)


def written(scene: Scene, at: str, out: Path) -> tuple[Between, Patch, Path]:
    wider = between(scene, at)
    seen = scene.read(1, 1)
    # The second slice upside down, which every type and scaling has room for.
    values = np.where(seen.valid, seen.values, seen.values[:, :, :1, :1])[:, 0, ::-1].astype(float)
    whole = Patch(wider.slot, wider.plane, values, np.ones(values.shape, dtype=bool))
    (file,) = wider.write_filled(out, [whole], provenance())
    return wider, whole, file


def test_a_written_slot_opens_as_one_slice_of_the_same_kind_and_says_who_made_it(scene: Scene, tmp_path: Path) -> None:
    for number, (at, _) in enumerate(places(scene)):
        _, made, file = written(scene, at, tmp_path / f"out{number}")
        again = only(file)
        assert (again.format, again.dtype, again.channels) == (scene.format, scene.dtype, scene.channels)
        assert again.shape == (scene.shape[0], 1, *scene.shape[2:])
        like = scene.template()
        for channel, plane in enumerate(again.read(0, 1).values[:, 0]):
            slope, _ = like.scaling(channel)
            np.testing.assert_allclose(plane, made.values[channel], rtol=1e-6, atol=0.51 * abs(slope))
        adapter = owner(file)
        assert adapter and isinstance(adapter.stated(file), Stated)


def test_what_no_slice_of_floats_shows_stays_no_number(tmp_path: Path) -> None:
    values = noise((7, 6, 5), "float32")
    values[2, 3] = np.nan
    scene = only(nifti(ready(tmp_path / "in") / "a.nii", values))
    wider = between(scene, f"{scene.grid.positions[2] + 0.5 * scene.grid.spacing[0]}")
    seen = scene.read(0, 1).valid[:, 0]
    (file,) = wider.write_filled(
        tmp_path / "out.nii", [Patch(wider.slot, wider.plane, np.where(seen, 1.0, 0.0), seen)], provenance()
    )
    np.testing.assert_array_equal(only(file).read(0, 1).valid[:, 0], seen)
    assert not seen.all()


@pytest.mark.parametrize("name", [name for name in VOLUMES if "NIfTI" not in name])
def test_a_slice_of_a_series_lies_on_the_line_between_two(name: str, tmp_path: Path) -> None:
    scene = VOLUMES[name](tmp_path / "in")
    for number, (at, slot) in enumerate(places(scene)):
        wider, _, file = written(scene, at, tmp_path / f"{number}.dcm")
        image = dcmread(file)
        if "PerFrameFunctionalGroupsSequence" in image:
            (frame,) = image.PerFrameFunctionalGroupsSequence
            place = frame.PlanePositionSequence[0].ImagePositionPatient
        else:
            place = image.ImagePositionPatient
        one, other = (0, 1) if slot == 0 else (slot - 2, slot - 1) if slot == scene.shape[1] else (slot - 1, slot)
        start, end = (np.array(scene.places[index]) for index in (one, other))
        here, there = (scene.grid.positions[index] for index in (one, other))
        part = (wider.grid.positions[wider.slot] - here) / (there - here)
        np.testing.assert_allclose(np.array(place, float), start + part * (end - start), atol=1e-5)
        assert image.SyntheticData == "YES" and image.PatientID == "4711"


@pytest.mark.parametrize("name", [name for name in VOLUMES if "NIfTI" in name])
def test_a_slice_of_a_volume_lies_where_its_affine_says(name: str, tmp_path: Path) -> None:
    scene = VOLUMES[name](tmp_path / "in")
    image = nibabel.load(scene.path)
    for number, (at, _) in enumerate(places(scene)):
        *_, file = written(scene, at, tmp_path / f"{number}.nii.gz")
        alone = nibabel.load(file)
        steps = float(at) / scene.grid.spacing[0]
        # Shown slices may run against the array's.
        index = [image.shape[2] - 1 - steps if scene.axes.backwards[0] else steps]
        for corner in ((0, 0), (3, 2)):
            there = image.affine @ [*corner, *index, 1]
            np.testing.assert_allclose(alone.affine @ [*corner, 0, 1], there, atol=1e-3)
        assert alone.header.get_zooms() == pytest.approx(image.header.get_zooms())


@pytest.mark.parametrize("name", STACKS)
def test_a_date_lies_on_the_grid_of_its_stack_and_joins_it(name: str, tmp_path: Path) -> None:
    scene = STACKS[name](tmp_path / "in")
    *_, file = written(scene, "2020-02-20", tmp_path / "made.tif")
    with rasterio.open(file) as made, rasterio.open(scene.files[0]) as real:
        assert (made.crs, made.transform, made.dtypes) == (real.crs, real.transform, real.dtypes)
        assert made.nodata == real.nodata or (np.isnan(made.nodata) and np.isnan(real.nodata))
        assert made.tags()["SYNTHETIC"] == "YES"
    file.rename(tmp_path / "in" / file.name)
    (joined,) = open_scenes(tmp_path / "in")
    assert joined.dates == ("2020-01-31", "2020-02-10", "2020-02-17", "2020-02-20", "2020-03-11")


@pytest.mark.parametrize("name", STACKS)
def test_what_was_not_made_of_a_date_is_not_valid(name: str, tmp_path: Path) -> None:
    wider = between(STACKS[name](tmp_path / "in"), "2020-02-20")
    part = Window(0, 3, 5, 7)
    (file,) = wider.write_filled(tmp_path / "out", [patch(wider, wider.slot, part, 7.0)], provenance())
    valid = only(file).read(0, 1).valid
    assert valid[:, 0, :5, 3:10].all() and valid.sum() == 3 * 5 * 7


@pytest.mark.parametrize(
    ("make", "at", "error"),
    [
        (STACKS["nodata"], "2020-02-10", WrongPlace),
        (STACKS["nodata"], "12.5", WrongPlace),
        (STACKS["nodata"], "2020-02-31", WrongPlace),
        (VOLUMES["CT"], "2.5", WrongPlace),
        (lambda f: series(f, [(0, 0, v) for v in (0.0, 2.5, 7.5, 10.0)]), "5", WrongPlace),
        (VOLUMES["CT"], "2020-02-20", WrongPlace),
        (VOLUMES["CT"], "nan", WrongPlace),
        (lambda f: only(geotiff(f / "s_2020-01-01.tif")), "2020-02-01", Unwritable),
        (lambda f: only(nifti(f / "a.nii", noise((7, 6, 5, 3), "uint8"))), "1.5", Unwritable),
        (lambda f: series(f, [(0, 0, v) for v in (0.0, 2.5, 2.5, 5.0)]), "1", DuplicatePositions),
    ],
)
def test_what_cannot_be_between_is_said(
    make: Callable[[Path], Scene], at: str, error: type[Exception], tmp_path: Path
) -> None:
    scene = make(ready(tmp_path / "in"))
    with pytest.raises(error):
        between(scene, at)
