"""What is kept on disk comes back as it was, and the ends of an interval hold what the interval held."""

import numpy as np
import pytest

from augmentor.filling.spool import Spool
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
        spool.put(patch, half)
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
        spool.put(patch, half)
        for side in (-1, 0, 1):
            (back,) = spool.patches(side)
            np.testing.assert_array_equal(back.values, patch.values + side * half)
            np.testing.assert_array_equal(back.made, patch.made)
            assert (back.slice, back.window) == (3, WINDOW)
        assert spool.pixels == patch.made.sum() and spool.touched == {3: WINDOW}
