"""Scaling is invertible, and fitted to what was observed alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentor.scaling import Scaling

RANGES = [(0, 65535), (0, 1), (-1000, 1000), (100, 3000), (-32768, 32767), (0.25, 0.75), (30_000, 30_100)]


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_every_16_bit_value_survives_the_round_trip(low: float, high: float, dtype: type) -> None:
    limits = np.iinfo(dtype)
    values = np.arange(limits.min, limits.max + 1, dtype=dtype).reshape(1, 1, -1, 256)
    scaling = Scaling((low,), (high,))
    unit = scaling.to_unit(values)
    assert unit.dtype == np.float32
    np.testing.assert_array_equal(np.rint(scaling.to_physical(unit)).astype(np.int64), values.astype(np.int64))


@settings(deadline=None)
@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    unit=st.lists(st.floats(-4, 4), min_size=1, max_size=8),
)
def test_the_round_trip_is_exact_to_float32_of_the_range(low: float, width: float, unit: list[float]) -> None:
    scaling = Scaling((low,), (low + width,))
    values = low + (np.array(unit)[None, None] + 1) / 2 * width
    back = scaling.to_physical(scaling.to_unit(values))
    np.testing.assert_allclose(back, values, rtol=1e-12, atol=width * 4e-7)


@pytest.mark.parametrize(
    ("shape", "dims"),
    [((2, 5, 6), 2), ((4, 2, 5, 6), 2), ((3, 1, 2, 5, 6), 2), ((2, 3, 5, 6), 3), ((4, 2, 3, 5, 6), 3)],
)
def test_each_channel_has_its_own_line(shape: tuple[int, ...], dims: int) -> None:
    scaling = Scaling((0.0, -10.0), (1.0, 30.0))
    ends = np.zeros(shape)
    first, second = (np.moveaxis(ends, -1 - dims, 0)[channel] for channel in (0, 1))
    first[...], second[...] = 1.0, -10.0
    unit = scaling.to_unit(ends, dims)
    by_channel = np.moveaxis(unit, -1 - dims, 0)
    assert (by_channel[0] == 1).all()
    assert (by_channel[1] == -1).all()
    np.testing.assert_allclose(scaling.to_physical(unit, dims), ends)


def test_beyond_the_limits_values_go_on_unclipped() -> None:
    assert Scaling((0.0,), (10.0,)).to_unit(np.array([[[-10.0, 0, 5, 10, 30]]])).tolist() == [[[-3, -1, 0, 1, 5]]]


@pytest.mark.parametrize("tile", [(32, 32), (8, 16, 16)], ids=str)
@pytest.mark.parametrize("junk", [1e9, -np.inf, np.nan])
def test_fitting_looks_at_valid_pixels_alone(junk: float, tile: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    tiles, valid = random.uniform(-3, 7, size=(4, 2, *tile)), random.random((4, *tile)) < 0.7
    spoilt = np.where(valid[:, None], tiles, junk)
    assert Scaling.fit(spoilt, valid, None) == Scaling.fit(tiles, valid, None)


def test_fitting_takes_all_but_the_outermost_values() -> None:
    tiles = np.arange(100_000.0).reshape(1, 1, 250, 400)
    found = Scaling.fit(tiles, np.ones((1, 250, 400), bool), None)
    assert found.low[0] == pytest.approx(100, rel=0.01)
    assert found.high[0] == pytest.approx(99_900, rel=0.01)


@pytest.mark.parametrize("channels", [1, 13])
def test_limits_rule_where_they_are_given(channels: int) -> None:
    tiles = np.random.default_rng(0).normal(size=(2, channels, 4, 4))
    found = Scaling.fit(tiles, np.ones((2, 4, 4), bool), (-1000, 1000))
    assert found == Scaling((-1000.0,) * channels, (1000.0,) * channels)


@pytest.mark.parametrize("value", [-3.0, 0.0, 4000.0])
@pytest.mark.parametrize("observed", [True, False])
def test_a_channel_without_contrast_still_has_a_line(value: float, observed: bool) -> None:
    tiles = np.full((2, 1, 4, 4), value)
    scaling = Scaling.fit(tiles, np.full((2, 4, 4), observed), None)
    unit = scaling.to_unit(tiles)
    assert np.isfinite(unit).all()
    np.testing.assert_allclose(scaling.to_physical(unit), tiles, rtol=1e-6)
