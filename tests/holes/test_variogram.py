"""The error of an interpolation, foreseen from how slices differ."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from augmentor.holes.patterns import missing
from augmentor.holes.priors import ALONG, KRIGED, Variogram, along, expected_error

LOST = {"every 4th": lambda i: i % 4 == 2, "3 in a row": lambda i: i % 8 in (3, 4, 5), "one": lambda i: i == 30}


def volume(smooth: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(2, 61, 30, 30))
    return gaussian_filter1d(noise, smooth, axis=1, mode="wrap")


@pytest.mark.parametrize("prior", ["linear", "cubic", *KRIGED])
@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize(("smooth", "step"), [(0.8, 1.0), (1.5, 2.5), (3.0, 0.7)])
def test_the_error_is_foreseen(prior: str, lost: str, smooth: float, step: float) -> None:
    values = volume(smooth)
    there = np.array([not LOST[lost](i) for i in range(61)])
    known = np.broadcast_to(there[:, None, None], values.shape[1:])
    positions = [step * i for i in range(61)]
    variogram = Variogram.of(np.where(known, values, 99.0), known, positions)
    true, told = [], []
    for i in missing(there):
        answer, _ = along(prior, variogram)(values, known, positions, i)
        true.append(np.mean((answer - values[:, i]) ** 2))
        told.append(expected_error(along(prior, variogram), there, positions, i, variogram))
    # What is left of a smooth volume is a small difference of large figures.
    assert np.mean(told) == pytest.approx(np.mean(true), rel=0.25, abs=0.002 * values.var())


@pytest.mark.parametrize(("smooth", "better"), [(0.5, "linear"), (2.0, "cubic")])
def test_the_better_interpolation_is_told(smooth: float, better: str) -> None:
    values, positions = volume(smooth), list(range(61))
    there = np.array([i % 4 != 2 for i in positions])
    known = np.broadcast_to(there[:, None, None], values.shape[1:])
    variogram = Variogram.of(values, known, positions)
    errors = {p: expected_error(ALONG[p], there, positions, 30, variogram) for p in ("linear", "cubic")}
    assert min(errors, key=lambda prior: errors[prior]) == better


def test_what_no_slices_tell_of_is_not_told() -> None:
    values = volume(1.0)
    there = np.array([i % 2 == 0 for i in range(61)])
    there[1] = True
    known = np.broadcast_to(there[:, None, None], values.shape[1:])
    variogram = Variogram.of(values, known, list(range(61)))
    assert np.isnan(expected_error(ALONG["linear"], there, list(range(61)), 31, variogram))
    assert variogram.at(np.array([0.0, 2.0])) == pytest.approx([0.0, variogram.differences[0]])
    assert np.isnan(variogram.at(np.array([1.0, 500.0]))).all()


@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.parametrize(("smooth", "better"), [(0.5, "linear"), (3.0, "cubic")])
def test_the_better_interpolation_is_guessed_where_no_slices_lie_so_near(
    smooth: float, better: str, every: int
) -> None:
    values, positions = volume(smooth), [0.7 * i for i in range(61)]
    there = np.array([i % every == 0 for i in range(61)])
    known = np.broadcast_to(there[:, None, None], values.shape[1:])
    told = Variogram.of(values, known, positions)
    guessed = told.guessed(0.7)
    errors = {p: expected_error(ALONG[p], there, positions, 31, guessed) for p in ("linear", "cubic")}
    assert min(errors, key=lambda prior: errors[prior]) == better
    # What was told stays so.
    assert guessed.at(np.array(told.distances)) == pytest.approx(told.differences)


@pytest.mark.parametrize("power", [0.7, 1.0, 1.6])
def test_a_power_of_the_distance_is_guessed_as_it_is(power: float) -> None:
    far = tuple(2.0 * k for k in range(1, 9))
    guessed = Variogram(far, tuple(3.0 * d**power for d in far)).guessed(1.0)
    asked = np.arange(1.0, 8.0)
    assert guessed.at(asked) == pytest.approx(3.0 * asked**power)


@pytest.mark.parametrize("told", [((), ()), ((2.0, 4.0), (1.0, 2.0)), ((2.0, 4.0, 8.0), (0.0, 1.0, 2.0))])
def test_from_too_little_nothing_is_guessed(told: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    assert Variogram(*told).guessed(1.0) == Variogram(*told)


def test_one_slice_differs_from_none(recwarn: pytest.WarningsRecorder) -> None:
    variogram = Variogram.of(np.ones((1, 1, 4, 4), np.float32), np.ones((1, 4, 4), bool), [0.0])
    assert not variogram.distances and not recwarn.list


def test_slices_of_another_volume_of_the_file_are_not_compared() -> None:
    values = volume(1.0)[:, :12]
    known = np.ones(values.shape[1:], bool)
    alone = Variogram.of(values, known, list(range(12)))
    both = Variogram.of(
        np.concatenate([values, values + 500], axis=1), np.concatenate([known] * 2), [*range(12), *range(900, 912)]
    )
    assert both.distances == alone.distances
    np.testing.assert_allclose(both.differences, alone.differences, rtol=1e-6)
