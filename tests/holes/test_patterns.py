"""Neighbours: those of holes and of hidden slices, told apart and laid elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augmentor.holes.column import Column
from augmentor.holes.hide import Hider
from augmentor.holes.patterns import REACH, Pattern, laid, of_hidden, of_holes, pattern, reach

SLICES = st.lists(st.booleans(), min_size=3, max_size=30).map(np.array)


@given(SLICES, st.data())
def test_a_pattern_laid_elsewhere_is_read_there_again(there: np.ndarray, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(there) - 1))
    around = pattern(there, index)
    assert len(around) == 2 * REACH + 1 and not around[REACH]
    other = data.draw(st.integers(REACH, 40))
    known = laid(around, other, other + REACH + 5)
    assert pattern(known, other) == around
    assert known[: other - REACH].all() and known[other + REACH + 1 :].all()


@given(SLICES)
def test_holes_are_those_between_known_slices(there: np.ndarray) -> None:
    known = np.flatnonzero(there)
    inside = [i for i in np.flatnonzero(~there) if len(known) and known[0] < i < known[-1]]
    found = of_holes(there)
    assert len(found) == len(inside)
    for around, index in zip(found, inside, strict=True):
        near = [abs(i - index) for i in (known[known < index][-1], known[known > index][0])]
        assert reach(around) == min(max(near), REACH)


@pytest.mark.parametrize(
    ("there", "runs", "kept"),
    [
        ("11111", [slice(2, 3)], ["11.11"]),
        ("11111", [slice(1, 3)], ["1.011", "10.11"]),
        ("1101011", [slice(3, 4)], ["110.011"]),
    ],
)
def test_a_hidden_slice_keeps_what_is_known_but_its_run(there: str, runs: list[slice], kept: list[str]) -> None:
    known = np.array([c == "1" for c in there])
    wanted = [pattern(np.array([c == "1" for c in k]), k.index(".")) for k in kept]
    assert list(of_hidden(known, runs)) == wanted


def rows(patterns: tuple[Pattern, ...], seed: int = 0) -> Column:
    """Slices that count themselves."""
    random = np.random.default_rng(seed)
    values = np.arange(24.0)[None, :, None, None] + 0.01 * random.random((1, 24, 16, 16))
    known = np.ones(values.shape[1:], dtype=bool)
    return Column.of(values.astype(np.float32), known, list(range(24)))._replace(patterns=patterns)


FAR = pattern(np.array([c == "1" for c in "1001001"]), 3), pattern(np.array([c == "1" for c in "1100011"]), 2)


@pytest.mark.parametrize("patterns", [FAR[:1], FAR[1:], FAR])
def test_a_row_is_hidden_with_the_neighbours_that_a_pattern_keeps(patterns: tuple[Pattern, ...]) -> None:
    hidden = Hider([rows(patterns)], volume=True, seed=0, size=(8, 8)).draw(200)
    index = hidden.truth.mean(axis=(1, 2, 3)).astype(int)
    before, after = (hidden.told[:, band].mean(axis=(1, 2)).astype(int) for band in (2, 3))
    near = {(FAR[0]): (3, 3), FAR[1]: (1, 3)}
    assert set(zip(index - before, after - index, strict=True)) == {near[around] for around in patterns}


def test_the_same_parts_are_hidden_whatever_they_keep() -> None:
    one, other = (Hider([rows((around,))], volume=True, seed=3, size=(8, 8)).draw(50) for around in FAR)
    np.testing.assert_array_equal(one.truth, other.truth)
    assert not np.array_equal(one.prior, other.prior)


@pytest.mark.parametrize(("first", "last", "able"), [(0, 3, False), (21, 24, False), (0, 5, True), (2, 22, True)])
def test_rows_too_near_an_end_are_not_waited_for(first: int, last: int, able: bool) -> None:
    told = np.zeros((24, 16, 16), dtype=bool)
    told[first:last] = True
    hider = Hider([rows(FAR)._replace(told=told)], volume=True, seed=0, size=(8, 8))
    assert hider.share.any() == able
    if able:
        index = hider.draw(30).truth.mean(axis=(1, 2, 3)).astype(int)
        assert index.min() >= max(3, first) and index.max() < min(21, last)
