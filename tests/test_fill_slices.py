"""Slices at the terminal: between others, missing, damaged, at an end, on tilted and uneven rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from pydicom import dcmread
from scipy.ndimage import gaussian_filter

from augmentor.cli import main
from augmentor.errors import WrongSpacing
from augmentor.filling import show
from augmentor.holes.context import Context, look
from augmentor.holes.find import refined
from augmentor.report.pictures import sheet
from data_adapters import Scene, open_scenes, phantoms

SIDE = 32
EVEN = (0.0, 2.5, 5.0, 7.5, 10.0, 12.5)
UNEVEN = (0.0, 4.0, 8.0, 9.1, 16.0, 23.0)
TILT = 0.3
"""How far aside each mm along the normal leads a tilted row."""
ALL = (slice(None), slice(None))
"""Rows and columns."""


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def fill(source: Path, out: Path, *words: object) -> Result:
    """Fill classically, which must succeed."""
    result = augmentor("fill", source, "-o", out, "--prior-only", *words)
    assert result.exit_code == 0, result.output
    return result


def only(path: Path) -> Scene:
    (scene,) = open_scenes(path)
    return scene


def values(path: Path) -> NDArray[np.floating]:
    scene = only(path)
    return scene.read(0, scene.shape[1]).values[0]


def slope(places: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """HU that rise steadily along slices, and along columns: (S, SIDE, SIDE)."""
    return np.asarray(places)[:, None, None] * 20 + np.arange(SIDE) * 10.0 + np.zeros((SIDE, 1))


def series(folder: Path, places: Sequence[float] = EVEN, tilt: float = 0.0, lost: Sequence[int] = ()) -> Path:
    """A CT series with ``slope`` in it, its slices at ``places`` mm, some not there."""
    phantoms.write_ct(folder, slope(places), 0)
    for index, (path, place) in enumerate(zip(sorted(folder.iterdir()), places, strict=True)):
        image = dcmread(path)
        x, y, _ = image.ImagePositionPatient
        image.ImagePositionPatient = [x, float(y) + tilt * place, place]
        image.save_as(path)
        if index in lost:
            path.unlink()
    return folder


def brain(path: Path, blank: Sequence[int] = (), affine: NDArray[np.float64] | None = None) -> Path:
    """A NIfTI volume of nine slices 2 mm apart, some blank."""
    volume = np.random.default_rng(0).integers(1, 900, (SIDE, SIDE, 9)).astype(np.int16)
    volume[:, :, list(blank)] = 0
    nibabel.Nifti1Image(volume, np.diag([1.0, 1, 2, 1]) if affine is None else affine).to_filename(path)
    return path


def cover(path: Path, like: Path, slices: Sequence[int], part: tuple[slice, slice] = ALL) -> Path:
    """A NIfTI mask, on the pixels of a scene, of some slices or a part of each."""
    scene = only(like)
    mask = np.zeros((*scene.shape[2:], scene.shape[1]), np.uint8)
    for index in slices:
        mask[*part, index] = 1
    image = nibabel.Nifti1Image(mask, None)
    image.header["pixdim"][1:4] = (*scene.grid.spacing[:0:-1], scene.grid.spacing[0])
    image.to_filename(path)
    return path


def wrong_in_the_circle(folder: Path, padding: int | None) -> float:
    """By how many HU (root mean square) slices 6, 7, 8, 14 and 18 of a CT are filled wrong in its circle, whose corners
    are ``padding``, and may say so."""
    lost, truth = [6, 7, 8, 14, 18], phantoms.ct_volume(1, 96, 24)
    phantoms.write_ct(folder / "ct", truth, 0, leave_out=lost)
    rows, columns = np.mgrid[:96, :96] - 47.5
    circle = np.hypot(rows, columns) < 47.5
    for path in (folder / "ct").iterdir() if padding is not None else ():
        image = dcmread(path)
        image.PixelData = np.where(circle, image.pixel_array, padding).astype("<u2").tobytes()
        image.add_new("PixelPaddingValue", "US", padding)
        image.save_as(path)
    fill(folder / "ct", folder / "out")
    return float(np.sqrt(((values(folder / "out") - truth)[lost][:, circle] ** 2).mean()))


@pytest.mark.parametrize("padding", [4095, 0])
def test_padding_takes_little_from_what_slices_tell(tmp_path: Path, padding: int) -> None:
    # Air is 0, too: then other pixels of the patient read as padding in each slice.
    padded, whole = (wrong_in_the_circle(tmp_path / str(value), value) for value in (padding, None))
    assert padded < 1.1 * whole


FINER = {
    "series": (lambda folder: series(folder / "ct"), 1.25, 2),
    "series, about": (lambda folder: series(folder / "ct"), 0.83, 3),
    "series with gaps": (lambda folder: series(folder / "ct", lost=[2, 3]), 1.25, 2),
    "tilted series with a gap": (lambda folder: series(folder / "ct", tilt=TILT, lost=[2]), 1.25, 2),
    "volume": (lambda folder: brain(folder / "a.nii"), 1.0, 2),
    "volume with blanks": (lambda folder: brain(folder / "a.nii.gz", (0, 4, 8)), 0.5, 4),
}


@pytest.mark.parametrize("name", FINER)
def test_slices_come_as_near_as_asked_and_those_there_stay(tmp_path: Path, name: str) -> None:
    make, spacing, factor = FINER[name]
    source = make(tmp_path)
    out = tmp_path / ("out" if source.is_dir() else "out.nii.gz")
    said = fill(source, out, "--spacing", spacing).output
    before, after = only(source), only(out)
    count = (before.shape[1] - 1) * factor + 1
    assert after.shape[1] == count and after.grid.spacing[0] == pytest.approx(before.grid.spacing[0] / factor)
    there = [i for i in range(before.shape[1]) if i not in before.missing()]
    assert np.array_equal(values(out)[::factor][there], values(source)[there])
    if source.is_dir():
        wanted = slope(np.linspace(EVEN[0], EVEN[-1], count))
        assert np.abs(values(out) - wanted).max() <= 0.51
    assert f" of {count} that lie {after.grid.spacing[0]:.4g} mm apart" in said
    made = json.loads((tmp_path / f"{out.name}.json").read_text())
    assert made["pixels"] == (count - len(there)) * SIDE * SIDE


WRONG = [
    (1.0, "give --spacing 1.25 or 0.8333"),
    (2.5, "give --spacing 1.25"),
    (5.0, "give --spacing 1.25"),
    (0.4, "give --spacing 0.4167 or 0.3571"),
    (0.0, "give --spacing 0.03906"),
    (-1.0, "give --spacing 0.03906"),
    (1e-9, "give --spacing 0.03906"),
    (float("nan"), "give --spacing 0.03906"),
    (float("inf"), "give --spacing 1.25"),
]


@pytest.mark.parametrize(("spacing", "said"), WRONG)
def test_a_spacing_that_does_not_divide_the_present_one_is_told_what_does(
    tmp_path: Path, spacing: float, said: str
) -> None:
    scene = only(series(tmp_path / "ct"))
    with pytest.raises(WrongSpacing, match=said) as raised:
        refined(scene, spacing)
    assert "slices are 2.5 mm apart" in str(raised.value)
    for near in str(raised.value).rpartition("--spacing ")[2].split(" or "):
        assert refined(scene, float(near)).shape[1] > scene.shape[1]


def test_a_spacing_is_in_mm_whatever_the_file_counts_in(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 4, 9), np.int16), np.diag([900.0, 900, 2000, 1]))
    image.header.set_xyzt_units("micron")
    image.to_filename(tmp_path / "a.nii")
    finer = refined(only(tmp_path / "a.nii"), 0.5)
    assert finer.shape[1] == 33 and finer.grid.spacing[0] == 500


@pytest.mark.parametrize("tilt", [0.0, TILT])
@pytest.mark.parametrize("places", [EVEN, UNEVEN])
@pytest.mark.parametrize("damaged", [(1,), (2, 3), (1, 4)])
def test_damaged_slices_are_interpolated_by_where_they_lie(
    tmp_path: Path, places: tuple[float, ...], tilt: float, damaged: tuple[int, ...]
) -> None:
    source = series(tmp_path / "ct", places, tilt)
    for path in [sorted(source.iterdir())[i] for i in damaged]:
        image = dcmread(path)
        image.PixelData = bytes(len(image.PixelData))
        image.save_as(path)
    fill(source, tmp_path / "out", "--mask", cover(tmp_path / "mask.nii", source, damaged))
    assert np.abs(values(tmp_path / "out") - slope(places)).max() <= 0.51
    assert np.allclose(only(tmp_path / "out").places, only(source).places)  # type: ignore[attr-defined]


@pytest.mark.parametrize("corner", [(0, 0), (3, 20), (24, 9)])
def test_the_picture_shows_what_was_damaged_wherever_it_lies_and_nothing_else_as_a_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corner: tuple[int, int]
) -> None:
    laid_out: list[list[NDArray[np.uint8]]] = []

    def noted(pictures: list[NDArray[np.uint8]], columns: int, destination: Path) -> None:
        laid_out.extend(pictures[first : first + 2] for first in range(0, len(pictures), columns))
        sheet(pictures, columns, destination)

    monkeypatch.setattr(show, "sheet", noted)
    source = brain(tmp_path / "brain.nii")
    part = (slice(corner[0], corner[0] + 6), slice(corner[1], corner[1] + 5))
    fill(source, tmp_path / "out.nii", "--mask", cover(tmp_path / "mask.nii", source, [3, 4], part))
    for (before, after), length in zip(laid_out, (6, 5), strict=True):
        hole = (before != after).any(axis=2)
        assert not before[hole].any()
        # Two slices of nine, each twice as thick as a pixel is wide, the last one first; some pixels are black anyway.
        rows, columns = np.nonzero(hole)
        assert rows.min() >= 2 * 4 and rows.max() < 2 * 6 and np.ptp(columns) < length
        assert hole.sum() > 0.7 * 4 * length


@pytest.mark.parametrize("tilt", [0.0, TILT])
def test_missing_slices_come_back_on_their_row(tmp_path: Path, tilt: float) -> None:
    source = series(tmp_path / "ct", EVEN, tilt, lost=[1, 3])
    fill(source, tmp_path / "out")
    assert np.abs(values(tmp_path / "out") - slope(EVEN)).max() <= 0.51
    placed = [dcmread(path).ImagePositionPatient for path in sorted((tmp_path / "out").iterdir())]
    whole = [dcmread(path).ImagePositionPatient for path in sorted(series(tmp_path / "all", EVEN, tilt).iterdir())]
    assert np.allclose(placed, whole)


@pytest.mark.parametrize("tilt", [0.0, TILT])
def test_what_was_made_of_a_series_can_be_its_mask(tmp_path: Path, tilt: float) -> None:
    source = series(tmp_path / "ct", EVEN, tilt, lost=[3])
    fill(source, tmp_path / "out")
    result = fill(tmp_path / "out", tmp_path / "again", "--mask", tmp_path / "out_made.dcm")
    assert f"{SIDE * SIDE} pixels rebuilt" in result.output
    assert np.array_equal(values(tmp_path / "again"), values(tmp_path / "out"))


EDGE = (slice(4, 20), slice(6, 12))


@pytest.mark.parametrize(
    ("blank", "covered", "part", "outside"),
    [
        ((), (0, 1), None, "0, 1"),
        ((), (8,), None, "8"),
        ((), (0, 3, 7, 8), None, "0, 7, 8"),
        ((), (3, 4), None, ""),
        ((), (0, 8), EDGE, ""),
        ((0, 1, 8), (3,), None, ""),
        ((0, 1, 8), (2,), None, ""),
    ],
    ids=str,
)
def test_only_whole_slices_beyond_the_last_known_one_are_extrapolated(
    tmp_path: Path, blank: tuple[int, ...], covered: tuple[int, ...], part: tuple[slice, slice] | None, outside: str
) -> None:
    source = brain(tmp_path / "a.nii", blank)
    mask = cover(tmp_path / "mask.nii", source, covered, part or ALL)
    words = ["fill", source, "--mask", mask, "--prior-only", "-o", tmp_path / "out.nii"]
    result = augmentor(*words)
    if outside:
        assert result.exit_code == 2 and not list(tmp_path.glob("out*"))
        said = f"slices to rebuild lie beyond the last known one: {outside}; give --extrapolate"
        assert result.stderr.splitlines()[-1].startswith("Extrapolation: ") and said in result.stderr
        result = augmentor(*words, "--extrapolate")
    assert result.exit_code == 0, result.output
    known = [i for i in range(9) if i not in covered]
    before, after = values(source), values(tmp_path / "out.nii")
    assert np.array_equal(after[known], before[known])
    for index in map(int, outside.split(", ") if outside else ()):
        assert np.array_equal(after[index], before[min(known, key=lambda other: abs(other - index))])


@pytest.mark.parametrize("words", [("--prior-only",), ("--adapt-tiles", "64")], ids=str)
@pytest.mark.parametrize("covered", [(8,), (0, 8), (0, 1, 8), (7, 8)], ids=str)
def test_at_the_ends_the_nearest_slice_is_repeated_as_wrong_as_slices_so_far_apart_are(
    tmp_path: Path, covered: tuple[int, ...], words: tuple[str, ...]
) -> None:
    height = np.random.default_rng(0).integers(-9, 10, (64, 64, 9)).cumsum(axis=2) + 500
    nibabel.Nifti1Image(height.astype(np.int16), np.diag([1.0, 1, 2, 1])).to_filename(tmp_path / "a.nii")
    mask = cover(tmp_path / "mask.nii", tmp_path / "a.nii", [*covered, 4])
    out = tmp_path / "out.nii"
    result = augmentor("fill", tmp_path / "a.nii", "--mask", mask, "--extrapolate", "-o", out, *words)
    assert result.exit_code == 0, result.output
    assert "repeating the nearest slice at the ends" in result.output
    before, made, low, high = map(
        values, (tmp_path / "a.nii", out, tmp_path / "out_low.nii", tmp_path / "out_high.nii")
    )
    known = [i for i in range(9) if i not in (*covered, 4)]
    for index in covered:
        assert np.array_equal(made[index], before[min(known, key=lambda other: abs(other - index))])
    ends = list(covered)
    assert ((low <= before) & (before <= high))[ends].mean() > 0.8
    # Wider than between two, the wider the farther, and no wider than that all of the values there are would lie in it.
    widths = (high - low).mean(axis=(1, 2))
    assert widths[4] < min(widths[ends]) <= max(widths[ends]) < np.ptp(before)
    assert 0 not in covered or 1 not in covered or widths[0] > widths[1]
    assert 7 not in covered or widths[8] > widths[7]


DEEP = {
    "to an end": (slice(0, 5), slice(24, 40)),
    "deep": (slice(6, 18), slice(24, 40)),
    "through": (slice(None), slice(24, 40)),
    "shallow": (slice(11, 12), slice(24, 40)),
}


@pytest.mark.parametrize("case", DEEP)
def test_the_deeper_damage_goes_the_more_wrong_it_is_said_to_be_and_is(tmp_path: Path, case: str) -> None:
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(64, 64, 24)), (3, 3, 2))
    volume = (smooth / smooth.std() * 200 + 1000).astype(np.int16)
    nibabel.Nifti1Image(volume, np.eye(4)).to_filename(tmp_path / "a.nii")
    slices, part = DEEP[case]
    mask = cover(tmp_path / "mask.nii", tmp_path / "a.nii", range(24)[slices], (part, part))
    said = fill(tmp_path / "a.nii", tmp_path / "out.nii", "--mask", mask).output
    truth, made, low, high = (values(tmp_path / f"{name}.nii") for name in ("a", "out", "out_low", "out_high"))
    hole = values(tmp_path / "mask.nii") > 0
    true = float(np.sqrt(((made - truth)[hole] ** 2).mean()))
    told = float(re.findall(r"inside the holes: ([\d.]+)", said)[0])
    # Slices beside damage are interpolated from fewer, which makes what is hidden there more wrong.
    assert 0.5 < told / true < 3
    assert ((low <= truth) & (truth <= high))[hole].mean() > 0.75


@pytest.mark.parametrize(("swing", "end"), [(9.0, "max"), (-9.0, "min")])
def test_nothing_is_made_beyond_what_the_file_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swing: float, end: str
) -> None:
    """A spline, or a network, may swing beyond all that lies around it."""

    def swinging(*of_what: Any, **how: Any) -> Context:
        context = look(*of_what, **how)
        return replace(context, prior=context.prior + np.float32(swing))

    monkeypatch.setattr(import_module("augmentor.filling.blocks"), "look", swinging)
    path = brain(tmp_path / "brain.nii", blank=(3,))
    fill(path, tmp_path / "out.nii")
    blank = ~values(path).any(axis=(1, 2))
    made, shown = values(tmp_path / "out.nii")[blank], values(path)[~blank]
    np.testing.assert_allclose(made, getattr(shown, end)(), atol=0.5)


def test_two_slices_that_show_nothing_in_common_are_filled_and_nobody_knows_how_wrong_they_are(tmp_path: Path) -> None:
    source = tmp_path / "a.nii"
    values_of_both = np.random.default_rng(0).integers(1, 900, (64, 64, 2)).astype(np.int16)
    nibabel.Nifti1Image(values_of_both, np.eye(4)).to_filename(source)
    mask = np.zeros((64, 64, 2), np.uint8)
    mask[:32, :, 0] = mask[32:, :, 1] = 1
    nibabel.Nifti1Image(mask, np.eye(4)).to_filename(tmp_path / "mask.nii")
    said = fill(source, tmp_path / "out.nii", "--mask", tmp_path / "mask.nii").output
    assert "repeating the nearest slice" in said and "expected error inside the holes: unknown" in said


@pytest.mark.parametrize("where", [ALL, (slice(10, 16), slice(10, 18))], ids=["whole", "part"])
@pytest.mark.parametrize("learning", [(), ("--prior-only",)], ids=["learning", "classical"])
def test_what_is_too_small_to_learn_from_still_tells_how_wrong_it_is(
    tmp_path: Path, where: tuple[slice, slice], learning: tuple[str, ...]
) -> None:
    inside, told, true = [], [], []
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        rough = gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE, 12)), (2, 2, 1))
        image = nibabel.Nifti1Image((rough / rough.std() * 200 + 1000).astype(np.int16), np.diag([1, 1, 3.0, 1]))
        image.to_filename(folder / "a.nii")
        mask = cover(folder / "mask.nii", folder / "a.nii", [5], where)
        result = augmentor("fill", folder / "a.nii", "--mask", mask, "-o", folder / "out.nii", *learning)
        assert result.exit_code == 0, result.output
        assert ("alone, as asked" if learning else "too little is observed to learn from") in result.output
        truth, made, low, high = (values(folder / f"{name}.nii") for name in ("a", "out", "out_low", "out_high"))
        hole = values(folder / "mask.nii") > 0
        inside.append(((low <= truth) & (truth <= high))[hole])
        true.append(((made - truth)[hole] ** 2).mean())
        told.append(float(re.findall(r"inside the holes: ([\d.]+)", result.output)[0]) ** 2)
    assert np.concatenate(inside).mean() > 0.85
    # Hidden slices, beside the hole, have fewer neighbours than it has.
    assert 0.8 < np.sqrt(np.mean(told) / np.mean(true)) < 2


@pytest.mark.parametrize("covered", [(8,), (0, 8), (0, 1)], ids=str)
def test_at_the_ends_alone_nothing_is_learned(tmp_path: Path, covered: tuple[int, ...]) -> None:
    source = brain(tmp_path / "a.nii")
    mask = cover(tmp_path / "mask.nii", source, covered)
    result = augmentor("fill", source, "--mask", mask, "--extrapolate", "-o", tmp_path / "out.nii")
    assert result.exit_code == 0, result.output
    assert "rebuilt by repeating the nearest slice" in result.output and "learn on" not in result.output


def test_a_part_of_the_last_slice_is_repeated_from_the_one_before_it(tmp_path: Path) -> None:
    source = brain(tmp_path / "a.nii")
    result = fill(source, tmp_path / "out.nii", "--mask", cover(tmp_path / "mask.nii", source, [8], EDGE))
    assert "rebuilt by repeating the nearest slice" in result.output
    made, before = values(tmp_path / "out.nii"), values(source)
    changed = made != before
    assert changed[8].any() and not changed[:8].any()
    np.testing.assert_array_equal(made[8][changed[8]], before[7][changed[8]])


def test_blank_ends_of_a_volume_are_neither_refused_nor_filled_unasked(tmp_path: Path) -> None:
    source = brain(tmp_path / "a.nii", (0, 1, 4, 8))
    assert "1 missing slices (4)" in fill(source, tmp_path / "out.nii").output
    assert not values(tmp_path / "out.nii")[[0, 1, 8]].any()
    assert "4 missing slices (0, 1, 4, 8)" in fill(source, tmp_path / "all.nii", "--extrapolate").output
    before, after = values(source), values(tmp_path / "all.nii")
    assert all(np.array_equal(after[end], before[near]) for end, near in ((0, 2), (1, 2), (8, 7)))


def flat(path: Path, count: int) -> Path:
    nibabel.Nifti1Image(np.arange(64 * count, dtype=np.int16).reshape(8, 8, count), np.eye(4)).to_filename(path)
    return path


Words = Callable[[Path], list[object]]

PLAIN: dict[str, tuple[Words, str, str]] = {
    "volume without holes": (lambda t: [brain(t / "a.nii")], "NothingToFill", "no slice of 9 is missing"),
    "series without holes": (lambda t: [series(t / "ct")], "NothingToFill", "no slice of 6 is missing"),
    "blank ends alone": (
        lambda t: [brain(t / "a.nii", (0, 8))],
        "NothingToFill",
        "no slice is missing between others; at the ends, slices 0, 8 show nothing",
    ),
    "all blank": (lambda t: [brain(t / "a.nii", range(9))], "NothingToFill", "fewer than two of 9 slices are there"),
    "all hole": (
        lambda t: [brain(t / "a.nii"), "--mask", cover(t / "m.nii", t / "a.nii", range(9))],
        "NothingToFill",
        "nothing is known in any of 9 slices",
    ),
    "all hole, to be extrapolated": (
        lambda t: [series(t / "ct"), "--mask", cover(t / "m.nii", t / "ct", range(6)), "--extrapolate"],
        "NothingToFill",
        "nothing is known in any of 6 slices",
    ),
    "an empty mask": (
        lambda t: [brain(t / "a.nii"), "--mask", cover(t / "m.nii", t / "a.nii", ())],
        "NothingToFill",
        "no pixel is to be filled",
    ),
    "one slice": (lambda t: [flat(t / "a.nii", 1)], "NothingToFill", "fewer than two of 1 slices are there"),
    "one image": (lambda t: [sorted(series(t / "ct").iterdir())[0]], "NothingToFill", "a single image has no slices"),
    "one slice, finer": (lambda t: [flat(t / "a.nii", 1), "--spacing", 0.5], "NothingToFill", "holds a single slice"),
    "one image, finer": (
        lambda t: [sorted(series(t / "ct").iterdir())[0], "--spacing", 0.5],
        "NothingToFill",
        "holds a single slice",
    ),
    "one slice and blanks": (
        lambda t: [brain(t / "a.nii", range(1, 9)), "--extrapolate"],
        "NothingToFill",
        "fewer than two of 9 slices are there",
    ),
    "uneven gaps": (
        lambda t: [series(t / "ct", UNEVEN)],
        "IrregularSpacing",
        "4.00 from slice 0, 1.10 from slice 2, 6.90 from slice 3, 7.00 from slice 4",
    ),
    "uneven gaps, finer": (lambda t: [series(t / "ct", UNEVEN), "--spacing", 1], "IrregularSpacing", "--mask"),
    "two at one place": (
        lambda t: [series(t / "ct", (0, 2, 2, 4)), "--mask", cover(t / "m.nii", t / "ct", [1])],
        "DuplicatePositions",
        "1 slice positions occur twice",
    ),
    "a mask and a spacing": (
        lambda t: [brain(t / "a.nii"), "--mask", cover(t / "m.nii", t / "a.nii", [3]), "--spacing", 1],
        "WrongSpacing",
        "a mask lies on the slices that are there",
    ),
    "no such spacing": (lambda t: [brain(t / "a.nii"), "--spacing", 1.5], "WrongSpacing", "slices are 2 mm apart"),
}


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", PLAIN)
def test_what_cannot_be_filled_says_what_was_found_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    words, error, said = PLAIN[name]
    (tmp_path / "in").mkdir()
    given = words(tmp_path / "in")
    before = everything(tmp_path)
    result = augmentor("fill", *given, "--prior-only", "-o", tmp_path / "out")
    assert result.exit_code == 2, result.output
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"{error}: ") and said in last and "; " in last
    assert everything(tmp_path) == before and not (tmp_path / "out").exists()


def test_a_hole_with_nothing_around_it_says_so(tmp_path: Path) -> None:
    """Within reach of which nothing is known, though far away something is."""
    volume = np.random.default_rng(0).integers(1, 900, (400, 16, 4)).astype(np.int16)
    nibabel.Nifti1Image(volume, np.eye(4)).to_filename(tmp_path / "a.nii")
    mask = np.zeros(volume.shape, np.uint8)
    mask[:390] = 1
    nibabel.Nifti1Image(mask, np.eye(4)).to_filename(tmp_path / "m.nii")
    before = everything(tmp_path)
    words = ["fill", tmp_path / "a.nii", "--mask", tmp_path / "m.nii", "--prior-only", "-o", tmp_path / "out.nii"]
    result = augmentor(*words)
    assert result.exit_code == 2 and result.stderr.splitlines()[-1].startswith("TooLittleContext: "), result.output
    assert everything(tmp_path) == before


def test_a_new_slice_has_no_values_where_no_slice_shows_any(tmp_path: Path) -> None:
    folder = series(tmp_path / "ct")
    for path in folder.iterdir():
        image = dcmread(path)
        image.add_new("PixelPaddingValue", "US", 4000)
        pixels = image.pixel_array.copy()
        pixels[:6] = 4000
        image.PixelData = pixels.tobytes()
        image.save_as(path)
    sorted(folder.iterdir())[2].unlink()
    fill(folder, tmp_path / "out")
    scene = only(tmp_path / "out")
    filled = scene.read(2, 1)
    assert not filled.valid[0, 0, :6].any()
    assert filled.valid[0, 0, 6:].all()
    np.testing.assert_allclose(filled.values[0, 0, 6:], slope(EVEN)[2, 6:], atol=1)
