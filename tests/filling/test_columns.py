"""What a scene shows of itself: apart what is learned from and judged by, and nothing of its holes."""

from itertools import chain
from pathlib import Path

import nibabel
import numpy as np
import pytest

from augmentor.filling.columns import across, columns
from augmentor.filling.view import View
from augmentor.holes.column import Column
from augmentor.holes.find import find
from augmentor.holes.kinds import Holes
from augmentor.scaling import Scaling
from data_adapters import Window, open_scenes, phantoms


def seen(path: Path, mask: Path | None = None) -> View:
    scene = open_scenes(path)[0]
    holes, _ = find(scene, mask)
    return View(scene, holes, Scaling((0.0,) * scene.shape[0], (1.0,) * scene.shape[0]))


@pytest.mark.parametrize("kind", ["ct", "mr", "stack"])
def test_nothing_is_told_twice_nor_of_a_hole(drawn: phantoms.Phantoms, kind: str) -> None:
    view = seen(getattr(drawn, kind), drawn.clouds if kind == "stack" else None)
    found = columns(view, (32, 32), (1,), 0)
    known = view.load(view.scene.plane).known
    height, width = known.shape[1:]
    own, kept = found.own[0].told[:, :height, :width], found.aside[0].told[:, :height, :width]
    assert own.any() and kept.any()
    assert not (own & kept).any()
    np.testing.assert_array_equal(own | kept, known)
    np.testing.assert_array_equal(found.both[0].told[:, :height, :width], known)
    assert found.both[0].told.sum() == known.sum()
    for column in chain(*found[:6]):
        assert min(column.known.shape[1:]) >= 32
        assert column.values.shape[1:] == column.known.shape == column.told.shape
        assert len(column.positions) == len(column.known)
    assert bool(found.rows) == bool(found.rows_as_hidden) == (kind != "stack")


@pytest.mark.parametrize("kind", ["ct", "mr", "stack", "date"])
def test_a_seventh_is_kept_aside(drawn: phantoms.Phantoms, kind: str) -> None:
    view = seen(min(drawn.stack.glob("*.tif"))) if kind == "date" else seen(getattr(drawn, kind))
    (aside,) = columns(view, (8, 8), (1,), 0).aside
    assert aside.told.sum() == pytest.approx(0.15 * aside.known.sum(), rel=0.15)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_kept_aside_is_no_background_alone(tmp_path: Path, seed: int) -> None:
    head = np.zeros((96, 96, 9), np.float32)
    head[40:56, 32:64] = np.random.default_rng(seed).normal(100, 5, (16, 32, 9))
    head[:, :, 4] = 0
    nibabel.save(nibabel.Nifti1Image(head, np.eye(4)), tmp_path / "head.nii.gz")
    (aside,) = columns(seen(tmp_path / "head.nii.gz"), (16, 16), (1,), seed).aside
    assert np.ptp(aside.values[:, aside.told]) > 0


def alternate(view: View) -> View:
    """Every second slice missing, so that no single slice can be hidden between two known ones."""

    def every_second(window: Window) -> np.ndarray:
        mask = np.zeros((1, view.scene.shape[1], window.height, window.width), dtype=bool)
        mask[:, 1::2] = True
        return mask

    return View(view.scene, Holes(every_second), view.scaling)


def test_where_no_gap_can_be_hidden_between_slices_rows_alone_are_learned_from(drawn: phantoms.Phantoms) -> None:
    view = alternate(seen(drawn.mr))
    found = columns(view, (32, 32), (1,), 0)
    assert found.rows and found.unlike and not found.own
    assert columns(seen(drawn.mr), (32, 32), (1,), 0).own


def cube(missing: tuple[int, ...] = ()) -> Column:
    """Slices, rows and columns that count 100, 10 and 1."""
    counts = np.add.outer(np.add.outer(100.0 * np.arange(6), 10.0 * np.arange(16)), np.arange(24.0))
    known = np.ones(counts.shape, dtype=bool)
    known[list(missing)] = False
    told = known.copy()
    told[:, :4] = False
    values = np.where(known, counts, 0)[None].astype(np.float32)
    return Column(values, known, list(range(6)), told, beside=-values)


@pytest.mark.parametrize("missing", [(), (2,), (2, 3)])
@pytest.mark.parametrize("step", [1, 2])
def test_rows_and_columns_are_slices_as_thick_as_slices_are(step: int, missing: tuple[int, ...]) -> None:
    rows, sides = across(cube(missing), (2.0 * step, 2.0, 2.0))
    whole = cube().values[0]
    for turned, axis in ((rows, 1), (sides, 2)):
        count = whole.shape[axis] // step
        thick = np.stack([np.take(whole, range(i * step, i * step + step), axis).mean(axis) for i in range(count)])
        # What is linear is interpolated as it was.
        np.testing.assert_allclose(turned.values[0], thick, rtol=1e-6)
        assert turned.known.all()
        assert not turned.told[:, list(missing)].any()
        np.testing.assert_allclose(np.diff(turned.positions), 2.0 * step)
    assert not rows.told[: 4 // step].any() and rows.told[4 // step :, 0].all()


@pytest.mark.parametrize("spacing", [(40.0, 2.0, 2.0), (6.0, 2.0, 2.0)])
def test_planes_too_few_to_tell_anything_are_left_out(spacing: tuple[float, float, float]) -> None:
    found = list(across(cube(), spacing))
    assert len(found) == (1 if spacing[0] == 6.0 else 0)
