"""One tile laid into another, so that nothing outside a region is touched."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

FEATHER = 3
"""Pixels inside a region's edge over which one tile gives way to the other."""


def blend(before: NDArray[Any], after: NDArray[Any], region: NDArray[np.bool_]) -> NDArray[Any]:
    """``before`` (C, *tile), and inside ``region`` (*tile) ``after``, which fades in from its edge.

    Every pixel outside is that of ``before``, bit for bit. The tile's own edge is none of the region.
    """
    if region.all():
        return after.copy()
    inside = distance_transform_edt(region)
    share = np.clip(inside / (FEATHER + 1), 0, 1)
    return np.where(region, before + share * (after - before), before)
