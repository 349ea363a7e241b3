"""What is hidden has the shapes of the holes themselves: as deep, and none of what is not to be rebuilt."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from augmentor.holes.column import Column
from augmentor.holes.shapes import BURIED, Shapes, around, ellipse, of_some_slice

Mask = NDArray[np.bool_]

SIDE = 256


def striped() -> Mask:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return np.asarray((rows + columns // 6) % 33 < 6)


def sparse() -> Mask:
    """One hole that is no wider than seven pixels, in a corner."""
    hole = np.zeros((SIDE, SIDE), dtype=bool)
    hole[240:247, 9:16] = True
    return hole


def wide() -> Mask:
    hole = np.zeros((SIDE, SIDE), dtype=bool)
    hole[40:180, 60:220] = True
    return hole


def column(*planes: Mask, holes: Mask | None = None) -> Column:
    known = ~np.stack(planes)
    values = np.zeros((1, *known.shape), np.float32)
    return Column.of(values, known, [float(s) for s in range(len(known))])._replace(holes=holes)


def depth(hole: Mask) -> float:
    """How far a pixel of a hole lies from its rim, on the mean."""
    return float(distance_transform_edt(np.pad(hole, 1, mode="edge"))[1:-1, 1:-1][hole].mean())


def drawn(shapes: Shapes, plane: tuple[int, int], count: int = 60) -> list[Mask]:
    random = np.random.default_rng(0)
    return [shape for _ in range(count) if (shape := shapes.draw(plane, random)) is not None]


@pytest.mark.parametrize("hole", [striped, sparse])
@pytest.mark.parametrize("side", [64, 128, SIDE])
def test_what_is_hidden_is_as_deep_as_the_holes(hole: Callable[[], Mask], side: int) -> None:
    every = drawn(Shapes([column(hole())]), (side, side))
    assert len(every) == 60 and all(shape.shape == (side, side) and shape.any() for shape in every)
    assert np.mean([depth(shape) for shape in every]) == pytest.approx(depth(hole()), rel=0.25)


def test_shapes_lie_anywhere_in_the_plane() -> None:
    where = np.mean(drawn(Shapes([column(sparse())]), (64, 64), 2000), axis=0)
    assert where.min() > 0 and where.max() < 5 * where.mean()


def test_a_hole_is_as_frequent_as_it_is_large() -> None:
    small, large = np.zeros((2, SIDE, SIDE), dtype=bool)
    small[100:110, 100:110] = True
    large[100:120, 100:120] = True
    sizes = np.array([shape.sum() for shape in drawn(Shapes([column(small, large)]), (64, 64), 500)])
    # Windows cut some of them off.
    assert (sizes > 100).mean() == pytest.approx(0.8, abs=0.12)


def test_where_holes_are_told_others_are_not_hidden() -> None:
    outside = np.zeros((SIDE, SIDE), dtype=bool)
    outside[:, :100] = True
    told = column(outside | striped(), holes=striped()[None])
    assert max(depth(shape) for shape in drawn(Shapes([told]), (64, 64))) < 4
    assert max(depth(shape) for shape in drawn(Shapes([told._replace(holes=None)]), (64, 64))) > 8


@pytest.mark.parametrize("hole", [np.zeros((SIDE, SIDE), dtype=bool), np.ones((SIDE, SIDE), dtype=bool)])
def test_without_a_shape_there_is_none(hole: Mask) -> None:
    assert not drawn(Shapes([column(hole)]), (64, 64))


def test_what_is_buried_shows_no_shape() -> None:
    every = drawn(Shapes([column(wide())]), (32, 32), 400)
    assert 0 < len(every) < 400
    assert max(shape.mean() for shape in every) < BURIED


def test_a_small_scene_gives_no_shape_to_a_larger_one() -> None:
    small = Column.of(np.zeros((1, 1, 32, 32), np.float32), np.ones((1, 32, 32), dtype=bool), [0.0])
    small.known[0, 8:12, 8:12] = False
    shapes = Shapes([small, column(striped())])
    assert all(shape.sum() > 16 for shape in drawn(shapes, (64, 64)))
    assert any(shape.sum() <= 16 for shape in drawn(shapes, (32, 32), 4000))


def test_the_hole_of_some_slice_is_moved_and_each_is_as_frequent() -> None:
    random = np.random.default_rng(0)
    known = column(striped(), sparse(), np.zeros((SIDE, SIDE), dtype=bool), np.ones((SIDE, SIDE), dtype=bool)).known
    every = [of_some_slice(known, random) for _ in range(200)]
    sizes = [int(shape.sum()) for shape in every if shape is not None]
    assert set(sizes) == {int(striped().sum()), int(sparse().sum())}
    assert 70 < sizes.count(int(sparse().sum())) < 130
    assert len({shape.tobytes() for shape in every if shape is not None}) > 150
    assert of_some_slice(known[2:], random) is None


@pytest.mark.parametrize("at", [(0, 0), (17, 40), (63, 47)])
@pytest.mark.parametrize("size", [(1, 1), (8, 32), (64, 48)])
def test_a_window_around_a_pixel_holds_it(at: tuple[int, int], size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        window = around(at, size, (64, 48), random)
        for pixel, side, room, rows in zip(at, size, (64, 48), window, strict=True):
            assert 0 <= rows.start <= pixel < rows.stop <= room and rows.stop - rows.start == side


def test_an_ellipse_lies_in_the_plane() -> None:
    random = np.random.default_rng(0)
    every = [ellipse((40, 60), random) for _ in range(50)]
    assert all(shape.shape == (40, 60) and shape.any() for shape in every)
