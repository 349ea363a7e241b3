"""How deep holes of a volume are, and which of their pixels others lie on one side of alone."""

from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from augmentor.holes.ends import Extent, depths, extents, runs_between, steps_away
from augmentor.holes.kinds import Holes
from data_adapters import Scene, open_scenes

Mask = NDArray[np.bool_]

CASES = {
    "between": ("..#..##.", {0: 3}, {1: 1, 2: 1}),
    "the last": (".......#", {1: 1}, {}),
    "the last three, one between": (".#...###", {0: 1, 1: 1, 2: 1, 3: 1}, {1: 1}),
    "both ends": ("##.....#", {1: 2, 2: 1}, {}),
    "all but one": ("##.#####", {1: 2, 2: 2, 3: 1, 4: 1, 5: 1}, {}),
    "all": ("########", {0: 8}, {8: 1}),
}
"""Slices with a hole, pixels of it by how far they lie from the only side that is known, and how deep it is."""


def scene(path: Path, shape: tuple[int, ...], step: float = 2.0) -> Scene:
    """A volume, or several in a 4-D file, that shows something everywhere."""
    values = np.random.default_rng(0).integers(1, 900, shape).astype(np.int16)
    nibabel.Nifti1Image(values, np.diag([1.0, 1, step, 1])).to_filename(path)
    (found,) = open_scenes(path)
    return found


def holes(hidden: Mask) -> Holes:
    """Holes where a mask (S, h, w) says so."""
    return Holes(lambda window: hidden[None][:, :, *window.slices])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("side", [8, 300])
def test_holes_are_as_deep_as_they_are_at_each_pixel(tmp_path: Path, case: str, volumes: int, side: int) -> None:
    said, steps, between = CASES[case]
    of_it = scene(tmp_path / "a.nii", (side, 8, len(said), volumes)[: 3 + (volumes > 1)])
    hidden = np.zeros(of_it.shape[1:], dtype=bool)
    # Of the last volume alone, and in two pixels: others are known in every slice.
    hidden[-len(said) :, 2:4, 5] = np.array([letter == "#" for letter in said])[:, None]
    found = depths(of_it, holes(hidden), extents(of_it, holes(hidden)))
    assert +found.steps == Counter({step: 2 * count for step, count in steps.items()})
    assert +found.between == Counter({depth: 2 * count for depth, count in between.items()})


@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize(("lost", "first", "last"), [((), 0, 5), ((5,), 0, 4), ((0, 1, 3), 2, 5), (range(6), -1, -1)])
def test_a_volume_reaches_from_the_first_to_the_last_slice_that_is_known_anywhere(
    tmp_path: Path, lost: tuple[int, ...], first: int, last: int, volumes: int
) -> None:
    of_it = scene(tmp_path / "a.nii", (8, 8, 6, volumes)[: 3 + (volumes > 1)])
    hidden = np.zeros(of_it.shape[1:], dtype=bool)
    hidden[-6:, 3, 3] = True
    hidden[[of_it.shape[1] - 6 + index for index in lost]] = True
    behind = of_it.shape[1] - 6
    (found,) = extents(of_it, holes(hidden))
    ends = (first, last) if last < 0 else (behind + first, behind + last)
    assert found == Extent(slice(behind, behind + 6), list(range(behind, behind + 6)), *ends)


@pytest.mark.parametrize("positions", [(0.0, 2, 4, 6, 8, 10), (0.0, 2, 4, 6, 8, 15), (0.0, -2, -4, -6, -8, -10)])
def test_steps_are_as_long_as_slices_mostly_lie_apart(positions: tuple[float, ...]) -> None:
    known = np.zeros((6, 1, 3), dtype=bool)
    known[1:4, 0, 0] = known[4, 0, 1] = True
    last = round(abs(positions[5] - positions[3]) / 2), round(abs(positions[5] - positions[4]) / 2)
    assert steps_away(known, positions, 5).tolist() == [[*last, 0]]
    assert steps_away(known, positions, 0).tolist() == [[1, 4, 0]]
    assert steps_away(known, positions, 2).tolist() == [[0, 2, 0]]


def test_runs_are_counted_by_pixel() -> None:
    made = np.array([[letter == "#" for letter in row] for row in ("#..#", "..##", ".#.#", "...#", "#.##")])
    assert runs_between(made) == Counter({2: 0, 1: 2, 5: 1}) - Counter()
