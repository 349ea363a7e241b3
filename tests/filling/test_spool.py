"""What is kept on disk comes back as it was, and the ends of an interval hold what the interval held."""

import numpy as np
import pytest

from augmentor.filling.spool import Spool
from augmentor.tiles import windows
from data_adapters import Patch, Window
from data_adapters.scene import to_physical, to_stored

WINDOW = Window(0, 0, 40, 50)


def drawn(widest: float) -> tuple[Patch, np.ndarray]:
    """Rebuilt pixels of two channels, and half of the interval of each."""
    random = np.random.default_rng(0)
    values, half = random.uniform(-30, 30, (2, 40, 50)), random.uniform(0, widest, (2, 40, 50))
    return Patch(3, WINDOW, values, random.random((1, 40, 50)) < 0.5), half


@pytest.mark.parametrize("widest", [0.3, 2.0, 20.0])
@pytest.mark.parametrize("slope", [0.25, 1.0, 2.0078, -1.5])
def test_ends_that_are_rounded_hold_just_the_values_that_the_interval_held_and_the_best_guess(
    slope: float, widest: float
) -> None:
    patch, half = drawn(widest)
    integer = np.dtype(np.int16)
    with Spool((abs(slope),) * 2) as spool:
        spool.put(patch, patch.values, half)
        guess, *ends = (
            to_physical(to_stored(next(spool.patches(side)).values, integer, slope), slope) for side in (0, -1, 1)
        )
    for truth in to_physical(np.arange(-300, 300, dtype=np.int16), slope):
        held = np.abs(truth - patch.values) <= half
        between = (ends[0] - 1e-6 <= truth) & (truth <= ends[1] + 1e-6)
        np.testing.assert_array_equal(between, held | (np.abs(guess - truth) < 1e-6))


def test_where_any_value_can_be_written_the_ends_are_the_interval_s_own() -> None:
    patch, half = drawn(2.0)
    with Spool((0.0, 0.0)) as spool:
        spool.put(patch, patch.values, half)
        for side in (-1, 0, 1):
            (back,) = spool.patches(side)
            np.testing.assert_array_equal(back.values, patch.values + side * half)
            np.testing.assert_array_equal(back.made, patch.made)
            assert (back.slice, back.window) == (3, WINDOW)
        assert spool.pixels == patch.made.sum() and spool.touched == {3: WINDOW}


def test_the_interval_lies_round_the_best_guess_whatever_is_written() -> None:
    patch, half = drawn(2.0)
    guess = patch.values + 5
    with Spool((0.0, 0.0)) as spool:
        spool.put(patch, guess, half)
        found = {side: next(spool.patches(side)).values for side in (-1, 0, 1)}
    for side, values in ((-1, guess - half), (0, patch.values), (1, guess + half)):
        np.testing.assert_array_equal(found[side], values)


MADE = {
    "all of it": (lambda plane: np.ones(plane, dtype=bool), (9, 14)),
    "a spot": (lambda plane: _spot(plane, 3, 25), (3, 25)),
    "two spots": (lambda plane: _spot(plane, 2, 4) | _spot(plane, 17, 20), (2, 4)),
}


def _spot(plane: tuple[int, int], row: int, column: int) -> np.ndarray:
    made = np.zeros(plane, dtype=bool)
    made[row, column] = True
    return made


@pytest.mark.parametrize("case", MADE)
@pytest.mark.parametrize("block", [(20, 30), (7, 30), (8, 11)])
def test_what_was_made_is_told_of_any_window_however_it_was_put_in(case: str, block: tuple[int, int]) -> None:
    make, middle = MADE[case]
    plane = (20, 30)
    made = make(plane)
    left = made.copy()
    with Spool((0.0,)) as spool:
        for window in windows(*plane, block, 0.0):
            part = left[window.slices].copy()[None]
            left[window.slices] = False
            spool.put(Patch(1, window, np.zeros(part.shape), part), *np.zeros((2, *part.shape)))
        for window in (Window(0, 0, *plane), Window(3, 0, 1, 30), Window(0, 25, 20, 1), Window(2, 4, 9, 17)):
            np.testing.assert_array_equal(spool.made(1, window), made[window.slices])
            assert not spool.made(0, window).any()
        assert spool.middle == middle
