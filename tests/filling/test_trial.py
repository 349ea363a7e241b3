"""What is to be expected in holes whose like cannot be hidden."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import rasterio
from scipy.ndimage import gaussian_filter

from augmentor.filling.answer import Answer
from augmentor.filling.rehearsal import Rehearsal
from augmentor.filling.trial import Trial
from augmentor.filling.view import View
from augmentor.holes.find import find
from augmentor.holes.hide import Hidden, runs
from augmentor.holes.judge import errors
from augmentor.holes.priors import ALONG
from augmentor.scaling import Scaling
from data_adapters import Scene, open_scenes


def parts(seed: int) -> Hidden:
    random = np.random.default_rng(seed)
    told, prior, truth = random.random((3, 4, 1, 6, 6)).astype(np.float32)
    return Hidden(told, prior, truth, random.random((4, 1, 6, 6)) < 0.5, np.zeros(4, int))


@pytest.mark.parametrize("figures", [(2.0, 3.0, 6.0), (5.0, 1.0, 1.0), (0.0, 1.0, 2.0)])
def test_neighbours_count_for_as_much_as_in_rows(figures: tuple[float, float, float]) -> None:
    own, holes, hidden = (np.array([f]) for f in figures)
    assert Trial(parts(0), (parts(1), parts(2))).expected([own, holes, hidden]) == pytest.approx(own * holes / hidden)
    assert Trial(parts(0)).expected([own]) == own


@pytest.mark.parametrize("harder", [0.5, 1.0, 3.0])
def test_it_errs_more_in_the_holes_by_as_much_as_the_prior_does_in_whole_slices(harder: float) -> None:
    own = parts(0)
    whole = harder * errors(own)
    for rows in (None, (parts(1), parts(2))):
        trial = Trial(own, rows)
        figures = [np.array([2.0]), *(np.array([f]) for f in ((3.0, 6.0) if rows else ()))]
        expected = replace(trial, whole=whole).expected(figures)
        np.testing.assert_allclose(expected, harder * trial.expected(figures), rtol=1e-5)


def test_what_is_like_the_holes_leaves_out_what_is_not() -> None:
    trial = Trial(parts(0), (parts(1), parts(2)))
    np.testing.assert_array_equal(trial.alike.truth, np.concatenate([parts(0).truth, parts(1).truth]))
    assert len(Trial(parts(0)).alike.truth) == len(parts(0).truth)


def volume(path: Path, values: np.ndarray) -> Scene:
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), np.eye(4)), path)
    return open_scenes(path)[0]


@pytest.mark.parametrize(
    ("prior", "step", "harder"), [("linear", 2, 1.5), ("cubic", 2, 1.5), ("linear", 4, 0.9), ("cubic", 4, 1.5)]
)
def test_the_error_in_the_holes_is_foreseen(tmp_path: Path, prior: str, step: int, harder: float) -> None:
    """Of a volume alike in all directions. Hidden slices are harder, unless a prior looks no further than they do."""
    truth = gaussian_filter(np.random.default_rng(0).normal(size=(96, 96, 48)), 1.5) * 5000
    holed = truth.copy()
    lost = [i for i in range(1, 47) if i % step == 1]
    holed[:, :, lost] = 0
    scene, full = (volume(tmp_path / f"{number}.nii.gz", values) for number, values in enumerate((holed, truth)))
    view = View(scene, find(scene, None)[0], Scaling((-1000.0,), (1000.0,)))
    column, whole = view.load(scene.plane), full.read(0, 48).values[0] / 1000
    made = ~column.known.any(axis=(1, 2))
    left = [
        (ALONG[prior](column.values, column.known, column.positions, i)[0][0] - whole[i]) ** 2
        for i in map(int, np.flatnonzero(made))
    ]
    trial = Rehearsal(view).judged_by(prior)
    judged = Answer(prior).judged(trial)[1]
    assert judged.error == pytest.approx(np.mean(left), rel=0.3)
    assert trial.whole is not None and trial.whole.mean() > harder * judged.error


def test_the_error_is_foreseen_where_nothing_kept_aside_errs() -> None:
    own = parts(0)
    perfect = own._replace(truth=own.prior)
    assert Trial(perfect, whole=np.array([0.2])).expected([np.array([0.0])]) == pytest.approx(0.2)


def test_dates_are_not_judged_as_slices_are(tmp_path: Path) -> None:
    """A date that is all cloud, of days in different light: slices that are missing whole would be such a gap."""
    random = np.random.default_rng(0)
    ground = gaussian_filter(random.normal(size=(64, 64)), 2) * 3000 + 1000
    for day in range(1, 7):
        values = (ground + 400 * day * (-1) ** day).astype(np.float32)
        with rasterio.open(
            tmp_path / f"2020-06-{day:02}.tif", "w", driver="GTiff", width=64, height=64, count=1, dtype="float32",
            nodata=-9999, crs="EPSG:32632", transform=rasterio.transform.from_origin(500000, 5000000, 10, 10),
        ) as target:  # fmt: skip
            target.write(np.where(day == 3, -9999, values).astype(np.float32), 1)
    (scene,) = open_scenes(tmp_path)
    view = View(scene, find(scene, None)[0], Scaling((-4000.0,), (4000.0,)))
    assert view.gaps()
    assert Rehearsal(view).judged_by("linear").whole is None


@pytest.mark.parametrize(
    ("lost", "gaps"), [([5, 10, 15, *range(30, 39)], {1: 3, 9: 9}), ([4, 5, 20, 21], {2: 2}), ([7], {1: 1})]
)
def test_gaps_that_are_not_alike_are_hidden_as_often_as_they_have_slices(
    tmp_path: Path, lost: list[int], gaps: dict[int, int]
) -> None:
    values = np.random.default_rng(0).normal(100, 5, (40, 40, 60))
    values[:, :, lost] = 0
    scene = volume(tmp_path / "holed.nii.gz", values)
    assert Counter(View(scene, find(scene, None)[0], Scaling((0.0,), (200.0,))).gaps()) == gaps


@pytest.mark.parametrize("side", [12, 20, 32])
def test_what_is_repeated_round_a_small_plane_is_not_judged(tmp_path: Path, side: int) -> None:
    truth = gaussian_filter(np.random.default_rng(side).normal(size=(side, side, 40)), 1.0) * 3000
    truth[0], truth[-1], truth[:, 0], truth[:, -1] = 0, 0, 0, 0
    lost = list(range(3, 37, 4))
    truth[:, :, lost] = 0
    scene = volume(tmp_path / "small.nii.gz", truth)
    view = View(scene, find(scene, None)[0], Scaling((-1000.0,), (1000.0,)))
    own = view.load(scene.plane)
    wanted = []
    for run in runs(own, (1,)):
        known = own.known.copy()
        known[run] = False
        made = ALONG["linear"](own.values, known, own.positions, run.start)[0]
        wanted.append(((made - own.values[:, run.start])[:, own.known[run.start]] ** 2).mean())
    assert Rehearsal(view).judged_by("linear").whole == pytest.approx(np.mean(wanted), rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_the_error_is_foreseen_of_a_volume_that_is_lively_in_one_corner(tmp_path: Path, seed: int) -> None:
    """Windows that are kept aside may hold hardly any of it, or little else."""
    random = np.random.default_rng(seed)
    truth = gaussian_filter(random.normal(size=(128, 128, 40)), 1.5) * 500
    row, column = random.integers(0, 80, 2)
    truth[row : row + 48, column : column + 48] *= 10
    holed = truth.copy()
    lost = list(range(3, 37, 4))
    holed[:, :, lost] = 0
    scene, full = (volume(tmp_path / f"{number}.nii.gz", values) for number, values in enumerate((holed, truth)))
    view = View(scene, find(scene, None)[0], Scaling((-1000.0,), (1000.0,)))
    own, whole = view.load(scene.plane), full.read(0, 40).values[0] / 1000
    left = [(ALONG["linear"](own.values, own.known, own.positions, i)[0][0] - whole[i]) ** 2 for i in lost]
    judged = Answer("linear").judged(Rehearsal(view, seed=seed).judged_by("linear"))[1]
    assert judged.error == pytest.approx(np.mean(left), rel=0.3)
