"""Regions of change: as large as was asked, and nothing else."""

import numpy as np
import pytest
from scipy.ndimage import label

from augmentor.pairing.blend import FEATHER, blend
from augmentor.pairing.regions import blob, fitting

TILES = [(32, 32), (64, 48), (8, 16, 16)]
PARTS = [0.02, 0.1, 0.4, 1.0]


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("part", PARTS)
def test_a_blob_is_as_large_as_was_asked_and_the_same_again(tile: tuple[int, ...], part: float) -> None:
    first, again, other = (blob(np.random.default_rng(seed), tile, part) for seed in (3, 3, 4))
    assert first.shape == tile
    assert first.sum() == max(1, round(part * first.size))
    np.testing.assert_array_equal(first, again)
    assert part == 1 or (first != other).any()


def test_a_blob_is_one_region_and_no_speckle() -> None:
    for seed in range(10):
        region = blob(np.random.default_rng(seed), (64, 64), 0.15)
        pieces, _ = label(region)
        assert np.bincount(pieces.ravel())[1:].max() > 0.8 * region.sum()


def test_a_blob_lies_about_where_something_shows() -> None:
    likely = np.zeros((32, 32))
    likely[4:10, 20:28] = 0.3
    for seed in range(20):
        region = blob(np.random.default_rng(seed), (32, 32), 0.04, likely)
        assert region[2:12, 18:30].sum() > 0.7 * region.sum()
    anywhere, nothing = (blob(np.random.default_rng(5), (32, 32), 0.1, given) for given in (None, 0 * likely))
    np.testing.assert_array_equal(anywhere, nothing)


def test_masks_that_cover_too_little_or_too_much_are_left_out() -> None:
    masks = [np.pad(np.full((side, side), 5, np.int32), (0, 10 - side)) for side in (0, 1, 3, 5, 10)]
    assert [shape.sum() for shape in fitting(masks, (0.02, 0.25))] == [9, 25]


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("part", [0.05, 0.5])
def test_a_blend_is_one_tile_outside_and_the_other_deep_inside(tile: tuple[int, ...], part: float) -> None:
    random = np.random.default_rng(0)
    region = blob(random, tile, part)
    before, after = random.standard_normal((2, 3, *tile))
    made = blend(before, after, region)
    np.testing.assert_array_equal(made[:, ~region], before[:, ~region])
    assert (made[:, region] != before[:, region]).all()
    low, high = np.minimum(before, after), np.maximum(before, after)
    assert ((made >= low - 1e-12) & (made <= high + 1e-12)).all()


def test_after_fades_in_over_pixels_inside_an_edge_and_not_at_that_of_the_tile() -> None:
    region = np.zeros((20, 20), bool)
    region[:, 8:] = True
    made = blend(np.zeros((1, 20, 20)), np.ones((1, 20, 20)), region)[0]
    ramp = np.minimum(np.arange(1, 13) / (FEATHER + 1), 1)
    np.testing.assert_allclose(made, np.tile([*[0.0] * 8, *ramp], (20, 1)))


def test_a_region_that_is_the_whole_tile_is_after_alone() -> None:
    before, after = np.zeros((1, 8, 8)), np.ones((1, 8, 8))
    np.testing.assert_array_equal(blend(before, after, np.ones((8, 8), bool)), after)
