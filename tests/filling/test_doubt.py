"""The interval holds the part of truths that it says, and none of it is free."""

import numpy as np
import pytest

from augmentor.filling.doubt import COVERED, Doubt


def by_spread(errors: np.ndarray, spread: np.ndarray, hole: np.ndarray) -> Doubt:
    """Calibrated by the spread as the one sign there is."""
    return Doubt.calibrated(errors, spread[None], hole)


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
    doubt = by_spread(*drawn(seed, honest=honest))
    errors, spread, hole = drawn(seed + 100, honest=honest)
    half = doubt.half(spread[None])
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
    doubt = by_spread(*skewed(0, skew))
    inside = np.abs(errors) <= doubt.half(spread[None])
    for least, most in ((0.1, 0.35), (0.35, 0.6), (0.6, 0.85), (0.85, 1.1)):
        assert inside[(least < spread) & (spread < most)].mean() == pytest.approx(COVERED, abs=0.02)


@pytest.mark.parametrize("small, large", [(0.2, 2.0), (1.0, 3.0), (0.5, 0.5)])
def test_holes_that_err_otherwise_than_what_was_hidden_are_held_among_small_and_large_alike(
    small: float, large: float
) -> None:
    """Nine in ten of what is hidden in rows is easy, as background is."""

    def rows(seed: int, small: float, large: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        easy = random.random((40, 1, 48, 48)) < 0.9
        spread = np.where(easy, random.uniform(0.1, 0.2, easy.shape), random.uniform(1, 2, easy.shape))
        return np.where(easy, small, large) * spread * random.normal(size=easy.shape), spread, np.ones(easy.shape, bool)

    hidden = by_spread(*rows(0, 1.0, 1.0))
    errors, spread, hole = rows(1, small, large)
    doubt = hidden.then(by_spread(errors, hidden.half(spread[None]), hole))
    new, spread, _ = rows(2, small, large)
    inside = np.abs(new) <= doubt.half(spread[None])
    for easy in (spread < 0.5, spread > 0.5):
        assert inside[easy].mean() == pytest.approx(COVERED, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_larger_spread_never_means_a_narrower_interval(seed: int) -> None:
    errors, spread, hole = drawn(seed, honest=1.0)
    # Nearly none of these spreads tells anything.
    vague = np.where(np.random.default_rng(seed).random(spread.shape) < 0.95, spread.mean(), spread)
    doubt = by_spread(errors, vague, hole)
    half = doubt.half(np.broadcast_to(np.linspace(0, 9, 500, dtype=np.float32), (1, 2, 1, 500)))
    assert (np.diff(half) >= 0).all()
    far = np.abs(spread).max()
    halves = [doubt.half(np.full((1, 2, 1, 1), times * far)) for times in (3, 6)]
    np.testing.assert_allclose(halves[1], 2 * halves[0])


def signs_of(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors as large as two signs say together; the third one tells nothing."""
    random = np.random.default_rng(seed)
    signs = random.exponential(size=(3, 40, 1, 24, 24))
    return (signs[0] + signs[1] / 2) * random.normal(size=signs[0].shape), signs, np.ones((40, 1, 24, 24), bool)


def test_a_sign_counts_by_as_much_as_errors_grow_with_it() -> None:
    weights = Doubt.calibrated(*signs_of(0)).curves[0].weights
    # The mean size of a normal error is this part of its spread.
    np.testing.assert_allclose(weights / np.sqrt(2 / np.pi), [1, 0.5, 0], atol=0.06)


@pytest.mark.parametrize("alone", range(3))
def test_what_several_signs_tell_makes_the_interval_narrower_and_it_holds_as_many(alone: int) -> None:
    errors, signs, hole = signs_of(0)
    new, told, _ = signs_of(1)
    widths = []
    for used in (slice(None), slice(alone, alone + 1)):
        doubt = Doubt.calibrated(errors, signs[used], hole)
        half = doubt.half(told[used])
        assert (np.abs(new) <= half).mean() == pytest.approx(COVERED, abs=0.02)
        widths.append(half.mean())
    assert widths[0] < 0.97 * widths[1]


def test_a_sign_that_errors_go_against_does_not_count() -> None:
    errors, signs, hole = signs_of(0)
    against = np.stack([signs[0], 1 / (1 + np.abs(errors))])
    assert Doubt.calibrated(errors, against, hole).curves[0].weights[1] == 0


def test_what_lies_outside_of_the_hole_does_not_count() -> None:
    errors, spread, hole = drawn(0, honest=1.0)
    doubts = (by_spread(e, spread, hole) for e in (errors, np.where(hole, errors, 1e6)))
    halves = [doubt.half(spread[:1]) for doubt in doubts]
    np.testing.assert_array_equal(*halves)


@pytest.mark.parametrize("part", [0.5, 0.03, 0.005])
def test_a_background_that_never_errs_does_not_make_up_for_what_little_shows(part: float) -> None:
    def heads(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        shows = random.random((60, 1, 48, 48)) < part
        spread = np.where(shows, random.uniform(1, 2, shows.shape), 0)
        return spread * random.normal(size=shows.shape), spread, np.ones(shows.shape, bool)

    doubt = by_spread(*heads(0))
    errors, spread, _ = heads(1)
    inside = np.abs(errors) <= doubt.half(spread[None])
    assert inside[spread > 0].mean() == pytest.approx(COVERED, abs=0.03)
    assert inside[spread == 0].all()


def test_no_spread_at_all_leaves_an_interval() -> None:
    errors, spread, hole = drawn(0, honest=1.0)
    doubt = by_spread(errors, np.zeros_like(spread), hole)
    half = doubt.half(np.zeros((1, 2, 12, 12), np.float32))
    assert np.mean(np.abs(errors[:, 0])[hole[:, 0]] <= half[0, 0, 0]) == pytest.approx(COVERED, abs=0.01)
