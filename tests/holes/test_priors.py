"""Classical answers: exact where theory says so, and never looking at what is not known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from augmentor.holes.priors import (
    ALONG,
    between,
    cubic,
    harmonic,
    linear,
    matched,
    mean,
    median,
    nearest,
    neighbours,
    seasonal,
    surroundings,
)

Array = NDArray[Any]
POSITIONS = {
    "even": [0.0, 1, 2, 3, 4, 5, 6, 7],
    "uneven": [0.0, 0.7, 3, 3.4, 8, 9, 15, 15.5],
    "negative": [-90.0, -40, -37, -30, -11, 4, 5, 60],
}


def polynomial(degree: int, positions: list[float], plane: tuple[int, int] = (3, 4)) -> Array:
    """(C, S, h, w) whose every pixel is a polynomial of the position."""
    factors = np.random.default_rng(degree).normal(size=(degree + 1, 2, *plane))
    at = np.array(positions)
    return sum(f[:, None] * (at[:, None, None] / 10) ** power for power, f in enumerate(factors))


def everything(values: Array) -> Array:
    return np.ones(values.shape[1:], dtype=bool)


@pytest.mark.parametrize("positions", POSITIONS.values(), ids=POSITIONS)
@pytest.mark.parametrize("hidden", [[3], [3, 4], [1, 2, 3], [2, 5, 6]], ids=str)
@pytest.mark.parametrize(("prior", "degree"), [(linear, 1), (cubic, 1), (cubic, 3)])
def test_interpolation_is_exact_on_polynomials(
    prior: Callable[..., Any], degree: int, hidden: list[int], positions: list[float]
) -> None:
    truth = polynomial(degree, positions)
    known = everything(truth)
    known[hidden] = False
    values = np.where(known, truth, 1e3)
    for index in hidden:
        answer, said = prior(values, known, positions, index)
        np.testing.assert_allclose(answer, truth[:, index], atol=1e-9)
        assert said.all()


@pytest.mark.parametrize("positions", POSITIONS.values(), ids=POSITIONS)
def test_linear_interpolation_does_not_mind_the_direction(positions: list[float]) -> None:
    values = np.random.default_rng(0).normal(size=(2, 8, 3, 4))
    known = np.random.default_rng(1).random((8, 3, 4)) < 0.6
    for index in range(8):
        there, said = linear(values, known, positions, index)
        back, said_back = linear(values[:, ::-1], known[::-1], positions[::-1], 7 - index)
        np.testing.assert_allclose(there, back)
        assert (said == said_back).all()


@pytest.mark.parametrize("prior", [linear, cubic])
@pytest.mark.parametrize(("index", "answer"), [(0, 1), (4, 3)])
def test_outside_of_what_is_known_the_nearest_slice_answers(prior: Callable[..., Any], index: int, answer: int) -> None:
    values = np.random.default_rng(0).normal(size=(1, 5, 2, 2))
    known = everything(values)
    known[[0, 4]] = False
    np.testing.assert_allclose(prior(values, known, [0, 1, 2, 3, 9], index)[0], values[:, answer])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    slices=st.integers(1, 7),
    density=st.floats(0, 1),
    steps=st.lists(st.floats(0.1, 20), min_size=7, max_size=7),
)
def test_neighbours_are_the_nearest_known_values(seed: int, slices: int, density: float, steps: list[float]) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(2, slices, 2, 3))
    known = random.random((slices, 2, 3)) < density
    positions = np.cumsum(steps)[:slices].tolist()
    index = int(random.integers(slices))
    near = neighbours(values, known, positions, index)
    for row in range(2):
        for column in range(3):
            seen = np.flatnonzero(known[:, row, column])
            for found, distance, side in (
                (near.before, near.to_before, seen[seen < index][-1:]),
                (near.after, near.to_after, seen[seen > index][:1]),
            ):
                if side.size:
                    assert distance[row, column] == abs(positions[side[0]] - positions[index])
                    assert (found[:, row, column] == values[:, side[0], row, column]).all()
                else:
                    assert np.isinf(distance[row, column])


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), density=st.floats(0.1, 1))
def test_interpolation_stays_between_its_neighbours(seed: int, density: float) -> None:
    random = np.random.default_rng(seed)
    values, known = random.normal(size=(1, 6, 3, 3)), random.random((6, 3, 3)) < density
    near = neighbours(values, known, POSITIONS["uneven"][:6], 3)
    answer, said = between(near)
    both = np.isfinite(near.to_before) & np.isfinite(near.to_after)
    low, high = np.minimum(near.before, near.after), np.maximum(near.before, near.after)
    assert ((answer >= low - 1e-12) & (answer <= high + 1e-12))[:, both].all()
    assert (said == np.delete(known, 3, axis=0).any(axis=0)).all()


def test_the_nearest_and_the_mean_are_what_they_say() -> None:
    values = np.array([1.0, 2, 4, 8])[None, :, None, None]
    known = np.array([True, True, False, True])[:, None, None]
    assert nearest(values, known, [0, 1, 2, 2.5], 2)[0].item() == 8
    assert nearest(values, known, [0, 1, 2, 4], 2)[0].item() == 2
    assert mean(values, known, [0, 1, 2, 4], 2)[0].item() == pytest.approx(11 / 3)
    assert mean(values, known, [0, 1, 2, 4], 0)[0].item() == pytest.approx(5)


@pytest.mark.parametrize("junk", [1e6, np.inf, np.nan])
@pytest.mark.parametrize("match", [False, True])
@pytest.mark.parametrize("name", ALONG)
def test_no_prior_looks_at_what_is_not_known(name: str, match: bool, junk: float) -> None:
    random = np.random.default_rng(0)
    values, known = random.normal(size=(2, 8, 12, 12)), random.random((8, 12, 12)) < 0.7
    known[[1, 4]] = False
    known[[0, 2, 3, 6]] = True
    spoilt = np.where(known, values, junk)
    clean_answer, said = ALONG[name](values, known, POSITIONS["uneven"], 4)
    answer, said_again = ALONG[name](spoilt, known, POSITIONS["uneven"], 4)
    assert (said == said_again).all()
    assert said.all()
    np.testing.assert_array_equal(answer, clean_answer)
    near, near_again = (neighbours(v, known, POSITIONS["uneven"], 4, match=match) for v in (values, spoilt))
    for a, b in zip(near, near_again, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ALONG)
def test_no_prior_looks_at_the_slice_itself(name: str) -> None:
    values = np.random.default_rng(0).normal(size=(1, 6, 4, 4))
    other = values.copy()
    other[:, 3] += 100
    known = everything(values)
    first, second = (ALONG[name](v, known, POSITIONS["even"][:6], 3)[0] for v in (values, other))
    np.testing.assert_array_equal(first, second)


def ringed(slices: int = 9, side: int = 32) -> tuple[Array, Array]:
    """(1, slices, side, side) that change smoothly, and where (side, side) a circle is."""
    slice_, row, column = np.mgrid[:slices, :side, :side]
    values = 2 + np.sin(row / 4 + slice_ / 2) + np.cos(column / 3 - slice_ / 3)
    return values[None], np.hypot(row[0] - side / 2, column[0] - side / 2) < side / 2 - 1


def lost(name: str, known: Array, junk: float) -> float:
    """What of a prior's gain over linear interpolation is lost where slices show no more than is ``known``."""
    values, _ = ringed()
    every = everything(values)
    every[4] = known[4] = False
    positions, inside = [*POSITIONS["even"], 8.0], known.any(axis=0)
    answer, said = ALONG[name](np.where(known, values, junk), known, positions, 4)
    np.testing.assert_array_equal(said, inside)
    (whole, _), (plain, _) = (prior(values, every, positions, 4) for prior in (ALONG[name], linear))
    wrong, least, most = (np.abs(found - values[:, 4])[:, inside].mean() for found in (answer, whole, plain))
    assert least < 0.75 * most
    return float((wrong - least) / (most - least))


