"""What is told of a hole: laid out as said, and without a word of what is hidden."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from augmentor.holes.column import Column
from augmentor.holes.context import Context, channels, look
from augmentor.holes.priors import linear

POSITIONS = [0.0, 1, 3, 4, 10]


def scene(image_channels: int = 2, slices: int = 5, seed: int = 0) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    random = np.random.default_rng(seed)
    values = random.normal(size=(image_channels, slices, 12, 14)).astype(np.float32)
    return values, random.random((slices, 12, 14)) < 0.8


def square() -> NDArray[np.bool_]:
    hole = np.zeros((12, 14), dtype=bool)
    hole[3:8, 4:9] = True
    return hole


def parts(context: Context, count: int) -> dict[str, NDArray[Any]]:
    views = dict.fromkeys(("before", "after", "further_before", "further_after"), count)
    distances = {f"to_{view}": 1 for view in views}
    sizes = {"seen": count, "clear": 1, **views, **distances, "prior": count}
    cuts = np.cumsum(list(sizes.values()))
    return dict(zip(sizes, np.split(context.told, cuts[:-1]), strict=True))


@pytest.mark.parametrize("match", [False, True])
@pytest.mark.parametrize("count", [1, 2, 13])
@pytest.mark.parametrize("index", [0, 2, 4])
def test_what_is_told_is_laid_out_as_said(count: int, index: int, match: bool) -> None:
    values, known = scene(count)
    context = look(Column.of(values, known, POSITIONS), index, square(), match=match)
    assert context.told.shape == (channels(count), 12, 14)
    assert context.told.dtype == context.prior.dtype == np.float32
    assert np.isfinite(context.told).all()
    told = parts(context, count)
    clear = known[index] & ~square()
    np.testing.assert_array_equal(told["clear"][0], clear)
    np.testing.assert_array_equal(told["seen"], np.where(clear, values[:, index], 0))
    np.testing.assert_array_equal(told["prior"], context.prior)
    for side in ("before", "after"):
        near, further = told[f"to_{side}"], told[f"to_further_{side}"]
        assert ((near >= 0) & (near <= 1)).all()
        # With a match, what one side lacks is lent to it, at a typical distance.
        assert match or (further >= near).all()
    if index == 0:
        assert (told["to_before"] == 1).all()
        np.testing.assert_array_equal(told["before"], context.prior)


@pytest.mark.parametrize("match", [False, True])
@pytest.mark.parametrize("slices", [1, 5])
@pytest.mark.parametrize("junk", [1e6, np.nan])
def test_nothing_is_told_of_what_is_hidden_or_not_known(junk: float, slices: int, match: bool) -> None:
    values, known = scene(slices=slices)
    index = slices // 2
    hidden = ~known
    hidden[index] |= square()
    first = look(Column.of(values, known, POSITIONS[:slices]), index, square(), match=match)
    second = look(Column.of(np.where(hidden, junk, values), known, POSITIONS[:slices]), index, square(), match=match)
    np.testing.assert_array_equal(first.told, second.told)
    np.testing.assert_array_equal(first.prior, second.prior)


@pytest.mark.parametrize("match", [False, True])
def test_clear_pixels_are_their_own_prior(match: bool) -> None:
    values, known = scene()
    context = look(Column.of(values, known, POSITIONS), 2, square(), match=match)
    clear = known[2] & ~square()
    np.testing.assert_array_equal(context.prior[:, clear], values[:, 2][:, clear])


def test_between_slices_the_prior_is_linear_interpolation() -> None:
    values, _ = scene()
    known = np.ones(values.shape[1:], dtype=bool)
    known[2] = False
    everywhere = np.ones((12, 14), dtype=bool)
    context = look(Column.of(values, known, POSITIONS), 2, everywhere, match=False)
    np.testing.assert_allclose(context.prior, linear(values, known, POSITIONS, 2)[0], rtol=1e-6)
    told = parts(context, 2)
    np.testing.assert_array_equal(told["before"], values[:, 1])
    np.testing.assert_array_equal(told["after"], values[:, 3])
    assert (told["to_before"] > told["to_after"]).all()
    np.testing.assert_array_equal(told["further_before"], values[:, 0])
    np.testing.assert_array_equal(told["further_after"], values[:, 4])


@pytest.mark.parametrize("offset", [0.0, 0.4])
def test_another_date_is_brought_to_the_radiometry_of_this_one(offset: float) -> None:
    ground = np.random.default_rng(0).normal(size=(1, 12, 14)).astype(np.float32)
    values = np.stack([ground - offset, ground, ground + 3 * offset], axis=1)
    known = np.ones((3, 12, 14), dtype=bool)
    context = look(Column.of(values, known, [0, 5, 7]), 1, square(), match=True)
    np.testing.assert_allclose(context.prior, ground, atol=1e-5)


def test_alone_a_slice_is_filled_from_its_rim() -> None:
    rows, columns = np.mgrid[:12, :14].astype(np.float32)
    plane = (1 + 0.2 * rows - 0.1 * columns)[None, None]
    known = np.ones((1, 12, 14), dtype=bool)
    context = look(Column.of(np.where(square(), 9, plane), known, [0.0]), 0, square(), match=True)
    np.testing.assert_allclose(context.prior, plane[:, 0], atol=1e-5)


@pytest.mark.parametrize("unknown", [0, 3])
def test_alone_a_slice_is_filled_within_the_range_of_what_is_clear(unknown: int) -> None:
    values = np.random.default_rng(0).uniform(5, 6, size=(1, 1, 12, 14))
    known = np.ones((1, 12, 14), dtype=bool)
    known[0, 3:8, 9 : 9 + unknown] = False
    context = look(Column.of(values, known, [0.0]), 0, square(), match=True)
    inside = context.prior[:, square()]
    assert (inside >= 5).all()
    assert (inside <= 6).all()
