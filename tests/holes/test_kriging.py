"""Kriging: the weights that a variogram asks for, and nothing that it does not tell."""

from functools import partial

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from augmentor.holes.priors import Prior, Variogram, cubic, halfway, kriging, linear
from augmentor.holes.priors.kriging import weights

STEPS = (-4.0, -3.0, -1.0, 1.0, 3.0, 4.0)
"""The nearest slices, where every fourth one is missing."""

LAGS = tuple(float(lag) for lag in range(1, 13))

VARIOGRAMS = {
    "a walk": lambda lag: lag,
    "bounded": lambda lag: 1 - np.exp(-lag / 3),
    "smooth": lambda lag: 1 - np.exp(-((lag / 4) ** 2)),
    "noise": lambda lag: np.ones_like(lag),
}

LOST = {"every 4th": lambda i: i % 4 == 2, "3 in a row": lambda i: i % 8 in (3, 4, 5), "one": lambda i: i == 30}


def told(name: str) -> Variogram:
    return Variogram(LAGS, tuple(VARIOGRAMS[name](np.array(LAGS)).tolist()))


def volume(smooth: float, lost: str) -> tuple[np.ndarray, np.ndarray]:
    """(1, 61, 40, 40), smooth along its slices; and which of them are known."""
    noise = np.random.default_rng(0).normal(size=(1, 61, 40, 40))
    values = gaussian_filter1d(noise, smooth, axis=1, mode="wrap")
    known = np.ones(values.shape[1:], dtype=bool)
    known[[i for i in range(61) if LOST[lost](i)]] = False
    return values, known


@pytest.mark.parametrize("name", VARIOGRAMS)
@pytest.mark.parametrize("scale", [0.3, 1.0, 40.0])
def test_weights_sum_to_one_and_do_not_mind_direction_or_units(name: str, scale: float) -> None:
    variogram = told(name)
    found = np.array(weights(STEPS, variogram))
    turned = weights(tuple(-step for step in STEPS[::-1]), variogram)
    wider = Variogram(
        tuple(scale * lag for lag in LAGS), tuple(scale * difference for difference in variogram.differences)
    )
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(turned[::-1], found, atol=1e-6)
    np.testing.assert_allclose(weights(tuple(scale * step for step in STEPS), wider), found, atol=1e-4)


def test_a_walk_is_interpolated_linearly_and_noise_is_averaged() -> None:
    np.testing.assert_allclose(weights(STEPS, told("a walk")), [0, 0, 0.5, 0.5, 0, 0], atol=0.03)
    np.testing.assert_allclose(weights(STEPS, told("noise")), np.full(6, 1 / 6), atol=0.03)


def test_what_is_all_alike_tells_nothing() -> None:
    assert weights(STEPS, Variogram(LAGS, (0.0,) * len(LAGS))) == ()
    flat, known = np.full((1, 12, 8, 8), 7.0), np.arange(12) != 5
    assert not kriging(flat, np.broadcast_to(known[:, None, None], flat.shape[1:]), list(range(12)), 5)[1].any()


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("smooth", [0.5, 1.0, 1.5, 2.5])
def test_it_is_better_than_the_classical_ones(smooth: float, lost: str) -> None:
    values, known = volume(smooth, lost)
    positions = [0.8 * i for i in range(61)]
    missing = np.flatnonzero(~known.any(axis=(1, 2)))

    def error(prior: Prior) -> float:
        return float(np.mean([(prior(values, known, positions, int(i))[0] - values[:, i]) ** 2 for i in missing]))

    for classical in (linear, cubic):
        assert error(partial(halfway, classical, kriging)) < error(classical)
        # Where slices differ little, so do the figures that the weights are found from, and kriging alone may fail.
        assert smooth > 1 or error(kriging) < error(classical)


@pytest.mark.parametrize("lost", LOST)
def test_what_is_missing_is_not_looked_at(lost: str) -> None:
    values, known = volume(1.5, lost)
    positions = list(range(61))
    index = int(np.flatnonzero(~known.any(axis=(1, 2)))[0])
    other = np.where(known, values, 1e6)
    np.testing.assert_array_equal(
        kriging(values, known, positions, index)[0], kriging(other, known, positions, index)[0]
    )


@pytest.mark.parametrize("few", ["two distances alone", "every second slice", "three slices"])
def test_where_nothing_tells_nothing_is_said(few: str) -> None:
    values, known = volume(1.5, "one")
    if few == "every second slice":
        known[1::2] = False
    elif few == "three slices":
        known[:28] = known[31:] = False
        known[40] = True
    positions = list(range(61))
    index = 31 if few == "every second slice" else 30
    variogram = Variogram((1.0, 2.0), (1.0, 3.0)) if few == "two distances alone" else None
    assert not kriging(values, known, positions, index, variogram)[1].any()
    found, said = halfway(linear, partial(kriging, variogram=variogram), values, known, positions, index)
    np.testing.assert_allclose(found, linear(values, known, positions, index)[0])
    assert said.all()