@pytest.mark.parametrize("junk", [1e6, np.nan])
@pytest.mark.parametrize("name", ["cubic", "cubic and kriging", "linear and flow", "cubic and kriging and flow"])
def test_what_no_slice_shows_takes_little_from_what_they_do(name: str, junk: float) -> None:
    assert lost(name, np.repeat(ringed()[1][None], 9, axis=0), junk) < 0.25


@pytest.mark.parametrize("junk", [1e6, np.nan])
@pytest.mark.parametrize("name", ["cubic", "cubic and kriging", "linear and flow", "cubic and kriging and flow"])
def test_pixels_that_single_slices_lack_cost_little_more_than_those(name: str, junk: float) -> None:
    assert lost(name, np.random.default_rng(0).random((9, 32, 32)) < 0.99, junk) < 0.25


@pytest.mark.parametrize("name", ALONG)
def test_a_prior_says_where_it_knows_nothing(name: str) -> None:
    values = np.ones((1, 4, 2, 2))
    known = everything(values)
    known[:, 0, 1] = False
    known[2, 0, 1] = True
    assert ALONG[name](values, known, [0, 1, 2, 3], 2)[1].tolist() == [[True, False], [True, True]]


HOLES = {
    "pixel": [(5, 6)],
    "bar": [(4, c) for c in range(2, 12)],
    "square": [(r, c) for r in range(3, 9) for c in range(4, 10)],
    "two": [(2, 2), (2, 3), (7, 8), (8, 8)],
    "corner": [(r, c) for r in range(4) for c in range(5)],
    "edge": [(r, c) for r in range(10) for c in range(6)],
}


