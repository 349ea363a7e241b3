"""The interval holds the part of truths that it says, and none of it is free."""

import numpy as np
import pytest

from augmentor.filling.doubt import COVERED, Doubt


def drawn(seed: int, *, honest: float, count: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors whose size is ``honest`` times what the spread says, of two channels, and where they are judged."""
    random = np.random.default_rng(seed)
    spread = random.uniform(0.1, 2, size=(count, 2, 12, 12)).astype(np.float32)
    errors = honest * spread * random.normal(size=spread.shape)
    errors[:, 1] *= 3
    return errors, spread, random.random((count, 1, 12, 12)) < 0.5


@pytest.mark.parametrize("honest", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_nine_in_ten_new_truths_lie_in_the_interval_however_wrong_the_spread(seed: int, honest: float) -> None:
    doubt = Doubt.calibrated(*drawn(seed, honest=honest))
    errors, spread, hole = drawn(seed + 100, honest=honest)
    half = np.stack([doubt.half(one) for one in spread])
    for channel in range(2):
        inside = (np.abs(errors) <= half)[:, channel][hole[:, 0]]
        assert inside.mean() == pytest.approx(COVERED, abs=0.02)


def test_what_lies_outside_of_the_hole_does_not_count() -> None:
    errors, spread, hole = drawn(0, honest=1.0)
    assert Doubt.calibrated(np.where(hole, errors, 1e6), spread, hole) == Doubt.calibrated(errors, spread, hole)


def test_no_spread_at_all_leaves_an_interval() -> None:
    errors, spread, hole = drawn(0, honest=1.0)
    doubt = Doubt.calibrated(errors, np.zeros_like(spread), hole)
    half = doubt.half(np.zeros((2, 12, 12), np.float32))
    assert np.mean(np.abs(errors[:, 0])[hole[:, 0]] <= half[0, 0, 0]) == pytest.approx(COVERED, abs=0.01)
