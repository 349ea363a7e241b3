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


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("skew", [0.7, 1.0, 2.0])
def test_it_holds_them_among_small_and_large_spreads_alike_however_many_there_are_of_each(
    power: float, skew: float
) -> None:
    def skewed(seed: int, skew: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Errors that are no multiple of the spread; the larger the ``skew``, the more of the spreads are small."""
        random = np.random.default_rng(seed)
        spread = 0.1 + random.random((40, 1, 48, 48)) ** skew
        return spread**power * random.normal(size=spread.shape), spread, np.ones(spread.shape, bool)

    errors, spread, _ = skewed(1, 1.0)
    doubt = Doubt.calibrated(*skewed(0, skew))
    inside = np.abs(errors) <= np.stack([doubt.half(one) for one in spread])
    for least, most in ((0.1, 0.35), (0.35, 0.6), (0.6, 0.85), (0.85, 1.1)):
        assert inside[(least < spread) & (spread < most)].mean() == pytest.approx(COVERED, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_larger_spread_never_means_a_narrower_interval(seed: int) -> None:
    errors, spread, hole = drawn(seed, honest=1.0)
    # No spread of these tells anything.
    doubt = Doubt.calibrated(errors, np.random.default_rng(seed).permuted(spread), hole)
    half = doubt.half(np.broadcast_to(np.linspace(0, 9, 500, dtype=np.float32), (2, 1, 500)))
    assert (np.diff(half) >= 0).all()
    far = np.abs(spread).max()
    np.testing.assert_allclose(doubt.half(np.full((2, 1, 1), 6 * far)), 2 * doubt.half(np.full((2, 1, 1), 3 * far)))


def test_what_lies_outside_of_the_hole_does_not_count() -> None:
    errors, spread, hole = drawn(0, honest=1.0)
    doubts = (Doubt.calibrated(e, spread, hole) for e in (errors, np.where(hole, errors, 1e6)))
    halves = [doubt.half(spread[0]) for doubt in doubts]
    np.testing.assert_array_equal(*halves)


def test_no_spread_at_all_leaves_an_interval() -> None:
    errors, spread, hole = drawn(0, honest=1.0)
    doubt = Doubt.calibrated(errors, np.zeros_like(spread), hole)
    half = doubt.half(np.zeros((2, 12, 12), np.float32))
    assert np.mean(np.abs(errors[:, 0])[hole[:, 0]] <= half[0, 0, 0]) == pytest.approx(COVERED, abs=0.01)