def hole(name: str) -> Array:
    mask = np.zeros((10, 14), dtype=bool)
    mask[tuple(zip(*HOLES[name], strict=True))] = True
    return mask


@pytest.mark.parametrize("name", ["pixel", "bar", "square", "two"])
@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (0, -2), (0.3, 0.7)])
def test_harmonic_filling_continues_planes(name: str, down: float, right: float) -> None:
    rows, columns = np.mgrid[:10, :14].astype(float)
    plane = np.stack([3 + down * rows + right * columns, down * rows - right * columns])
    filled = harmonic(np.where(hole(name), 99, plane), hole(name))
    np.testing.assert_allclose(filled, plane, atol=1e-9)


@pytest.mark.parametrize("name", HOLES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_harmonic_filling_obeys_the_maximum_principle_and_touches_the_hole_alone(name: str, dtype: type) -> None:
    mask = hole(name)
    plane = (9 + np.random.default_rng(0).normal(size=(3, 10, 14))).astype(dtype)
    filled = harmonic(np.where(mask, np.nan, plane).astype(dtype), mask)
    assert filled.dtype == dtype
    np.testing.assert_array_equal(filled[:, ~mask], plane[:, ~mask])
    rim = np.zeros_like(mask)
    for axis, by in ((0, 1), (0, -1), (1, 1), (1, -1)):
        moved = np.roll(mask, by, axis)
        moved[{(0, 1): 0, (0, -1): -1}.get((axis, by), slice(None))] &= axis == 1
        rim |= moved
    rim &= ~mask
    for channel in range(3):
        low, high = plane[channel, rim].min(), plane[channel, rim].max()
        assert (filled[channel, mask] >= low - 1e-5).all()
        assert (filled[channel, mask] <= high + 1e-5).all()


def test_harmonic_filling_is_the_mean_of_four_neighbours() -> None:
    mask = hole("square")
    filled = harmonic(np.random.default_rng(0).normal(size=(1, 10, 14)), mask)[0]
    around = (filled[:-2, 1:-1] + filled[2:, 1:-1] + filled[1:-1, :-2] + filled[1:-1, 2:]) / 4
    np.testing.assert_allclose(filled[1:-1, 1:-1][mask[1:-1, 1:-1]], around[mask[1:-1, 1:-1]], atol=1e-9)


def test_harmonic_filling_of_nothing_and_of_everything() -> None:
    plane = np.random.default_rng(0).normal(size=(2, 4, 5))
    np.testing.assert_array_equal(harmonic(plane, np.zeros((4, 5), bool)), plane)
    np.testing.assert_array_equal(harmonic(plane, np.ones((4, 5), bool)), 0)


@pytest.mark.parametrize("density", [0.0, 0.01, 0.5, 1.0])
def test_matching_changes_nothing_where_nothing_differs(density: float) -> None:
    random = np.random.default_rng(0)
    prior, clear = random.normal(size=(2, 20, 30)), random.random((20, 30)) < density
    target = np.where(clear, prior, 1e6)
    np.testing.assert_array_equal(matched(prior, target, clear), prior)


@pytest.mark.parametrize("offset", [-3.0, 0.25, 40.0])
def test_matching_carries_a_constant_difference_everywhere(offset: float) -> None:
    random = np.random.default_rng(0)
    prior, clear = random.normal(size=(2, 20, 30)), random.random((20, 30)) < 0.3
    target = np.where(clear, prior + offset, np.nan)
    np.testing.assert_allclose(matched(prior, target, clear), prior + offset)


def test_matching_is_local_near_clear_ground_and_between_both_far_from_it() -> None:
    prior, clear = np.zeros((1, 20, 400)), np.zeros((20, 400), dtype=bool)
    clear[:, :60] = clear[:, -60:] = True
    target = np.where(np.arange(400) < 200, 1.0, 3.0) * np.ones((1, 20, 400))
    made = matched(prior, target, clear)
    np.testing.assert_allclose(made[..., 199:201].mean(), 2, atol=0.15)
    assert (np.diff(made[0, 10]) > -1e-6).all()
    assert abs(made[0, 10, 65] - 1) < 0.15
    assert abs(made[0, 10, 334] - 3) < 0.15


@pytest.mark.parametrize("reach", [1.0, 3.0, 9.0, 12.0, 27.0])
@pytest.mark.parametrize("shape", [(1, 240, 301), (5, 250, 250)])
def test_surroundings_fade_as_a_gaussian_does(reach: float, shape: tuple[int, ...]) -> None:
    """A clear spot, spread by normalised convolution, against scipy's Gaussian."""
    clear = np.zeros(shape[1:], dtype=bool)
    clear[100:140, 110:150] = clear[:20] = True
    target = np.zeros(shape)
    target[:, 100:140, 110:150] = np.arange(1, len(target) + 1)[:, None, None]
    difference = target - (overall := target[:, clear].mean(axis=1)[:, None, None])
    spread = np.stack([gaussian_filter(np.where(clear, each, 0), reach, mode="nearest") for each in difference])
    weight = gaussian_filter(clear.astype(float), reach, mode="nearest")
    expected = overall + spread / (weight + 0.05)
    np.testing.assert_allclose(surroundings(target, clear, reach), expected, atol=0.02 * len(target))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 40), (2, 7, 5), (240, 31, 33)])
