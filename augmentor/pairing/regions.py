"""Where a pair changes: a region of a tile, drawn by chance or shaped as a user's own mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

RAGGED, DRAWN = 0.2, 0.6
"""How far noise, and what is likely, bend the distance from a region's middle, in parts of a tile's side."""

COARSE, FINE = 1 / 12, 1 / 24
"""Standard deviations of the filters that smooth them, in parts of a tile's side."""


def blob(
    random: np.random.Generator, tile: Sequence[int], part: float, likely: NDArray[np.float64] | None = None
) -> NDArray[np.bool_]:
    """A ragged region of ``part`` of a tile, (*tile): the pixels nearest to a middle, noise bending the distance.

    Where ``likely`` (*tile), 0 or more, is large, a middle is more often drawn, and pixels count as nearer.
    """
    shown = np.zeros(tile) if likely is None else _smooth(likely, FINE)
    weights = shown**2 if shown.any() else np.ones(tile)
    middle = np.unravel_index(random.choice(weights.size, p=(weights / weights.sum()).ravel()), tuple(tile))
    places = zip(np.indices(tuple(tile)), middle, tile, strict=True)
    apart = np.sqrt(sum(((place - at) / side) ** 2 for place, at, side in places))
    bent = apart + RAGGED * _smooth(random.standard_normal(tile), COARSE) - DRAWN * shown
    count = max(1, round(part * bent.size))
    region = np.zeros(bent.size, bool)
    region[np.argsort(bent, axis=None, kind="stable")[:count]] = True
    return region.reshape(bent.shape)


def _smooth(values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Smoothed by a filter of a ``width`` in parts of a tile's side; the farthest from 0 is then 1."""
    smoothed = gaussian_filter(values, [width * side for side in values.shape])
    return np.asarray(smoothed / max(np.abs(smoothed).max(), 1e-12))


def fitting(masks: Sequence[NDArray[np.int32]], extent: tuple[float, float]) -> list[NDArray[np.bool_]]:
    """Where masks are not 0, of those alone that are so in a part of a tile that lies in ``extent``."""
    shapes = [mask != 0 for mask in masks]
    return [shape for shape in shapes if extent[0] <= shape.mean() <= extent[1]]
