"""What moves from slice to slice is found where it was between two; nothing else is said to be known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from augmentor.holes.priors import flowing, linear

SIDE = 64


def drawn(shift: float) -> NDArray[np.float64]:
    """(SIDE, SIDE): a few blobs that moved so many rows up, and columns to the right."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    blobs = [
        np.exp(-((rows + shift - r) ** 2 + (columns - shift - c) ** 2) / 40) for r, c in ((20, 22), (34, 40), (46, 24))
    ]
    return np.asarray(np.sum(blobs, axis=0))


def moving(step: float, count: int = 7) -> NDArray[np.float64]:
    """(1, count, SIDE, SIDE), which move by so much from slice to slice."""
    return np.stack([drawn(step * (index - count // 2)) for index in range(count)])[None]


def lost(count: int, *slices: int) -> NDArray[np.bool_]:
    known = np.ones((count, SIDE, SIDE), dtype=bool)
    known[list(slices)] = False
    return known


@pytest.mark.parametrize(("step", "missing"), [(1.0, (2, 3, 4)), (1.5, (2, 3, 4)), (2.0, (3,)), (-2.0, (3,))])
def test_what_moves_is_followed(step: float, missing: tuple[int, ...]) -> None:
    values, known, positions = moving(step), lost(7, *missing), [2.5 * i for i in range(7)]
    for index in missing:
        (found, said), (mixed, _) = (prior(values * known, known, positions, index) for prior in (flowing, linear))
        assert said.all()
        assert np.abs(found - values[:, index]).mean() < 0.3 * np.abs(mixed - values[:, index]).mean()


@pytest.mark.parametrize("at", [1.2, 2.0, 3.4])
def test_it_is_found_where_it_lies_between_the_two(at: float) -> None:
    values, known = moving(1.0), lost(7, 2, 3)
    found, _ = flowing(values * known, known, [0, 1, at, 3.5, 4, 5, 6], 2)
    assert np.abs(found - drawn(at - 3)).mean() < 0.3 * np.abs(values[:, 1] - values[:, 4]).mean()
    assert np.abs(found - drawn(at - 3)).mean() < np.abs(found - drawn(at - 2.5)).mean()


@pytest.mark.parametrize("junk", [1e6, np.inf, np.nan])
def test_what_is_not_known_is_not_looked_at(junk: float) -> None:
    values, known = moving(1.0), lost(7, 3)
    known[2, 5, 5] = False
    clean, _ = flowing(values * known, known, list(range(7)), 3)
    spoilt, said = flowing(np.where(known, values, junk), known, list(range(7)), 3)
    assert said.all()
    np.testing.assert_array_equal(clean, spoilt)


@pytest.mark.parametrize(
    ("missing", "index", "side"), [((0,), 0, SIDE), ((5, 6), 6, SIDE), (tuple(range(7)), 3, SIDE), ((3,), 3, 20)]
)
def test_nothing_is_said_at_an_end_nor_of_what_is_too_small(missing: tuple[int, ...], index: int, side: int) -> None:
    values, known = moving(1.0)[..., :side], lost(7, *missing)[..., :side]
    found, said = flowing(values, known, list(range(7)), index)
    assert found.shape == (1, SIDE, side)
    assert not said.any()