def test_planes_of_any_size_are_matched(shape: tuple[int, ...]) -> None:
    target, clear = np.full(shape, 4.0), np.zeros(shape[1:], dtype=bool)
    clear[0, 0] = True
    np.testing.assert_allclose(matched(np.ones(shape), target, clear), 4)
    np.testing.assert_allclose(surroundings(target, clear, 27.0), 4)


def spotted() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Ground of fine detail on a slope (2, 60, 70), and where it is clear."""
    rows, columns = np.mgrid[:60, :70] / 50.0
    ground = np.random.default_rng(0).normal(size=(2, 60, 70)) * 0.3 + np.stack([rows, columns * rows])
    return ground, (rows - 0.6) ** 2 + (columns - 0.7) ** 2 > 0.16


@pytest.mark.parametrize("gain", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("tilt", [0.0, 0.5])
def test_detail_comes_over_as_strong_as_it_is(gain: float, tilt: float) -> None:
    """Another date that shows the same ground more or less strongly, in a light that changes across it, tells all."""
    ground, clear = spotted()
    target = gain * ground + tilt * np.arange(70) / 70
    made = matched(ground, np.where(clear, target, np.nan), clear)
    assert np.abs(made - target)[:, ~clear].max() <= 0.02 + 0.1 * tilt
    np.testing.assert_allclose(made[:, clear], target[:, clear], atol=0.02 + 0.05 * tilt)


def test_detail_that_is_not_in_common_stays_away() -> None:
    """Of a date that shows something else, nothing is left but what lies around the hole."""
    ground, clear = spotted()
    other = np.random.default_rng(1).normal(size=ground.shape)
    smooth = np.full_like(ground, 2.0)
    made = matched(other, np.where(clear, smooth, np.nan), clear)
    np.testing.assert_allclose(made[:, ~clear], 2.0, atol=0.15)
    assert np.abs(matched(other, np.where(clear, ground, np.nan), clear) - harmonic(ground, ~clear)).mean() < 0.3


@pytest.mark.parametrize("gain", [0.0, 0.5, -1.0])
def test_dates_that_complete_each_other_leave_no_seam(gain: float) -> None:
    """Two dates that differ by a constant, each clear on one half, make one plane without a step."""
    ground = np.random.default_rng(0).normal(size=(1, 16, 40))
    values = np.stack([ground, ground + gain, ground], axis=1)
    known = np.ones((3, 16, 40), dtype=bool)
    known[1, :, 25:] = False
    known[0, :, :15] = False
    known[2] = False
    near = neighbours(values, known, [0, 1, 2], 2, match=True)
    step = near.before[0] - values[0, 1]
    np.testing.assert_allclose(step, step[0, 0], atol=1e-9)


@pytest.mark.parametrize("index", [0, 3, 9])
def test_the_median_heeds_no_single_cloud_that_a_mask_missed(index: int) -> None:
    values = np.random.default_rng(0).normal(size=(2, 10, 4, 5))
    known = np.random.default_rng(1).random((10, 4, 5)) < 0.8
    others = [s for s in range(10) if s != index]
    answer, said = median(np.where(known, values, 1e3), known, list(range(10)), index)
    wanted = np.nanmedian(np.where(known, values, np.nan)[:, others], axis=1)
    np.testing.assert_allclose(answer[:, said], wanted[:, said])
    assert (said == known[others].any(axis=0)).all()


@pytest.mark.parametrize("days", [list(range(0, 360, 30)), list(range(0, 720, 45))], ids=["one year", "two years"])
def test_a_year_of_seasons_is_told_from_its_other_dates(days: list[float]) -> None:
    factors = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    angle = 2 * np.pi * np.array(days) / 365.25
    truth = sum(
        f[:, None] * w[:, None, None] for f, w in zip(factors, (angle**0, np.cos(angle), np.sin(angle)), strict=True)
    )
    known = np.random.default_rng(1).random(truth.shape[1:]) < 0.9
    for index in range(len(days)):
        hidden = known.copy()
        hidden[index] = False
        answer, said = seasonal(np.where(hidden, truth, 1e3), known, days, index)
        assert said.all()
        assert np.abs(answer - truth[:, index]).mean() < 0.02


def test_where_nothing_is_known_no_season_is_told() -> None:
    values, known = np.ones((1, 5, 2, 2)), np.zeros((5, 2, 2), dtype=bool)
    known[2] = True
    answer, said = seasonal(values, known, [0, 30, 60, 90, 120], 2)
    assert not said.any() and not answer.any()
